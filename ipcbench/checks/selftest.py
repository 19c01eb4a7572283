"""Measures the tool itself on this machine: false verdicts, sensitivity, overhead.

Everything goes through the whole pipeline (driver, workers, result files, frames, verdicts), on
transports and workloads with a known answer: one transport under several names, one with a known
delay, one that is slower by a known time after idleness, and a server with known work.
"""

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.stats import median_interval, paired_ratio, verdicts
from ipcbench.case import Case, Placement
from ipcbench.errors import UsageError
from ipcbench.events import Observer
from ipcbench.results.launches import by_case
from ipcbench.results.store import Metadata, Results
from ipcbench.run.driver import Run
from ipcbench.run.request import Effort
from ipcbench.run.session import launch
from ipcbench.system import machine
from ipcbench.system.cpus import default_placement, placement_cpus
from ipcbench.system.scratch import Scratch
from ipcbench.transports.base import IDLE_DELAY
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_percent, display_time, format_duration

DELAYS_NS = (500, 1_000, 2_000, 5_000, 20_000, 100_000)
PROVED_DELAYS_NS = (5_000, 20_000, 100_000)
"""Delays that must be measured within DELAY_TOLERANCE."""
DELAY_TOLERANCE = 0.05
MOST_FALSE = 0.05
_BASES = ("unix", "inet", "inet6", "pipe", "sysv-shm")
_COMPARISONS_A_TABLE = 10
_ROUNDS = 7
_EFFORT = Effort(values=3, warmups=1, min_time_s=0.01, samples=0)
_DELAY_EFFORT = Effort(values=5, warmups=1, min_time_s=0.01, samples=2_000)
_SIZE_BYTES = 64
WORK_NS = 100_000
STEP_NS = 200_000
"""The delay after idleness: far more than that of any idle state."""
_GAPS = ("500us", "5ms")
"""A gap that leaves a server with such a delay as it is, and one that makes it idle."""
_UNSLOWED, _SLOWED = (
    f"pipe:{IDLE_DELAY.name}={format_duration(delay_ns / 1e9)}" for delay_ns in (0, STEP_NS)
)
"""Both look at the clock, which costs more where the caches are cold."""
_SPINS = "sysv-shm-spin"
_SPUN = ("latency", f"latency:gap={_GAPS[-1]}:gap-by=spin")
_WORKED = f"latency:work={format_duration(WORK_NS / 1e9)}"
_FLAT = 0.1
"""Share of the step that a pair which spins may rise by: its caches are no longer as warm."""
_GAP_EFFORT = Effort(values=3, warmups=1, min_time_s=0.05, samples=0)
"""Long batches: whatever the gap, the first message of each comes to an idle server."""
_TRIES = 100
_TRY_S = 30.0
_DETECTED = 19 / 20
_FLOOR_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """The amount of work that a selftest does."""

    repeats: int
    placements: int
    bases: int
    delay_rounds: int
    paced_rounds: int


FULL = Thoroughness(repeats=2, placements=2, bases=5, delay_rounds=40, paced_rounds=16)
QUICK = Thoroughness(repeats=1, placements=1, bases=3, delay_rounds=16, paced_rounds=8)


