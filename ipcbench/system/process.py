"""Process helpers: CPU affinity, parent-death signal, resource usage, /proc."""

import ctypes
import os
import signal
from pathlib import Path

from ipcbench.errors import LaunchFailed

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal this process gets when its parent ends."""
_STAT_PROCESSOR = 39
"""proc_pid_stat(5): the field, counted from 1, that names the CPU last run on."""
_STAT_USER_TIME, _STAT_SYSTEM_TIME = 14, 15
_STAT_START = 22
_STAT_STATE = 3
"""proc_pid_stat(5): the state, the first field behind the name, which may contain anything."""


def pin(cpu: int | None) -> None:
    """Keeps this process on one CPU; None leaves it to the scheduler."""
    if cpu is None or not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        raise LaunchFailed(f"can't run on CPU {cpu}: {error.strerror}") from error


def die_with_parent(parent: int) -> None:
    """Has the kernel kill this process when `parent` ends, or ends it now if that is over.

    Only Linux can; elsewhere the end of the control channel has to do.
    """
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:
        return
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def start_time(pid: int) -> int | None:
    """Start time of a process, in clock ticks since boot; None if there is no such process.

    Together with the id it identifies a process for good: an id alone may be reused.
    """
    began = _stat(pid, _STAT_START)
    return None if began is None else int(began)


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process and none has continued it."""
    return _stat(pid, _STAT_STATE) == "T"


def used_cpu_s(pid: int) -> float | None:
    """CPU time that a process has used, in seconds, also after its end; None if it isn't there."""
    ticks = [_stat(pid, field) for field in (_STAT_USER_TIME, _STAT_SYSTEM_TIME)]
    return sum(int(one or 0) for one in ticks) / os.sysconf("SC_CLK_TCK") if ticks[0] else None


def turns_asleep(pid: int) -> tuple[str, ...] | None:
    """The turns on a CPU that each thread of a sleeping process has had; None if one is awake.

    A thread that runs and sleeps again has another number of switches: proc_pid_status(5). None as
    well for a process that isn't there, is stopped or waits for a disk.
    """
    try:
        threads = sorted(Path(f"/proc/{pid}/task").iterdir())
        told = [(thread / "status").read_text(errors="replace") for thread in threads]
    except OSError:
        return None
    if not told or not all("\nState:\tS" in one for one in told):
        return None
    return tuple(one[one.index("\nvoluntary_ctxt_switches") :] for one in told)


def children(pid: int) -> tuple[int, ...]:
    """The living children of a process's main thread; none where that can't be told."""
    try:
        return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return ()


def _stat(pid: int | str, field: int) -> str | None:
    """A field of proc_pid_stat(5), counted from 1, behind the name; None without such a process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[field - _STAT_STATE]


def open_descriptors() -> frozenset[int]:
    """The descriptors open in this process now (one of them may be the listing's own)."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    return frozenset(int(name) for name in os.listdir(folder))


def open_files() -> dict[int, tuple[int, int]]:
    """The descriptors open in this process now, each with the device and inode that it is of.

    Another file under the number of one that was closed has another inode.
    """
    found = {}
    for descriptor in open_descriptors():
        try:
            about = os.fstat(descriptor)
        except OSError:
            continue  # the listing's own, closed since
        found[descriptor] = about.st_dev, about.st_ino
    return found


def close_quietly(descriptors: frozenset[int]) -> None:
    """Closes these descriptors; one that isn't open is no error."""
    for descriptor in descriptors:
        try:
            os.close(descriptor)
        except OSError:
            pass  # the listing's own descriptor, closed since


def silence_standard_streams() -> None:
    """Points standard input, output and error at the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def exit_code(ended: os.waitid_result) -> int:
    """The exit code of a process from waitid(2), where -9 means signal 9."""
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def describe_exit(code: int) -> str:
    """Describes the end of a process, from its exit code, where -9 means signal 9."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
