"""Whether two processes are seen to wait for each other, and no others."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from ipcbench.errors import LaunchFailed
from ipcbench.measure.tether import PhaseNote
from ipcbench.run import standstill
from ipcbench.run.standstill import STANDSTILL_S, Standstill
from ipcbench.run.worker_process import WorkerProcess, wait_until_ready
from ipcbench.system.process import is_stopped, turns_asleep
from ipcbench.system.scratch import scratch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")

ENDS = """
import os, sys
from pathlib import Path
from ipcbench.measure.tether import PhaseNote
os.write(0, b"r")
os.read(0, 1)
PhaseNote(Path(sys.argv[1])).write(sys.argv[2])
never, _ = os.pipe()
os.fork()
os.read(never, 1)
"""
"""A worker and its server that both sleep for ever, in the phase that is named."""


class Sleepers(NamedTuple):
    """A child, and the child of that one; both sleep until a byte comes, and then again."""

    worker: int
    server: int
    wake: Callable[[], None]
    """Wakes one of them, and returns when it ran."""


@contextmanager
def _sleeping_pair() -> Iterator[Sleepers]:
    told, tell = os.pipe()
    wake, waker = os.pipe()
    worker = os.fork()
    if worker == 0:
        server = os.fork()
        if server:
            os.write(tell, f"{server}\n".encode())
        while os.read(wake, 1):
            os.write(tell, b"ran\n")
        os._exit(0)

    def wake_one() -> None:
        os.write(waker, b"x")
        assert os.read(told, 4) == b"ran\n"

    try:
        server = int(os.read(told, 32))
        yield Sleepers(worker, server, wake_one)
    finally:
        for pid in (server, worker):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(worker, 0)
        for descriptor in (told, tell, wake, waker):
            os.close(descriptor)


def _await_sleep(sleepers: Sleepers) -> None:
    while None in (turns_asleep(sleepers.worker), turns_asleep(sleepers.server)):
        pass


def _note(directory: Path, phase: str) -> None:
    PhaseNote(directory).write(phase)


def _looks(watch: Standstill) -> list[bool]:
    return [watch.has_lasted(number * STANDSTILL_S / 5) for number in range(7)]


@pytest.mark.parametrize("phase", ["timed batch", "sampled burst", "payload check"])
def test_two_that_sleep_while_messages_should_move_stand_still(phase: str, tmp_path: Path) -> None:
    _note(tmp_path, phase)
    with _sleeping_pair() as pair:
        _await_sleep(pair)
        assert _looks(Standstill(pair.worker, tmp_path)) == [*[False] * 5, True, True]


@pytest.mark.parametrize("phase", ["hand-shake", "wait for its turn", "save of its values"])
def test_two_that_sleep_in_another_phase_do_not(phase: str, tmp_path: Path) -> None:
    _note(tmp_path, phase)
    with _sleeping_pair() as pair:
        _await_sleep(pair)
        assert not any(_looks(Standstill(pair.worker, tmp_path)))


def test_a_worker_without_a_server_waits_for_nobody(tmp_path: Path) -> None:
    _note(tmp_path, "timed batch")
    with _sleeping_pair() as pair:
        _await_sleep(pair)
        assert not any(_looks(Standstill(pair.server, tmp_path)))


def test_a_clock_that_jumps_makes_no_standstill(tmp_path: Path) -> None:
    _note(tmp_path, "timed batch")
    with _sleeping_pair() as pair:
        _await_sleep(pair)
        watch = Standstill(pair.worker, tmp_path)
        assert not watch.has_lasted(0.0)
        assert not watch.has_lasted(100 * STANDSTILL_S)


def test_an_end_that_ran_in_between_moves(tmp_path: Path) -> None:
    """It slept at each look, and only its number of turns tells that it didn't all the time."""
    _note(tmp_path, "timed batch")
    with _sleeping_pair() as pair:
        watch = Standstill(pair.worker, tmp_path)
        for number in range(7):
            _await_sleep(pair)
            assert not watch.has_lasted(number * STANDSTILL_S / 5)
            pair.wake()


def test_a_process_that_is_stopped_or_gone_does_not_sleep() -> None:
    with _sleeping_pair() as pair:
        worker = pair.worker
        _await_sleep(pair)
        before = turns_asleep(worker)
        assert before is not None
        assert turns_asleep(worker) == before
        os.kill(worker, signal.SIGSTOP)
        while not is_stopped(worker):
            pass
        assert turns_asleep(worker) is None
        os.kill(worker, signal.SIGCONT)
    assert turns_asleep(worker) is None
    assert turns_asleep(os.getpid()) is None  # it runs


def test_a_launch_whose_ends_wait_for_each_other_ends_long_before_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STANDSTILL_S", 2.0)
    command = [sys.executable, "-c", ENDS, str(tmp_path), "timed batch"]
    with (
        scratch() as private,
        WorkerProcess(command, tmp_path, private.held, 300.0, may_block=True) as worker,
    ):
        wait_until_ready([worker])
        with pytest.raises(LaunchFailed) as failed:
            worker.turn()
        assert str(failed.value) == (
            "both ends wait for each other in the timed batch: nothing moved for 10 s; fewer"
            " messages in flight (window=...) or larger buffers would fit"
        )
        assert worker.left_s > 200


def test_one_that_has_one_message_in_flight_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STANDSTILL_S", 0.0)
    command = [sys.executable, "-c", ENDS, str(tmp_path), "timed batch"]
    with (
        scratch() as private,
        WorkerProcess(command, tmp_path, private.held, 3.0) as worker,
    ):
        wait_until_ready([worker])
        with pytest.raises(LaunchFailed, match=r"took longer than 3 s \(--timeout\)"):
            worker.turn()
