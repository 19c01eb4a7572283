"""Seeded plans of faults: the victim, the signal, and the phase and moment of each."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.measure import drivers
from ipcbench.testing.messages import FLOWS
from ipcbench.transports.registry import get_transport, transports
from ipcbench.workloads import WORKLOADS, clients_of, definition_of

PAIR_PHASES = (
    *("set-up", "hand-shake", "calibration", "timed batch", "sampled burst", "payload check"),
    "wait for its turn",
)
DRIVER_PHASES = ("saving", "rendering")
PHASES = PAIR_PHASES + DRIVER_PHASES
_LASTS_S = {"calibration": 0.01, "timed batch": 0.01, "sampled burst": 0.01, "rendering": 0.1}
"""Rough duration of phases; the fault comes at a random moment of it (else of 2 ms)."""

FAULTS = {
    "server": ("KILL", "TERM", "INT", "HUP", "STOP"),
    "worker": ("KILL", "TERM", "INT", "HUP", "STOP"),
    "client": ("KILL", "TERM", "INT", "HUP", "STOP"),
    "driver": ("KILL", "TERM", "INT", "HUP", "STOP"),
    "all": ("KILL", "TERM", "INT", "HUP", "STOP"),
    "terminal": ("HUP",),
}
"""The signals that each victim gets. `server` is one of the servers of a case, `client` one of its
clients but for the first one, which is the worker. `all` is every process of the run at once, KILL
of the janitor too; the terminal is closed. A stopped driver or run is continued after a moment."""
VICTIMS = tuple(FAULTS)
OF_A_LAUNCH = ("server", "worker", "client")
"""Victims whose end costs a launch, which is tried again."""

LOADS = (
    *("load:rate=20000", "load:rate=20000:arrivals=poisson:window=8"),
    "load:rate=4000:window=4:work=100us",
)
"""Open loops at rates at which a launch is short."""
CROWDS = (
    *("latency:clients=2", "latency:clients=8:server=epoll", "latency:clients=4:server=threads"),
    *("latency:clients=3:server=fork", "latency:clients=3:work=100us", "throughput:clients=8"),
    *("throughput:clients=2:server=epoll", "throughput:clients=3:server=threads"),
    *("throughput:clients=4:server=fork", "connect:clients=3"),
)
"""Many clients of one server, served in each way."""
HUBS = (
    *("throughput:readers=2", "throughput:readers=5", "load:rate=3000:clients=4:window=8"),
    *("load:rate=3000:clients=3:server=threads", "load:rate=3000:clients=3:server=fork"),
)
"""One client with many links."""
DRAWN = (
    *(one for one in WORKLOADS if definition_of(one).sizing == "calibrated"),
    *(*FLOWS, "latency:gap=1ms", "latency:work=100us", *LOADS, *CROWDS, *HUBS),
)
"""Workloads to draw from, with and without their knobs."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault: its victim, signal and moment."""

    number: int
    victim: str
    signal: str
    phase: str
    occurrence: int
    """The number of the announcement of the phase, from 1."""
    delay_s: float
    """Seconds from the announcement to the fault."""
    place: float
    """Which one is hit, where a launch has several such victims: 0 is the first, 1 the last."""
    transports: tuple[str, ...]
    workload: str
    """The term of a workload."""
    loop: Loop


def plan(count: int, seed: int, drawn: Sequence[str] = DRAWN) -> list[Injection]:
    """Plans `count` injections that cycle through all victims, signals and phases.

    They are of these workloads, those of them that have such a victim and phase.
    """
    chance = random.Random(seed)
    mechanisms = [t.name for t in transports() if not t.is_control and t.unavailable() is None]
    kinds = [
        (victim, name, phase)
        for victim, names in FAULTS.items()
        for name in names
        for phase in (PAIR_PHASES if victim in OF_A_LAUNCH else PHASES)
        if _workloads(victim, phase, drawn)
    ]
    planned: list[Injection] = []
    while len(planned) < count:
        chance.shuffle(kinds)
        for victim, name, phase in kinds[: count - len(planned)]:
            workload = chance.choice(_workloads(victim, phase, drawn))
            loop = chance.choice(_loops(workload, mechanisms))
            names = tuple(chance.sample(_runnable(workload, loop, mechanisms), 2))
            planned.append(
                Injection(
                    number=len(planned),
                    victim=victim,
                    signal=name,
                    phase=phase,
                    occurrence=chance.randint(1, 1 if phase == "rendering" else 3),
                    delay_s=chance.uniform(0, _LASTS_S.get(phase, 0.002)),
                    place=chance.random(),
                    transports=names,
                    workload=workload,
                    loop=loop,
                )
            )
    return planned


def _workloads(victim: str, phase: str, drawn: Sequence[str]) -> list[str]:
    """Workloads that have the victim and the phase.

    Some have one client, some no sampled burst, and some need no calibration.
    """
    having = [one for one in drawn if victim != "client" or one in CROWDS]
    match phase:
        case "sampled burst":
            return [
                one for one in having if definition_of(one).samples and clients_of(one).number == 1
            ]
        case "calibration":
            return [one for one in having if definition_of(one).sizing == "calibrated"]
        case _:
            return having


def _loops(workload: str, mechanisms: Sequence[str]) -> list[Loop]:
    """Loops that are here and can drive two of the mechanisms."""
    return [
        loop
        for loop in LOOPS
        if drivers.unavailable(loop) is None and len(_runnable(workload, loop, mechanisms)) > 1
    ]


def _runnable(workload: str, loop: Loop, mechanisms: Sequence[str]) -> list[str]:
    """Those of the mechanisms that have the workload, and a driver for it."""
    return [
        name
        for name in mechanisms
        if get_transport(name).has(workload)
        and drivers.rejects(Case(workload, name, 1, loop)) is None
    ]
