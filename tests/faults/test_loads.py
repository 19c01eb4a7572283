"""A server that dies or stands still under an open loop, at any moment, whoever generates it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import PeerDied
from ipcbench.measure import drivers
from ipcbench.measure.pair import Pair
from ipcbench.measure.responses import Responses
from ipcbench.testing.deaths import endless
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport

WAITING, BUSY = "load:rate=50", "load:rate=5000:window=8"
"""A generator that waits for a time, and one that has messages in flight."""
WAITS = ("pipe", "sysv-shm", "sysv-shm-spin", "posix-mq", "sysv-msg")
"""Mechanisms by how an end looks for a message: a descriptor, a semaphore, a word, two queues."""
DELAYS_S = (0.0, 0.001, 0.03)
"""From the beginning of the batch to the fault: with the schedule not made yet, and in the loop."""
PATIENCE_S = 5.0
PAUSE_S = 0.08


def _case(workload: str, name: str, loop: Loop) -> Case:
    reason = drivers.unavailable(loop) or get_transport(name).unavailable()
    if reason is not None:
        pytest.skip(reason)
    return Case(workload, name, 64, loop, "free")


class _Batches:
    """Tells when a batch begins."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()

    def note(self, phase: str) -> None:
        if phase == "timed batch":
            self.has_begun.set()


@contextmanager
def _done_meanwhile(work: "threading.Thread") -> Iterator[None]:
    work.start()
    try:
        yield
    finally:
        work.join(2 * PATIENCE_S)
        assert not work.is_alive()


@pytest.mark.parametrize("delay_s", DELAYS_S)
@pytest.mark.parametrize("workload", [WAITING, BUSY])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", WAITS)
def test_a_server_that_dies_is_told_in_the_usual_sentence(
    name: str, loop: Loop, workload: str, delay_s: float, tmp_path: Path
) -> None:
    case, batches, told = _case(workload, name, loop), _Batches(), threading.Event()

    def kill(server: int) -> None:
        """Repeats the signal, as the driver does, for a client that was about to sleep."""
        assert batches.has_begun.wait(PATIENCE_S)
        time.sleep(delay_s)
        os.kill(server, signal.SIGKILL)
        while not told.wait(0.05):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGCHLD)

    with Pair(case, None, Workspace(tmp_path), note_phase=batches.note) as pair:
        pair.run(3)
        batches.has_begun.clear()
        with _done_meanwhile(threading.Thread(target=kill, args=(pair.server_pid,))):
            began_s = time.monotonic()
            with pytest.raises(PeerDied) as died:
                pair.run(endless(case))
            told.set()
    assert str(died.value) == "the server was killed by SIGKILL in the timed batch"
    assert time.monotonic() - began_s < PATIENCE_S


@pytest.mark.parametrize("window", [1, 64])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["pipe", "posix-shm", "shm-futex"])
def test_a_server_that_stands_still_for_a_while_delays_a_load_and_loses_nothing(
    name: str, loop: Loop, window: int, tmp_path: Path
) -> None:
    rate, messages = 2_000, 2_000
    case, batches = _case(f"load:rate={rate}:window={window}", name, loop), _Batches()
    paused: list[float] = []

    def stop(server: int) -> None:
        """Comes to its turn late on a busy machine: the batch, of a second, is still running."""
        assert batches.has_begun.wait(PATIENCE_S)
        time.sleep(0.05)
        began_s = time.monotonic()
        os.kill(server, signal.SIGSTOP)
        time.sleep(PAUSE_S)
        paused.append(time.monotonic() - began_s)
        os.kill(server, signal.SIGCONT)

    responses = Responses()
    with Pair(case, None, Workspace(tmp_path), note_phase=batches.note) as pair:
        pair.run(20)
        batches.has_begun.clear()
        with _done_meanwhile(threading.Thread(target=stop, args=(pair.server_pid,))):
            pair.run(messages)
        responses.add(pair.last_batch, pair.delivered_count)
        batch = pair.last_batch
        pair.check()
    facts = responses.facts()
    counts = ("offered", "sent", "delivered", "answered")
    assert [facts[f"load_{side}_count"] for side in counts] == [messages] * 4
    took = [end - due for due, end in zip(batch.intended_ns, batch.answered_ns, strict=True)]
    late = sum(one > PAUSE_S * 1e9 / 2 for one in took)
    assert max(took) > 0.9 * paused[0] * 1e9
    assert late > 0.8 * rate * PAUSE_S / 2  # each that was due meanwhile, and not one of them
    if window == 1:
        assert batch.held_back_count >= 0.8 * rate * PAUSE_S


def test_a_server_that_is_stopped_and_then_killed_ends_a_load(tmp_path: Path) -> None:
    case, batches = _case(BUSY, "unix", "python"), _Batches()

    def kill(server: int) -> None:
        assert batches.has_begun.wait(PATIENCE_S)
        os.kill(server, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(server, signal.SIGKILL)

    with Pair(case, None, Workspace(tmp_path), note_phase=batches.note) as pair:
        pair.run(3)
        batches.has_begun.clear()
        with (
            _done_meanwhile(threading.Thread(target=kill, args=(pair.server_pid,))),
            pytest.raises(PeerDied, match="the server was killed by SIGKILL in the timed batch"),
        ):
            pair.run(endless(case))
