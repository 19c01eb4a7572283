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
from ipcbench.transports.parts.slots import SharedMapping, SignalLink, SlotsLink, memory_size


class PosixShm(InDevShm):
    """POSIX shared memory with POSIX semaphores."""

    name = "posix-shm"
    summary = "POSIX shared memory; sleeps on a semaphore"
    waits = "sleeps on a POSIX semaphore"
    copies = "twice: into a slot of the segment and out of it"
    source = "shm_overview(7), sem_overview(7)"
    groups = ("posix",)
    mediums = ("posix-shm", "posix-sem")
    overlaps = True
    leftovers = SEMAPHORES

    def unavailable(self) -> str | None:
        if not hasattr(os, "O_TMPFILE"):
            return "this system has no unnamed files (O_TMPFILE)"
        return super().unavailable()

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        return dev_shm_bytes(memory_size(traffic), SEMAPHORES_PER_LINK)

    def system_limits(self) -> Mapping[str, str]:
        return {str(DEV_SHM): f"{dev_shm_room():,} bytes free"}

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        descriptor = os.open(DEV_SHM, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        memory = SharedMapping(descriptor, memory_size(traffic))
        return SlotsLink(traffic, memory, PosixSemaphores(workspace))


class MmapFile(InDevShm):
    """A mapped file with POSIX semaphores."""

    name = "mmap-file"
    summary = "a file mapped by both ends; sleeps on a semaphore"
    waits = "sleeps on a POSIX semaphore"
    copies = "twice: into a slot of the file's pages and out of it"
    source = "mmap(2), sem_overview(7)"
    groups = ("posix",)
    mediums = ("mapped-file", "posix-sem")
    overlaps = True
    leftovers = SEMAPHORES

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        return dev_shm_bytes(0, SEMAPHORES_PER_LINK)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        path = workspace.directory / "mapped"
        memory = SharedMapping(os.open(path, flags, 0o600), memory_size(traffic))
        os.unlink(path)
        return SlotsLink(traffic, memory, PosixSemaphores(workspace))


class MemfdEventfd(Transport):
    """A memfd with eventfds."""

    name = "memfd-eventfd"
    summary = "a mapped memfd; sleeps in a read of an eventfd"
    waits = "sleeps in a read of an eventfd"
    copies = "twice: into a slot of the memfd and out of it"
    source = "memfd_create(2), eventfd(2)"
    groups = ("linux",)
    mediums = ("memfd", "eventfd")
    overlaps = True

    def unavailable(self) -> str | None:
        return None if hasattr(os, "memfd_create") else "this system has no memfd_create"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        descriptor = os.memfd_create("ipcbench")
        os.fchmod(descriptor, 0o600)  # it has no path but those in /proc
        memory = SharedMapping(descriptor, memory_size(traffic))
        return SlotsLink(traffic, memory, Eventfds())


class ShmFutex(Transport):
    """A shared mapping with futexes."""

    name = "shm-futex"
    summary = "an anonymous shared mapping; sleeps on a futex"
    waits = "sleeps on a futex"
    copies = "twice: into a slot of the mapping and out of it"
    source = "mmap(2), futex(2)"
    groups = ("linux",)
    mediums = ("anonymous-memory", "futex")
    overlaps = True

    def unavailable(self) -> str | None:
        return futex_unavailable()

    def rejects_driver(self, driver: Loop) -> str | None:
        return order_limit(driver)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        memory = SharedMapping(-1, memory_size(traffic))
        return SlotsLink(traffic, memory, FutexWords())


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
