"""Room and access in /dev/shm, where Linux keeps POSIX segments and semaphores as files.

On other systems the kernel keeps them, and nothing is checked.
"""

import mmap
import os
import sys

from ipcbench.transports.base import DEV_SHM, Traffic, Transport


class InDevShm(Transport):
    """Base of the transports that make an object in /dev/shm: it must be usable and have room."""

    def unavailable(self) -> str | None:
        if sys.platform != "linux" or os.access(DEV_SHM, os.W_OK | os.X_OK):
            return None
        what = "can't be written" if DEV_SHM.exists() else "isn't there"
        return f"{DEV_SHM} {what}; mount a tmpfs there"

    def rejects(self, traffic: Traffic) -> str | None:
        return super().rejects(traffic) or _no_room(self.dev_shm_bytes(traffic))


def dev_shm_bytes(bytes_of_memory: int, semaphores: int) -> int:
    """Bytes of /dev/shm that a segment and semaphores take: each is a file, of whole pages."""
    return (-(-bytes_of_memory // mmap.PAGESIZE) + semaphores) * mmap.PAGESIZE


def dev_shm_room() -> int:
    """Free bytes in /dev/shm."""
    try:
        stat = os.statvfs(DEV_SHM)
    except OSError:
        return 0
    return stat.f_bavail * stat.f_frsize


def remove_from_dev_shm(name: str) -> None:
    """Removes the object of this name; where nothing can be removed, nothing was made."""
    try:
        (DEV_SHM / name).unlink(missing_ok=True)
    except OSError:
        pass  # there is no such folder, or it is read-only


def _no_room(needed: int) -> str | None:
    """The reason why so many bytes don't fit into /dev/shm; None if they do."""
    room = dev_shm_room()
    if sys.platform != "linux" or needed <= room:
        return None
    return f"needs {needed:,} bytes of {DEV_SHM} and {room:,} are free; make it larger"
