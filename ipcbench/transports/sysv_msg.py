"""System V message queues, one each way. msgop(2), sysvipc(7).

A queue outlives its makers: its key is in the workspace's ledger before it exists.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ipcbench.transports.base import (
    Endpoint,
    Link,
    QueueShape,
    Transport,
    Unavailable,
    Workload,
    Workspace,
    kernel_setting,
    known,
    message_buffer,
)

try:
    import sysv_ipc
except ImportError:  # a platform without a wheel and without a compiler
    sysv_ipc = None

QUEUE_KIND = "sysv-msg"
"""What the ledger calls a queue; the number beside it is its key."""

_KEY_TRIES = 20
_MOST_KEY = 2**31 - 1
_PAGE_BYTES = 4096
_WHOLE = slice(None)


class QueueLink(Link):
    """A queue from client to server, and for round trips one back."""

    def __init__(self, size_bytes: int, workload: Workload, workspace: Workspace) -> None:
        self._size_bytes = size_bytes
        self._echoes = workload == "latency"
        self._workspace = workspace
        self._queues: list[Any] = []
        try:
            self._forth = self._queue()
            self._back = self._queue() if self._echoes else None
        except BaseException:
            self.close()
            raise

    def client(self) -> Endpoint:
        return self._endpoint(sends=self._forth, receives=self._back, echoes=False)

    def server(self) -> Endpoint:
        return self._endpoint(sends=self._back, receives=self._forth, echoes=self._echoes)

    def close(self) -> None:
        while self._queues:
            queue = self._queues.pop()
            try:
                queue.remove()
            except sysv_ipc.ExistentialError:
                pass  # somebody removed it: gone is what was wanted
            self._workspace.strike(QUEUE_KIND, queue.key)

    def _queue(self) -> Any:
        """A new queue under a random key that was in the ledger first."""
        for _ in range(_KEY_TRIES):
            key = int.from_bytes(os.urandom(4)) % _MOST_KEY + 1
            self._workspace.note(QUEUE_KIND, key)
            try:
                queue = sysv_ipc.MessageQueue(
                    key, sysv_ipc.IPC_CREX, mode=0o600, max_message_size=self._size_bytes
                )
            except sysv_ipc.ExistentialError:
                self._workspace.strike(QUEUE_KIND, key)
                continue
            except sysv_ipc.Error as error:
                raise Unavailable(
                    f"System V IPC refused: {error}; see ipcs -l for the limits"
                ) from error
            self._queues.append(queue)
            return queue
        raise Unavailable(f"no free System V queue key in {_KEY_TRIES} tries")

    def _endpoint(self, *, sends: Any | None, receives: Any | None, echoes: bool) -> Endpoint:
        outgoing = _behind_a_type(self._size_bytes)
        incoming = outgoing if echoes else _behind_a_type(self._size_bytes)
        return Endpoint(
            send=partial(sends.send, outgoing) if sends else _one_way,
            receive=_receiver(receives.receive, incoming) if receives else _one_way,
            outgoing=outgoing,
            incoming=incoming,
            facts={"queue_size_bytes": (sends or receives).max_size},  # type: ignore[union-attr]
            close=lambda: None,
            shape=QueueShape(
                "queue", "sysv", receives.id if receives else -1, sends.id if sends else -1
            ),
        )


class SysvMsg(Transport):
    """System V message queues."""

    name = "sysv-msg"
    summary = "System V message queues, one each way"
    waits = "blocks in msgrcv"
    source = "msgop(2), sysvipc(7)"
    groups = ("sysv",)

    def unavailable(self) -> str | None:
        if sysv_ipc is None:
            return "the package sysv_ipc is missing; pip install sysv_ipc"
        if Path("/proc/self").exists() and not Path("/proc/sysvipc").exists():
            return "this kernel was built without System V IPC (CONFIG_SYSVIPC)"
        return None

    def limit(self, message_size_bytes: int, workload: Workload) -> str | None:
        for name in ("kernel.msgmax", "kernel.msgmnb"):
            most = kernel_setting(name)
            if most is not None and message_size_bytes > most:
                return (
                    f"a message of a System V queue holds at most {most:,} bytes ({name});"
                    f" raise it with sysctl {name}={message_size_bytes}"
                )
        return None

    def limits(self) -> Mapping[str, str]:
        return known(
            {
                "kernel.msgmax": "bytes a message",
                "kernel.msgmnb": "bytes a queue",
                "kernel.msgmni": "queues",
            }
        )

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return QueueLink(message_size_bytes, workload, workspace)


def remove_queue(key: int) -> None:
    """Removes the queue of this key, for a process that didn't live to; gone is no error."""
    if sysv_ipc is None:
        return
    try:
        sysv_ipc.MessageQueue(key).remove()
    except (sysv_ipc.ExistentialError, sysv_ipc.PermissionsError):
        pass  # gone already, or never ours


def _behind_a_type(size_bytes: int) -> memoryview:
    """A buffer that begins a page after its memory does: in front of it is room for a type."""
    return message_buffer(_PAGE_BYTES + size_bytes)[_PAGE_BYTES:]


def _receiver(receive: Callable[[], tuple[bytes, int]], message: memoryview) -> Callable[[], None]:
    def receive_into() -> None:
        message[_WHOLE], _ = receive()  # another length than the message's is a ValueError

    return receive_into


def _one_way() -> None:
    raise OSError("a throughput link streams from client to server only")
