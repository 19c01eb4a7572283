"""A watch on the processes that this one has forked: the end of one breaks into whatever is done.

SIGCHLD's handler raises, which breaks any blocking call. It may run between any two steps of the
client, also while that already looks into an error that the same end has caused. So it raises only
between `watch` and `unwatch`, and once.

It may even run where Python only reports what is raised: as an object is destroyed, or in a
callback of the collector (`sys.unraisablehook`). What is lost there is raised once more.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from ipcbench.errors import PeerDied

_AGAIN_S = 0.002
"""Seconds between two signals of an end that was told in vain."""


class Watch:
    """One watch over all processes of a launch: there is one handler of a signal."""

    def __init__(self) -> None:
        self._tells: list[Callable[[], None]] = []
        self._watches = False
        self._reports: Callable[[sys.UnraisableHookArgs], object] | None = None
        """The hook that is in place outside of `watch` and `unwatch`; None outside."""

    def add(self, tell_an_end: Callable[[], None]) -> None:
        """Has this called whenever a process may have ended.

        Where its own has, it lets the watch rest and raises.
        """
        self._tells.append(tell_an_end)

    def begin(self) -> None:
        """Installs the handler of SIGCHLD."""
        signal.signal(signal.SIGCHLD, self._on_child)

    def watch(self) -> None:
        """From now on an end breaks in, once; at once if it has come."""
        if self._reports is None:
            self._reports, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        self._watches = True
        # One that came earlier did nothing; between the fork and its return there is no process id.
        self._tell()

    def rest(self) -> None:
        """Has no other end break in until the next `watch`: one is being told."""
        self._watches = False

    def unwatch(self) -> None:
        """From now on an end breaks into nothing."""
        self._watches = False
        if self._reports is not None:
            sys.unraisablehook, self._reports = self._reports, None

    def _tell(self) -> None:
        for tell_an_end in self._tells:
            tell_an_end()

    def _on_child(self, _signal: int, _frame: FrameType | None) -> None:
        """Handles SIGCHLD."""
        if self._watches:
            self._tell()

    def _on_unraisable(self, lost: "sys.UnraisableHookArgs") -> None:
        """Has an end told again, where nobody could be told of it.

        Nobody can be told in here, either: the end isn't watched for again until the last step.
        From then on its signal is repeated, until nobody watches any more.
        """
        reports = self._reports
        if isinstance(lost.exc_value, PeerDied) and reports is not None:
            client = threading.get_ident()
            again = threading.Thread(target=self._repeat_signal, args=(client,), daemon=True)
            try:
                again.start()
            finally:  # without a thread to spare, the driver's signals still come
                self._watches = True
        elif reports is not None:
            reports(lost)

    def _repeat_signal(self, client: int) -> None:
        """Sends SIGCHLD to the client's thread, time and again until nobody watches any more."""
        while self._reports is not None:
            signal.pthread_kill(client, signal.SIGCHLD)
            time.sleep(_AGAIN_S)
