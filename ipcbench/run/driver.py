"""Runs a plan: calibrates each case once, then launches in shuffled rounds, saving after each.

The cases of a table are launched together and take turns; see `launch.WorkerLauncher`. A failed
launch is retried once. A case that fails twice is given up; the others go on.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pyperf

from ipcbench.case import Case, Placement
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
from ipcbench.results.store import RETRIED_KEY, Metadata, Results
from ipcbench.run.launcher import Launcher
from ipcbench.workloads import Workload

_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclass(frozen=True, slots=True)
class Run:
    """The plan of one run: cases, rounds, limits and metadata."""

    cases: Sequence[Case]
    rounds: int
    seed: int
    started_s: float
    """Start of the command, on the monotonic clock."""
    expected_launch_s: float
    """Expected seconds a launch, for the estimate of the time left until one has been timed."""
    metadata: Metadata = field(default_factory=dict)
    """Facts that are common to all launches of the run."""
    deadline_s: float | None = None
    """The latest end, on the monotonic clock: a round that wouldn't fit isn't begun."""
    enough: Callable[[Results], bool] | None = None
    """Called after each round: whether the results suffice. None: they never do."""
    warnings: Callable[[Results], Mapping[str, str]] = field(default=lambda _: {})
    """Called after each round: warnings about the results, one sentence for each flag."""
    check: Callable[[], None] = field(default=lambda: None)
    """Called before each group of launches: raises if the run should end."""

    def knows_enough(self, results: Results) -> bool:
        """Whether the results suffice, so that no more rounds are needed."""
        return self.enough is not None and self.enough(results)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[_T]):
    """The outcome of a launch, after at most one retry."""

    case: Case
    outcome: _T | LaunchFailed
    ended_s: float
    """The end of the launch, on the monotonic clock."""
    failed_before: LaunchFailed | None = None
    """The failure of the first try, if the launch was retried."""


def execute(
    run: Run,
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> None:
    """Runs the launches that `results` don't have yet, and adds them.

    Whatever ends the run early, `results` and the last save have every finished launch.
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
        why = _run_rounds(run, to_come, finished, launcher, results, save, observer)
    finally:
        observer(Ended(why))


def _run_rounds(
    run: Run,
    to_come: Collection[Case],
    finished: Mapping[Case, Mapping[int, int]],
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> EndReason:
    """Calibrates the new cases, runs the rounds, and returns the reason for the end."""
    if finished and run.knows_enough(results):
        return "target"
    if run.deadline_s is not None and time.monotonic() > run.deadline_s:
        return "budget"
    messages = {case: next(iter(finished[case].values())) for case in to_come if case in finished}
    unknown = [case for case in to_come if case not in messages]
    answers = _launch_groups(run, unknown, 0, launcher.calibrate, launcher.together, observer)
    with closing(answers):
        for answer in answers:
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
    """Finished rounds of each case, with the number of messages a batch."""
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
    """Launches each case once, with its `messages`; removes a failed case from them."""

    def measure(group: Sequence[Case]) -> Iterator[tuple[Case, pyperf.Benchmark | LaunchFailed]]:
        return launcher.measure([(case, messages[case]) for case in group])

    answers = _launch_groups(run, cases, round_number, measure, launcher.together, observer)
    with closing(answers):  # a save that fails must not leave the workers that wait their turn
        for answer in answers:
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


def _launch_groups(
    run: Run,
    cases: Sequence[Case],
    round_number: int,
    ask: Callable[[Sequence[Case]], Iterator[tuple[Case, _T | LaunchFailed]]],
    together: int,
    observer: Observer,
) -> Generator[_Answer[_T], None, None]:
    """Launches the cases in groups to compare, retries failures once, and yields the answers."""

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
    """Yields the items of an iterator, and closes it when this generator is closed."""
    try:
        yield from iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def shuffled_groups(
    cases: Sequence[Case], seed: int, round_number: int, most: int
) -> list[list[Case]]:
    """The order of one round, in groups; it depends on the seed and the round number only.

    The launches of a group alternate their batches. Cases that a table compares (of one
    workload, size and placement) come in one group; small tables share one of up to `most` cases,
    and a table of more is cut into groups of like size.
    """
    import random  # loaded late: the command line starts without it

    order = list(cases)
    random.Random(f"{seed}/{round_number}").shuffle(order)
    tables: dict[tuple[Workload, int, Placement], list[Case]] = {}
    for case in order:
        key = (case.workload, case.message_size_bytes, case.placement)
        tables.setdefault(key, []).append(case)
    groups: list[list[Case]] = []
    for table in tables.values():
        if groups and len(groups[-1]) + len(table) <= most:
            groups[-1] += table
        else:
            count = -(-len(table) // most)
            groups += [table[start::count] for start in range(count)]
    return groups
