"""The rules of `measure.drivers.base` that hold for every driver, whatever the transport."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import Interrupted
from ipcbench.measure import drivers
from ipcbench.measure.pair import Pair
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import WORKLOADS, Workload
from tests.command import ROOT

EVENT_LOOPS = (
    *("asyncio-sock-unix", "asyncio-protocol-unix", "asyncio-streams-unix"),
    *("uvloop-protocol-unix", "uvloop-streams-unix"),
)
"""A rung of each kind of end that has an event loop."""
ENDLESS = 50_000_000_000
"""More messages than any mechanism moves while a test runs."""


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


@pytest.mark.usefixtures("interrupting")
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize(
    "name",
    [
        *("pipe", "sysv-shm", "unix", "epoll-unix"),
        *EVENT_LOOPS,
    ],
)
def test_a_batch_ends_with_what_a_signal_handler_raised_and_the_pair_can_be_closed(
    name: str, workload: Workload, loop: Loop, tmp_path: Path
) -> None:
    transport = get_transport(name)
    case = Case(workload, name, transport.size_of(workload, 64), loop, "free")
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
                pair.run(ENDLESS)
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

case = Case("latency", sys.argv[1], 64, sys.argv[2])
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


@pytest.mark.parametrize("name", ["socketpair", *EVENT_LOOPS])
def test_whatever_an_end_imports_is_loaded_before_the_fork(
    name: str, loop: Loop, tmp_path: Path
) -> None:
    case = Case("latency", name, 64, loop)
    if reason := drivers.rejects(case) or get_transport(name).unavailable():
        pytest.skip(reason)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-W", "ignore", "-c", LOADING, name, loop)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
