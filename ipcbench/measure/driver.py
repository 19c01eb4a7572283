"""Runs a plan: calibrates each case once, then rounds of shuffled launches, saving after each.

Cases that a table compares are launched together and take turns; see `launch.WorkerLauncher`.
A launch that fails is tried once more; a case that fails twice is given up, and the rest goes on.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pyperf

from ipcbench.analysis.store import RETRIED_KEY, Results
from ipcbench.case import Case, shuffled_groups
from ipcbench.errors import LaunchFailed
from ipcbench.events import (
    Began,
    Ended,
    EndReason,
    Failed,
    Launched,
    Launching,
    Observer,
    TryingAgain,
    Warned,
)
from ipcbench.measure.launch import Launcher

_T = TypeVar("_T")
_U = TypeVar("_U")

Metadata = dict[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run is to do."""

    cases: Sequence[Case]
    rounds: int
    seed: int
    started_s: float
    """When the command began, on the monotonic clock."""
    expected_launch_s: float
    """What a launch should take; for the time left before there was one."""
    metadata: Metadata = field(default_factory=dict)
    """Facts that hold for every launch of the run."""
    deadline_s: float | None = None
    """When to have ended, on the monotonic clock: no round is begun that wouldn't fit."""
    enough: Callable[[Results], bool] | None = None
    """Asked after each round: whether what is known suffices. Without, nothing does."""
    warnings: Callable[[Results], Mapping[str, str]] = field(default=lambda _: {})
    """Asked after each round: what is to be said against what is known, a sentence a flag."""
    check: Callable[[], None] = field(default=lambda: None)
    """Called before each group of launches: raises what should end the run."""

    def knows_enough(self, results: Results) -> bool:
        """Whether results suffice, so that there is no need for more."""
        return self.enough is not None and self.enough(results)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[_T]):
    """What came of asking for one case, once or twice."""

    case: Case
    outcome: _T | LaunchFailed
    ended_s: float
    """When, on the monotonic clock."""
    failed_before: LaunchFailed | None = None
    """Why the first try yielded nothing, if it was the second that did."""


