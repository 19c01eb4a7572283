"""Watches another process, from /proc and its CPU clock: whether it is blocked, and whether it ran.

proc_pid_stat(5); the third number of /proc/PID/task/TID/schedstat counts the turns on a CPU.
"""

import os
import time
from typing import NamedTuple, Self

from ipcbench.measure.full.board import SENDING, Board

_ANSWER_BYTES = 512
_SPUN_S = 0.0001
"""CPU time after which a spinning writer would have seen a change in its memory."""
_POLL_S = 0.001


class Mark(NamedTuple):
    """A moment in the life of a process."""

    sent: int
    turns: bytes


class Watched:
    """A writer's main thread, seen from another process. Use as a context manager."""

    def __init__(self, pid: int, board: Board, *, spins: bool) -> None:
        """`spins`: it never sleeps, and what it does shows in its count and CPU time alone.

        Raises OSError if the process isn't there.
        """
        self._board = board
        self._spins = spins
        self._clock = (~pid << 3) | 2  # CPUCLOCK_SCHED of a process: clock_getcpuclockid(3)
        task = f"/proc/{pid}/task/{pid}"
        self._stat = os.open(f"{task}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._turns: int | None = os.open(f"{task}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._turns = None  # a kernel without CONFIG_SCHED_INFO: the state must do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stat)
        if self._turns is not None:
            os.close(self._turns)

    def mark(self) -> Mark:
        """The moment to compare a later one with."""
        turns = b""
        if self._turns is not None:
            turns = os.pread(self._turns, _ANSWER_BYTES, 0).split()[2]
        return Mark(self._board.sent, turns)

    def is_blocked(self, since: Mark) -> bool:
        """Whether it sends, and has neither run nor sent anything since then, and sleeps."""
        if self._board.state != SENDING or self._board.sent != since.sent:
            return False
        return self._spins or (self._sleeps() and self.mark() == since)

    def has_woken(self, since: Mark) -> bool:
        """Whether it was woken since then, when it was blocked.

        A sleeper counts as woken once it may run, whatever it does then: it is asked first if it
        sleeps, so that one that ran and sleeps again shows by its turns. A spinning one is given
        CPU time to see the change.
        """
        if not self._spins:
            return not self._sleeps() or self.mark() != since
        until_s = self._cpu_s() + _SPUN_S
        while self._board.sent == since.sent and self._cpu_s() < until_s:
            time.sleep(0)
        return self._board.sent != since.sent

    def await_block(self, settle_s: float, deadline_s: float) -> bool:
        """Waits until it has been blocked for `settle_s`; False if it stopped, or time ran out.

        A spinning writer has to have spun for so long: it may be waiting for a CPU.
        """
        clock = self._cpu_s if self._spins else time.monotonic
        since, seen_s = self.mark(), clock()
        while time.monotonic() < deadline_s and self._board.state <= SENDING:
            if not self.is_blocked(since):
                since, seen_s = self.mark(), clock()
            elif clock() - seen_s >= settle_s:
                return True
            time.sleep(_POLL_S)
        return False

    def _sleeps(self) -> bool:
        stat = os.pread(self._stat, _ANSWER_BYTES, 0)
        return stat[stat.rindex(b")") + 2 :].startswith(b"S")

    def _cpu_s(self) -> float:
        return time.clock_gettime(self._clock)
