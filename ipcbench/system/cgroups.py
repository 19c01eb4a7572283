"""Control groups of this process: the memory they allow, and what the OOM killer did. cgroups(7).

Both versions are read: v1 has a hierarchy for memory alone, v2 one for all. A limit of a parent
binds, too, as far up as parents are visible: in a container the topmost is usually its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ipcbench.units import display_size

_UNLIMITED = 2**62
"""Anything from here on is no limit: v1 writes the largest number of whole pages for none."""


class Group(NamedTuple):
    """A control group of a controller: its folder, its name, and the version of its files."""

    folder: Path
    name: str
    version: int


class Allowance(NamedTuple):
    """The memory that a group allows, and what of it is free now, in bytes."""

    limit_bytes: int
    free_bytes: int
    setting: str
    """The file of the group that has the limit."""
    group: str

    def __str__(self) -> str:
        limit = display_size(self.limit_bytes)
        return f"{self.setting} of the control group {self.group} ({limit})"


class Kills(NamedTuple):
    """Processes of a group that the OOM killer has ended since the group was made."""

    killed_count: int
    source: str
    """The file and group that count them."""


def allowances(root: Path = Path("/")) -> Iterator[Allowance]:
    """The limits on this process's memory, of its own group and of all above it that are visible.

    `root` is where /proc and the mounts are looked for.
    """
    for group in memory_groups(root):
        limits = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
        for setting in limits:
            limit = _number(group.folder / setting)
            if limit is not None and limit < _UNLIMITED:
                yield Allowance(limit, max(0, limit - _taken(group)), setting, group.name)


def oom_kills(root: Path = Path("/")) -> Kills | None:
    """Kills by the OOM killer in this process's own group, or else on the machine; None if untold.

    The root group of v2 doesn't count them.
    """
    for group in memory_groups(root):
        name = "memory.events" if group.version == 2 else "memory.oom_control"
        count = _entry(group.folder / name, "oom_kill")
        if count is not None:
            return Kills(count, f"{name} of the control group {group.name}")
    count = _entry(root / "proc/vmstat", "oom_kill")
    return None if count is None else Kills(count, "/proc/vmstat")


def memory_groups(root: Path = Path("/")) -> list[Group]:
    """The groups that account this process's memory; see `groups`."""
    return groups("memory", root)


def groups(controller: str, root: Path = Path("/")) -> list[Group]:
    """This process's group and those above it that are visible, nearest first, of each version."""
    found = []
    for number, controllers, path in _memberships(root / "proc/self/cgroup"):
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for shown, folder in _mounts(root / "proc/self/mountinfo", version, controller):
            found += list(_upwards(root / folder.lstrip("/"), shown, path, version))
    return found


def _upwards(mounted: Path, shown: str, path: str, version: int) -> Iterator[Group]:
    """Yields the group of this path and its parents, below a mount that shows the group `shown`."""
    within = path.removeprefix(shown.rstrip("/")) if _is_below(path, shown) else "/"
    parts = [part for part in within.split("/") if part]
    for depth in range(len(parts), -1, -1):
        folder = mounted.joinpath(*parts[:depth])
        if folder.is_dir():
            yield Group(folder, "/" + "/".join(parts[:depth]), version)


def _is_below(path: str, shown: str) -> bool:
    """Whether a mount that shows one group shows the group of this path.

    A path that begins with `/..` is outside of this process's namespace.
    """
    return f"{path}/".startswith(f"{shown.rstrip('/')}/") and ".." not in path.split("/")


def _memberships(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yields hierarchy, controllers and path of each group of this process. cgroups(7)."""
    for line in _text(path).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        yield number, controllers, name


def _mounts(path: Path, version: int, controller: str) -> Iterator[tuple[str, str]]:
    """Yields the group shown and the folder of each mount. proc_pid_mountinfo(5)."""
    for line in _text(path).splitlines():
        about, _, rest = line.partition(" - ")
        kind, _, options = rest.partition(" ")
        is_first = kind == "cgroup" and controller in options.rpartition(" ")[2].split(",")
        if is_first if version == 1 else kind == "cgroup2":
            fields = about.split()
            yield _unescaped(fields[3]), _unescaped(fields[4])


def _unescaped(text: str) -> str:
    for character in " \t\n\\":
        text = text.replace(f"\\{ord(character):03o}", character)
    return text


def _taken(group: Group) -> int:
    """Bytes that a group's processes use, without the cached files that the kernel would drop."""
    if group.version == 2:
        used, prefix = _number(group.folder / "memory.current"), ""
    else:
        used, prefix = _number(group.folder / "memory.usage_in_bytes"), "total_"
    cached = (
        _entry(group.folder / "memory.stat", f"{prefix}{state}_file") or 0
        for state in ("active", "inactive")
    )
    return max(0, (used or 0) - sum(cached))


def _number(path: Path) -> int | None:
    """The number in a file; None without one: `max` is none."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _entry(path: Path, name: str) -> int | None:
    """The number behind a name in a file of such lines; None if it isn't there."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
