"""Runs a plan: calibrates each case once, then launches in shuffled rounds, saving after each.

The cases of a table are launched together and take turns; see `launch.WorkerLauncher`. A failed
launch is retried once. A case that fails twice is given up; the others go on.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

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
from ipcbench.results.launches import Measured
from ipcbench.results.store import RETRIED_KEY, Metadata, Results
from ipcbench.run.launcher import Launcher

_T = TypeVar("_T")
_U = TypeVar("_U")
_Ask = Callable[[Sequence[Case]], Iterator[tuple[Case, _T | LaunchFailed]]]
"""A call of the launcher for a group of cases."""


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
    facts_of: Mapping[str, Metadata] = field(default_factory=dict)
    """Facts of single interpreters, by label; they take the place of common ones."""

    again: Mapping[str, int] = field(default_factory=dict)
    """Rounds of single cases beyond those of all, by their ids."""

    def rounds_of(self, case: Case) -> int:
        """The rounds in which this case is launched."""
        return self.rounds + self.again.get(case.id, 0)

    @property
    def last_round(self) -> int:
        """The number of the last round."""
        return self.rounds + max(self.again.values(), default=0)

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
    Driver(run, launcher, results, save, observer).execute()


class Driver:
    """One run: asks the launcher for what is missing, and keeps and tells what comes of it."""

    def __init__(
        self,
        run: Run,
        launcher: Launcher,
        results: Results,
        save: Callable[[Results], None],
        observer: Observer,
    ) -> None:
        self._run = run
        self._launcher = launcher
        self._results = results
        self._save = save
        self._observer = observer
        self._finished = results.finished()
        self._to_come = self._missing()
        self._messages: dict[Case, int] = {}
        """Messages a batch of each case that is launched; one that fails is removed."""
        self._warned: Mapping[str, str] = {}

    def execute(self) -> None:
        """Runs what is missing; tells of the beginning and, whatever happens, of the end."""
        self._observer(self._beginning())
        why: EndReason = "aborted"
        try:
            why = self._run_all()
        finally:
            self._observer(Ended(why))

    def _missing(self) -> dict[Case, int]:
        """The number of launches still to make, by case."""
        missing = {
            case: self._run.rounds_of(case) - len(self._finished.get(case, ()))
            for case in self._run.cases
            if case.id not in self._results.unmeasured
        }
        return {case: count for case, count in missing.items() if count}

    def _beginning(self) -> Began:
        run = self._run
        return Began(
            self._to_come,
            run.last_round,
            run.expected_launch_s,
            to_calibrate=sum(
                case not in self._finished and case.arrivals is None for case in self._to_come
            ),
            deadline_left_s=None if run.deadline_s is None else run.deadline_s - time.monotonic(),
            has_target=run.enough is not None,
        )

    def _run_all(self) -> EndReason:
        """Calibrates the new cases, runs the rounds, and returns the reason for the end."""
        run = self._run
        if self._finished:
            self._save(self._results)  # a journal that a killed run left is folded in
        if self._finished and run.knows_enough(self._results):
            return "target"
        if self._is_late(time.monotonic()):
            return "budget"
        self._calibrate()
        for round_number in range(1, run.last_round + 1):
            began_s = time.monotonic()
            if self._is_late(began_s):
                return "budget"
            cases = self._cases_of(round_number)
            if not cases:
                continue
            self._run_round(round_number, cases)
            self._warn(round_number)
            ended_s = time.monotonic()
            if self._is_late(ended_s + (ended_s - began_s)):  # the next one would end too late
                return "budget"
            if run.knows_enough(self._results):
                return "target"
        return "complete"

    def _is_late(self, time_s: float) -> bool:
        """Whether a time on the monotonic clock is after the deadline."""
        return self._run.deadline_s is not None and time_s > self._run.deadline_s

    def _calibrate(self) -> None:
        """Finds the number of messages of each case to come, from its launches or by a new one."""
        for case in self._to_come:
            if case in self._finished:
                self._messages[case] = next(iter(self._finished[case].values()))
        unknown = [case for case in self._to_come if case not in self._messages]
        with closing(self._answers(unknown, 0, self._launcher.calibrate)) as answers:
            for answer in answers:
                if isinstance(answer.outcome, LaunchFailed):
                    reason = f"calibration: {answer.outcome}"
                    self._results.add_unmeasured(answer.case, "failed", reason)
                else:
                    self._messages[answer.case] = answer.outcome
        if self._results.unmeasured:
            self._save(self._results)  # the reasons, even if no launch comes to be saved

    def _cases_of(self, round_number: int) -> list[Case]:
        """The cases that still have their launch of this round to come."""
        return [
            case
            for case in self._run.cases
            if case in self._messages
            and round_number <= self._run.rounds_of(case)
            and round_number not in self._finished.get(case, ())
        ]

    def _run_round(self, round_number: int, cases: Sequence[Case]) -> None:
        """Launches each case once, and saves after each launch."""

        def measure(group: Sequence[Case]) -> Iterator[tuple[Case, Measured | LaunchFailed]]:
            return self._launcher.measure(
                [(case, self._messages[case]) for case in group], round_number
            )

        # A save that fails must not leave the workers that wait their turn.
        with closing(self._answers(cases, round_number, measure)) as answers:
            for answer in answers:
                self._add(round_number, answer)
                self._save(self._results)

    def _add(self, round_number: int, answer: _Answer[Measured]) -> None:
        """Adds a launch to the results, or gives its case up."""
        case, outcome = answer.case, answer.outcome
        if isinstance(outcome, LaunchFailed):
            self._results.add_unmeasured(case, "failed", f"round {round_number}: {outcome}")
            del self._messages[case]
            return
        elapsed_s = answer.ended_s - self._run.started_s
        facts: Metadata = {"round": round_number, "run_elapsed_s": elapsed_s}
        if answer.failed_before is not None:
            facts[RETRIED_KEY] = " ".join(str(answer.failed_before).split())
        own = self._run.facts_of.get(case.interpreter, {})
        self._results.add_launch(case, outcome, self._run.metadata | own | facts)

    def _warn(self, round_number: int) -> None:
        """Tells the warnings about the results so far, if they have changed."""
        warnings = self._run.warnings(self._results)
        if warnings != self._warned:
            self._warned = warnings
            self._observer(Warned(round_number, warnings))

    def _answers(
        self, cases: Sequence[Case], round_number: int, ask: _Ask[_T]
    ) -> Generator[_Answer[_T], None, None]:
        """Launches the cases in groups to compare, retries failures once, yields the answers."""
        groups = shuffled_groups(cases, self._run.seed, round_number, self._launcher.together)
        for group in groups:
            failed: dict[Case, LaunchFailed] = {}
            for case, outcome, ended_s in self._outcomes(group, round_number, ask):
                if isinstance(outcome, LaunchFailed):
                    self._observer(TryingAgain(round_number, case, str(outcome)))
                    failed[case] = outcome
                else:
                    yield _Answer(case, outcome, ended_s)
            again = self._outcomes(list(failed), round_number, ask) if failed else ()
            for case, outcome, ended_s in again:
                before = failed[case]
                if isinstance(outcome, LaunchFailed):
                    twice = _failed_twice(before, outcome)
                    self._observer(Failed(round_number, case, str(twice)))
                    yield _Answer(case, twice, ended_s, before)
                else:
                    yield _Answer(case, outcome, ended_s, before)

    def _outcomes(
        self, group: Sequence[Case], round_number: int, ask: _Ask[_T]
    ) -> Iterator[tuple[Case, _T | LaunchFailed, float]]:
        """Launches a group once; yields each case's outcome, and when it came."""
        self._run.check()
        began_s = time.monotonic()
        self._observer(Launching(round_number, group))
        for case, outcome in _closing(ask(group)):
            ended_s = time.monotonic()
            if not isinstance(outcome, LaunchFailed):
                took_s = (ended_s - began_s) / len(group)
                self._observer(Launched(round_number, case, took_s, _values_s(outcome)))
            yield case, outcome, ended_s


