"""The process at the other end of a pair, as the client sees it: its start, its end, its holdings.

The client notices the end of a forked peer at once; `watch` tells how. The client's end ends the
peer by PR_SET_PDEATHSIG and by the closed control channel. Everything that tells how the peer ended
can be asked again, and answers the same.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

from ipcbench.errors import LaunchFailed, explain_start
from ipcbench.evidence.holdings import Holdings, holdings
from ipcbench.measure.control import Channel, ChannelClosed, NoAnswer, PeerReported
from ipcbench.measure.watch import Watch
from ipcbench.system.cgroups import oom_kills
from ipcbench.system.deaths import Death, death_of
from ipcbench.system.process import exit_code, open_files
from ipcbench.system.signals import forget_children, signals_held_back

_PATIENCE_S = 1.0
"""Seconds for a peer to end by itself, or to report its failure, before it is killed."""
_LAST_PATIENCE_S = 10.0
"""Seconds for a peer that has closed its channel: it is ending, and only wants for a CPU."""


class Peer(Protocol):
    """The server's process, wherever it runs."""

    def start(self) -> Channel:
        """Starts the process and returns the client's end of the control channel.

        Raises LaunchFailed.
        """

    @property
    def pid(self) -> int | None:
        """The process's id on this machine, from its start until it is waited for."""

    @property
    def is_started(self) -> bool:
        """Whether the process was started and its end not waited for yet."""

    def ended(self) -> Death | None:
        """How the process ended by itself; None if it runs, or was killed here, or isn't there."""

    def watch(self) -> None:
        """From now on the process's end breaks into the client, once; at once if it has ended.

        `start` begins so, too.
        """

    def unwatch(self) -> None:
        """From now on the process's end breaks into nothing."""

    def fileno(self) -> int:
        """A descriptor that gets readable when the process ends, for a driver that polls."""

    def holdings(self) -> Holdings:
        """Lists the objects that the process holds now. Raises OSError if it isn't visible."""

    def last_words(self) -> str | None:
        """The reason that a failing server left on the channel, if it left one. Allowed twice."""

    def expect_end(self) -> None:
        """From now on the process may end, and nobody is told."""

    def wait(self) -> Death | None:
        """Waits a moment for the process to end; kills it if it doesn't. Allowed twice.

        Returns how it ended by itself; None if it had to be killed, or there was none.
        """

    def kill(self) -> None:
        """Kills the process and waits for its end. Allowed twice."""

    def close(self) -> None:
        """Closes what belongs to this end, once the process has ended. Allowed twice."""


Serve = Callable[[Channel, int, frozenset[int]], NoReturn]
"""Runs a forked server, with its channel, its client's process id, and unwanted descriptors."""


class ForkedPeer:
    """A server forked from this process, which therefore shares the link made before."""

    def __init__(
        self,
        serve: Serve,
        on_end: Callable[[Death], NoReturn],
        kept: frozenset[int] = frozenset(),
        *,
        watch: Watch | None = None,
        open_before: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        """Makes the control channel: before the link, so that nobody takes it for a part of it.

        `on_end` is called, with how the server ended, wherever a client that watches stands; it
        raises.
        `kept` are the descriptors of this process that the server keeps. `watch` is that of several
        peers; by default it has one of its own. `open_before` are the files that were open before
        all that the server needs; by default those that are open now.
        """
        self._serve = serve
        self._on_end = on_end
        self._open_before = open_files() if open_before is None else open_before
        self._kept = kept
        self._all = watch or Watch()
        self._all.add(self._tell_an_end)
        self._ours, self._theirs = Channel.pair()
        self._kills_before = oom_kills()
        self._pid: int | None = None
        self._death: Death | None = None
        self._is_ending = False
        """Whether the server was seen to close its channel."""
        self._pidfd: int | None = None

    @property
    def channel(self) -> Channel:
        """The end of the control channel that stays here."""
        return self._ours

    @property
    def pid(self) -> int | None:
        """The server's process id, from its start until it is waited for."""
        return self._pid

    @property
    def is_started(self) -> bool:
        """Whether there is a process id."""
        return self._pid is not None

    def start(self) -> Channel:
        """Forks the server; see `Peer`."""
        self._all.begin()
        client_pid = os.getpid()
        unwanted = self._unwanted()
        try:
            # A signal between the fork and its own handlers would send the server through ours.
            with signals_held_back():
                pid = os.fork()
                if pid == 0:
                    self._ours.close()
                    self._serve(self._theirs, client_pid, unwanted)
                self._pid = pid
        except OSError as error:
            raise LaunchFailed(explain_start(error)) from error
        self._theirs.close()
        self.watch()
        return self._ours

    def _unwanted(self) -> frozenset[int]:
        """Descriptors that were open before, and still are, and that the server isn't to keep.

        The number of one that another thread has closed since may be the link's.
        """
        if not self._open_before:
            return frozenset()
        same = self._open_before.items() & open_files().items()
        return frozenset(descriptor for descriptor, _ in same) - self._kept

    def ended(self) -> Death | None:
        """Looks without waiting, and leaves the process to be waited for."""
        if self._pid is not None and self._death is None:
            ended = self._zombie()
            if ended is not None:
                self._death = death_of(self._pid, exit_code(ended), self._kills_before)
        return self._death

    def watch(self) -> None:
        """Has the end of each peer that is watched with this one break in; see `Peer`."""
        self._all.watch()

    def unwatch(self) -> None:
        """Has none of them break in; see `Peer`."""
        self._all.unwatch()

    def fileno(self) -> int:
        """A pidfd, opened when it is first asked for. pidfd_open(2)."""
        if self._pidfd is None:
            if self._pid is None:
                raise LaunchFailed("there is no server to watch: start it first")
            self._pidfd = os.pidfd_open(self._pid)
        return self._pidfd

    def holdings(self) -> Holdings:
        """Reads /proc of the server, which is the same user's."""
        if self._pid is None:
            raise LaunchFailed("there is no server to look at: start the pair first")
        return holdings(self._pid)

    def last_words(self) -> str | None:
        """Reads the channel up to its end, or until the server has had its time."""
        self._ours.wait_at_most(_PATIENCE_S)
        try:
            while True:
                self._ours.receive()
        except PeerReported as report:
            return str(report)
        except NoAnswer:
            return None
        except ChannelClosed:
            self._is_ending = True
            return None

    def expect_end(self) -> None:
        """Lets SIGCHLD do nothing from now on."""
        self.unwatch()
        forget_children()

    def wait(self) -> Death | None:
        """Polls, since the wait has a limit; see `Peer`."""
        deadline = time.monotonic() + (_LAST_PATIENCE_S if self._is_ending else _PATIENCE_S)
        while self._pid is not None and self.ended() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        self._kill_and_reap()
        return self._death

    def kill(self) -> None:
        """Kills the server; see `Peer`."""
        self.expect_end()
        self._kill_and_reap()

    def close(self) -> None:
        """Closes the channel and the watch, once the server has ended. Allowed twice."""
        self._ours.close()
        self._theirs.close()
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            os.close(pidfd)

    def _tell_an_end(self) -> None:
        """Tells the client that the server has ended, if it has."""
        if self._zombie() is None:
            return
        self._all.rest()
        death = self.ended()
        if death is not None:
            self._on_end(death)

    def _zombie(self) -> os.waitid_result | None:
        """The end of the server, which isn't waited for yet; None if it runs, or isn't there."""
        if self._pid is None:
            return None
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _kill_and_reap(self) -> None:
        """Waits for the server's end, once it is killed; one that has ended notices nothing."""
        with signals_held_back():
            if self._pid is not None:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                self._pid = None
