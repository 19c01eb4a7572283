"""Plans a run: validates the request, and reports every usage error before the first launch."""

import math
import secrets
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import NamedTuple

import psutil

from ipcbench import host
from ipcbench.analysis.precision import precision
from ipcbench.case import Case, Loop, Placement, Workload, plan
from ipcbench.errors import UsageError
from ipcbench.host import Cpus
from ipcbench.measure import native
from ipcbench.measure.driver import Run
from ipcbench.measure.launch import MOST_TOGETHER, Effort
from ipcbench.results.folder import code_version, noise_floor
from ipcbench.results.intent import Intent
from ipcbench.results.store import Metadata, Results
from ipcbench.room import pairs_at_once, too_large
from ipcbench.text import counted
from ipcbench.transports import TRANSPORTS, chosen, get_transport

_LAUNCH_OVERHEAD_S = 0.15
_CALIBRATION_S = 0.2
_TARGET_BUDGET_S = 300.0
"""Default budget of a run with `--target`."""
_SEEDS = 2**32
_LOOK_S = 0.2
"""Seconds over which the use of the CPUs is sampled before a run."""
_DEFAULT_BASELINE = "inet"
_VERSIONS_OF = ("pyperf", "sysv_ipc", "psutil")


class Preset(NamedTuple):
    """Amount of measuring where the options don't set it."""

    rounds: int
    values: int
    min_time_s: float


