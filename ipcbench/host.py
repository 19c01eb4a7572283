"""Facts about this machine: its CPUs and their topology, hypervisor, kernel and Python."""

import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ipcbench.case import Placement, cpus_placement, placement_of_cpus
from ipcbench.errors import UsageError
from ipcbench.units import parse_size

Cpus = tuple[int, int]
"""The CPUs of the client and of the server."""

_CPU_FOLDER = Path("/sys/devices/system/cpu")
_CLOCK_SOURCES = Path("/sys/devices/system/clocksource/clocksource0/available_clocksource")
_GUEST_CLOCKS = {"kvm-clock": "kvm", "hyperv_clocksource": "hyperv", "xen": "xen"}
"""Clock sources that only a guest of that hypervisor has."""


class Machine(NamedTuple):
    """Facts of a machine that results depend on; every field is a non-empty line."""

    cpu_model: str
    cpu_count: int
    virtualisation: str
    kernel: str
    governor: str
    python: str

    @property
    def slug(self) -> str:
        """A folder name for results of machines like this; it never holds the host's name."""
        words = f"{self.cpu_model} {self.cpu_count}cpu {self.virtualisation}".lower()
        return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


@cache
def machine() -> Machine:
    """The facts of this machine, as far as they can be read."""
    import platform  # loaded late: workers don't need it

    return Machine(
        cpu_model=_cpu_model(),
        cpu_count=os.cpu_count() or 1,
        virtualisation=_virtualisation(),
        kernel=f"{platform.system()} {platform.release()}",
        governor=_first_line(_CPU_FOLDER / "cpu0/cpufreq/scaling_governor") or "none",
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def cache_sizes_bytes() -> dict[str, int]:
    """The sizes of CPU 0's data caches by their names, `l1d`, `l2`, `l3`; empty if unknown."""
    found = {}
    for folder in sorted(_CPU_FOLDER.glob("cpu0/cache/index[0-9]*")):
        level, kind, size = (_first_line(folder / name) for name in ("level", "type", "size"))
        if level is None or kind not in ("Data", "Unified") or size is None:
            continue
        try:
            found[f"l{level}{'d' * (kind == 'Data')}"] = parse_size(size)
        except UsageError:
            continue  # a hypervisor may say 0, or nothing that is a size
    return found


def allowed_cpus() -> list[int]:
    """The CPUs this process may run on, in ascending order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def parse_cpus(text: str) -> Cpus:
    """The CPUs meant by `0,1`, the client's first. Raises UsageError unless both may be used."""
    match = re.fullmatch(r"\s*([0-9]+)\s*,\s*([0-9]+)\s*", text)
    if match is None:
        raise UsageError(f"CPUs {text!r} are not two numbers; write them like 0,1 (client,server)")
    return checked_cpus((int(match[1]), int(match[2])))


def all_placements() -> list[Placement]:
    """Every pair of CPUs that may be used, each pair once, a CPU with itself too."""
    cpus = allowed_cpus()
    return [cpus_placement(one, other) for one in cpus for other in cpus if one <= other]


def checked_cpus(cpus: Cpus) -> Cpus:
    """Returns the CPUs if this process may use both; raises UsageError otherwise."""
    allowed = allowed_cpus()
    for cpu in cpus:
        if cpu not in allowed:
            raise UsageError(
                f"CPU {cpu} can't be used here; choose from {','.join(map(str, allowed))}"
            )
    return cpus


def default_placement() -> Placement:
    """The default placement: `cross-core`, or `same-core` if only one core can be used."""
    return "cross-core" if _pair_of("cross-core") else "same-core"


def placement_of(cpus: Cpus) -> Placement:
    """The name of the placement on these two CPUs."""
    client, server = cpus
    if client == server:
        return "same-core"
    if _package(client) != _package(server):
        return "cross-socket"
    if _core(client) == _core(server):
        return "smt"
    return "cross-core"


def placement_cpus(placement: Placement, chosen: Cpus | None = None) -> Cpus | None:
    """The CPUs for a placement: the chosen, or the first two that fit; None means not pinned.

    Raises UsageError if no CPUs that this process may use fit.
    """
    if chosen is not None:
        return chosen
    if placement == "free":
        return None
    named = placement_of_cpus(placement)
    if named is not None:
        return checked_cpus(named)
    pair = _pair_of(placement)
    if pair is None:
        raise UsageError(
            f"no two CPUs among {','.join(map(str, allowed_cpus()))} are {placement};"
            " choose others with --cpus"
        )
    return pair


def _pair_of(placement: Placement) -> Cpus | None:
    cpus = allowed_cpus()
    for client in cpus:
        for server in cpus:
            if placement_of((client, server)) == placement:
                return client, server
    return None


def _core(cpu: int) -> str:
    """A name for the CPU's physical core; the CPU's own if the topology is unknown."""
    siblings = _first_line(_CPU_FOLDER / f"cpu{cpu}/topology/thread_siblings_list")
    return siblings or f"cpu{cpu}"


def _package(cpu: int) -> str:
    return _first_line(_CPU_FOLDER / f"cpu{cpu}/topology/physical_package_id") or "0"


def _cpu_model() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return os.uname().machine or "unknown CPU"


def _virtualisation() -> str:
    """The hypervisor's name; `guest` if only its presence is known, else `bare-metal`."""
    clocks = (_first_line(_CLOCK_SOURCES) or "").split()
    for clock in clocks:
        if clock in _GUEST_CLOCKS:
            return _GUEST_CLOCKS[clock]
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("flags") and "hypervisor" in line.split():
            return "guest"
    return "bare-metal"


def _first_line(path: Path) -> str | None:
    lines = _lines(path)
    return lines[0].strip() or None if lines else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
