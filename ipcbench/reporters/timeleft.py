"""How long the launches that are still to come will take, from those that were."""

import statistics
from collections.abc import Mapping

from ipcbench.case import Case


class TimeLeft:
    """The time left of a run."""

    def __init__(self, to_come: Mapping[Case, int], expected_launch_s: float) -> None:
        self._to_come = dict(to_come)
        self._expected_launch_s = expected_launch_s
        self._took_s: dict[Case, list[float]] = {}

    def launched(self, case: Case, took_s: float) -> None:
        """Counts one launch."""
        self._took_s.setdefault(case, []).append(took_s)
        self._to_come[case] -= 1

    def gave_up(self, case: Case) -> None:
        """Expects no more launches of a case."""
        self._to_come[case] = 0

    def seconds(self) -> float:
        """Seconds left: each case by its own launches, those without any by what all took."""
        means = {case: statistics.fmean(took_s) for case, took_s in self._took_s.items()}
        typical_s = statistics.fmean(means.values()) if means else self._expected_launch_s
        return sum(count * means.get(case, typical_s) for case, count in self._to_come.items())
