"""A server's end is told by the same sentence, wherever SIGCHLD breaks into its client.

Each test holds the signal back, ends the server, and lets the signal in at one step after another
of what the client then does: each line of the pair, its peer and the control channel.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed, PeerDied
from ipcbench.measure import control, pair, peer, server
from ipcbench.measure.pair import Pair
from ipcbench.system.scratch import outstanding
from ipcbench.testing.deaths import server_pid
from ipcbench.transports.base import LEDGER, Workspace

STEPPED = {module.__file__ for module in (pair, peer, control)}
"""The files whose lines are the steps."""
MOST_STEPS = 1000
FEWEST_STEPS = 15
"""Fewer would mean that nothing was looked at."""


class Held:
    """SIGCHLD, held back until a step of this process is reached, and its sender has ended.

    It is held back at its handler. A blocked signal goes to another thread, where there is one.
    """

    def __init__(self, pid: int, step: int) -> None:
        self._handler = signal.getsignal(signal.SIGCHLD)
        self._is_open = False
        signal.signal(signal.SIGCHLD, self._gate)
        self._pid = pid
        self._left = step
        self.is_in = False
        """Whether it was let in at its step."""

    def trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        """A trace function that counts the steps; the handler raises in it."""
        if frame.f_code.co_filename not in STEPPED:
            return None
        if event in ("call", "line") and not self.is_in:
            self._left -= 1
            if self._left < 0 and _has_ended(self._pid):
                self.is_in = True
                self.let_in()
        return self.trace

    def let_in(self) -> None:
        """Sends the signal to the handler that was there before, or that was set since."""
        self._is_open = True
        signal.raise_signal(signal.SIGCHLD)

    def _gate(self, number: int, frame: FrameType | None) -> None:
        if self._is_open and callable(self._handler):
            self._handler(number, frame)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False  # it was waited for: nothing more is sent


@contextmanager
def _tracing(held: Held) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(held.trace)
    try:
        yield
    finally:
        sys.settrace(before)


def _told(
    name: str, directory: Path, prepare: Callable[[Pair, int], object], step: int
) -> tuple[str, bool]:
    """What is told of an end of the server, and whether the signal was let in at this step."""
    case = Case("latency", name, 64, "python", "free")
    with Pair(case, None, Workspace(directory)) as pair:
        pid = server_pid(pair)
        prepare(pair, pid)
        held = Held(pid, step)
        with pytest.raises(LaunchFailed) as raised, _tracing(held):
            pair.run(3)
    return str(raised.value), held.is_in


def _all_told(
    name: str, directory: Path, prepare: Callable[[Pair, int], object]
) -> dict[str, list[int]]:
    """The sentences that are told, with the steps at which the signal came."""
    sentences: dict[str, list[int]] = {}
    for step in range(MOST_STEPS):
        told, is_in = _told(name, directory, prepare, step)
        sentences.setdefault(told, []).append(step)
        if not is_in:
            assert step > FEWEST_STEPS
            return sentences
    pytest.fail("it never ends")


def _killed_in_a_batch(pair: Pair, pid: int) -> None:
    """Has the server killed as the batch begins: the next thing met is the broken connection."""
    client, _ = pair._ends()
    batch = client.batch

    def broken_batch(*given: Any) -> float:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return batch(*given)

    vars(client)["batch"] = broken_batch


@pytest.mark.parametrize(
    "name",
    [
        *("unix", "unix-seqpacket", "inet", "pipe", "mp-pipe"),
        *("asyncio-protocol-unix", "uvloop-streams-unix"),
    ],
)
def test_a_kill_is_told_by_one_sentence_wherever_its_signal_breaks_in(
    name: str, tmp_path: Path
) -> None:
    told = _all_told(name, tmp_path, _killed_in_a_batch)
    assert list(told) == ["the server was killed by SIGKILL in the timed batch"], told


@pytest.mark.parametrize("name", ["unix", "sysv-shm"])
def test_a_servers_report_is_told_wherever_its_signal_breaks_in(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(server.Server, "_run", fail)
    told = _all_told(name, tmp_path, lambda _pair, _pid: None)
    expected = "the server failed in the timed batch: RuntimeError: no such luck"
    assert list(told) == [expected], told


def test_a_check_that_failed_is_told_wherever_a_kills_signal_breaks_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(pair: Pair, pid: int) -> None:
        def check(_messages: int) -> NoReturn:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            raise CheckFailed("a message came back changed")

        monkeypatch.setattr(pair._ends()[1], "verify_batch", check)

    told = _all_told("pipe", tmp_path, failing)
    assert list(told) == ["a message came back changed"], told


@pytest.mark.parametrize("once_more", [False, True], ids=["once", "while it is reported, too"])
@pytest.mark.parametrize("name", ["unix", "sysv-shm"])
def test_an_end_told_where_python_only_reports_what_is_raised_is_told_again(
    name: str, once_more: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def start_among_signals(thread: threading.Thread) -> None:
        signal.raise_signal(signal.SIGCHLD)
        start(thread)
        signal.raise_signal(signal.SIGCHLD)

    if once_more:
        monkeypatch.setattr(threading.Thread, "start", start_among_signals)
    case = Case("latency", name, 64, "python", "free")
    with Pair(case, None, Workspace(tmp_path)) as pair:
        client, _ = pair._ends()
        held, batch = Held(server_pid(pair), 0), client.batch

        class Destroyed:
            def __del__(self) -> None:
                os.kill(server_pid(pair), signal.SIGKILL)
                os.waitid(os.P_PID, server_pid(pair), os.WEXITED | os.WNOWAIT)
                held.let_in()

        def batch_with_garbage(*given: Any) -> float:
            garbage = Destroyed()
            del garbage
            return batch(*given)  # over shared memory it waits for ever

        vars(client)["batch"] = batch_with_garbage
        with pytest.raises(PeerDied, match="was killed by SIGKILL in the timed batch"):
            pair.run(3)


@pytest.mark.parametrize("name", ["unix", "sysv-shm", "fifo"])
def test_an_end_seen_while_a_pair_is_closed_costs_nothing_and_leaves_nothing(
    name: str, tmp_path: Path
) -> None:
    case = Case("latency", name, 64, "python", "free")
    is_in, step = True, 0
    while is_in:
        pair = Pair(case, None, Workspace(tmp_path)).__enter__()
        pair.run(3)
        pid = server_pid(pair)
        held = Held(pid, step)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with _tracing(held):
            pair.__exit__(None, None, None)
        is_in, step = held.is_in, step + 1
        assert gc.isenabled()
        assert not _is_there(pid)
        assert _outstanding(tmp_path) == []
        assert {path.name for path in tmp_path.iterdir()} <= {LEDGER}
    assert step > FEWEST_STEPS


def test_an_end_between_two_batches_is_told_by_the_next(tmp_path: Path) -> None:
    with Pair(Case("latency", "pipe", 64, "python", "free"), None, Workspace(tmp_path)) as pair:
        pair.run(3)
        pid = server_pid(pair)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert pair.facts()  # nothing breaks in here
        with pytest.raises(PeerDied, match="the server was killed by SIGKILL in the"):
            pair.run(3)


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _outstanding(directory: Path) -> list[tuple[str, int]]:
    ledger = directory / LEDGER
    return outstanding(ledger.read_text(encoding="ascii")) if ledger.exists() else []
