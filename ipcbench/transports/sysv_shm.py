"""A System V shared memory segment, with System V semaphores to wait on. shmget(2), semop(2).

Each direction is a ring of slots. The sender copies its private buffer into the next slot and
raises `filled`; the receiver lowers `filled` and copies the slot into a private buffer: one copy
in, one copy out. A latency link has one slot each way, which strict alternation keeps free. A
throughput link has one bounded ring and a second semaphore, `free`, that makes the sender wait.

The segment is marked for removal (IPC_RMID) as soon as it is attached: the server inherits the
attachment by fork(2), so the kernel frees it with the last of the two, even after SIGKILL.
Semaphores have no such mercy: their keys are in the workspace's ledger before they exist.
"""

import mmap
import os
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from ipcbench.transports.base import (
    Endpoint,
    Link,
    Side,
    Transport,
    Unavailable,
    Workload,
    Workspace,
    buffer_pair,
)

try:
    import sysv_ipc
except ImportError:  # a platform without a wheel and without a compiler
    sysv_ipc = None

SEMAPHORE_KIND = "sysv-sem"
"""What the ledger calls a semaphore; the number beside it is its key."""

_CACHE_LINE_BYTES = 64
_RING_BYTES = 256 * 1024
"""About what a socket buffers by default (net.core.wmem_default is 212,992 bytes)."""
_MOST_SLOTS = 64
_FEWEST_SLOTS = 2
_KEY_TRIES = 20
_MOST_KEY = 2**31 - 1
"""key_t is an int (ftok(3)): a larger key would come back as another, negative, number."""
_SHMMAX = Path("/proc/sys/kernel/shmmax")
_WHOLE = slice(None)


class Direction:
    """One way through the segment: where its slots are and the semaphores that count them."""

    __slots__ = ("filled", "free", "offsets")

    def __init__(self, offsets: list[int], filled: Any, free: Any | None) -> None:
        self.offsets = offsets
        self.filled = filled
        self.free = free


class SysvShmLink(Link):
    """One segment, two semaphores, and the endpoints that look into them."""

    def __init__(self, size_bytes: int, workload: Workload, workspace: Workspace) -> None:
        self._size_bytes = size_bytes
        self._workspace = workspace
        self._semaphores: list[Any] = []
        self._endpoints: list[Endpoint] = []
        self._segment: Any | None = None
        self._echoes = workload == "latency"
        stride = slot_stride(size_bytes)
        slots = 1 if self._echoes else ring_slots(size_bytes)
        try:
            self._segment = _attached_segment(segment_size(size_bytes, workload))
            self._forth = Direction(
                [slot * stride for slot in range(slots)],
                self._semaphore(0),
                None if self._echoes else self._semaphore(slots),
            )
            self._back = Direction([stride], self._semaphore(0), None) if self._echoes else None
        except sysv_ipc.Error as error:
            self.close()
            raise Unavailable(
                f"System V IPC refused: {error}; see ipcs -l for the limits"
            ) from error
        except BaseException:
            self.close()
            raise

    def client(self) -> Endpoint:
        return self._endpoint("client", sends=self._forth, receives=self._back)

    def server(self) -> Endpoint:
        return self._endpoint("server", sends=self._back, receives=self._forth)

    def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close()
        self._endpoints.clear()
        while self._semaphores:
            semaphore = self._semaphores.pop()
            try:
                semaphore.remove()
            except sysv_ipc.ExistentialError:
                pass  # somebody removed it: gone is what was wanted
            self._workspace.strike(SEMAPHORE_KIND, semaphore.key)
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.detach()

    def _semaphore(self, value: int) -> Any:
        """A new semaphore of this value under a random key that was in the ledger first."""
        for _ in range(_KEY_TRIES):
            key = _random_key()
            self._workspace.note(SEMAPHORE_KIND, key)
            try:
                semaphore = sysv_ipc.Semaphore(
                    key, sysv_ipc.IPC_CREX, mode=0o600, initial_value=value
                )
            except sysv_ipc.ExistentialError:
                self._workspace.strike(SEMAPHORE_KIND, key)
                continue
            self._semaphores.append(semaphore)
            return semaphore
        raise Unavailable(f"no free System V semaphore key in {_KEY_TRIES} tries")

    def _endpoint(
        self, side: Side, *, sends: Direction | None, receives: Direction | None
    ) -> Endpoint:
        echoes = self._echoes and side == "server"
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=echoes)
        whole = memoryview(self._segment)  # type: ignore[arg-type]
        views = [whole]
        for page in range(0, len(whole), mmap.PAGESIZE):
            whole[page]

        def slots(direction: Direction) -> list[memoryview]:
            cut = [whole[start : start + self._size_bytes] for start in direction.offsets]
            views.extend(cut)
            return cut

        def close() -> None:
            # The segment crashes the process if it is detached under a live view.
            for view in reversed(views):
                view.release()

        endpoint = Endpoint(
            send=_sender(slots(sends), sends, outgoing) if sends else _one_way,
            receive=_receiver(slots(receives), receives, incoming) if receives else _one_way,
            outgoing=outgoing,
            incoming=incoming,
            facts={
                "segment_size_bytes": len(whole),
                "ring_slots_count": len(self._forth.offsets),
            },
            close=close,
        )
        self._endpoints.append(endpoint)
        return endpoint


