"""System V shared memory and semaphores, together or alone. shmget(2), semop(2).

The segment is marked for removal (IPC_RMID) as soon as it is attached: the server inherits the
attachment by fork(2), so the kernel frees it with the last of the two, even after SIGKILL.
Semaphores can't be marked so: their keys are in the workspace's ledger before they exist.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from ipcbench.transports.base import (
    CORE,
    Link,
    Traffic,
    Transport,
    Workspace,
    kernel_setting,
    known,
)
from ipcbench.transports.parts import sysv
from ipcbench.transports.parts.shared import InSharedMemory
from ipcbench.transports.parts.slots import (
    Counter,
    Counters,
    Memory,
    SignalLink,
)
from ipcbench.transports.shapes import CounterShape

SEMAPHORE_KIND = "sysv-sem"
"""Kind of a System V semaphore in the ledger; the number beside it is its key."""


class SysvSegment(Memory):
    """A private segment, attached, and already marked for removal."""

    def __init__(self, size_bytes: int) -> None:
        try:
            self._segment: Any | None = sysv.ipc.SharedMemory(
                None, sysv.ipc.IPC_CREX, mode=0o600, size=size_bytes
            )
            self._segment.remove()
        except (sysv.ipc.Error, OSError) as error:
            raise sysv.refused(error, "segments, kernel.shmmni,") from error

    def view(self) -> memoryview:
        return memoryview(self._segment)  # type: ignore[arg-type]

    def close(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.detach()


class SysvSemaphores(Counters):
    """System V semaphores: a set of one for each counter. semop(2)."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._semaphores: dict[int, Any] = {}

    def make(self, place: int, value: int, memory: memoryview) -> None:
        semaphore = partial(sysv.ipc.Semaphore, mode=0o600, initial_value=value)
        self._semaphores[place] = sysv.made(
            SEMAPHORE_KIND,
            self._workspace,
            semaphore,
            "semaphore sets, the last number of kernel.sem,",
        )

    def end(self, place: int, memory: memoryview) -> Counter:
        semaphore = self._semaphores[place]
        shape = CounterShape("semop", semaphore.id)

        def ready() -> bool:
            return semaphore.value > 0  # type: ignore[no-any-return]

        return Counter(semaphore.release, semaphore.acquire, ready, shape)

    def vanished(self) -> str | None:
        return sysv.vanished("a System V semaphore", self._semaphores.values())

    def close(self) -> None:
        while self._semaphores:
            sysv.removed(SEMAPHORE_KIND, self._workspace, self._semaphores.popitem()[1])


def remove_semaphore(key: int) -> None:
    """Removes the semaphore of this key, left by a process that died; if it exists."""
    sysv.remove("Semaphore", key)


_SEMAPHORES = MappingProxyType({SEMAPHORE_KIND: remove_semaphore})


class SysvShm(InSharedMemory):
    """System V shared memory with semaphores."""

    name = "sysv-shm"
    summary = "System V shared memory; sleeps on a semaphore"
    waits = "sleeps on a semaphore"
    copies = "twice: into a slot of the segment and out of it"
    source = "shmget(2), semop(2)"
    groups: tuple[str, ...] = ("sysv", CORE)
    memory = "sysv-shm"
    sleeps_on = "sysv-sem"
    leftovers = _SEMAPHORES

    def unavailable(self) -> str | None:
        return sysv.unavailable()

    def system_limits(self) -> Mapping[str, str]:
        return known(
            {
                "kernel.shmmax": "bytes a segment",
                "kernel.shmmni": "segments",
                "kernel.sem": "semaphores a set",
            }
        )

    def rejects(self, traffic: Traffic) -> str | None:
        most = kernel_setting("kernel.shmmax")
        needed = self.memory_bytes(traffic)
        if most is None or needed <= most:
            return super().rejects(traffic)  # where it isn't told, the launch itself will tell
        return (
            f"needs a segment of {needed} bytes and shmmax is {most};"
            f" raise it with sysctl kernel.shmmax={needed}"
        )

    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        return SysvSegment(size_bytes)

    def sleeping(self, workspace: Workspace) -> Counters:
        return SysvSemaphores(workspace)


class SysvSem(Transport):
    """A System V semaphore in each direction, without a payload."""

    name = "sysv-sem"
    summary = "System V semaphores alone: a signal, no payload"
    waits = "sleeps on a semaphore"
    copies = "never: there is nothing to copy"
    source = "semop(2)"
    groups = ("sysv",)
    mediums = ("sysv-sem",)
    leftovers = _SEMAPHORES
    streams = False
    carries_payload = False

    def unavailable(self) -> str | None:
        return sysv.unavailable()

    def system_limits(self) -> Mapping[str, str]:
        return known({"kernel.sem": "semaphores a set"})

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return SignalLink(SysvSemaphores(workspace))
