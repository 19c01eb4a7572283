"""The rules of `measure.drivers.base` that hold for every driver, whatever the transport."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import Interrupted
from ipcbench.measure import drivers
from ipcbench.measure.pair import Pair
from ipcbench.testing.deaths import endless
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import DEFINITIONS, WORKLOADS, name_of
from tests.command import ROOT

EVENT_LOOPS = (
    *("asyncio-sock-unix", "asyncio-protocol-unix", "asyncio-streams-unix"),
    *("uvloop-protocol-unix", "uvloop-streams-unix"),
)
"""A rung of each kind of end that has an event loop."""
GAPPED = ("latency:gap=20ms", "latency:gap=20ms:gap-by=spin")
WORKING = ("latency:work=5ms", "latency:work=5ms:work-touches=64k")
LOADED = ("load:rate=20", "load:rate=2000:arrivals=poisson:window=8")
"""A generator that waits for a time, and one that is busy."""
PACED = (*GAPPED, *WORKING, "latency:gap=5ms:work=5ms")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    """Every loop that is here."""
    chosen: Loop = request.param
    if reason := drivers.unavailable(chosen):
        pytest.skip(reason)
    return chosen


@pytest.fixture
def interrupting() -> Iterator[None]:
    """SIGTERM raises, as in a worker, but once: the test repeats it until it is heard."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted("the worker was ended by SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


def _runnable(case: Case) -> Case:
    """The case, unless this machine or its driver can't run it."""
    if reason := get_transport(case.transport).unavailable() or drivers.rejects(case):
        pytest.skip(reason)
    return case


@pytest.mark.usefixtures("interrupting")
@pytest.mark.parametrize(
    "workload",
    [
        *(name for name in WORKLOADS if not DEFINITIONS[name].connects),
        # Nobody can close a connection that the signal breaks off as it is made.
        pytest.param(
            "connect", marks=pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
        ),
        *PACED,
        *LOADED,
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        *("pipe", "sysv-shm", "unix", "epoll-unix"),
        *EVENT_LOOPS,
    ],
)
def test_a_batch_ends_with_what_a_signal_handler_raised_and_the_pair_can_be_closed(
    name: str, workload: str, loop: Loop, tmp_path: Path
) -> None:
    transport = get_transport(name)
    plain = name_of(workload)
    case = Case(workload, name, transport.size_of(plain, 64), loop, "free")
    if reason := transport.unavailable():
        pytest.skip(reason)
    if not transport.has(workload) or (reason := drivers.rejects(case)):
        pytest.skip(f"{name} has no {workload} with the {loop} loop")
    over = threading.Event()

    def ask_until_heard() -> None:
        """Repeats it: a client that is just about to block would sleep through a single one."""
        while not over.wait(0.05):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(10)
        asking = threading.Thread(target=ask_until_heard, daemon=True)
        asking.start()
        try:
            with pytest.raises(Interrupted, match="by SIGTERM"):
                pair.run(endless(case))
        finally:
            over.set()
            asking.join()
    pair.close()


LOADING = """
import os
import sys
from pathlib import Path
from ipcbench.case import Case
from ipcbench.measure import drivers, pair
from ipcbench.transports.base import Traffic, Workspace
from ipcbench.transports.registry import get_transport

case = Case(sys.argv[3], sys.argv[1], 64, sys.argv[2])
link = get_transport(case.transport).link(Traffic(64, "latency"), Workspace(Path(".")))
class Itself:
    def fileno(self): return os.pidfd_open(os.getpid())
    def watch(self): pass
peer = Itself()
drivers.load(case.loop)
before = set(sys.modules)
client, server = drivers.client(case, link, peer), drivers.server(case, link)
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("workload", ["latency", *PACED, "load"])
@pytest.mark.parametrize("name", ["socketpair", *EVENT_LOOPS])
def test_whatever_an_end_imports_is_loaded_before_the_fork(
    name: str, workload: str, loop: Loop, tmp_path: Path
) -> None:
    case = Case(workload, name, 64, loop)
    if reason := drivers.rejects(case) or get_transport(name).unavailable():
        pytest.skip(reason)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-W", "ignore", "-c", LOADING, name, loop, workload)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", ["pipe", "sysv-shm", "null", *EVENT_LOOPS])
@pytest.mark.parametrize("workload", GAPPED)
def test_gaps_are_waited_and_are_in_no_time(
    name: str, workload: str, loop: Loop, tmp_path: Path
) -> None:
    case = _runnable(Case(workload, name, 64, loop, "free"))
    with Pair(case, None, Workspace(tmp_path)) as pair:
        began_s = time.monotonic()
        elapsed_s = pair.run(5) + sum(pair.sample(5)) * 1e-9
        around_s = time.monotonic() - began_s
        pair.check()
        facts = pair.facts()
    assert 0 < elapsed_s <= around_s - 10 * case.rhythm.gap_s
    assert float(facts["gap_in_force_s"]) >= case.rhythm.gap_s


def test_a_client_that_spins_is_busy_in_its_gaps_and_one_that_sleeps_is_not(
    loop: Loop, tmp_path: Path
) -> None:
    used_s = []
    for number, workload in enumerate(GAPPED):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Pair(Case(workload, "pipe", 64, loop, "free"), None, Workspace(folder)) as pair:
            before = os.times()
            pair.run(10)
            after = os.times()
            used_s.append(after.user + after.system - before.user - before.system)
    assert used_s[0] < used_s[1] / 2


@pytest.mark.parametrize("name", ["pipe", "sysv-shm", *EVENT_LOOPS])
@pytest.mark.parametrize("workload", [*WORKING, "latency:gap=5ms:work=5ms"])
def test_work_is_in_every_time(name: str, workload: str, loop: Loop, tmp_path: Path) -> None:
    case = _runnable(Case(workload, name, 64, loop, "free"))
    with Pair(case, None, Workspace(tmp_path)) as pair:
        elapsed_s = pair.run(5)
        samples_ns = pair.sample(5)
        pair.check()
    assert elapsed_s >= 5 * case.rhythm.work_s * 0.95
    assert min(samples_ns) >= case.rhythm.work_s * 1e9 * 0.95


def test_the_server_works_and_the_client_waits_for_it(loop: Loop, tmp_path: Path) -> None:
    case = Case("latency:work=5ms", "pipe", 64, loop, "free")
    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(20)
        facts = pair.facts()
    assert float(facts["cpu_user_client_s_per_message"]) < case.rhythm.work_s / 5
    assert float(facts["cpu_user_server_s_per_message"]) > case.rhythm.work_s / 5