def _values_s(outcome: object) -> Sequence[float]:
    """The values of a measurement; none of a calibration, whose outcome is a number."""
    return outcome.values_s if isinstance(outcome, Measured) else ()


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
    and a table of more is cut into groups of like size. What several interpreters measure stands
    side by side, and is parted only where there are more than `most` of them.
    """
    import random  # loaded late: the command line starts without it

    order = list(cases)
    random.Random(f"{seed}/{round_number}").shuffle(order)
    tables: dict[tuple[str, int, Placement], dict[Case, list[Case]]] = {}
    for case in order:
        key = (case.workload, case.message_size_bytes, case.placement)
        beside = tables.setdefault(key, {})
        beside.setdefault(case._replace(interpreter=""), []).append(case)
    groups: list[list[Case]] = []
    for beside in tables.values():
        table = [case for same in beside.values() for case in same]
        if groups and len(groups[-1]) + len(table) <= most:
            groups[-1] += table
        else:
            groups += _cut(list(beside.values()), most)
    return groups


def _cut(together: Sequence[Sequence[Case]], most: int) -> list[list[Case]]:
    """Deals out cases into groups of up to `most`; those that belong together stay so."""
    fit = max(1, most // max(map(len, together)))
    count = -(-len(together) // fit)
    dealt = ([case for same in together[start::count] for case in same] for start in range(count))
    return [group[at : at + most] for group in dealt for at in range(0, len(group), most)]
