"""A watch on a launch's two ends: whether both sleep while messages should move.

The driver looks once a second, from its own process: the ends notice nothing of it.
"""

from pathlib import Path

from ipcbench.measure.tether import noted_phase
from ipcbench.system.process import children, turns_asleep

LOOK_S = 1.0
"""Seconds between two looks: each takes some dozen microseconds of a CPU that an end may be on."""
STANDSTILL_S = 10.0
"""Seconds without a turn on a CPU after which no end will have one. A client sleeps at most 0.1 s
before a message (`gap`), and TCP tries again long before."""
_FEWEST_LOOKS = 4
"""Looks that have to agree: a machine that was paused has a clock that went on without it."""
_BUSY = frozenset(("timed batch", "sampled burst", "payload check"))
"""Phases in which messages move; in others an end may sleep as long as the other one works."""


class Standstill:
    """The time for which a worker and its server have slept without a turn on a CPU."""

    def __init__(self, worker: int, directory: Path) -> None:
        self._worker = worker
        self._directory = directory
        self._seen: object = None
        self._since_s = 0.0
        self._looks = 0

    def has_lasted(self, now_s: float) -> bool:
        """Looks at both; whether neither has moved for STANDSTILL_S up to now.

        `now_s` is on the monotonic clock.
        """
        seen = self._look()
        if seen is None or seen != self._seen:
            self._seen, self._since_s, self._looks = seen, now_s, 0
        self._looks += 1
        lasted = now_s - self._since_s >= STANDSTILL_S and self._looks >= _FEWEST_LOOKS
        return seen is not None and lasted

    def _look(self) -> object:
        """The turns that all threads of both have had; None unless all of them sleep in a phase."""
        phase = noted_phase(self._directory)
        if phase not in _BUSY:
            return None
        processes = (self._worker, *children(self._worker))
        turns = [turns_asleep(pid) for pid in processes]
        if len(processes) == 1 or None in turns:
            return None
        return phase, processes, turns
