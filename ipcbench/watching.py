"""What would be said against a run's results if it ended now, for those who watch it."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from ipcbench.analysis.store import Results

_LEAST_TIMES_ITS_COST = 20
"""So that warnings take at most a twentieth of a run, however short its rounds are."""


class WarningsSoFar:
    """Call it with results between rounds: the warnings the table would have, a sentence a flag.

    All but `imprecise`: a run with a --target goes on for nothing else. Where the last answer was
    dear beside the time since then, it is given again. `now_s` is a clock that never goes back.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._again_s = now_s()
        self._last: Mapping[str, str] = {}

    def __call__(self, results: Results) -> Mapping[str, str]:
        with suppress(MemoryError, ImportError):  # no warning is worth the rest of the run
            # Loads pandas: when a round is over, so that the first needn't wait for it.
            from ipcbench.analysis.frame import launches
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
