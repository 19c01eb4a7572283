"""Worker processes from the driver's side: starts, schedules, watches and ends them."""

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple, Self, cast

from ipcbench.errors import EXIT_INTERRUPTED, LaunchFailed, explain_start
from ipcbench.measure.tether import GO, WANTS_TURN, Tether, noted_names, noted_phase
from ipcbench.run.standstill import LOOK_S, STANDSTILL_S, Standstill
from ipcbench.system.cgroups import oom_kills
from ipcbench.system.deaths import Death, death_of
from ipcbench.system.process import children, describe_exit, exit_code, is_stopped
from ipcbench.system.signals import signals_held_back

_NUDGE_AFTER_S = 0.2
_SERVER_GONE_LIMIT_S = 4.0
_EXIT_LIMIT_S = 10.0
"""Seconds for a process that is ending already, and may only want for a CPU."""
_MOST_STDERR_BYTES = 64 * 1024


class GivenUp(NamedTuple):
    """Why a turn was given up, in front of the phase that it was in and behind it."""

    what: str
    why: str = ""


BOTH_WAIT = GivenUp(
    "both ends wait for each other",
    f": nothing moved for {STANDSTILL_S:g} s; fewer messages in flight (window=...) or larger"
    " buffers would fit",
)


class WorkerProcess:
    """A worker in a process group of its own; a context manager that ends it with the block.

    The worker imports what it needs, asks for a turn on the socket that is its standard input, and
    waits there. A turn is one batch; then it asks again. So several can start at once and take
    turns.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        held: int,
        timeout_s: float,
        environment: Mapping[str, str] | None = None,
        *,
        may_block: bool = False,
    ) -> None:
        """Starts the process. Raises LaunchFailed.

        `directory` is the launch's own, `held` the scratch directory's descriptor. Start-up and all
        turns together may take `timeout_s`. The environment is that of another interpreter; None
        for a worker of this one. `may_block`: its two ends might wait for each other, and are
        looked at once a second.
        """
        self._directory = directory
        self._timeout_s = timeout_s
        self.left_s = timeout_s
        """Seconds of `timeout_s` that are left."""
        self._may_block = may_block
        self._said = b""
        self._death: Death | None = None
        self._kills_before = oom_kills()
        with ExitStack() as kept, ExitStack() as given:
            try:
                self._turn, theirs = socket.socketpair()
                kept.enter_context(self._turn)
                given.enter_context(theirs)
                self._server_watch, server_end = os.pipe()
                kept.callback(os.close, self._server_watch)
                given.callback(os.close, server_end)
                tether = Tether(os.getpid(), held, server_end)
                self._process = subprocess.Popen(
                    [*command, f"--tether={tether}"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=tuple(tether.descriptors),
                    start_new_session=True,
                    env=_own_environment() if environment is None else environment,
                )
            except OSError as error:
                reason = f"no worker could be started: {explain_start(error)}"
                raise LaunchFailed(reason) from error
            self._kept = kept.pop_all()
        self._stderr = cast("IO[bytes]", self._process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_group()
        self._kept.close()

    def fileno(self) -> int:
        """The socket on which the worker asks for turns, for a selector to wait on."""
        return self._turn.fileno()

    def turn(self) -> bool:
        """Gives the worker one turn, waits for its end, and returns whether it asks for another.

        Raises LaunchFailed with the reason of a failure.
        """
        began_s = time.monotonic()
        try:
            if self._turn.recv(len(WANTS_TURN), socket.MSG_DONTWAIT) == WANTS_TURN:
                self._turn.sendall(GO)
        except OSError:
            pass  # it ended already, or never got ready; _listen tells which
        ended, gave_up = self._listen()
        self.left_s -= time.monotonic() - began_s
        if not ended and gave_up is None:
            return True
        stopped = "" if ended else self._stopped()
        self._end_group()
        if gave_up is not None:
            raise LaunchFailed(f"{gave_up.what} {self._where()}{stopped}{gave_up.why}")
        code = self._process.returncode
        if code == 0:
            return False
        reason = _reason(self._said.decode("utf-8", "replace"))
        if reason is None:
            death = self._death or Death(describe_exit(code))
            raise LaunchFailed(death.told("the worker", self._where()))
        raise LaunchFailed(f"{reason} {self._where()}" if code == EXIT_INTERRUPTED else reason)

    def _where(self) -> str:
        phase = noted_phase(self._directory)
        return "before its pair was made" if phase is None else f"in the {phase}"

    def _stopped(self) -> str:
        """The end of a sentence that names the processes stopped by a signal; empty if none is."""
        worker = self._process.pid
        known = noted_names(self._directory)
        sides = [
            ("the worker", worker),
            *((known.get(child, "the server"), child) for child in children(worker)),
        ]
        names = [side for side, pid in sides if is_stopped(pid)]
        return f": {' and '.join(names)} stopped by a signal" if names else ""

    def _listen(self) -> tuple[bool, GivenUp | None]:
        """Waits for a turn's end: whether the worker closed stderr, and why the wait was given up.

        A client that blocks just after its server's SIGCHLD came would wait for ever (the signal's
        handler runs between two bytecodes, and none follows). So the driver watches the server
        too, and repeats the signal until the client has noticed.
        """
        standstill = Standstill(self._process.pid, self._directory) if self._may_block else None
        deadline = time.monotonic() + self.left_s
        server_gone_s: float | None = None
        with selectors.PollSelector() as selector:  # takes no descriptor, unlike epoll
            selector.register(self._stderr, selectors.EVENT_READ)
            selector.register(self._server_watch, selectors.EVENT_READ)
            selector.register(self._turn, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if now >= deadline:
                    return False, GivenUp(f"took longer than {self._timeout_s:g} s (--timeout)")
                wait = deadline - now
                if standstill is not None:
                    if standstill.has_lasted(now):
                        return False, BOTH_WAIT
                    wait = min(wait, LOOK_S)
                if server_gone_s is not None:
                    if now - server_gone_s > _SERVER_GONE_LIMIT_S:
                        return False, GivenUp("the server ended and the client didn't")
                    wait = min(wait, _NUDGE_AFTER_S)
                ready = selector.select(wait)
                for key, _ in ready:
                    if key.fileobj is self._turn:
                        if self._wants_turn():
                            return False, None
                        selector.unregister(self._turn)
                    elif key.fd == self._server_watch:
                        selector.unregister(self._server_watch)
                        server_gone_s, standstill = time.monotonic(), None
                    else:
                        part = os.read(self._stderr.fileno(), 4096)
                        if not part:
                            self._stderr.close()
                            return True, None
                        self._said = (self._said + part)[-_MOST_STDERR_BYTES:]
                if not ready and server_gone_s is not None:
                    self._process.send_signal(signal.SIGCHLD)

    def _wants_turn(self) -> bool:
        """Whether the worker asks for a turn; else it has ended, maybe with a turn unread."""
        try:
            return bool(self._turn.recv(len(WANTS_TURN), socket.MSG_PEEK))
        except ConnectionError:
            return False

    def _end_group(self) -> None:
        """Gives a finishing worker a moment, kills the rest of its group, and reaps it.

        The group's id is the worker's, so the system can't reuse it before the worker is reaped. A
        termination signal must not come between the reaping and the record of it.
        """
        with signals_held_back():
            if self._process.returncode is None:
                self._end_and_reap()

    def _end_and_reap(self) -> None:
        process = self._process
        finished = self._stderr.closed
        self._stderr.close()
        deadline = time.monotonic() + (_EXIT_LIMIT_S if finished else 0)
        while (ended := _zombie(process.pid)) is None and time.monotonic() < deadline:
            time.sleep(0.0005)
        if ended is not None:
            self._death = death_of(process.pid, exit_code(ended), self._kills_before)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # nobody is left (macOS answers EPERM for a group of zombies)
        process.wait()
        select.select([self._server_watch], [], [], _EXIT_LIMIT_S)


def _own_environment() -> Mapping[str, str]:
    """An environment in which a worker imports exactly what this process would, from anywhere."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def wait_until_ready(workers: Collection[WorkerProcess]) -> None:
    """Waits until each worker asks for a turn, has ended, or is out of time; `turn` tells which.

    The workers start in parallel, and each is charged its own time: however many are stuck, the
    wait is no longer than the longest time that one of them has left.
    """
    began_s = time.monotonic()
    with selectors.PollSelector() as selector:
        for worker in workers:
            selector.register(worker, selectors.EVENT_READ)
        while waiting := [
            cast("WorkerProcess", key.fileobj) for key in selector.get_map().values()
        ]:
            elapsed_s = time.monotonic() - began_s
            left_s = max(worker.left_s for worker in waiting) - elapsed_s
            ready = [
                cast("WorkerProcess", key.fileobj) for key, _ in selector.select(max(left_s, 0))
            ]
            elapsed_s = time.monotonic() - began_s
            for worker in ready if left_s > 0 else waiting:
                selector.unregister(worker)
                worker.left_s -= elapsed_s


def _zombie(pid: int) -> os.waitid_result | None:
    """How a child ended that isn't waited for yet; None if it runs."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)


def _reason(said: str) -> str | None:
    """The last line of a worker's stderr, without the worker's name in front."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].rpartition(".worker: ")[2] if lines else None