def execute(
    run: Run,
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> None:
    """Measures into `results` what of the run's launches they don't hold yet.

    Whatever ends it early, `results` and the last save hold every finished launch.
    """
    finished = _finished(results)
    to_come = {
        case: run.rounds - len(finished.get(case, ()))
        for case in run.cases
        if case.id not in results.unmeasured
    }
    to_come = {case: count for case, count in to_come.items() if count}
    observer(
        Began(
            to_come,
            run.rounds,
            run.expected_launch_s,
            to_calibrate=sum(case not in finished for case in to_come),
            deadline_left_s=None if run.deadline_s is None else run.deadline_s - time.monotonic(),
            has_target=run.enough is not None,
        )
    )
    why: EndReason = "aborted"
    try:
        why = _carry_out(run, to_come, finished, launcher, results, save, observer)
    finally:
        observer(Ended(why))


def _carry_out(
    run: Run,
    to_come: Collection[Case],
    finished: Mapping[Case, Mapping[int, int]],
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> EndReason:
    """Calibrates what is unknown, then makes the rounds; why there are no more."""
    if finished and run.knows_enough(results):
        return "target"
    if run.deadline_s is not None and time.monotonic() > run.deadline_s:
        return "budget"
    messages = {case: next(iter(finished[case].values())) for case in to_come if case in finished}
    unknown = [case for case in to_come if case not in messages]
    asked = _asked(run, unknown, 0, launcher.calibrate, launcher.together, observer)
    with closing(asked):
        for answer in asked:
            if isinstance(answer.outcome, LaunchFailed):
                results.add_unmeasured(answer.case, "failed", f"calibration: {answer.outcome}")
            else:
                messages[answer.case] = answer.outcome
    if results.unmeasured:
        save(results)  # the reasons, even if no launch comes to be saved
    warned: Mapping[str, str] = {}
    for round_number in range(1, run.rounds + 1):
        began_s = time.monotonic()
        if run.deadline_s is not None and began_s > run.deadline_s:
            return "budget"
        cases = [
            case
            for case in run.cases
            if case in messages and round_number not in finished.get(case, ())
        ]
        if not cases:
            continue
        _one_round(run, round_number, cases, messages, launcher, results, save, observer)
        warnings = run.warnings(results)
        if warnings != warned:
            warned = warnings
            observer(Warned(round_number, warnings))
        ended_s = time.monotonic()
        next_would_end_s = ended_s + (ended_s - began_s)
        if run.deadline_s is not None and next_would_end_s > run.deadline_s:
            return "budget"
        if run.knows_enough(results):
            return "target"
    return "complete"


def _finished(results: Results) -> dict[Case, dict[int, int]]:
    """The rounds whose launch the results hold, with the messages a batch, case by case."""
    finished: dict[Case, dict[int, int]] = {}
    for bench in results.suite or ():
        rounds = {run.get_metadata()["round"]: run.get_loops() for run in bench.get_runs()}
        finished[Case.parse(bench.get_name())] = rounds
    return finished


def _one_round(
    run: Run,
    round_number: int,
    cases: Sequence[Case],
    messages: dict[Case, int],
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> None:
    """One launch of each case with its `messages`; a case that fails loses them."""

    def measure(group: Sequence[Case]) -> Iterator[tuple[Case, pyperf.Benchmark | LaunchFailed]]:
        return launcher.measure([(case, messages[case]) for case in group])

    asked = _asked(run, cases, round_number, measure, launcher.together, observer)
    with closing(asked):  # a save that fails must not leave the workers that wait their turn
        for answer in asked:
            outcome = answer.outcome
            if isinstance(outcome, LaunchFailed):
                results.add_unmeasured(answer.case, "failed", f"round {round_number}: {outcome}")
                del messages[answer.case]
            else:
                elapsed_s = answer.ended_s - run.started_s
                facts: Metadata = {"round": round_number, "run_elapsed_s": elapsed_s}
                if answer.failed_before is not None:
                    facts[RETRIED_KEY] = " ".join(str(answer.failed_before).split())
                results.add_launch(outcome, run.metadata | facts)
            save(results)


def _asked(
    run: Run,
    cases: Sequence[Case],
    round_number: int,
    ask: Callable[[Sequence[Case]], Iterator[tuple[Case, _T | LaunchFailed]]],
    together: int,
    observer: Observer,
) -> Generator[_Answer[_T], None, None]:
    """An answer for each case; what is compared is asked for at once, and what fails once more."""

    def tried(group: Sequence[Case]) -> Iterator[tuple[Case, _T | LaunchFailed, float]]:
        run.check()
        began_s = time.monotonic()
        observer(Launching(round_number, group))
        for case, outcome in _closing(ask(group)):
            ended_s = time.monotonic()
            if not isinstance(outcome, LaunchFailed):
                took_s = (ended_s - began_s) / len(group)
                observer(Launched(round_number, case, took_s, _values(outcome)))
            yield case, outcome, ended_s

    for group in shuffled_groups(cases, run.seed, round_number, together):
        failed: dict[Case, LaunchFailed] = {}
        for case, outcome, ended_s in tried(group):
            if isinstance(outcome, LaunchFailed):
                observer(TryingAgain(round_number, case, str(outcome)))
                failed[case] = outcome
            else:
                yield _Answer(case, outcome, ended_s)
        for case, again, ended_s in tried(list(failed)) if failed else ():
            before = failed[case]
            if isinstance(again, LaunchFailed):
                twice = _failed_twice(before, again)
                observer(Failed(round_number, case, str(twice)))
                yield _Answer(case, twice, ended_s, before)
            else:
                yield _Answer(case, again, ended_s, before)


def _values(outcome: object) -> Sequence[float]:
    values: Sequence[float] = outcome.get_values() if isinstance(outcome, pyperf.Benchmark) else ()
    return values


def _failed_twice(first: LaunchFailed, second: LaunchFailed) -> LaunchFailed:
    if str(first) == str(second):
        return LaunchFailed(f"{second} (twice)")
    return LaunchFailed(f"{second} (and before that: {first})")


def _closing(iterator: Iterator[_U]) -> Iterator[_U]:
    """The same items; a generator ends what it started when this one is closed."""
    try:
        yield from iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
