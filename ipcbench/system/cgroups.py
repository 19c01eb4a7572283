"""Limits of the cgroups that this process is in: CPU time, memory, CPUs. cgroups(7).

A limit holds for the process's own cgroup and for each one above it, so all levels are read, up to
where the hierarchy is mounted: a container sees no further. Version 1 has a hierarchy for each
controller, version 2 one for all. Files are read below a root; a missing one is no limit. Workers
import this module, so it needs nothing that they don't load anyway.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")
_NO_MEMORY_LIMIT_BYTES = 2**60
"""Version 1 says the largest multiple of a page that a signed number holds."""


class Level(NamedTuple):
    """One cgroup of a controller: its folder, and the version of its hierarchy."""

    folder: Path
    version: int


class Quota(NamedTuple):
    """A cgroup's limit of CPU time: in each period this much of it, of all CPUs together."""

    level: Level
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


def levels(controller: str, root: Path = ROOT) -> list[Level]:
    """The cgroups of this process that have the controller, its own first, then those above."""
    for version, path in _memberships(controller, root):
        found = _mount(controller, version, root)
        if found is None:
            continue
        top, mounted = found
        own = root / top.lstrip("/") / _below(path, mounted)
        top_folder = root / top.lstrip("/")
        if not own.is_dir():
            own = top_folder  # the path is as seen from outside of a container
        upwards = [own, *own.parents]
        return [Level(one, version) for one in upwards[: upwards.index(top_folder) + 1]]
    return []


def quotas(root: Path = ROOT) -> list[Quota]:
    """The quotas of CPU time that hold for this process, the tightest first."""
    found = [quota for level in levels("cpu", root) if (quota := _quota(level)) is not None]
    return sorted(found, key=lambda quota: quota.cpus)


def throttling(limits: Iterable[Quota]) -> Throttling:
    """Counts of what these quotas did until now; zeros where a cgroup doesn't tell."""
    total = Throttling()
    for quota in limits:
        counts = _counts(quota.level.folder / "cpu.stat")
        microseconds = counts.get("throttled_usec", counts.get("throttled_time", 0) / 1000)
        periods, throttled = counts.get("nr_periods", 0), counts.get("nr_throttled", 0)
        total += Throttling(periods, throttled, microseconds / 1e6)
    return total


def memory_limit(root: Path = ROOT) -> tuple[int, Level] | None:
    """The least limit of memory that holds for this process, in bytes, and whose it is."""
    found = []
    for level in levels("memory", root):
        name = "memory.max" if level.version == 2 else "memory.limit_in_bytes"
        text = _text(level.folder / name)
        if text.isdigit() and int(text) < _NO_MEMORY_LIMIT_BYTES:
            found.append((int(text), level))
    return min(found, key=lambda one: one[0], default=None)


def cpuset(root: Path = ROOT) -> str | None:
    """The CPUs that the process's cgroup has, as a list like `0-3,8`; None if it isn't told."""
    for level in levels("cpuset", root):
        name = "cpuset.cpus.effective" if level.version == 2 else "cpuset.effective_cpus"
        text = _text(level.folder / name)
        if text:
            return text
    return None


def _quota(level: Level) -> Quota | None:
    if level.version == 2:
        words = _text(level.folder / "cpu.max").split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [_text(level.folder / name) for name in names]
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None  # `max`, or -1
    return Quota(level, int(words[0]) / 1e6, int(words[1]) / 1e6)


def _memberships(controller: str, root: Path) -> Iterator[tuple[int, str]]:
    """The version and path of the hierarchies in which the controller may be, the likelier first.

    A controller is in one of them: if version 1 has it, that of version 2 lacks it.
    """
    paths = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            paths[1] = path
        elif number == "0" and not controllers:
            paths[2] = path
    yield from sorted(paths.items())


def _mount(controller: str, version: int, root: Path) -> tuple[str, str] | None:
    """Where the controller's hierarchy is mounted, and which cgroup of it; None if nowhere.

    See proc_pid_mountinfo(5).
    """
    for line in _text(root / "proc/self/mountinfo").splitlines():
        fields, _, tail = line.partition(" - ")
        kind, _, options = tail.partition(" ")
        place = fields.split()
        if len(place) < 5:
            continue
        mounted, top = (_unescaped(text) for text in place[3:5])
        if version == 2 and kind == "cgroup2":
            return top, mounted
        if version == 1 and kind == "cgroup" and controller in options.split(" ")[-1].split(","):
            return top, mounted
    return None


def _unescaped(text: str) -> str:
    for character in " \t\n\\":
        text = text.replace(f"\\{ord(character):03o}", character)
    return text


def _below(path: str, mounted: str) -> str:
    """The path from the mounted cgroup; empty if the process is outside of it."""
    if path == mounted or ".." in path:
        return ""
    prefix = mounted.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else ""


def _counts(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
