"""Finds what a test leaves behind: processes, IPC objects, sockets, files."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipcbench.system.scratch import PREFIX

MARK = "IPCBENCH_TEST_MARK"
"""Environment variable of every process that a test starts, directly or not."""
_GRACE_S = 5.0


def marked_processes(mark: str) -> set[str]:
    """The living processes, other than this one, that descend from the test of this mark."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.add(f"process {folder.name}: {command}")
        except OSError:
            continue  # ended since, or a zombie, or another user's
    return found


def forked_children() -> set[str]:
    """This process's own children, zombies too: a fork's environ can't tell whose it is."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return {f"child {pid}" for pid in path.read_text().split()} if path.exists() else set()


def kernel_objects() -> set[str]:
    """System V and POSIX objects, sockets files and directories that exist now."""
    found = set()
    for kind in ("shm", "sem", "msg"):
        table = Path("/proc/sysvipc") / kind
        if table.exists():
            rows = table.read_text().splitlines()[1:]
            found |= {f"System V {kind} {row.split()[1]}" for row in rows}
    for folder in (Path("/dev/shm"), Path("/dev/mqueue")):
        if folder.is_dir():
            found |= {str(path) for path in folder.iterdir()}
    return found | {str(path) for path in Path(tempfile.gettempdir()).glob(PREFIX + "*")}


@contextmanager
def nothing_left(mark: str) -> Iterator[None]:
    """Fails if what is inside leaves anything behind for longer than a dying process needs."""
    before = kernel_objects() | forked_children()
    yield
    deadline = time.monotonic() + _GRACE_S
    while left := (kernel_objects() | forked_children() | marked_processes(mark)) - before:
        if time.monotonic() > deadline:
            raise AssertionError(f"left behind: {', '.join(sorted(left))}")
        time.sleep(0.02)
