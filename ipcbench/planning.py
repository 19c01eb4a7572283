"""From arguments to a run: everything that can be wrong is said here, before the first launch."""

import secrets
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

import psutil

from ipcbench import host
from ipcbench.case import Case, Placement, plan
from ipcbench.errors import UsageError
from ipcbench.host import Cpus
from ipcbench.measure.driver import Run
from ipcbench.measure.launch import Effort
from ipcbench.transports import TRANSPORTS, get_transport
from ipcbench.units import display_size, format_size

_BUFFERS_PER_MESSAGE = 8
"""Message-sized pieces of memory a pair may hold at once: private buffers, ring, digests' input."""
_LAUNCH_OVERHEAD_S = 0.15
_SEEDS = 2**32
_DEFAULT_BASELINE = "inet"
_VERSIONS_OF = ("pyperf", "sysv_ipc", "psutil")


@dataclass(frozen=True, slots=True)
class Plan:
    """All that `compare` has decided before it starts."""

    run: Run
    effort: Effort
    cpus: dict[Placement, Cpus | None]
    baseline: str
    impossible: Sequence[tuple[Case, str]]
    """Cases that can't exist here, with the reason: n/a in every table."""
    notes: Sequence[str]
    """What the user should know of what was left out."""


def planned(args: Namespace, command: str) -> Plan:
    """The plan for these arguments. Raises UsageError for whatever can't be done."""
    names, notes = _transports(args.transports)
    _check_memory(args.sizes)
    placement = host.placement_of(args.cpus) if args.cpus else host.default_placement()
    if placement == "same-core" and not args.cpus:
        notes.append("only one CPU can be used: both ends run on it")
    baseline = _baseline(args.baseline, names)
    cases = plan(names, args.workloads, args.sizes, placements=(placement,))
    limits = [
        (case, get_transport(case.transport).limit(case.message_size_bytes, case.workload))
        for case in cases
    ]
    impossible = [(case, reason) for case, reason in limits if reason is not None]
    effort = Effort(args.values, args.warmups, args.min_time, args.timeout)
    seed = secrets.randbelow(_SEEDS) if args.seed is None else args.seed
    run = Run(
        cases=[case for case, reason in limits if reason is None],
        rounds=args.rounds,
        seed=seed,
        started_s=time.monotonic(),
        expected_launch_s=(effort.values + effort.warmups) * effort.min_time_s + _LAUNCH_OVERHEAD_S,
        metadata=_run_metadata(seed, baseline, command),
    )
    cpus = {placement: host.placement_cpus(placement, args.cpus)}
    return Plan(run, effort, cpus, baseline, impossible, notes)


def _transports(asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names to measure, in the order of TRANSPORTS, and notes on what was left out.

    Asked for by name, a transport that can't run is an error; by default it is left out. The
    controls are always measured.
    """
    for name in asked:
        reason = get_transport(name).unavailable()
        if reason is not None:
            raise UsageError(f"{name} can't run here: {reason}")
        if asked.count(name) > 1:
            raise UsageError(f"transport {name!r} is named twice; name it once")
    names, notes = [], []
    for transport in TRANSPORTS:
        if asked and transport.name not in asked and not transport.is_control:
            continue
        reason = transport.unavailable()
        if reason is None:
            names.append(transport.name)
        else:
            notes.append(f"{transport.name} is left out: {reason}")
    return names, notes


def _baseline(asked: str | None, names: Sequence[str]) -> str:
    if asked is None:
        return _DEFAULT_BASELINE if _DEFAULT_BASELINE in names else names[0]
    get_transport(asked)
    if asked not in names:
        raise UsageError(
            f"baseline {asked!r} is not among the measured: {', '.join(names)};"
            " name it as a transport too"
        )
    return asked


def _check_memory(sizes: Sequence[int]) -> None:
    available = psutil.virtual_memory().available
    for size in sizes:
        needed = size * _BUFFERS_PER_MESSAGE
        if needed > available:
            raise UsageError(
                f"messages of {format_size(size)} need {display_size(needed)} of memory"
                f" and {display_size(available)} is free; choose a smaller size"
            )


def _run_metadata(seed: int, baseline: str, command: str) -> dict[str, int | float | str]:
    machine = host.machine()
    return {
        "run_id": secrets.token_hex(4),
        "seed": seed,
        "baseline": baseline,
        "command": command,
        "machine": machine.slug,
        "cpu_model": machine.cpu_model,
        "virtualisation": machine.virtualisation,
        "governor": machine.governor,
        "kernel": machine.kernel,
        "python": machine.python,
        "versions": ", ".join(f"{name} {metadata.version(name)}" for name in _VERSIONS_OF),
    }
