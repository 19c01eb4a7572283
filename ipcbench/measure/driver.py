"""Runs a plan: calibrates each case once, then rounds of shuffled launches, saving after each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ipcbench.analysis.store import Results
from ipcbench.case import Case, shuffled
from ipcbench.errors import LaunchFailed
from ipcbench.measure.launch import Launcher

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


class Observer(Protocol):
    """Who wants to know how a run gets on."""

    def began(self, cases: Sequence[Case], rounds: int, expected_launch_s: float) -> None:
        """These cases are about to be calibrated, then launched once a round."""

    def launching(self, case: Case, round_number: int) -> None:
        """A launch begins; round 0 calibrates."""

    def launched(self, case: Case, round_number: int, took_s: float) -> None:
        """A launch ended well."""

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
    messages = _calibrated(run, launcher, results, observer)
    for round_number in range(1, run.rounds + 1):
        for case in shuffled(list(messages), run.seed, round_number):
            began = time.monotonic()
            observer.launching(case, round_number)
            try:
                bench = launcher.measure(case, messages[case])
            except LaunchFailed as failure:
                _give_up(case, round_number, str(failure), results, observer)
                del messages[case]
                save(results)
                continue
            ended = time.monotonic()
            facts: Metadata = {"round": round_number, "run_elapsed_s": ended - run.started_s}
            results.add_launch(bench, run.metadata | facts)
            save(results)
            observer.launched(case, round_number, ended - began)


def _calibrated(
    run: Run, launcher: Launcher, results: Results, observer: Observer
) -> dict[Case, int]:
    """Messages a batch, for each case that could be calibrated."""
    messages: dict[Case, int] = {}
    for case in run.cases:
        began = time.monotonic()
        observer.launching(case, 0)
        try:
            messages[case] = launcher.calibrate(case)
        except LaunchFailed as failure:
            _give_up(case, 0, str(failure), results, observer)
        else:
            observer.launched(case, 0, time.monotonic() - began)
    return messages


def _give_up(
    case: Case, round_number: int, reason: str, results: Results, observer: Observer
) -> None:
    where = f"round {round_number}" if round_number else "calibration"
    results.add_unmeasured(case, "failed", f"{where}: {reason}")
    observer.failed(case, round_number, reason)