@dataclass(frozen=True, slots=True)
class Delay:
    """A known delay, and its measured value."""

    known_s: float
    found_s: float
    low_s: float
    high_s: float
    round_trip_ratio: float
    """The delay as a share of the round trip that it was added to."""
    detected_ratio: float
    """The share of tries of 30 s that found the delay."""

    @property
    def error(self) -> float:
        """Relative error of the measured delay."""
        return abs(self.found_s / self.known_s - 1)


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

    @property
    def holds(self) -> bool:
        """Whether what was measured is what is known."""
        return abs(self.found_s - self.known_s) <= self.allowed_s


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a selftest; times in seconds, shares as ratios."""

    comparisons: int
    false_verdicts: int
    within_run_floor: float
    between_runs_floor: float
    delays: Sequence[Delay]
    loop_s: float
    clock_s: float
    pipe_round_trip_s: float
    took_s: float
    truths: Sequence[Truth] = ()
    """Of what the ends do between messages."""

    @property
    def false_share(self) -> float:
        """Share of false verdicts among all comparisons of equal things."""
        return self.false_verdicts / self.comparisons

    @property
    def sensitivity(self) -> Delay | None:
        """The smallest slow-down that was found in at least 19 of 20 tries of 30 s."""
        found = (delay for delay in self.delays if delay.detected_ratio >= _DETECTED)
        return min(found, key=lambda delay: delay.known_s, default=None)

    @property
    def proved(self) -> bool:
        """Whether false verdicts and errors of delays are within their limits."""
        return (
            self.false_share <= MOST_FALSE
            and all(
                delay.error <= DELAY_TOLERANCE
                for delay in self.delays
                if round(delay.known_s * 1e9) in PROVED_DELAYS_NS
            )
            and all(truth.holds for truth in self.truths)
        )


class Bench:
    """Runs tables of cases as `compare` does."""

    def __init__(
        self, scratch: Scratch, observer: Observer, seed: int, check: Callable[[], None]
    ) -> None:
        self._check = check
        self._scratch = scratch
        self._observer = observer
        self._seed = seed
        self._number = 0

    def run(self, cases: Sequence[Case], rounds: int, effort: Effort) -> Results:
        """Measures these cases. Raises UsageError if one of them failed."""
        self._number += 1
        placements = dict.fromkeys(case.placement for case in cases)
        cpus = {placement: placement_cpus(placement) for placement in placements}
        here = machine.this_machine()
        metadata: Metadata = {
            "run_id": str(self._number),
            "baseline": cases[0].transport,
            "seed": self._seed,
            "machine": here.slug,
        }
        run = Run(
            cases,
            rounds,
            self._seed + self._number,
            time.monotonic(),
            0.3,
            metadata,
            check=self._check,
        )
        results = Results()
        launch(run, cpus, effort, results, lambda _: None, self._observer, self._scratch)
        for failed in results.unmeasured.values():
            raise UsageError(f"the selftest can't go on: {failed.case.id}: {failed.reason}")
        return results


def examine(
    thoroughness: Thoroughness,
    scratch: Scratch,
    observer: Observer,
    seed: int,
    check: Callable[[], None],
) -> Report:
    """Runs the selftest. Raises UsageError if this machine can't run it.

    `check` is called time and again; what it raises ends the selftest.
    """
    began_s = time.monotonic()
    bench = Bench(scratch, observer, seed, check)
    tables = [bench.run(cases, _ROUNDS, _EFFORT) for cases in _equal_cases(thoroughness)]
    judged = [verdict for results in tables for verdict in _verdicts(results)]
    floors = noise_floors(tables)
    delayed = bench.run(_delay_cases(), thoroughness.delay_rounds, _DELAY_EFFORT)
    times = _times(delayed)
    paced = bench.run(_paced_cases(), thoroughness.paced_rounds, _GAP_EFFORT)
    null, pipe, undelayed = (times[name] for name in ("null", "pipe", _delayed_name(0)))
    return Report(
        comparisons=len(judged),
        false_verdicts=sum(verdict in {"faster", "slower"} for verdict in judged),
        within_run_floor=floors[0],
        between_runs_floor=floors[1],
        delays=[
            found_delay(delay_ns, times[_delayed_name(delay_ns)], undelayed, floors[0], seed)
            for delay_ns in DELAYS_NS
        ],
        loop_s=statistics.median(null.values()),
        clock_s=_clock_cost_s(delayed, statistics.median(null.values())),
        pipe_round_trip_s=statistics.median(pipe.values()),
        took_s=time.monotonic() - began_s,
        truths=truths(paced),
    )


def _equal_cases(thoroughness: Thoroughness) -> Iterator[list[Case]]:
    """Tables of one transport under many names: whatever differs in them is noise."""
    placements: tuple[Placement, ...] = ("same-core", default_placement())
    runnable = [name for name in _BASES if get_transport(name).unavailable() is None]
    for _ in range(thoroughness.repeats):
        for placement in dict.fromkeys(placements[-thoroughness.placements :]):
            for base in runnable[: thoroughness.bases]:
                yield [
                    Case("latency", f"{base}@{number}", _SIZE_BYTES, placement=placement)
                    for number in range(_COMPARISONS_A_TABLE + 1)
                ]


def _delay_cases() -> list[Case]:
    """Cases of one pipe whose server waits for a known time, or not at all, and `null`."""
    names = ("pipe", "null", *map(_delayed_name, (0, *DELAYS_NS)))
    return [Case("latency", name, _SIZE_BYTES, placement="same-core") for name in names]


def _paced_cases() -> list[Case]:
    """Cases with gaps and with work, each beside what it is to be told apart from."""
    pairs = [(f"latency:gap={gap}", name) for gap in _GAPS for name in (_UNSLOWED, _SLOWED)]
    pairs += [(workload, "pipe") for workload in ("latency", _WORKED)]
    cases = [Case(one, name, _SIZE_BYTES, placement="same-core") for one, name in pairs]
    apart = default_placement()
    if apart != "same-core":
        spinning = [Case(one, _SPINS, _SIZE_BYTES, placement=apart) for one in _SPUN]
        cases += spinning if get_transport(_SPINS).unavailable() is None else []
    return cases


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
            DELAY_TOLERANCE * work_s,
        )
    ]
    for gap, known_s in zip(_GAPS, (0.0, step_s), strict=True):
        workload = f"latency:gap={gap}"
        found.append(
            _truth(
                f"{display_time(step_s)} more after 3 ms of idleness, with gaps of {gap}",
                known_s,
                (times[workload, _SLOWED], times[workload, _UNSLOWED]),
                DELAY_TOLERANCE * step_s,
            )
        )
    if (_SPUN[0], _SPINS) in times:
        plain, gapped = (times[workload, _SPINS] for workload in _SPUN)
        what = f"a pair that spins through gaps of {_GAPS[-1]}, against none"
        found.append(_truth(what, 0.0, (gapped, plain), _FLAT * step_s))
    return found


def _truth(
    what: str,
    known_s: float,
    sides: tuple[Mapping[object, float], Mapping[object, float]],
    allowed_s: float,
) -> Truth:
    """A known difference beside the measured one, of launches paired by round."""
    more, less = sides
    differences = [more[key] - less[key] for key in more.keys() & less.keys()]
    found, interval = statistics.median(differences), median_interval(differences)
    low, high = interval or (found, found)
    return Truth(what, known_s, found, low, high, allowed_s)


def _delayed_name(delay_ns: int) -> str:
    return f"pipe+{delay_ns}ns"


def _verdicts(results: Results) -> list[str | None]:
    """Verdicts on a table of equal things; the baseline has none."""
    cases = frame.cases(results)
    compared = cases[cases["transport"] != cases["baseline"]]
    return [str(verdict) for verdict in compared["verdict"]]


def noise_floors(tables: Sequence[Results]) -> tuple[float, float]:
    """Noise floors within runs and between runs: differences of equal things, as shares.

    Within runs: the names of a table in pairs, all pairs' launches of all its repeats in one ratio,
    so that a few unusual launches don't decide. Between runs: the medians of a name in one repeat
    and the next. A floor is the bound that 95 % of the differences stay within.
    """
    repeats: dict[tuple[str, str], list[dict[str, dict[object, float]]]] = {}
    for results in tables:
        first = next(results.launches()).case
        base = first.transport.partition("@")[0]
        repeats.setdefault((base, first.placement), []).append(_times(results))
    within, between = [], []
    for same in repeats.values():
        names = sorted(same[0])
        ratio = paired_ratio(_pooled(same, names[0::2]), _pooled(same, names[1::2]))
        within.append(abs(math.log(ratio.estimate)) if ratio else 0.0)
        for earlier, later in pairwise(same):
            between += [
                abs(math.log(statistics.median(later[n].values()) / statistics.median(e.values())))
                for n, e in earlier.items()
            ]
    return _floor(within), _floor(between)


def _pooled(
    tables: Sequence[Mapping[str, Mapping[object, float]]], names: Sequence[str]
) -> dict[object, float]:
    """All launches of these names in all repeats, keyed by repeat, place and round."""
    return {
        (repeat, place, key): time_s
        for repeat, table in enumerate(tables)
        for place, name in enumerate(names)
        for key, time_s in table[name].items()
    }


def _floor(differences: Sequence[float]) -> float:
    if not differences:
        return 0.0
    ordered = sorted(differences)
    return math.exp(ordered[math.ceil(_FLOOR_SHARE * len(ordered)) - 1]) - 1


def found_delay(
    delay_ns: int,
    slowed: Mapping[object, float],
    plain: Mapping[object, float],
    noise_floor: float,
    seed: int,
) -> Delay:
    """The measured value of a delay, from launches paired by round, and how often it is found.

    A try draws as many of the recorded rounds, with replacement, as a run of both cases would
    have in 30 s, but never more than were recorded.
    """
    differences = [slowed[key] - plain[key] for key in plain.keys() & slowed.keys()]
    found = statistics.median(differences)
    interval = median_interval(differences)
    rounds = min(len(differences), int(_TRY_S / (2 * _launch_s())))
    keys = sorted(plain.keys() & slowed.keys(), key=repr)
    draws, detected = random.Random(seed), 0
    for _ in range(_TRIES):
        drawn = list(enumerate(draws.choices(keys, k=rounds)))
        ratio = paired_ratio(
            {place: slowed[key] for place, key in drawn},
            {place: plain[key] for place, key in drawn},
        )
        detected += verdicts([ratio], noise_floor) == ["slower"]
    return Delay(
        known_s=delay_ns * 1e-9,
        found_s=found,
        low_s=interval.low if interval else found,
        high_s=interval.high if interval else found,
        round_trip_ratio=delay_ns * 1e-9 / statistics.median(plain.values()),
        detected_ratio=detected / _TRIES,
    )


def _launch_s() -> float:
    """Approximate seconds a launch takes, start included."""
    batches = _DELAY_EFFORT.values + _DELAY_EFFORT.warmups
    return batches * _DELAY_EFFORT.min_time_s + 0.15


def _times(results: Results) -> dict[str, dict[object, float]]:
    """Median seconds a message of each launch, by transport and round."""
    return {
        case.transport: {launch.round_number: launch.time_s for launch in launches}
        for case, launches in by_case(results.launches()).items()
    }


def _clock_cost_s(results: Results, loop_s: float) -> float:
    """Seconds that one clock read adds to a sampled message: `null` sampled, less `null`'s loop."""
    launches = launch_frame.launches(results)
    merged = launch_frame.histogram_of(launches[launches["transport"] == "null"])
    return max(0.0, merged.percentile_ns(0.5) * 1e-9 - loop_s) if merged else 0.0


