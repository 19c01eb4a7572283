"""Facts about this machine: its CPUs and their topology, hypervisor, kernel and Python."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ipcbench.errors import UsageError
from ipcbench.units import parse_size

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

    @property
    def facts(self) -> dict[str, object]:
        """The facts by their names in metadata."""
        return self._asdict() | {"machine": self.slug}


@cache
def this_machine() -> Machine:
    """The facts of this machine, as far as they can be read."""
    import platform  # loaded late: workers don't need it

    version, is_free_threaded = platform.python_version(), "free-threading" in sys.version
    return Machine(
        cpu_model=_cpu_model(),
        cpu_count=os.cpu_count() or 1,
        virtualisation=_virtualisation(),
        kernel=f"{platform.system()} {platform.release()}",
        governor=_first_line(_CPU_FOLDER / "cpu0/cpufreq/scaling_governor") or "none",
        python=python_name(platform.python_implementation(), version, is_free_threaded),
    )


def python_name(implementation: str, version: str, is_free_threaded: bool) -> str:
    """The name of a Python in results: `CPython 3.13.0`, or `CPython 3.13.0 free-threaded`."""
    return f"{implementation} {version}{' free-threaded' * is_free_threaded}"


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