class SysvShm(Transport):
    """Shared memory with semaphores."""

    name = "sysv-shm"
    summary = "System V shared memory, copied in and out"
    waits = "sleeps on a semaphore"

    def unavailable(self) -> str | None:
        if sysv_ipc is None:
            return "the package sysv_ipc is missing; pip install sysv_ipc"
        if Path("/proc/self").exists() and not Path("/proc/sysvipc").exists():
            return "this kernel was built without System V IPC (CONFIG_SYSVIPC)"
        return None

    def limit(self, message_size_bytes: int, workload: Workload) -> str | None:
        try:
            most = int(_SHMMAX.read_text())
        except (OSError, ValueError):
            return None  # not Linux, or hidden: the launch itself will tell
        needed = segment_size(message_size_bytes, workload)
        if needed <= most:
            return None
        return (
            f"needs a segment of {needed} bytes and shmmax is {most};"
            f" raise it with sysctl kernel.shmmax={needed}"
        )

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return SysvShmLink(message_size_bytes, workload, workspace)


def slot_stride(size_bytes: int) -> int:
    """Bytes from one slot to the next: whole cache lines, so that no two slots share one."""
    return -(-size_bytes // _CACHE_LINE_BYTES) * _CACHE_LINE_BYTES


def ring_slots(size_bytes: int) -> int:
    """Slots of a throughput ring: about 256 KiB of messages, at least 2 and at most 64 slots."""
    return max(_FEWEST_SLOTS, min(_MOST_SLOTS, _RING_BYTES // slot_stride(size_bytes)))


def segment_size(size_bytes: int, workload: Workload) -> int:
    """Bytes of shared memory that a link of this message size takes."""
    slots = 2 if workload == "latency" else ring_slots(size_bytes)
    return slots * slot_stride(size_bytes)


def remove_semaphore(key: int) -> None:
    """Removes the semaphore of this key, for a process that didn't live to; gone is no error."""
    if sysv_ipc is None:
        return
    try:
        sysv_ipc.Semaphore(key).remove()
    except (sysv_ipc.ExistentialError, sysv_ipc.PermissionsError):
        pass  # gone already, or never ours


def _random_key() -> int:
    """A key above 0 (which is IPC_PRIVATE) that nobody else will have chosen."""
    return int.from_bytes(os.urandom(4)) % _MOST_KEY + 1


def _attached_segment(size_bytes: int) -> Any:
    """A new private segment, attached here, resident, and already marked for removal."""
    segment = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, mode=0o600, size=size_bytes)
    segment.remove()
    with memoryview(segment) as view:
        for page in range(0, size_bytes, mmap.PAGESIZE):
            view[page] = 0
    return segment


def _sender(
    slots: list[memoryview], direction: Direction, message: memoryview
) -> Callable[[], None]:
    publish = direction.filled.release
    if direction.free is None:
        (slot,) = slots

        def send_in_turn() -> None:
            slot[_WHOLE] = message
            publish()

        return send_in_turn

    claim, next_slot = direction.free.acquire, cycle(slots).__next__

    def send() -> None:
        claim()
        next_slot()[_WHOLE] = message
        publish()

    return send


def _receiver(
    slots: list[memoryview], direction: Direction, message: memoryview
) -> Callable[[], None]:
    wait = direction.filled.acquire
    if direction.free is None:
        (slot,) = slots

        def receive_in_turn() -> None:
            wait()
            message[_WHOLE] = slot

        return receive_in_turn

    give_back, next_slot = direction.free.release, cycle(slots).__next__

    def receive() -> None:
        wait()
        message[_WHOLE] = next_slot()
        give_back()

    return receive


def _one_way() -> None:
    raise OSError("a throughput link streams from client to server only")
