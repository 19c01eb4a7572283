"""What a driver does about workers that can't be started, or never get ready."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.results.launches import Measured
from ipcbench.run.launcher import WorkerLauncher
from ipcbench.run.request import Effort
from ipcbench.run.worker_process import WorkerProcess, wait_until_ready
from ipcbench.system.scratch import Scratch, scratch

CASES = [Case("latency", name, 64, "python", "free") for name in ("unix", "pipe")]
_A_START_TAKES = 9
"""A socket pair, a pipe, the null device, and two pipes of subprocess's."""


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_below(limit: int) -> set[int]:
    return set(filter(_is_open, range(limit)))


@contextmanager
def _free_descriptors(count: int) -> Iterator[None]:
    """Inside, this process may open so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 0
    while limit + 1 - len(_open_below(limit + 1)) <= count:
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("count", range(_A_START_TAKES))
def test_a_worker_that_too_few_descriptors_are_left_for_fails_its_launch_and_leaks_none(
    count: int, tmp_path: Path
) -> None:
    with scratch() as private:
        before = _open_below(256)
        with _free_descriptors(count):
            with pytest.raises(LaunchFailed, match="may open no more files; raise its limit") as e:
                WorkerProcess([sys.executable, "-c", ""], tmp_path, private.held, 30.0)
            assert str(e.value).startswith("no worker could be started: ")
        assert _open_below(256) == before


def test_turns_take_no_descriptor(tmp_path: Path) -> None:
    with (
        scratch() as private,
        WorkerProcess([sys.executable, "-c", ""], tmp_path, private.held, 30.0) as worker,
        _free_descriptors(0),
    ):
        assert not worker.turn()


def test_launches_without_room_for_their_directories_fail_with_the_reason(tmp_path: Path) -> None:
    launcher = WorkerLauncher(Scratch(tmp_path / "gone", 0, {}), {"free": None}, Effort())
    outcomes = [(case, str(outcome)) for case, outcome in launcher.calibrate(CASES)]
    assert [case for case, _ in outcomes] == CASES
    assert all(told.startswith("no directory for a launch could be made: ") for _, told in outcomes)


@pytest.mark.parametrize(
    ("workload", "messages"),
    [("latency", 10_000), ("latency:clients=2", 5_000), ("throughput:clients=2", 5_000)],
)
def test_messages_are_by_the_fastest_batch_and_of_many_clients_by_the_longest(
    workload: str, messages: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(workload, "unix", 64, "python", "free")
    batches = [(1, 1e-3), (64, 2e-6), (128, 4e-6)]
    if case.clients.number > 1:  # of short batches there may be no time that is common to all
        batches = [(64, 0.0), (64, 1e-9), (128, 4e-6)]
    launcher = WorkerLauncher(
        Scratch(tmp_path, 0, {}), {"free": None}, Effort(values=1, min_time_s=20e-3)
    )
    found = Measured((), 128, tuple(batches))
    monkeypatch.setattr(launcher, "_launched", lambda _: [(case, found)])
    assert list(launcher.calibrate([case])) == [(case, messages)]


def test_workers_that_never_get_ready_share_one_time_limit_and_cost_others_nothing(
    tmp_path: Path,
) -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    prompt = [sys.executable, "-c", "import os; os.write(0, b'r'); os.read(0, 1)"]
    with scratch() as private, ExitStack() as started:
        first, good, last = (
            started.enter_context(WorkerProcess(command, tmp_path, private.held, limit_s))
            for command, limit_s in ((silent, 0.1), (prompt, 30.0), (silent, 0.1))
        )
        wait_until_ready([first, good, last])
        assert first.left_s == last.left_s <= 0  # given up at one moment, for both of them
        assert good.left_s > 0
        for worker in (first, last):
            with pytest.raises(LaunchFailed, match=r"took longer than 0\.1 s \(--timeout\)"):
                worker.turn()
            assert worker.left_s <= 0
        assert not good.turn()


def test_a_failure_does_not_tell_where_an_interpreter_is(tmp_path: Path) -> None:
    """Reasons are kept in files, which are published."""
    gone, broken = tmp_path / "secret" / "gone", tmp_path / "secret" / "broken"
    broken.parent.mkdir()
    broken.write_text(f"#!/bin/sh\necho '{broken}: No module named ipcbench' >&2\nexit 1\n")
    broken.chmod(0o755)
    cases = [CASES[0]._replace(interpreter=label) for label in ("gone", "broken")]
    programs = {"gone": gone, "broken": broken}
    with scratch() as private:
        launcher = WorkerLauncher(private, {"free": None}, Effort(), programs)
        failed = dict(launcher.measure([(case, 1) for case in cases], 1))
    reasons = [str(failed[case]) for case in cases]
    assert reasons[0] == "no worker could be started: [Errno 2] No such file or directory: 'python'"
    assert reasons[1] == "python: No module named ipcbench"


def test_another_interpreter_gets_no_path_of_this_ones_packages(tmp_path: Path) -> None:
    told = tmp_path / "told"
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\necho "$* ${{PYTHONPATH-none}} $LANGUAGE" >{told}\n')
    other.chmod(0o755)
    case = CASES[0]._replace(interpreter="other")
    with scratch() as private, pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", "/elsewhere")
        patched.setenv("LANGUAGE", "la")
        launcher = WorkerLauncher(private, {"free": None}, Effort(), {"other": other})
        list(launcher.measure([(case, 1)], 1))
    words = told.read_text().split()
    assert words[:4] == ["-P", "-m", "ipcbench.measure.worker", CASES[0].id]
    assert words[-2:] == ["none", "la"]


_DIES_UNREAD = """
import os, select, signal
from ipcbench.measure.tether import WANTS_TURN
if not os.fork():  # holds the standard error open for a while after the worker's end
    os.close(0)
    select.select([], [], [], 0.3)
    os._exit(0)
os.write(0, WANTS_TURN)
select.select([0], [], [])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_dies_with_its_turn_unread_fails_its_launch_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DIES_UNREAD]
    with scratch() as private, WorkerProcess(command, tmp_path, private.held, 60.0) as worker:
        wait_until_ready([worker])
        with pytest.raises(LaunchFailed, match="the worker was killed by SIGKILL"):
            worker.turn()
