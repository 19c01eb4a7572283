"""A server's end is told by the same sentence, wherever SIGCHLD breaks into its client.

`stepping` holds the signal back, ends the server, and lets the signal in at one step after another
of what the client then does: each line of the pair, its peer and the control channel.
"""

import gc
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from ipcbench.case import Case
from ipcbench.errors import PeerDied
from ipcbench.measure.pair import Pair
from ipcbench.system.scratch import outstanding
from ipcbench.testing.deaths import server_pid
from ipcbench.transports.base import LEDGER, Workspace
from tests.command import run
from tests.contract.stepping import Held, tracing

FEWEST_STEPS = 15
"""Fewer would mean that nothing was looked at."""


def _told(end: str, name: str, directory: Path) -> list[str]:
    """The sentences that are told of a server's end, whatever the step that its signal comes at."""
    done = run("-W", "error", "-m", "tests.contract.stepping", end, name, str(directory))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told: dict[str, list[int]] = json.loads(done.stdout)
    assert sum(map(len, told.values())) - 1 > FEWEST_STEPS  # after the last, nothing was let in
    return list(told)


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
    expected = "the server was killed by SIGKILL in the timed batch"
    assert _told("kill", name, tmp_path) == [expected]


@pytest.mark.parametrize("name", ["unix", "sysv-shm"])
def test_a_servers_report_is_told_wherever_its_signal_breaks_in(name: str, tmp_path: Path) -> None:
    expected = "the server failed in the timed batch: RuntimeError: no such luck"
    assert _told("report", name, tmp_path) == [expected]


def test_a_check_that_failed_is_told_wherever_a_kills_signal_breaks_in(tmp_path: Path) -> None:
    assert _told("failed check", "pipe", tmp_path) == ["a message came back changed"]


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
        with tracing(held):
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