PRESETS = {
    "quick": Preset(6, 3, 0.01),
    "default": Preset(7, 9, 0.025),
    "rigorous": Preset(20, 10, 0.05),
    "claims": Preset(10, 7, 0.007),  # many cases: rounds narrow intervals, batches don't
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before a run starts."""

    run: Run
    effort: Effort
    intent: Intent
    """The plan as data, stored in the result file."""
    impossible: Sequence[tuple[Case, str]] = ()
    """Cases that can't exist here, with the reason: n/a in every table."""
    notes: Sequence[str] = ()
    """Notes for the user on what was left out."""


def planned(args: Namespace, command: str) -> Plan:
    """The plan for these arguments. Raises UsageError for whatever can't be done."""
    started_s = time.monotonic()
    choice = _choice(args)
    notes = list(choice.notes)
    preset = PRESETS[args.preset or ("quick" if args.matrix else "default")]
    values, min_time_s = args.values or preset.values, args.min_time or preset.min_time_s
    rounds, budget_s = args.rounds or preset.rounds, args.budget
    if choice.possible and (args.budget is not None or args.target is not None):
        budget_s = args.budget or _TARGET_BUDGET_S
        launch_s = _expected_launch_s(values, args.warmups, min_time_s)
        rounds = args.rounds or _rounds_that_fit(budget_s, len(choice.possible), launch_s)
        count = counted(len(choice.possible), "case")
        notes.append(f"up to {counted(rounds, 'round')} of {count} fit")
    intent = Intent(
        cases=tuple(case.id for case in choice.possible),
        rounds=rounds,
        seed=secrets.randbelow(_SEEDS) if args.seed is None else args.seed,
        values=values,
        warmups=args.warmups,
        min_time_s=min_time_s,
        timeout_s=args.timeout,
        baseline=choice.baseline,
        cpus=choice.cpus,
        target_ratio=args.target,
        budget_s=budget_s,
    )
    plan = plan_of(intent, command, started_s)
    return replace(plan, impossible=choice.impossible, notes=notes)


def plan_of(intent: Intent, command: str, started_s: float, elapsed_s: float = 0.0) -> Plan:
    """The plan for an intent, begun at `started_s` on the monotonic clock.

    `elapsed_s` is the time a resumed run took before. Raises UsageError if there isn't enough
    memory.
    """
    cases = [Case.parse(case) for case in intent.cases]
    effort = Effort(
        intent.values,
        intent.warmups,
        intent.min_time_s,
        intent.timeout_s,
        together=pairs_at_once([case.message_size_bytes for case in cases], MOST_TOGETHER),
    )
    run = Run(
        cases=cases,
        rounds=intent.rounds,
        seed=intent.seed,
        started_s=started_s - elapsed_s,
        expected_launch_s=_expected_launch_s(intent.values, intent.warmups, intent.min_time_s),
        metadata=_run_metadata(intent, command),
        deadline_s=None if intent.budget_s is None else started_s - elapsed_s + intent.budget_s,
        enough=_reached(intent.target_ratio, intent.baseline),
    )
    return Plan(run, effort, intent)


def _expected_launch_s(values: int, warmups: int, min_time_s: float) -> float:
    return (values + warmups + 1) * min_time_s + _LAUNCH_OVERHEAD_S


class Choice(NamedTuple):
    """The cases chosen, before rounds and budget are set."""

    possible: list[Case]
    impossible: list[tuple[Case, str]]
    cpus: dict[Placement, Cpus | None]
    baseline: str
    notes: list[str]


def _choice(args: Namespace) -> Choice:
    names, notes = _transports(args.transports, args.usual)
    if args.matrix:
        _check_matrix(args)
        names = chosen(args.transports)
    loops, without = _loops(args.loops)
    cpus, elsewhere = _placements(args)
    possible, impossible = [], []
    for case in _cases(names, args.workloads, args.sizes, loops, tuple(cpus)):
        if args.only is not None and not args.only(case):
            continue
        reason = _limit(case, cpus[case.placement])
        if reason is None:
            possible.append(case)
        else:
            impossible.append((case, reason))
    if impossible and not possible and all(too_large(size) for size in args.sizes):
        raise UsageError(impossible[0][1])
    baseline = _baseline(args.baseline, names)
    return Choice(possible, impossible, cpus, baseline, notes + without + elsewhere)


def _rounds_that_fit(budget_s: float, cases: int, launch_s: float) -> int:
    round_s = cases * launch_s
    rounds = int((budget_s - cases * _CALIBRATION_S) / round_s)
    if rounds < 1:
        needed_s = math.ceil(cases * _CALIBRATION_S + round_s)
        raise UsageError(
            f"a budget of {budget_s:g} s fits no round of {counted(cases, 'case')};"
            f" one takes about {round_s:.0f} s: give at least {needed_s}s, or fewer cases"
        )
    return rounds


def _reached(target: float | None, baseline: str) -> Callable[[Results], bool] | None:
    """A test of whether results are as exact as the target; None without a target."""
    if target is None:
        return None

    def reached(results: Results) -> bool:
        found = precision(results, baseline)
        return found is not None and found.reaches(target)

    return reached


def _transports(asked: Sequence[str], usual: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names to measure, in the order of TRANSPORTS, and notes on what was left out.

    A transport that can't run is an error if it was asked for by name, and is left out if not. The
    controls are always included.
    """
    wanted_names = chosen(asked or usual)
    for name in wanted_names:
        reason = get_transport(name).unavailable()
        if name in asked and reason is not None:
            raise UsageError(f"{name} can't run here: {reason}")
    names, notes = [], []
    for transport in TRANSPORTS:
        wanted = transport.name in wanted_names
        if not wanted and not transport.is_control:
            continue
        reason = transport.unavailable()
        if reason is None:
            names.append(transport.name)
        else:
            notes.append(f"{transport.name} is left out: {reason}")
    return names, notes


def _cases(
    names: Sequence[str],
    workloads: Sequence[Workload],
    sizes: Sequence[int],
    loops: Sequence[Loop],
    placements: Sequence[Placement],
) -> list[Case]:
    """The cases to measure: workloads that each transport has, with the message sizes it can have.

    A transport that only signals has messages of 0 bytes, and a connection exchanges one byte.
    """
    cases: dict[Case, None] = {}
    for case in plan(names, workloads, sizes, loops, placements):
        transport = get_transport(case.transport)
        if case.workload not in transport.workloads:
            continue
        if not transport.carries_payload:
            cases[case._replace(message_size_bytes=0)] = None
        elif case.workload == "connect":
            cases[case._replace(message_size_bytes=1)] = None
        else:
            cases[case] = None
    return list(cases)


def _loops(asked: Sequence[Loop]) -> tuple[list[Loop], list[str]]:
    """The loops to measure, and notes on what is left out. UsageError if none is left."""
    reason = native.unavailable() if "native" in asked else None
    loops = [loop for loop in asked if loop != "native" or reason is None]
    if not loops:
        raise UsageError(f"no native loop here: {reason}; or use --loop python")
    return loops, [f"the native loop is left out: {reason}"] if reason else []


def _placements(args: Namespace) -> tuple[dict[Placement, Cpus | None], list[str]]:
    """The CPUs of each placement, and notes on what is left out. UsageError if none is left."""
    if args.cpus:
        if args.placements or args.matrix:
            raise UsageError("--cpus names one pair of CPUs; leave --placement and --matrix out")
        return {host.placement_of(args.cpus): args.cpus}, []
    named = args.placements or args.usual_placements
    if not named and not args.matrix:
        placement = host.default_placement()
        alone = ["only one CPU can be used: both ends run on it"]
        return {placement: host.placement_cpus(placement)}, alone * (placement == "same-core")
    wanted = host.all_placements() if args.matrix else named
    cpus: dict[Placement, Cpus | None] = {}
    missing: list[UsageError] = []
    for placement in wanted:
        try:
            cpus[placement] = host.placement_cpus(placement)
        except UsageError as error:
            missing.append(error)
    if not cpus:
        raise missing[0]
    return cpus, [f"a placement is left out: {error}" for error in missing]


def _check_matrix(args: Namespace) -> None:
    if len(args.transports) != 1:
        raise UsageError("--matrix takes one transport; write for example: compare pipe --matrix")
    if args.placements:
        raise UsageError("--matrix takes every pair of CPUs; leave --placement out")
    args.workloads = tuple(name for name in args.workloads if name == "latency")
    if not args.workloads:
        raise UsageError("--matrix is of round trips; leave --workloads out")


def _limit(case: Case, cpus: Cpus | None) -> str | None:
    """Reason why the case can't be measured here; None if it can."""
    transport = get_transport(case.transport)
    if transport.spins and (cpus[0] == cpus[1] if cpus else len(host.allowed_cpus()) == 1):
        return (
            "two ends that spin on one CPU wait whole scheduler slices; use --placement cross-core"
        )
    if case.loop == "native" and case.workload == "connect":
        return "connections are made by the loop in Python only"
    return (
        transport.loop_limit(case.loop)
        or transport.limit(case.message_size_bytes, case.workload)
        or too_large(case.message_size_bytes)
    )


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


def _run_metadata(intent: Intent, command: str) -> Metadata:
    machine = host.machine()
    target: Metadata = {}
    if intent.target_ratio is not None:
        target["target_ratio"] = intent.target_ratio
    caches: Metadata = {
        f"cache_{name}_bytes": size for name, size in host.cache_sizes_bytes().items()
    }
    return (
        target
        | caches
        | {
            "run_id": secrets.token_hex(4),
            "seed": intent.seed,
            "baseline": intent.baseline,
            "command": command,
            "code_version": code_version(),
            "machine": machine.slug,
            "cpu_busy_before_run_ratio": psutil.cpu_percent(_LOOK_S) / 100,
            "noise_floor_ratio": noise_floor(machine.slug).within_run,
            "cpu_model": machine.cpu_model,
            "virtualisation": machine.virtualisation,
            "governor": machine.governor,
            "kernel": machine.kernel,
            "python": machine.python,
            "versions": ", ".join(f"{name} {metadata.version(name)}" for name in _VERSIONS_OF),
        }
    )
