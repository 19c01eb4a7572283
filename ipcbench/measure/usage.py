"""Resource usage of a process: CPU time, page faults, context switches, threads, the last CPU."""

import resource
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from ipcbench.system.process import _STAT_PROCESSOR, _stat

_TASKS = Path("/proc/self/task")
_THREAD = Path("/proc/thread-self")


class Usage(NamedTuple):
    """Resource usage of a process, from getrusage(2), and the time in which it was used."""

    user_s: float = 0.0
    system_s: float = 0.0
    page_faults: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    queued_s: float | None = 0.0
    """Time for which its threads could have run, and waited for a CPU; None if it isn't told."""
    wall_s: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":  # type: ignore[override]
        """The sum of each field, where a plain tuple would concatenate."""
        return self._with(other, 1)

    def __sub__(self, other: "Usage") -> "Usage":
        """The difference of each field."""
        return self._with(other, -1)

    def _with(self, other: "Usage", sign: int) -> "Usage":
        known = self.queued_s is not None and other.queued_s is not None
        return Usage(
            self.user_s + sign * other.user_s,
            self.system_s + sign * other.system_s,
            self.page_faults + sign * other.page_faults,
            self.voluntary_switches + sign * other.voluntary_switches,
            self.involuntary_switches + sign * other.involuntary_switches,
            (self.queued_s or 0.0) + sign * (other.queued_s or 0.0) if known else None,
            self.wall_s + sign * other.wall_s,
        )

    def facts(self, side: str, messages: int) -> dict[str, int | float | str]:
        """Usage as pyperf metadata, divided by the messages where the name says so."""
        facts: dict[str, int | float | str] = {
            f"cpu_user_{side}_s_per_message": self.user_s / messages,
            f"cpu_system_{side}_s_per_message": self.system_s / messages,
            f"page_faults_{side}_count": self.page_faults,
            f"voluntary_switches_{side}_per_message": self.voluntary_switches / messages,
            f"involuntary_switches_{side}_per_message": self.involuntary_switches / messages,
        }
        if self.wall_s > 0:
            facts[f"cpu_busy_{side}_ratio"] = (self.user_s + self.system_s) / self.wall_s
            if self.queued_s is not None:  # a thread that ended took its own time along
                facts[f"cpu_queued_{side}_ratio"] = max(0.0, self.queued_s) / self.wall_s
        return facts


def usage() -> Usage:
    """Resource usage of this process until now; called outside of the timed sections.

    The wall time is that of the monotonic clock: of a difference, the time between.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    faults = used.ru_minflt + used.ru_majflt
    switches = used.ru_nvcsw, used.ru_nivcsw
    return Usage(used.ru_utime, used.ru_stime, faults, *switches, _queued_s(), monotonic())


def cpu_usage() -> Usage:
    """Resource usage of this process until now, without how long its threads waited for a CPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    faults = used.ru_minflt + used.ru_majflt
    return Usage(used.ru_utime, used.ru_stime, faults, used.ru_nvcsw, used.ru_nivcsw, None)


def thread_usage() -> Usage:
    """Resource usage of the calling thread until now; see `usage`. getrusage(2), RUSAGE_THREAD."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    faults = used.ru_minflt + used.ru_majflt
    switches = used.ru_nvcsw, used.ru_nivcsw
    queued_s = _queued_s([_THREAD])
    return Usage(used.ru_utime, used.ru_stime, faults, *switches, queued_s, monotonic())


def together(usages: Iterable[Usage], wall_s: float) -> Usage:
    """The usage of several processes or threads in the same time, which was so long.

    The sum of what they used, but the mean of how long they waited for a CPU: while one of them
    waits, another one runs there.
    """
    some = [one for one in usages if one.wall_s > 0]
    total = sum(some, Usage())
    queued_s = None if total.queued_s is None else total.queued_s / max(1, len(some))
    return total._replace(queued_s=queued_s, wall_s=wall_s)


def _queued_s(tasks: Sequence[Path] | None = None) -> float | None:
    """Seconds for which threads have waited for a CPU: by default all. proc_pid_schedstat(5)."""
    waited_ns, seen = 0, False
    try:
        tasks = list(_TASKS.iterdir()) if tasks is None else tasks
    except OSError:
        return None
    for task in tasks:
        try:
            waited_ns += int((task / "schedstat").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue  # the thread has ended, or the kernel counts nothing (CONFIG_SCHED_INFO)
        seen = True
    return waited_ns * 1e-9 if seen else None


def thread_count() -> int | None:
    """This process's threads; None where the kernel doesn't tell. proc_pid_task(5)."""
    try:
        return sum(1 for _ in _TASKS.iterdir())
    except OSError:
        return None


def last_cpu() -> int | None:
    """The CPU this thread last ran on; None where the kernel doesn't tell."""
    cpu = _stat("thread-self", _STAT_PROCESSOR)
    return None if cpu is None else int(cpu)
