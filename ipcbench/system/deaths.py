"""How a process ended, and who usually ends one so, from what the kernel still tells of it.

Between its end and the wait for it, a process's CPU time and limits can be read.
"""

import os
import resource
import signal
from typing import NamedTuple

from ipcbench.system.cgroups import Kills, allowances, oom_kills
from ipcbench.system.process import describe_exit, used_cpu_s
from ipcbench.transports.base import DEV_SHM

_NEARLY_S = 0.5
"""Seconds by which the CPU time told may differ from what RLIMIT_CPU counts, in clock ticks."""
_RAISED_S = 1
"""Seconds by which the kernel raises a soft limit when it sends SIGXCPU (posix-cpu-timers.c)."""
_FEW_BYTES = 1024 * 1024
"""Room below which /dev/shm is as good as full: other pages than the missing one may be free."""


class Death(NamedTuple):
    """The end of a process: how, and its cause where the system tells one."""

    how: str
    cause: str = ""
    by_signal: bool = False

    def told(self, who: str, where: str) -> str:
        """The sentence that tells of it: `the server was killed by SIGKILL in the ...: ...`."""
        return f"{who} {self.how} {where}{f': {self.cause}' if self.cause else ''}"


def death_of(pid: int, code: int, kills_before: Kills | None) -> Death:
    """Describes the end of a process that isn't waited for yet.

    `code` is its exit code, where -9 means signal 9; `kills_before` is what `oom_kills` told when
    it was started.
    """
    return Death(describe_exit(code), _cause(pid, -code, kills_before), code < 0)


def _cause(pid: int, number: int, kills_before: Kills | None) -> str:
    """The cause of a signal's arrival, as the system that sends it tells; empty if none does."""
    match number:
        case signal.SIGKILL:
            return _out_of_memory(kills_before) or _out_of_cpu_time(pid, hard=True)
        case signal.SIGXCPU:
            return _out_of_cpu_time(pid, hard=False)
        case signal.SIGSYS:
            return _forbidden_call()
        case signal.SIGXFSZ:
            return _too_long_a_file(pid)
        case signal.SIGBUS:
            return _no_page()
        case _:
            return ""


def _out_of_memory(before: Kills | None) -> str:
    """Word of the OOM killer, if it has killed in the group, or on the machine, since `before`."""
    now = oom_kills()
    if (
        before is None
        or now is None
        or now.source != before.source
        or now.killed_count <= before.killed_count
    ):
        return ""
    tightest = min(allowances(), key=lambda one: one.free_bytes, default=None)
    limit = f"; the tightest limit is {tightest}" if tightest else ""
    return (
        f"the kernel's OOM killer ran (oom_kill went from {before.killed_count} to"
        f" {now.killed_count} in {now.source}){limit}; allow more memory, or choose smaller"
        " messages"
    )


def _out_of_cpu_time(pid: int, *, hard: bool) -> str:
    """Word of RLIMIT_CPU, if a process has used as much CPU time as it allows. getrlimit(2)."""
    used_s, limit_s = used_cpu_s(pid), _limit(pid, resource.RLIMIT_CPU, hard=hard)
    if used_s is None or limit_s is None:
        return ""
    if not hard:
        limit_s -= _RAISED_S
    if used_s < limit_s - _NEARLY_S:
        return ""
    return (
        f"it had used {used_s:.1f} s of CPU time and its {'hard' if hard else 'soft'} limit"
        f" RLIMIT_CPU is {limit_s} s; raise it with ulimit -t, as does whoever set it: a shell, a"
        " batch system, LimitCPU= of systemd"
    )


def _forbidden_call() -> str:
    """Word of seccomp, the only sender of SIGSYS. seccomp(2).

    Whether a process had a filter isn't told any more after its end.
    """
    return (
        "a seccomp filter forbids a system call that it made; filters are set by containers and"
        " sandboxes: allow the call there (docker run --security-opt seccomp=FILE,"
        " SystemCallFilter= of systemd)"
    )


def _too_long_a_file(pid: int) -> str:
    """Word of RLIMIT_FSIZE. Python disregards its signal, and gets EFBIG instead."""
    limit = _limit(pid, resource.RLIMIT_FSIZE, hard=False)
    if limit is None:
        return ""
    return f"no file of it may be longer than {limit:,} bytes (RLIMIT_FSIZE); raise ulimit -f"


def _no_page() -> str:
    """Word of memory that is mapped and not there. mmap(2), SIGBUS."""
    lost = "a page of memory that it shares wasn't there"
    try:
        stat = os.statvfs(DEV_SHM)
    except OSError:
        return f"{lost}: a mapped file was cut short, or its file system is full"
    room = stat.f_bavail * stat.f_frsize
    if room < _FEW_BYTES:
        return (
            f"{lost}: {DEV_SHM} has {room:,} bytes free; make room, or make it larger"
            " (mount -o remount,size=, docker run --shm-size)"
        )
    return f"{lost}: somebody cut a mapped file short, or its file system is full"


def _limit(pid: int, kind: int, *, hard: bool) -> int | None:
    """A resource limit of a process; None if it has none, or it can't be read."""
    try:
        limit = resource.prlimit(pid, kind)[int(hard)]
    except (OSError, ValueError):
        limit = resource.getrlimit(kind)[int(hard)]  # what it inherited from this process
    return None if limit == resource.RLIM_INFINITY else limit
