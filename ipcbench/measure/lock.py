"""One run at a time: two on one machine would spoil each other's numbers. flock(2).

The kernel drops the lock with the process that holds it, however that ends: a stale lock can't be.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipcbench.errors import UsageError


@contextmanager
def machine_lock(*, wanted: bool = True) -> Iterator[None]:
    """Holds the lock inside. UsageError, with the other's process id, if another run holds it.

    Without a place that a lock file can be kept in, there is no lock.
    """
    descriptor = _opened() if wanted else None
    if descriptor is None:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise UsageError(
                f"another run (process {holder}) measures on this machine, and each would spoil the"
                " other; wait for its end, or insist with --no-lock"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def lock_path() -> Path:
    """The lock's file: in the user's runtime folder, or in one of ours in the temporary folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime) / "ipcbench.lock"
    return Path(tempfile.gettempdir()) / f".ipcbench-{os.getuid()}" / "lock"


def _opened() -> int | None:
    try:
        path = lock_path()
        if path.name == "lock":
            path.parent.mkdir(mode=0o700, exist_ok=True)
            about = path.parent.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
                return None  # somebody else's: nothing of ours is put there
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(path, flags, 0o600)
    except OSError:
        return None
