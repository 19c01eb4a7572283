"""Turns SIGINT, SIGTERM and SIGHUP into one exception that a run can handle."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from ipcbench.errors import Interrupted

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a run to end: Ctrl-C, kill(1) and a closed terminal send them."""


class Interrupts:
    """Context in which the first SIGINT, SIGTERM or SIGHUP raises Interrupted.

    From then on all three do nothing: what is left to do (ending a worker, a last save, the table)
    is short and must not be cut.
    """

    def __init__(self) -> None:
        self._asked_by: int | None = None

    def __enter__(self) -> Self:
        for number in ENDING_SIGNALS:
            signal.signal(number, self._interrupt)
        return self

    def check(self) -> None:
        """Raises Interrupted again if a signal came; call it before a run goes on.

        The handler raises wherever the program happens to be, which may be inside a library
        that catches all exceptions; a signal must not be lost there.
        """
        if self._asked_by is not None:
            raise _interrupted_by(self._asked_by)

    def __exit__(self, *_: object) -> None:
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) == self._interrupt:
                signal.signal(number, signal.SIG_DFL)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        for other in ENDING_SIGNALS:
            signal.signal(other, disregard)
        self._asked_by = number
        raise _interrupted_by(number)


def _interrupted_by(number: int) -> Interrupted:
    return Interrupted(f"interrupted by {signal.Signals(number).name}")


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Defers termination signals inside the block, so that what it makes is recorded first.

    A process started inside inherits this; `accept_signals` is the first thing it should call.
    """
    # Asked first: to block may run the handler of one that came just before, which may raise.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def forget_children() -> None:
    """Lets SIGCHLD do nothing from now on."""
    signal.signal(signal.SIGCHLD, disregard)


def disregard(_number: int, _frame: FrameType | None) -> None:
    """Handles a signal by doing nothing.

    SIG_IGN or SIG_DFL in its place would have CPython report a signal that came while the handler
    was being changed as "ignored due to race condition" (Modules/signalmodule.c). To block it
    first is no help: in a process with threads another one takes it.
    """


def accept_signals() -> None:
    """Unblocks the termination signals that the parent held back for the start of this process."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
