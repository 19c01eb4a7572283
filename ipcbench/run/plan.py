"""Plans a run: validates the request, and reports every usage error before the first launch."""

import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from ipcbench.analysis.precision import precision
from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.results.intent import Intent
from ipcbench.results.metadata import INTERPRETERS_KEY
from ipcbench.results.store import Results
from ipcbench.run.choice import Choice, choose
from ipcbench.run.driver import Run
from ipcbench.run.facts import CommandLine, known_floor, run_metadata
from ipcbench.run.interpreters import Interpreter, asked, shared_out
from ipcbench.run.request import MOST_OF_LADDER, MOST_TOGETHER, Effort, PresetName, Request
from ipcbench.run.sizing import expected_calibration_s, expected_launch_s
from ipcbench.system.limits import pairs_at_once
from ipcbench.text import counted
from ipcbench.transports.registry import get_transport

_TARGET_BUDGET_S = 300.0
"""Default budget of a run with `--target`."""
_LONG_GRID_S = 1800.0
"""A grid that takes longer must be asked for with --budget or --rounds."""
_ROUGH_S = 100.0
"""From here on an estimate is told in minutes."""
SEEDS = 2**32


class Preset(NamedTuple):
    """Amount of measuring where the options don't set it."""

    rounds: int
    values: int
    min_time_s: float


PRESETS: Mapping[PresetName, Preset] = {
    "quick": Preset(6, 3, 0.01),
    "default": Preset(7, 9, 0.025),
    "rigorous": Preset(20, 10, 0.05),
    "claims": Preset(10, 7, 0.007),  # many cases: rounds narrow intervals, batches don't
    "ladder": Preset(10, 5, 0.01),
    "crowds": Preset(10, 3, 0.02),
    "load": Preset(10, 3, 0.1),
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
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict)
    """Interpreters that cases name, by label, in the order of the tables."""


class Preflight(NamedTuple):
    """What trying cases out says of them before the first launch."""

    refused: Mapping[Case, str] = MappingProxyType({})
    """Cases that would block, with the reason."""
    notes: Sequence[str] = ()


def none_tried(_: Sequence[Case]) -> Preflight:
    """A preflight that refuses nothing, since it tries nothing."""
    return Preflight()


def planned(
    request: Request,
    line: CommandLine,
    preflight: Callable[[Sequence[Case]], Preflight] = none_tried,
) -> Plan:
    """The plan for a request on this machine. Raises UsageError for whatever can't be done.

    `preflight` is asked which of the possible cases would block.
    """
    started_s = time.monotonic()
    choice = choose(request)
    interpreters: Mapping[str, Interpreter] = {}
    if request.pythons:
        interpreters = asked(request.pythons, choice.possible)
        possible, rejected = shared_out(choice.possible, interpreters)
        if rejected and not possible:
            case, reason = rejected[0]
            raise UsageError(f"no interpreter can measure any case: {case.id}: {reason}")
        every = [
            (case._replace(interpreter=label), reason)
            for case, reason in choice.impossible
            for label in interpreters
        ]
        choice = choice._replace(possible=possible, impossible=every + rejected)
    choice = _tried(choice, preflight)
    notes = list(choice.notes)
    preset = PRESETS[request.preset or ("quick" if request.matrix else "default")]
    values = request.values or preset.values
    min_time_s = request.min_time_s or preset.min_time_s
    rounds, budget_s = request.rounds or preset.rounds, request.budget_s
    cases = choice.possible
    launches_s = [expected_launch_s(case, values, request.warmups, min_time_s) for case in cases]
    _check_timeout(cases, values, request)
    round_s, calibration_s = sum(launches_s), expected_calibration_s(cases)
    if cases and (budget_s is not None or request.target_ratio is not None):
        budget_s = budget_s or _TARGET_BUDGET_S
        rounds = request.rounds or _rounds_that_fit(budget_s, len(cases), round_s, calibration_s)
        count = counted(len(cases), "case")
        notes.append(f"up to {counted(rounds, 'round')} of {count} fit")
    elif request.vary or any(case.rhythm.least_s for case in cases):
        expected_s = calibration_s + rounds * round_s
        count = counted(len(cases), "case")
        extent = f"{count}, {counted(rounds, 'round')}: {_about(expected_s)}"
        if request.grid and request.rounds is None and expected_s > _LONG_GRID_S:
            raise UsageError(
                f"this --grid is {extent}; say that you want that, like --budget 30m or"
                f" --rounds {rounds}, or ask for less: --quick, or fewer values"
            )
        notes.append(extent)
    intent = Intent(
        cases=tuple(case.id for case in choice.possible),
        rounds=rounds,
        seed=secrets.randbelow(SEEDS) if request.seed is None else request.seed,
        values=values,
        warmups=request.warmups,
        min_time_s=min_time_s,
        timeout_s=request.timeout_s,
        baseline=choice.baseline,
        cpus=choice.cpus,
        target_ratio=request.target_ratio,
        budget_s=budget_s,
        question=request.question,
        request=request.as_json(),
    )
    plan = plan_of(intent, line, started_s, interpreters=interpreters)
    return replace(plan, impossible=choice.impossible, notes=[*notes, *plan.notes])


