"""Signals that ask a run to end, as one exception at a moment that can be handled."""

import signal
from types import FrameType

from ipcbench.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class interruptible:  # noqa: N801  (reads as an adjective after `with`)
    """Inside, SIGINT, SIGTERM and SIGHUP raise Interrupted, once; from then on they are ignored.

    What follows the first (ending a worker, a last save, the table) is short and must not be cut.
    """

    def __enter__(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) == self._interrupt:
                signal.signal(number, signal.SIG_DFL)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(f"interrupted by {signal.Signals(number).name}")
