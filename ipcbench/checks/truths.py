"""Times that are known beforehand of what two ends do between messages, beside measured ones.

A server with known work, for one message at a time and for several in flight, and one that is
slower by a known time after idleness.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ipcbench.analysis.stats import median_interval
from ipcbench.case import Case
from ipcbench.results.launches import by_case
from ipcbench.results.store import Results
from ipcbench.run.request import Effort
from ipcbench.system.cpus import default_placement
from ipcbench.transports.base import IDLE_DELAY
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_time, format_duration

TOLERANCE = 0.05
"""The largest relative error of a known time that is measured."""
WORK_NS = 100_000
STEP_NS = 200_000
"""How much longer one server waits after idleness than another: far longer than any idle state."""
_GAPS = ("500us", "5ms")
"""A gap that leaves a server with such a delay as it is, and one that makes it idle."""
_UNSLOWED, _SLOWED = (
    f"pipe:{IDLE_DELAY.name}={format_duration(steps * STEP_NS / 1e9)}" for steps in (1, 2)
)
"""Both wait: what follows a wait finds a CPU that is awake, and takes less than after idleness.

A server that only looked at the clock would reply from a CPU just woken up, and the difference
would be the step less what the other saves: here up to 20 µs.
"""
_SIZE_BYTES = 64
_SPINS = "sysv-shm-spin"
_SPUN = ("latency", f"latency:gap={_GAPS[-1]}:gap-by=spin")
_WORKED = f"latency:work={format_duration(WORK_NS / 1e9)}"
SERVICE_NS = 500_000
"""The server's work on each of several messages in flight: to move one takes little beside it."""
WINDOWS = (2, 4, 8)
"""Messages in flight; with the most of them the server never waits for one."""
_SERVED = f"latency:work={format_duration(SERVICE_NS / 1e9)}"
_FLAT = 0.1
"""Share of the step that a pair which spins may rise by: its caches are no longer as warm."""
EFFORT = Effort(values=3, warmups=1, min_time_s=0.05, samples=0)
"""Long batches: whatever the gap, the first message of each comes to an idle server."""


_PRECISE = 5
"""An interval is narrow enough if it is no wider than so many times what is allowed: of a step of
200 µs a quarter."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A time that is known beforehand, and its measured value."""

    what: str
    known_s: float
    found_s: float
    low_s: float
    high_s: float
    allowed_s: float
    """The most that both may differ by."""
    is_bound: bool = False
    """Whether the known time is the least that it can be: it may be any longer."""
    by_interval: bool = False
    """Whether it is of chance, as what a wake-up takes, or when random messages come. The interval
    has that: the known time may be anywhere in it, if it is narrow enough to tell anything."""

    @property
    def holds(self) -> bool:
        """Whether what was measured is what is known."""
        if self.is_bound:
            return self.found_s >= self.known_s - self.allowed_s
        is_precise = self.high_s - self.low_s <= _PRECISE * self.allowed_s
        if self.by_interval and is_precise and self.low_s <= self.known_s <= self.high_s:
            return True
        return abs(self.found_s - self.known_s) <= self.allowed_s


def cases() -> list[Case]:
    """The cases to measure: with gaps and with work, each beside what it is compared with."""
    pairs = [(f"latency:gap={gap}", name) for gap in _GAPS for name in (_UNSLOWED, _SLOWED)]
    pairs += [(workload, "pipe") for workload in ("latency", _WORKED)]
    found = [Case(one, name, _SIZE_BYTES, placement="same-core") for one, name in pairs]
    apart = default_placement()
    found += [
        Case(one, "pipe", _SIZE_BYTES, placement=apart)
        for one in (_SERVED, *map(_windowed, WINDOWS))
    ]
    if apart != "same-core":
        spinning = [Case(one, _SPINS, _SIZE_BYTES, placement=apart) for one in _SPUN]
        found += spinning if get_transport(_SPINS).unavailable() is None else []
    return found


def _windowed(window: int) -> str:
    return f"{_SERVED}:window={window}"


def truths(results: Results) -> list[Truth]:
    """What is known of the cases with gaps and with work, beside what was measured."""
    times: dict[tuple[str, str], dict[object, float]] = {
        (case.workload, case.transport): {one.round_number: one.time_s for one in launches}
        for case, launches in by_case(results.launches()).items()
    }
    work_s, step_s = WORK_NS * 1e-9, STEP_NS * 1e-9
    found = [
        _truth(
            f"work of {display_time(work_s)}",
            work_s,
            (times[_WORKED, "pipe"], times["latency", "pipe"]),
            TOLERANCE * work_s,
        )
    ]
    for gap, known_s in zip(_GAPS, (0.0, step_s), strict=True):
        workload = f"latency:gap={gap}"
        found.append(
            _truth(
                f"{display_time(step_s)} more after 3 ms of idleness, with gaps of {gap}",
                known_s,
                (times[workload, _SLOWED], times[workload, _UNSLOWED]),
                TOLERANCE * step_s,
                by_interval=True,
            )
        )
    if (_SPUN[0], _SPINS) in times:
        plain, gapped = (times[workload, _SPINS] for workload in _SPUN)
        what = f"a pair that spins through gaps of {_GAPS[-1]}, against none"
        found.append(_truth(what, 0.0, (gapped, plain), _FLAT * step_s))
    responses = {window: list(times[_windowed(window), "pipe"].values()) for window in WINDOWS}
    return [*found, *in_flight(list(times[_SERVED, "pipe"].values()), responses)]


def in_flight(alone_s: Sequence[float], responses_s: Mapping[int, Sequence[float]]) -> list[Truth]:
    """What is known of several messages in flight, beside the launches' measured response times.

    `alone_s` are those of one message at a time, R, and `responses_s` those of so many in flight,
    W. A server that works for S on each message can't answer more than 1/S of them a second, nor
    can W in flight be answered more often than W/R: from one message to the next it is at least the
    longer one of S and R/W (the bounds of operational analysis: Denning & Buzen 1978). When the
    server never waits, a message waits for all those before it, and its response time is W * S.
    """
    service_s, at_a_time_s = SERVICE_NS * 1e-9, statistics.median(alone_s)
    work = f"work of {display_time(service_s)}"
    found = []
    for window, each_s in responses_s.items():
        least_s = max(service_s, at_a_time_s / window)
        between = [response_s / window for response_s in each_s]
        what = f"from a message to the next, {window} in flight, {work}"
        allowed_s = TOLERANCE * least_s
        found.append(Truth(what, least_s, *measured(between), allowed_s, is_bound=True))
    most = max(responses_s)
    what = f"response time, {most} in flight, {work}"
    known_s = most * service_s
    found.append(Truth(what, known_s, *measured(responses_s[most]), TOLERANCE * known_s))
    return found


def _truth(
    what: str,
    known_s: float,
    sides: tuple[Mapping[object, float], Mapping[object, float]],
    allowed_s: float,
    *,
    by_interval: bool = False,
) -> Truth:
    """A known difference beside the measured one, of launches paired by round."""
    more, less = sides
    differences = [more[key] - less[key] for key in more.keys() & less.keys()]
    return Truth(what, known_s, *measured(differences), allowed_s, by_interval=by_interval)


def measured(values_s: Sequence[float]) -> tuple[float, float, float]:
    """The median of measured times and its interval, which has no width for too few of them."""
    found = statistics.median(values_s)
    low, high = median_interval(values_s) or (found, found)
    return found, low, high
