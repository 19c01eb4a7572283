"""Resource usage of a process: CPU time, page faults, context switches, threads, the last CPU."""

import resource
from pathlib import Path
from typing import NamedTuple

from ipcbench.system.process import _STAT_PROCESSOR, _stat


class Usage(NamedTuple):
    """Resource usage of a process, from getrusage(2)."""

    user_s: float = 0.0
    system_s: float = 0.0
    page_faults: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0

    def __add__(self, other: "Usage") -> "Usage":  # type: ignore[override]
        """The sum of each field, where a plain tuple would concatenate."""
        return Usage(
            self.user_s + other.user_s,
            self.system_s + other.system_s,
            self.page_faults + other.page_faults,
            self.voluntary_switches + other.voluntary_switches,
            self.involuntary_switches + other.involuntary_switches,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        """The difference of each field."""
        return Usage(
            self.user_s - other.user_s,
            self.system_s - other.system_s,
            self.page_faults - other.page_faults,
            self.voluntary_switches - other.voluntary_switches,
            self.involuntary_switches - other.involuntary_switches,
        )

    def facts(self, side: str, messages: int) -> dict[str, int | float | str]:
        """Usage as pyperf metadata, divided by the messages where the name says so."""
        return {
            f"cpu_user_{side}_s_per_message": self.user_s / messages,
            f"cpu_system_{side}_s_per_message": self.system_s / messages,
            f"page_faults_{side}_count": self.page_faults,
            f"voluntary_switches_{side}_per_message": self.voluntary_switches / messages,
            f"involuntary_switches_{side}_per_message": self.involuntary_switches / messages,
        }


def usage() -> Usage:
    """Resource usage of this process until now; called outside of the timed sections."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    faults = used.ru_minflt + used.ru_majflt
    return Usage(used.ru_utime, used.ru_stime, faults, used.ru_nvcsw, used.ru_nivcsw)


def thread_count() -> int | None:
    """This process's threads; None where the kernel doesn't tell. proc_pid_task(5)."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return None


def last_cpu() -> int | None:
    """The CPU this process last ran on; None where the kernel doesn't tell."""
    cpu = _stat("self", _STAT_PROCESSOR)
    return None if cpu is None else int(cpu)