def as_json(report: Report, seed: int) -> str:
    """The report as JSON: base units, and the noise floor that `compare` will use."""
    here = machine.this_machine()
    data = asdict(report) | {
        "format": 1,
        "seed": seed,
        "proved": report.proved,
        "false_ratio": report.false_share,
        "noise_floor": {
            "within_run_ratio": report.within_run_floor,
            "between_runs_ratio": report.between_runs_floor,
        },
        "machine": here._asdict(),
    }
    return json.dumps(data, indent=2) + "\n"


def render(report: Report) -> list[str]:
    """The report as lines of text."""
    here = machine.this_machine()
    where = f"{here.cpu_model}, {here.cpu_count} CPUs, {here.virtualisation}"
    equal = (
        f"equal things: {report.false_verdicts} false verdicts in {report.comparisons} comparisons"
        f" ({display_percent(report.false_share)}, at most {display_percent(MOST_FALSE)})"
    )
    loops = display_percent(2 * report.loop_s / report.pipe_round_trip_s)
    floors = (display_percent(report.within_run_floor), display_percent(report.between_runs_floor))
    facts = (
        f"smallest slow-down found in 19 of 20 tries of 30 s: {_sensitivity(report)}",
        f"noise floor: {floors[0]} within a run, {floors[1]} between runs",
        (
            f"the loop: {display_time(report.loop_s)} a message (null); both ends' are {loops}"
            " of a 64 B pipe round trip on one core"
        ),
        f"a clock read: {display_time(report.clock_s)}, once a message in the sampled burst",
        f"took {report.took_s:.0f} s",
    )
    return [
        f"{where}; {here.kernel}; {here.python}",
        "",
        _line(report.false_share <= MOST_FALSE, equal),
        *(
            _line(delay.error <= DELAY_TOLERANCE, _delay_text(delay))
            for delay in report.delays
            if round(delay.known_s * 1e9) in PROVED_DELAYS_NS
        ),
        *(_line(truth.holds, _truth_text(truth)) for truth in report.truths),
        *(f"{'':5} {fact}" for fact in facts),
    ]


