"""Runs a plan: calibrates each case once, then rounds of shuffled launches, saving after each.

Cases that a table compares are launched together and take turns; see `launch.WorkerLauncher`.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import pyperf

from ipcbench.analysis.store import Results
from ipcbench.case import Case, shuffled_groups
from ipcbench.errors import LaunchFailed
from ipcbench.measure.launch import Launcher

_T = TypeVar("_T")

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
    enough: Callable[[Results], bool] = field(default=lambda _: False)
    """Asked after each round: whether what is known suffices."""
    check: Callable[[], None] = field(default=lambda: None)
    """Called before each group of launches: raises what should end the run."""


class Observer(Protocol):
    """Who wants to know how a run gets on."""

    def began(self, cases: Sequence[Case], rounds: int, expected_launch_s: float) -> None:
        """These cases are about to be calibrated, then launched once a round."""

    def launching(self, cases: Sequence[Case], round_number: int) -> None:
        """Launches of these cases begin, and will take turns; round 0 calibrates."""

    def launched(self, case: Case, round_number: int, took_s: float) -> None:
        """A launch ended well; it took its share of the time since `launching`."""

    def failed(self, case: Case, round_number: int, reason: str) -> None:
        """A launch yielded no number; the case is given up."""


def execute(
    run: Run,
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> None:
    """Measures the run's cases into `results`.

    Whatever ends it early, `results` and the last save hold every finished launch.
    """
    observer.began(run.cases, run.rounds, run.expected_launch_s)
    messages: dict[Case, int] = {}
    asked = _asked(run, run.cases, 0, launcher.calibrate, launcher.together, observer)
    with closing(asked):
        for case, outcome, _ in asked:
            if isinstance(outcome, LaunchFailed):
                results.add_unmeasured(case, "failed", f"calibration: {outcome}")
            else:
                messages[case] = outcome
    for round_number in range(1, run.rounds + 1):
        began_s = time.monotonic()
        _one_round(run, round_number, messages, launcher, results, save, observer)
        ended_s = time.monotonic()
        next_would_end_s = ended_s + (ended_s - began_s)
        if run.deadline_s is not None and next_would_end_s > run.deadline_s:
            return
        if run.enough(results):
            return


def _one_round(
    run: Run,
    round_number: int,
    messages: dict[Case, int],
    launcher: Launcher,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
) -> None:
    """One launch of every case that still has `messages`; a case that fails loses them."""

    def measure(group: Sequence[Case]) -> Iterator[tuple[Case, pyperf.Benchmark | LaunchFailed]]:
        return launcher.measure([(case, messages[case]) for case in group])

    cases = [case for case in run.cases if case in messages]
    asked = _asked(run, cases, round_number, measure, launcher.together, observer)
    with closing(asked):  # a save that fails must not leave the workers that wait their turn
        for case, outcome, ended_s in asked:
            if isinstance(outcome, LaunchFailed):
                results.add_unmeasured(case, "failed", f"round {round_number}: {outcome}")
                del messages[case]
            else:
                facts: Metadata = {"round": round_number, "run_elapsed_s": ended_s - run.started_s}
                results.add_launch(outcome, run.metadata | facts)
            save(results)


def _asked(
    run: Run,
    cases: Sequence[Case],
    round_number: int,
    ask: Callable[[Sequence[Case]], Iterator[tuple[Case, _T | LaunchFailed]]],
    together: int,
    observer: Observer,
) -> Generator[tuple[Case, _T | LaunchFailed, float], None, None]:
    """Each case with its outcome and when it came; what is compared is asked for at once."""
    for group in shuffled_groups(cases, run.seed, round_number, together):
        run.check()
        began_s = time.monotonic()
        observer.launching(group, round_number)
        outcomes = ask(group)
        try:
            for case, outcome in outcomes:
                ended_s = time.monotonic()
                if isinstance(outcome, LaunchFailed):
                    observer.failed(case, round_number, str(outcome))
                else:
                    observer.launched(case, round_number, (ended_s - began_s) / len(group))
                yield case, outcome, ended_s
        finally:
            close = getattr(outcomes, "close", None)  # a generator ends what it started
            if close is not None:
                close()
