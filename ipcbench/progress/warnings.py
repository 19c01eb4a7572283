"""Warnings on the results of a run so far, for its observers."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipcbench.analysis.launch_frame import Measurements

_LEAST_TIMES_ITS_COST = 20
"""Least pause after computing warnings, in multiples of its cost: 5 % of a run at most."""


class WarningsSoFar:
    """Called with results between rounds: the warnings the table would have, a sentence a flag.

    Without `imprecise`, which every run with a --target would have until its end. If computing the
    last answer took long beside the time since, it is returned again. `now_s` is a monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._again_s = now_s()
        self._last: Mapping[str, str] = {}

    def __call__(self, results: "Measurements") -> Mapping[str, str]:
        with suppress(MemoryError, ImportError):  # no warning is worth the rest of the run
            # Loads pandas; imported here so that the first round needn't wait for it.
            from ipcbench.analysis.launch_frame import launches
            from ipcbench.analysis.warnings import IMPRECISE, by_flag, objections

            began_s = self._now_s()
            if began_s >= self._again_s:
                try:
                    found = objections(results, launches(results))
                    self._last = by_flag([one for one in found if one.flag != IMPRECISE])
                finally:
                    ended_s = self._now_s()
                    self._again_s = ended_s + _LEAST_TIMES_ITS_COST * (ended_s - began_s)
        return self._last