def _delay_text(delay: Delay) -> str:
    return (
        f"known delay of {display_time(delay.known_s)}: found {display_time(delay.found_s)}"
        f" ({display_time(max(0.0, delay.low_s))} to {display_time(delay.high_s)}),"
        f" off by {display_percent(delay.error)}"
    )


def _truth_text(truth: Truth) -> str:
    found, low, high = (_signed_time(one) for one in (truth.found_s, truth.low_s, truth.high_s))
    known = display_time(truth.known_s) if truth.known_s else "nothing"
    most = display_time(truth.allowed_s)
    return f"{truth.what}: {known} is known, found {found} ({low} to {high}), at most {most} off"


def _signed_time(seconds: float) -> str:
    """A time for people, which may be below 0 where it is a difference."""
    return display_time(seconds) if seconds >= 0 else f"-{display_time(-seconds)}"


def _sensitivity(report: Report) -> str:
    finest = report.sensitivity
    if finest is None:
        return f"none of up to {display_time(DELAYS_NS[-1] * 1e-9)}"
    return (
        f"{display_time(finest.known_s)} on a round trip of"
        f" {display_time(report.pipe_round_trip_s)}, {display_percent(finest.round_trip_ratio)}"
    )


def _line(holds: bool, text: str) -> str:
    return f"{'ok' if holds else 'FAILS':5} {text}"
