"""Ends a server or a worker as systems do, and prints the sentence that is told of it.

`python -m tests.faults.dying server out-of-memory`; a worker's end is its own, of a server the
batch is cut short. `ENDS` are the ends.
"""

import ctypes
import mmap
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure import server
from ipcbench.measure.pair import Pair
from ipcbench.run.worker_process import WorkerProcess
from ipcbench.system.scratch import scratch
from ipcbench.transports.base import DEV_SHM, Workspace

_EATEN_AT_ONCE_BYTES = 1024**2
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
"""Codes of classic BPF: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_GETPPID = {"x86_64": 110, "aarch64": 173, "riscv64": 173}
"""Number of the system call that the filter forbids."""


def eat_memory() -> NoReturn:
    """Takes memory until the OOM killer comes."""
    eaten = []
    while True:
        eaten.append(b"x" * _EATEN_AT_ONCE_BYTES)


def use_cpu_time(soft_s: int, hard_s: int) -> NoReturn:
    """Uses as much CPU time as the limits allow, at most these."""
    resource.setrlimit(resource.RLIMIT_CPU, (soft_s, hard_s))
    while True:
        pass


def call_what_is_forbidden() -> NoReturn:
    """Makes a system call that a seccomp filter kills for. seccomp(2)."""

    class Statement(ctypes.Structure):
        _fields_ = (
            *(("code", ctypes.c_uint16), ("if_true", ctypes.c_uint8)),
            *(("if_false", ctypes.c_uint8), ("constant", ctypes.c_uint32)),
        )

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("statements", ctypes.POINTER(Statement)))

    statements = (Statement * 4)(
        Statement(_LOAD, 0, 0, 0),  # the number, the first field of seccomp_data
        Statement(_IF_EQUAL, 0, 1, _GETPPID[os.uname().machine]),
        Statement(_RETURN, 0, 0, _KILL),
        Statement(_RETURN, 0, 0, _ALLOW),
    )
    program = Program(len(statements), statements)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(
        _PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no seccomp filter can be set")
    os.getppid()
    raise AssertionError("the filter let it pass")


def write_too_long_a_file() -> NoReturn:
    """Writes more than RLIMIT_FSIZE lets it, with the signal's usual effect."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with tempfile.TemporaryFile() as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        os.write(file.fileno(), b"0123456789")
        os.write(file.fileno(), b"x")
    raise AssertionError("it was written")


def touch_what_is_cut(folder: str | None = None) -> NoReturn:
    """Writes to a mapped file of which nothing is left."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.ftruncate(file.fileno(), mmap.PAGESIZE)
        memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        os.ftruncate(file.fileno(), 0)
        memory[0] = 1
    raise AssertionError("it was there")


def touch_what_has_no_room() -> NoReturn:
    """Writes to a hole of a mapped file in /dev/shm until there is no room."""
    with tempfile.TemporaryFile(dir=DEV_SHM) as file:
        room = os.statvfs(DEV_SHM)
        size = (room.f_bavail + 2) * room.f_frsize
        os.ftruncate(file.fileno(), size)
        memory = mmap.mmap(file.fileno(), size)
        for place in range(0, size, mmap.PAGESIZE):
            memory[place] = 1
    raise AssertionError("there was room")


ENDS: Mapping[str, Callable[[], NoReturn]] = {
    "out-of-memory": eat_memory,
    "cpu-time-soft": lambda: use_cpu_time(1, 100),
    "cpu-time-hard": lambda: use_cpu_time(1, 1),
    "seccomp": call_what_is_forbidden,
    "file-size": write_too_long_a_file,
    "cut-file": touch_what_is_cut,
    "no-room": touch_what_has_no_room,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),  # type: ignore[dict-item, return-value]
}
"""Ends of a process, by what is their cause."""


def tell_of_a_server(end: str) -> None:
    """Prints what is told when the server of a pair ends so in a batch."""
    setattr(server.Server, "_run", lambda *_: ENDS[end]())  # noqa: B010  (mypy knows no rigging)
    with scratch() as private:
        case = Case("latency", "pipe", 64, "python", "free")
        with Pair(case, None, Workspace(private.directory)) as pair:
            try:
                pair.run(1)
            except LaunchFailed as failure:
                print(failure)


def tell_of_a_worker(end: str) -> None:
    """Prints what is told when a worker ends so."""
    command = [sys.executable, "-m", "tests.faults.dying", "itself", end]
    with scratch() as private, WorkerProcess(command, Path(), private.held, 60.0) as worker:
        try:
            worker.turn()
        except LaunchFailed as failure:
            print(failure)


if __name__ == "__main__":
    who, what = sys.argv[1:3]
    if who == "itself":
        ENDS[what]()
    elif who == "server":
        tell_of_a_server(what)
    else:
        tell_of_a_worker(what)
