"""Kill the server, the worker, the driver: no hang, no leftovers, nothing measured lost."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.measure import drivers
from ipcbench.measure.tether import noted_phase
from ipcbench.results import store
from ipcbench.run.driver import shuffled_groups
from ipcbench.transports.registry import get_transport, transports
from tests.command import environment, until

_T = TypeVar("_T")

LIMIT_S = 5.0
PHASE = "(timed batch|payload check|wait for its turn)"
"""Calibration's batches double, with a check after each and turns between them."""
_LOOK_EVERY_S = 0.01
"""Looking without a pause would take a core from what is looked for."""
ALL = "IPCBENCH_TEST_ALL"
"""Set by `make chaos`: kill over every mechanism, not one of each kind."""
_LEAVING_MOST = ("unix", "sysv-shm", "sysv-msg", "posix-mq", "mp-queue-pickle")
"""What has most to leave behind: a socket file, semaphores, queues, threads."""
_ONE_OF_EACH_KIND = (
    *_LEAVING_MOST,
    *("inet", "inet-udp", "unix-dgram", "pipe", "sysv-shm-spin", "shm-futex", "memfd-eventfd"),
    "process-vm",
)


def _mechanisms(usual: tuple[str, ...]) -> list[str]:
    return [
        transport.name
        for transport in transports()
        if not transport.is_control
        and transport.unavailable() is None
        and (os.environ.get(ALL) or transport.name in usual)
    ]


MECHANISMS = [*_mechanisms(_ONE_OF_EACH_KIND), "sysv-shm:wait=adaptive"]
LEAVING_MOST = _mechanisms(_LEAVING_MOST)
SLOW = ("--rounds=3", "--values=1", "--warmups=0", "--min-time=60s", "--timeout=100s")
"""One batch that lasts far longer than the test: whatever is killed is killed inside it."""
SEVERAL = ("--rounds=500", "--values=2", "--warmups=0", "--min-time=5ms")


