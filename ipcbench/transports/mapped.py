"""Shared mappings: of /dev/shm, a file, a memfd, or anonymous memory. mmap(2).

None leaves a name behind: the segment in /dev/shm never gets one, and the file is in the launch's
private directory.
"""

import os
from collections.abc import Mapping

from ipcbench.case import Loop
from ipcbench.transports.base import DEV_SHM, Link, Traffic, Transport, Workspace, known
from ipcbench.transports.parts.counters import (
    SEMAPHORES,
    SEMAPHORES_PER_LINK,
    Eventfds,
    FutexWords,
    PosixSemaphores,
    futex_unavailable,
    order_limit,
)
from ipcbench.transports.parts.dev_shm import InDevShm, dev_shm_bytes, dev_shm_room
from ipcbench.transports.parts.shared import InSharedMemory
from ipcbench.transports.parts.slots import Counters, Memory, SharedMapping, SignalLink


class PosixShm(InSharedMemory, InDevShm):
    """POSIX shared memory with POSIX semaphores."""

    name = "posix-shm"
    summary = "POSIX shared memory; sleeps on a semaphore"
    waits = "sleeps on a POSIX semaphore"
    copies = "twice: into a slot of the segment and out of it"
    source = "shm_overview(7), sem_overview(7)"
    groups = ("posix",)
    memory = "posix-shm"
    sleeps_on = "posix-sem"
    leftovers = SEMAPHORES

    def unavailable(self) -> str | None:
        if not hasattr(os, "O_TMPFILE"):
            return "this system has no unnamed files (O_TMPFILE)"
        return super().unavailable()

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        semaphores = 0 if self.spins else SEMAPHORES_PER_LINK
        return dev_shm_bytes(self.memory_bytes(traffic), semaphores)

    def system_limits(self) -> Mapping[str, str]:
        return {str(DEV_SHM): f"{dev_shm_room():,} bytes free"}

    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        descriptor = os.open(DEV_SHM, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        return SharedMapping(descriptor, size_bytes)

    def sleeping(self, workspace: Workspace) -> Counters:
        return PosixSemaphores(workspace)


class MmapFile(InSharedMemory, InDevShm):
    """A mapped file with POSIX semaphores."""

    name = "mmap-file"
    summary = "a file mapped by both ends; sleeps on a semaphore"
    waits = "sleeps on a POSIX semaphore"
    copies = "twice: into a slot of the file's pages and out of it"
    source = "mmap(2), sem_overview(7)"
    groups = ("posix",)
    memory = "mapped-file"
    sleeps_on = "posix-sem"
    leftovers = SEMAPHORES

    def unavailable(self) -> str | None:
        return None if self.spins else super().unavailable()

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        return dev_shm_bytes(0, 0 if self.spins else SEMAPHORES_PER_LINK)

    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        path = workspace.directory / "mapped"
        memory = SharedMapping(os.open(path, flags, 0o600), size_bytes)
        os.unlink(path)
        return memory

    def sleeping(self, workspace: Workspace) -> Counters:
        return PosixSemaphores(workspace)


class MemfdEventfd(InSharedMemory):
    """A memfd with eventfds."""

    name = "memfd-eventfd"
    summary = "a mapped memfd; sleeps in a read of an eventfd"
    waits = "sleeps in a read of an eventfd"
    copies = "twice: into a slot of the memfd and out of it"
    source = "memfd_create(2), eventfd(2)"
    groups = ("linux",)
    memory = "memfd"
    sleeps_on = "eventfd"

    def unavailable(self) -> str | None:
        return None if hasattr(os, "memfd_create") else "this system has no memfd_create"

    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        descriptor = os.memfd_create("ipcbench")
        os.fchmod(descriptor, 0o600)  # it has no path but those in /proc
        return SharedMapping(descriptor, size_bytes)

    def sleeping(self, workspace: Workspace) -> Counters:
        return Eventfds()


class ShmFutex(InSharedMemory):
    """A shared mapping with futexes."""

    name = "shm-futex"
    summary = "an anonymous shared mapping; sleeps on a futex"
    waits = "sleeps on a futex"
    copies = "twice: into a slot of the mapping and out of it"
    source = "mmap(2), futex(2)"
    groups = ("linux",)
    memory = "anonymous-memory"
    sleeps_on = "futex"

    def unavailable(self) -> str | None:
        return None if self.spins else futex_unavailable()

    def rejects_driver(self, driver: Loop) -> str | None:
        return order_limit(driver) or super().rejects_driver(driver)

    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        return SharedMapping(-1, size_bytes)

    def sleeping(self, workspace: Workspace) -> Counters:
        return FutexWords()


class Eventfd(Transport):
    """An eventfd in each direction, without a payload."""

    name = "eventfd"
    summary = "eventfds alone: a signal, no payload"
    waits = "sleeps in a read of an eventfd"
    copies = "never: there is nothing to copy"
    source = "eventfd(2)"
    groups = ("linux",)
    mediums = ("eventfd",)
    streams = False
    carries_payload = False

    def unavailable(self) -> str | None:
        return None if hasattr(os, "eventfd") else "this system has no eventfd"

    def system_limits(self) -> Mapping[str, str]:
        return known({"fs.file-max": "open files on the machine"})

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return SignalLink(Eventfds())