def _tried(choice: Choice, preflight: Callable[[Sequence[Case]], Preflight]) -> Choice:
    """The choice without what the preflight refuses. UsageError if only controls are left of it."""
    refused, notes = preflight(choice.possible)
    possible = [case for case in choice.possible if case not in refused]
    if refused and all(get_transport(case.transport).is_control for case in possible):
        raise UsageError(next(iter(refused.values())))
    return choice._replace(
        possible=possible,
        impossible=[*choice.impossible, *refused.items()],
        notes=[*choice.notes, *notes],
    )


def plan_of(
    intent: Intent,
    line: CommandLine,
    started_s: float,
    elapsed_s: float = 0.0,
    interpreters: Mapping[str, Interpreter] | None = None,
) -> Plan:
    """The plan for an intent, begun at `started_s` on the monotonic clock.

    `interpreters` are those that its cases name, by label.

    `elapsed_s` is the time a resumed run took before. Raises UsageError if there isn't enough
    memory.
    """
    interpreters = interpreters or {}
    floor = known_floor()
    metadata = run_metadata(intent, line) | floor.facts
    if interpreters:
        metadata[INTERPRETERS_KEY] = ",".join(interpreters)
    cases = [Case.parse(case) for case in intent.cases]
    effort = Effort(
        intent.values,
        intent.warmups,
        intent.min_time_s,
        intent.timeout_s,
        together=pairs_at_once(cases, _most_together(intent)),
        seed=intent.seed,
    )
    run = Run(
        cases=cases,
        rounds=intent.rounds,
        again=intent.again,
        seed=intent.seed,
        started_s=started_s - elapsed_s,
        expected_launch_s=_typical_launch_s(cases, intent),
        metadata=metadata,
        facts_of={label: one.facts for label, one in interpreters.items()},
        deadline_s=None if intent.budget_s is None else started_s - elapsed_s + intent.budget_s,
        enough=_reached(intent.target_ratio, intent.baseline),
    )
    notes = [] if floor.note is None else [floor.note]
    return Plan(run, effort, intent, notes=notes, interpreters=interpreters)


def is_complete(plan: Plan, results: Results) -> bool:
    """Whether every launch of the plan is recorded."""
    finished = results.finished()
    return all(
        case.id in results.unmeasured or len(finished.get(case, ())) >= plan.run.rounds_of(case)
        for case in plan.run.cases
    )


def _typical_launch_s(cases: Sequence[Case], intent: Intent) -> float:
    """Seconds that a launch will take about, in the mean of these cases."""
    each_s = [
        expected_launch_s(case, intent.values, intent.warmups, intent.min_time_s) for case in cases
    ]
    return sum(each_s) / len(each_s) if each_s else 0.0


def _most_together(intent: Intent) -> int:
    """Most pairs that may exist at once: those of a table, so that each is compared turn by turn.

    A table of the ladder has every rung over every family. Many clients of each would be too many.
    """
    request = intent.request
    if not isinstance(request, Mapping) or request.get("concurrency"):
        return MOST_TOGETHER
    return MOST_OF_LADDER if request.get("rungs") else MOST_TOGETHER


def _check_timeout(cases: Sequence[Case], values: int, request: Request) -> None:
    """Raises UsageError for a case whose knobs alone make a launch too long."""
    for case in cases:
        launch_s = expected_launch_s(case, values, request.warmups, 0.0)
        if case.rhythm.least_s and launch_s > request.timeout_s:
            raise UsageError(
                f"a launch of {case.id} takes about {launch_s:.0f} s, more than --timeout"
                f" {request.timeout_s:g}: ask for fewer --values, or --timeout"
                f" {math.ceil(2 * launch_s)}"
            )


def _about(seconds: float) -> str:
    """A duration for people, no more exact than an estimate is."""
    if seconds < _ROUGH_S:
        return f"about {math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    return f"about {minutes} min" if minutes < 2 * 60 else f"about {math.ceil(minutes / 60)} h"


def _rounds_that_fit(budget_s: float, cases: int, round_s: float, calibration_s: float) -> int:
    rounds = int((budget_s - calibration_s) / round_s)
    if rounds < 1:
        needed_s = math.ceil(calibration_s + round_s)
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
