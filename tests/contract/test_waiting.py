"""No wake-up is lost between an end that is about to sleep and one that has just written."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.measure import drivers
from ipcbench.measure.pair import refused
from ipcbench.testing.subject import driven_by
from ipcbench.transports.base import Endpoint, Link, Traffic, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import Workload

MESSAGES: dict[Loop, int] = {"python": 5_000, "native": 40_000}
"""In C so many that half of the cases fail in every run if the second look is taken out."""
PATIENCE_S = 30
SPIN = "1us"
LONGEST_PAUSE_NS = 5_000
"""A few times as long as an end spins, so that some messages come while it spins, some while it
sleeps, and some just between."""


def _pauses() -> Callable[[], None]:
    """Makes a call that takes another time each time, and now and then gives up the CPU."""
    chance = random.Random(os.getpid())

    def pause() -> None:
        if chance.random() < 0.005:
            time.sleep(chance.random() * 1e-4)
        end_ns = time.perf_counter_ns() + chance.randrange(LONGEST_PAUSE_NS)
        while time.perf_counter_ns() < end_ns:
            pass

    return pause


def _number(end: Endpoint) -> int:
    return int.from_bytes(end.incoming, "little")


def _serve(link: Link, workload: Workload, loop: Loop) -> None:
    end, pause = driven_by(loop, link.server()), _pauses()
    for number in range(MESSAGES[loop]):
        end.receive()
        assert _number(end) == number
        pause()
        if workload == "latency":
            end.send()


def _drive(link: Link, workload: Workload, loop: Loop) -> None:
    end, pause = driven_by(loop, link.client()), _pauses()
    try:
        for number in range(MESSAGES[loop]):
            end.outgoing[:] = number.to_bytes(8, "little")
            end.send()
            pause()
            if workload == "latency":
                end.receive()
                assert _number(end) == number
    finally:
        end.close()


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Breaks a wait that a lost wake-up left for ever, in C too."""

    def lost(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError("a wake-up was lost")

    before = signal.signal(signal.SIGALRM, lost)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", ["sysv-shm", "posix-shm", "memfd-eventfd", "shm-futex"])
def test_no_wake_up_is_lost_whatever_the_moment_that_a_message_comes(
    name: str, workload: Workload, loop: Loop, tmp_path: Path
) -> None:
    transport = get_transport(f"{name}:wait=adaptive:spin={SPIN}:slots=2")
    case = Case(workload, transport.name, 8, loop)
    if reason := transport.unavailable() or drivers.unavailable(loop) or refused(case):
        pytest.skip(reason)
    link = transport.link(Traffic(8, workload), Workspace(tmp_path))
    server = os.fork()
    if server == 0:
        failed = 1
        try:
            _serve(link, workload, loop)
            failed = 0
        finally:
            os._exit(failed)
    try:
        with _at_most(PATIENCE_S):
            _drive(link, workload, loop)
            _, status = os.waitpid(server, 0)
            server = 0
        assert status == 0
    finally:
        if server:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
        link.close()
