"""Use of the idle states of CPUs, as the kernel counts it for each.

Nothing is told where a CPU has none (many virtual machines, or `idle=poll`). See
Documentation/admin-guide/pm/cpuidle.rst of the kernel.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_FOLDERS = "sys/devices/system/cpu/cpu{}/cpuidle"


class Entries(NamedTuple):
    """Entries of one idle state; all are counted from the start of the machine."""

    usage: int = 0
    above: int = 0
    """Those after which the CPU was woken sooner than the state is worth."""
    below: int = 0
    """Those that lasted so long that a deeper state had been better."""


Idling = Mapping[str, Entries]
"""Entries by the name of the state."""


def idling(cpu: int, root: Path = Path("/")) -> Idling:
    """The entries of each idle state of a CPU until now; empty where there is none to be seen."""
    found: dict[str, Entries] = {}
    for folder in sorted((root / _FOLDERS.format(cpu)).glob("state[0-9]*")):
        try:
            name = (folder / "name").read_text(encoding="utf-8").strip()
            counts = [int((folder / one).read_text()) for one in Entries._fields]
        except (OSError, ValueError):
            continue
        found[name] = Entries(*counts)
    return found


def added(total: Idling, before: Idling, after: Idling) -> Idling:
    """A total, and the entries between two looks at the same CPU."""
    sums = dict(total)
    for name, now in after.items():
        then, so_far = before.get(name, now), sums.get(name, Entries())
        sums[name] = Entries(
            *(sum_ + new - old for sum_, new, old in zip(so_far, now, then, strict=True))
        )
    return sums


def idle_text(total: Idling) -> str:
    """Entries in words: `POLL 120, C1 33 (above 2, below 1)`; empty where there are no states."""
    return ", ".join(
        f"{name} {one.usage}"
        + (f" (above {one.above}, below {one.below})" if one.above or one.below else "")
        for name, one in total.items()
    )
