"""The machine-wide lock: one run at a time, since two would disturb each other. flock(2).

The kernel drops the lock with the process that holds it, so there is no stale lock.

The path is predictable, so that two runs of a user find the same file. It is safe from other users:
a folder or file that isn't this user's alone is skipped, whoever made it and wherever it links to.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ipcbench.errors import UsageError

_OUR_NAME = "lock"
"""Name of the lock file in a folder that ipcbench made."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def machine_lock(*, wanted: bool = True) -> Iterator[Path | None]:
    """Holds the machine lock inside the block; yields the path of the lock file.

    Yields None and takes no lock if none is wanted or no folder is fit for the file. Raises
    UsageError, with the other run's process id, if another run holds it.
    """
    opened = _opened() if wanted else None
    if opened is None:
        yield None
        return
    path, descriptor = opened
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            if not holder.isdigit():
                holder = "unknown"
            raise UsageError(
                f"another run (process {holder}) measures on this machine, and each would spoil the"
                " other; wait for its end, or insist with --no-lock"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield path
    finally:
        os.close(descriptor)


def _places() -> Iterator[Path]:
    """Candidate paths of the lock file; the first one that is this user's alone is used.

    The user's runtime folder; a folder of ipcbench in the temporary folder, which another user may
    have made first to block it; a folder of ipcbench in the user's cache.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield Path(runtime) / "ipcbench.lock"
    with suppress(FileNotFoundError):  # no temporary folder can be written
        yield Path(tempfile.gettempdir()) / f".ipcbench-{os.getuid()}" / _OUR_NAME
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with suppress(RuntimeError):  # no home
        yield Path(cache).expanduser() / "ipcbench" / _OUR_NAME


def _opened() -> tuple[Path, int] | None:
    for place in _places():
        try:
            return place, _opened_file(place)
        except OSError:
            continue
    return None


def _opened_file(path: Path) -> int:
    """Opens or creates the lock file. Raises OSError unless file and folder are this user's."""
    if path.name == _OUR_NAME:
        with suppress(FileExistsError):
            path.parent.mkdir(mode=0o700)
    folder = _opened_folder(path.parent)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path.name, flags, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid():
        os.close(descriptor)
        raise PermissionError(f"{path} is no file of this user's")
    return descriptor


def _opened_folder(path: Path) -> int:
    """Opens a folder that is this user's, no link, and writable for nobody else.

    Raises PermissionError or another OSError otherwise. The descriptor stays open, since another
    folder may get the name.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    about = os.fstat(folder)
    if about.st_uid != os.getuid() or about.st_mode & _OTHERS_WRITE:
        os.close(folder)
        raise PermissionError(f"{path} isn't this user's alone")
    return folder
