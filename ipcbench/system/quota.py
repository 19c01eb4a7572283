"""Limits of CPU time and of CPUs by this process's control groups, and what they did. cgroups(7).

A missing file is no limit. Workers import this module, so it needs nothing that they don't load
anyway.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ipcbench.system.cgroups import Group, groups

ROOT = Path("/")


class Quota(NamedTuple):
    """A cgroup's limit of CPU time: in each period this much of it, of all CPUs together."""

    group: Group
    allowed_s: float
    period_s: float

    @property
    def cpus(self) -> float:
        """The quota as a number of CPUs."""
        return self.allowed_s / self.period_s

    def __str__(self) -> str:
        return f"{self.cpus:.3g} CPUs: {self.allowed_s:g} s of every {self.period_s:g} s"


class Throttling(NamedTuple):
    """Counts of what quotas did: periods with work, those with a stop, and the time stopped.

    The time is that of all CPUs together.
    """

    periods: int = 0
    throttled: int = 0
    stopped_s: float = 0.0

    def __add__(self, other: "Throttling") -> "Throttling":  # type: ignore[override]
        """The sum of each field, where a plain tuple would concatenate."""
        return Throttling(
            self.periods + other.periods,
            self.throttled + other.throttled,
            self.stopped_s + other.stopped_s,
        )

    def __sub__(self, other: "Throttling") -> "Throttling":
        """The difference of each field."""
        return Throttling(
            self.periods - other.periods,
            self.throttled - other.throttled,
            self.stopped_s - other.stopped_s,
        )


def quotas(root: Path = ROOT) -> list[Quota]:
    """The quotas of CPU time that hold for this process, the tightest first."""
    found = [quota for group in groups("cpu", root) if (quota := _quota(group)) is not None]
    return sorted(found, key=lambda quota: quota.cpus)


def throttling(limits: Iterable[Quota]) -> Throttling:
    """Counts of what these quotas did until now; zeros where a cgroup doesn't tell."""
    total = Throttling()
    for quota in limits:
        counts = _counts(quota.group.folder / "cpu.stat")
        microseconds = counts.get("throttled_usec", counts.get("throttled_time", 0) / 1000)
        periods, throttled = counts.get("nr_periods", 0), counts.get("nr_throttled", 0)
        total += Throttling(periods, throttled, microseconds / 1e6)
    return total


def cpuset(root: Path = ROOT) -> str | None:
    """The CPUs that the process's cgroup has, as a list like `0-3,8`; None if it isn't told."""
    for group in groups("cpuset", root):
        name = "cpuset.cpus.effective" if group.version == 2 else "cpuset.effective_cpus"
        text = _text(group.folder / name)
        if text:
            return text
    return None


def _quota(group: Group) -> Quota | None:
    if group.version == 2:
        words = _text(group.folder / "cpu.max").split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [_text(group.folder / name) for name in names]
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None  # `max`, or -1
    return Quota(group, int(words[0]) / 1e6, int(words[1]) / 1e6)


def _counts(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
