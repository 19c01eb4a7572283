"""Windows of any size over any mechanism: refused with a limit, or measured; never a hang."""

import random
import sys
from collections.abc import Iterator, Sequence

import pytest

from ipcbench.case import LOOPS, Case
from ipcbench.checks.inflight import preflight
from ipcbench.errors import LaunchFailed
from ipcbench.measure import drivers
from ipcbench.measure.pair import refused
from ipcbench.run.launcher import WorkerLauncher
from ipcbench.run.request import Effort
from ipcbench.system.scratch import scratch
from ipcbench.transports.base import Traffic
from ipcbench.transports.registry import transports
from tests.integration.test_windows import limit_told

pytestmark = [
    pytest.mark.early,
    pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc"),
]

SEED = 20
COMBINATIONS = 100
SIZES = (1, 64, 1000, 4096, 5000, 16_384, 65_536, 262_144)
_MOST_WINDOW = 1024
_MOST_BYTES = 16 * 1024**2
"""Bytes of a window at most: slots in shared memory have room for all of them, each way."""
_TOGETHER = 6


def _able() -> list[str]:
    """Mechanisms over which messages may follow each other, and that leave other tests a CPU."""
    return [
        one.name
        for one in transports()
        if one.overlaps and not (one.is_control or one.spins or one.unavailable())
    ]


def _drawn(chance: random.Random, names: Sequence[str]) -> Iterator[Case]:
    """Cases that there are, at random: a window and a size by their magnitude."""
    loops = [loop for loop in LOOPS if drivers.unavailable(loop) is None]
    while True:
        size = chance.choice(SIZES)
        most = min(_MOST_WINDOW, max(2, _MOST_BYTES // size))
        window = round(2 * (most / 2) ** chance.random())
        name, loop = chance.choice(names), chance.choice(loops)
        case = Case.parse(f"latency:window={window}/{name}/{size}/{loop}/free")
        if refused(case) is None:
            yield case


def _allowed(cases: Sequence[Case]) -> list[Case]:
    """The cases; in place of a refused one, the same with the largest window that it may have."""
    too_large = preflight(cases).refused
    assert too_large, "no window was too large: draw larger ones"
    allowed = []
    for case in cases:
        limit = limit_told(too_large[case]) if case in too_large else None
        workload = case.workload if limit is None else f"latency:window={limit}"
        allowed.append(case._replace(workload=workload if limit != 1 else "latency"))
    return list(dict.fromkeys(allowed))


@pytest.mark.timeout(400)
def test_no_window_hangs_that_is_not_refused() -> None:
    drawn = _drawn(random.Random(SEED), _able())
    cases = _allowed([next(drawn) for _ in range(COMBINATIONS)])
    effort = Effort(values=1, warmups=0, samples=0, timeout_s=60.0)
    failed = {}
    with scratch() as private:
        launcher = WorkerLauncher(private, {"free": None}, effort)
        for start in range(0, len(cases), _TOGETHER):
            launches = [
                (case, 2 * Traffic.of(case).window) for case in cases[start : start + _TOGETHER]
            ]
            for case, outcome in launcher.measure(launches, 1):
                if isinstance(outcome, LaunchFailed):
                    failed[case.id] = str(outcome)
    assert failed == {}, f"seed {SEED}"
