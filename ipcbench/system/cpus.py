"""The CPUs that a run may use, how they are joined, and the pair for each placement."""

import os
import re

from ipcbench.case import Placement, cpus_placement, placement_of_cpus
from ipcbench.errors import UsageError
from ipcbench.system.machine import _CPU_FOLDER, _first_line

Cpus = tuple[int, int]
"""The CPUs of the client and of the server."""


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