@contextmanager
def _comparing(*arguments: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ipcbench", "compare", *arguments, "-o", "run.json"],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _eventually(what: Callable[[], _T | None], patience_s: float = 60) -> _T:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except psutil.NoSuchProcess:
            pass  # it ended while it was looked at
        time.sleep(_LOOK_EVERY_S)
    raise AssertionError("never appeared")


def _children(pid: int) -> list[psutil.Process]:
    """A process's children, without a look at all processes where Linux has a list of them."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # it ended, or there is no such list
        return psutil.Process(pid).children()
    return [psutil.Process(int(child)) for child in listed.split()]


def _worker(driver: int, case: str) -> psutil.Process | None:
    """The worker that measures a case whose id holds this."""
    for child in _children(driver):
        command = child.cmdline()
        if "ipcbench.measure.worker" in command and any(case in word for word in command):
            return child
    return None


def _server(driver: int, case: str) -> psutil.Process | None:
    worker = _worker(driver, case)
    children = _children(worker.pid) if worker else []
    return children[0] if children else None


def _busy_server(driver: int, case: str) -> psutil.Process | None:
    """The server once it has worked: it is past the hand-shake and inside a batch."""
    server = _server(driver, case)
    if server is None or sum(server.cpu_times()[:2]) < 0.05:
        return None
    return server


def _failure_told(driver: "subprocess.Popen[str]") -> str:
    """The line in which the driver tells a first failure; it must come within the limit."""
    assert driver.stderr is not None
    began = time.monotonic()
    failure = next(line for line in driver.stderr if line.startswith("trying again: "))
    assert time.monotonic() - began < LIMIT_S
    return failure.strip()


def _finished_launches(path: Path, of: str = "") -> int:
    """The launches in a file, of cases whose id begins so."""
    if not path.exists():
        return 0
    return sum(launch.case.id.startswith(of) for launch in store.load(path).launches())


def _hardest(name: str) -> tuple[str, ...]:
    """What to run where nothing but the end counts: the loop in C, which no bytecode breaks."""
    case = Case("latency", name, 64, "native")
    limited = drivers.unavailable("native") or drivers.rejects(case)
    return "--sizes=64", "--workloads=latency", f"--loop={'python' if limited else 'native'}"


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_killed_server_fails_its_case_with_the_reason(name: str, tmp_path: Path) -> None:
    # The contract tests kill servers over every loop and workload; here is the way to the table.
    streams = get_transport(name).has("throughput") and MECHANISMS.index(name) % 2
    workload = f"--workloads={'throughput' if streams else 'latency'}"
    options = (name, *_hardest(name), workload)
    with _comparing(*options, *SLOW, cwd=tmp_path) as driver:
        server = _eventually(lambda: _busy_server(driver.pid, f"/{name}/"))
        server.kill()
        failure = _failure_told(driver)
    assert re.search(f"the server was killed by SIGKILL in the {PHASE}", failure)


def test_a_server_that_has_used_its_cpu_time_up_is_told_with_the_limit(tmp_path: Path) -> None:
    options = ("pipe", "--sizes=64", "--workloads=throughput")
    with _comparing(*options, *SLOW, cwd=tmp_path) as driver:
        server = _eventually(lambda: _busy_server(driver.pid, "/pipe/"))
        server.rlimit(psutil.RLIMIT_CPU, (1, 1))
        assert driver.stderr is not None
        failure = next(line for line in driver.stderr if line.startswith("trying again: "))
    assert re.search(
        f"the server was killed by SIGKILL in the {PHASE}: it had used .* its hard limit RLIMIT_CPU"
        " is 1 s; raise it with ulimit -t",
        failure,
    )


def test_a_server_killed_while_its_pair_waits_for_a_turn_is_told_as_that(tmp_path: Path) -> None:
    options = ("pipe", "unix", "--sizes=64", "--workloads=latency", "--rounds=1", "--values=2")
    with _comparing(*options, "--warmups=0", "--min-time=300ms", cwd=tmp_path) as driver:
        _eventually(lambda: _launching(driver.pid))
        waiting, stopped = _eventually(lambda: _waiting(driver.pid))
        case = next(word for word in waiting.cmdline() if word.startswith("latency/"))
        waiting.kill()
        stopped.resume()
        out, err = driver.communicate(timeout=60)
    assert driver.returncode == 0
    assert f"trying again: {case}: the server was killed by SIGKILL in the wait for its turn" in err
    assert f"retried: {case}" in out


def _launching(driver: int) -> psutil.Process | None:
    """A worker that measures, when calibration is over."""
    worker = _worker(driver, "latency/")
    return worker if worker and any("--loops=" in word for word in worker.cmdline()) else None


def _waiting(driver: int) -> tuple[psutil.Process, psutil.Process] | None:
    """The server of a pair that waits for its turn, and the other's, stopped in its own turn.

    As long as that one is stopped, the first waits.
    """
    for name, other in (("pipe", "unix"), ("unix", "pipe")):
        worker, server = _worker(driver, f"/{name}/"), _server(driver, f"/{other}/")
        if worker is None or server is None or not _waits(worker):
            continue
        server.suspend()
        if _waits(worker) and (children := _children(worker.pid)):
            return children[0], server
        server.resume()
    return None


def _waits(worker: psutil.Process) -> bool:
    """Whether a worker has noted that it waits for its turn."""
    option = next((word for word in worker.cmdline() if word.startswith("--directory=")), "")
    return noted_phase(Path(option.removeprefix("--directory="))) == "wait for its turn"


@pytest.mark.parametrize("name", LEAVING_MOST)
def test_a_killed_worker_fails_its_case_and_takes_its_server_along(
    name: str, tmp_path: Path
) -> None:
    with _comparing(name, *_hardest(name), *SLOW, cwd=tmp_path) as driver:
        server = _eventually(lambda: _busy_server(driver.pid, f"/{name}/"))
        worker = _eventually(lambda: _worker(driver.pid, f"/{name}/"))
        worker.kill()
        failure = _failure_told(driver)
        assert psutil.wait_procs([server], LIMIT_S)[1] == []
    assert re.search(f"the worker was killed by SIGKILL in the {PHASE}$", failure)


@pytest.mark.parametrize("name", LEAVING_MOST)
def test_a_killed_driver_takes_all_along(name: str, tmp_path: Path) -> None:
    with _comparing(name, *_hardest(name), *SLOW, cwd=tmp_path) as driver:
        processes = [
            _eventually(lambda: _busy_server(driver.pid, f"/{name}/")),
            _eventually(lambda: _worker(driver.pid, f"/{name}/")),
        ]
        driver.kill()
        assert psutil.wait_procs(processes, LIMIT_S)[1] == []
    # The janitor, the directory and the semaphores: the fixture `leaves_nothing_behind`.


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_saves_and_shows_what_was_measured(
    stop: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    with _comparing("pipe", "--sizes=64", *SEVERAL, "--save=good", cwd=tmp_path) as driver:
        until(driver, lambda: _finished_launches(path) >= 8)
        driver.send_signal(stop)
        out, err = driver.communicate(timeout=LIMIT_S)
    assert driver.returncode == 130
    assert f"ipcbench: interrupted by {stop.name}; the table is of what was measured" in err
    assert "saved: run.json" in err
    assert "not kept as 'good': the run was broken off" in err
    assert not (tmp_path / "results").exists()
    assert "Latency (round trip), 64 B" in out
    assert f"{_finished_launches(path)} launches" in out


def test_a_driver_killed_at_any_moment_leaves_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with _comparing("pipe", "--sizes=64", *SEVERAL, cwd=tmp_path) as driver:
        until(driver, lambda: _finished_launches(path) >= 5)
        before = _finished_launches(path)
        driver.kill()
        driver.wait()
    assert _finished_launches(path) >= before
    named = {"run.json", "run.json.journal"}
    others = [p.name for p in tmp_path.iterdir() if p.name not in named]
    assert len(others) <= 1
    assert all(re.fullmatch(r"\.run\.json\.[0-9a-f]{8}\.tmp", name) for name in others)


LATER = ("pipe", "--sizes=64", "--workloads=latency", "--values=4", "--min-time=100ms")


def _kill_a_server_after_the_first_launch(driver: "subprocess.Popen[str]", path: Path) -> None:
    until(driver, lambda: _finished_launches(path, "latency/pipe"))
    victim = _eventually(lambda: _server(driver.pid, "latency/pipe/"))
    os.kill(victim.pid, signal.SIGKILL)


def test_a_launch_whose_server_was_killed_is_made_again_and_nothing_is_missing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.json"
    with _comparing(*LATER, "--rounds=3", cwd=tmp_path) as driver:
        _kill_a_server_after_the_first_launch(driver, path)
        out, err = driver.communicate(timeout=60)
    assert driver.returncode == 0
    assert err.count("trying again: latency/pipe/64/python/cross-core: the server was killed") == 1
    assert "retried: latency/pipe/64/python/cross-core: launches that failed" in out
    assert _finished_launches(path) == 2 * 3


def test_a_case_whose_server_is_killed_twice_keeps_its_launches_and_shows_no_number(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.json"
    with _comparing(*LATER, "--rounds=4", cwd=tmp_path) as driver:
        _kill_a_server_after_the_first_launch(driver, path)
        _failure_told(driver)
        victim = _eventually(lambda: _server(driver.pid, "latency/pipe/"))
        os.kill(victim.pid, signal.SIGKILL)
        out, _ = driver.communicate(timeout=60)
    assert driver.returncode == 3
    assert "the server was killed by SIGKILL" in out
    assert re.search(r"^pipe +failed *$", out, re.MULTILINE)
    results = store.load(path)
    assert results.finished()[Case.parse("latency/pipe/64/python/cross-core")]


def test_a_stopped_server_ends_with_the_launch_time_limit(tmp_path: Path) -> None:
    options = ("unix", "--sizes=64", "--workloads=latency", "--min-time=60s", "--timeout=1s")
    with _comparing(*options, "--rounds=1", cwd=tmp_path) as driver:
        server = _eventually(lambda: _server(driver.pid, "/unix/"))
        server.suspend()
        out, err = driver.communicate(timeout=30)
    assert driver.returncode == 3
    assert "took longer than 1 s (--timeout)" in out
    assert re.search(r"trying again: .*: the server stopped by a signal\n", err)


def test_a_worker_that_never_gets_ready_ends_with_the_launch_time_limit(tmp_path: Path) -> None:
    from ipcbench.errors import LaunchFailed
    from ipcbench.run.worker_process import WorkerProcess, wait_until_ready
    from ipcbench.system.scratch import scratch

    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    with scratch() as private, WorkerProcess(silent, tmp_path, private.held, 0.3) as worker:
        wait_until_ready([worker])
        with pytest.raises(LaunchFailed, match=r"0\.3 s \(--timeout\) before its pair was made"):
            worker.turn()


PACED = ("latency:gap=100ms", "latency:gap=100ms:gap-by=spin", "latency:work=10ms")
FLOWING = ("latency:window=8", "throughput:batch=16", "throughput:duplex=on")


LOADED = ("load:rate=50", "load:rate=5000:arrivals=poisson:window=8")
"""A generator that waits for a time, and one that is busy."""


def _pipe_first(workload: str) -> str:
    """The option of a seed by which pipe's batch, which lasts so long, is before that of null.

    A load has no calibration, in which the order would make no difference.
    """
    cases = [Case(workload, name, 64) for name in ("pipe", "null")]
    seeds = (seed for seed in range(99) if shuffled_groups(cases, seed, 1, 2)[0][0] == cases[0])
    return f"--seed={next(seeds)}"


def _server_in_a_batch(driver: int, case: str) -> tuple[psutil.Process, psutil.Process] | None:
    """A worker that is past the hand-shake, inside a batch, and its server."""
    worker, server = _worker(driver, case), _server(driver, case)
    if worker is None or server is None:
        return None
    option = next((word for word in worker.cmdline() if word.startswith("--directory=")), "")
    phase = noted_phase(Path(option.removeprefix("--directory=")))
    return (worker, server) if phase == "timed batch" else None


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("workload", [*PACED, *FLOWING, *LOADED])
def test_a_server_killed_with_a_knob_of_its_workload_fails_its_case_with_the_reason(
    workload: str, loop: Loop, tmp_path: Path
) -> None:
    if reason := drivers.unavailable(loop):
        pytest.skip(reason)
    options = ("pipe", "--sizes=64", f"--workloads={workload}", f"--loop={loop}")
    with _comparing(*options, _pipe_first(workload), *SLOW, cwd=tmp_path) as driver:
        _, server = _eventually(lambda: _server_in_a_batch(driver.pid, "/pipe/"))
        server.kill()
        failure = _failure_told(driver)
    assert re.search(f"the server was killed by SIGKILL in the {PHASE}", failure)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("workload", LOADED)
def test_a_generator_that_is_killed_fails_its_case_and_takes_its_server_along(
    workload: str, loop: Loop, tmp_path: Path
) -> None:
    if reason := drivers.unavailable(loop):
        pytest.skip(reason)
    options = ("pipe", "--sizes=64", f"--workloads={workload}", f"--loop={loop}")
    with _comparing(*options, _pipe_first(workload), *SLOW, cwd=tmp_path) as driver:
        worker, server = _eventually(lambda: _server_in_a_batch(driver.pid, "/pipe/"))
        worker.kill()
        failure = _failure_told(driver)
        assert psutil.wait_procs([server], LIMIT_S)[1] == []
    assert re.search(f"the worker was killed by SIGKILL in the {PHASE}$", failure)


@pytest.mark.parametrize("workload", [*PACED, *FLOWING, *LOADED])
def test_a_driver_killed_with_a_knob_of_its_workload_takes_all_along(
    workload: str, tmp_path: Path
) -> None:
    loop = "python" if drivers.unavailable("native") else "native"
    options = ("pipe", "--sizes=64", f"--workloads={workload}", f"--loop={loop}")
    with _comparing(*options, _pipe_first(workload), *SLOW, cwd=tmp_path) as driver:
        processes = _eventually(lambda: _server_in_a_batch(driver.pid, "/pipe/"))
        driver.kill()
        assert psutil.wait_procs(processes, LIMIT_S)[1] == []
