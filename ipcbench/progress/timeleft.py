"""Estimates the remaining time of a run from its finished launches."""

import statistics
import time
from collections.abc import Callable

from ipcbench.case import Case
from ipcbench.events import Began, Event, Failed, Launched
from ipcbench.units import display_left


class TimeLeft:
    """The remaining time of a run; call it with each event. Before `Began`, nothing remains.

    `now_s` is a monotonic clock in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._begin(Began({}, rounds=0, expected_launch_s=0.0))

    def _begin(self, began: Began) -> None:
        self._began = began
        self._began_s = self._now_s()
        self._to_come = dict(began.to_come)
        self._to_calibrate = began.to_calibrate
        self._took_s: dict[Case, list[float]] = {}
        self._calibrations_took_s: list[float] = []

    def __call__(self, event: Event) -> None:
        """Counts a finished launch, and expects no more launches of a case that failed."""
        match event:
            case Began():
                self._begin(event)
            case Launched(0, _, took_s):
                self._to_calibrate -= 1
                self._calibrations_took_s.append(took_s)
            case Launched(_, case, took_s):
                self._took_s.setdefault(case, []).append(took_s)
                self._to_come[case] -= 1
            case Failed(round_number, case):
                self._to_calibrate -= not round_number
                self._to_come[case] = 0

    def seconds(self) -> float:
        """Estimated seconds until the run ends, at most until its deadline."""
        left_s = self._calibrations_s() + self._launches_s()
        deadline_left_s = self._began.deadline_left_s
        if deadline_left_s is None:
            return left_s
        passed_s = self._now_s() - self._began_s
        return max(0.0, min(left_s, deadline_left_s - passed_s))

    def text(self) -> str:
        """The time left in words, with `at most` for a run that may reach its target earlier."""
        at_most = "at most " if self._began.has_target else ""
        return f"{at_most}{display_left(self.seconds())} left"

    def _calibrations_s(self) -> float:
        took_s = self._calibrations_took_s
        each_s = statistics.fmean(took_s) if took_s else self._began.expected_launch_s
        return self._to_calibrate * each_s

    def _launches_s(self) -> float:
        """Seconds of all launches to come: a case by the mean of its own, or else of all cases."""
        means = {case: statistics.fmean(took_s) for case, took_s in self._took_s.items()}
        expected_s = self._began.expected_launch_s
        typical_s = statistics.fmean(means.values()) if means else expected_s
        return sum(count * means.get(case, typical_s) for case, count in self._to_come.items())
