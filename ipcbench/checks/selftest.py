"""Measures the tool itself on this machine: false verdicts, sensitivity, overhead.

Everything goes through the whole pipeline (driver, workers, result files, frames, verdicts), on
transports and workloads with a known answer: one transport under several names, one with a known
delay, one that is slower by a known time after idleness, a server with known work, for one client
and for several, and one that is unfair to them in a known way.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.stats import fewest_launches, median_interval, paired_ratio, verdicts
from ipcbench.case import Case, Placement
from ipcbench.checks import truths, truths_of_crowds, truths_of_fairness, truths_of_load
from ipcbench.checks.selftest_report import DELAYS_NS, Delay, Report
from ipcbench.errors import LaunchFailed, UsageError
from ipcbench.events import Observer
from ipcbench.results.launches import by_case
from ipcbench.results.store import Metadata, Results
from ipcbench.run.driver import Run
from ipcbench.run.request import Effort
from ipcbench.run.session import launch
from ipcbench.system import machine
from ipcbench.system.cpus import default_placement, placement_cpus
from ipcbench.system.scratch import Scratch
from ipcbench.transports.registry import get_transport

_BASES = ("unix", "inet", "inet6", "pipe", "sysv-shm")
_COMPARISONS_A_TABLE = 10
_EFFORT = Effort(values=3, warmups=1, min_time_s=0.01, samples=0)
_DELAY_EFFORT = Effort(values=5, warmups=1, min_time_s=0.01, samples=2_000)
_SIZE_BYTES = 64
_TRIES = 100
_TRY_S = 30.0
_FLOOR_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """The amount of work that a selftest does."""

    repeats: int
    placements: int
    bases: int
    delay_rounds: int
    paced_rounds: int
    load_rounds: int
    crowd_rounds: int
    pauses: int
    equal_rounds: int = fewest_launches(_COMPARISONS_A_TABLE)
    """With fewer no single difference of a table could get a verdict, and none would be false."""


FULL = Thoroughness(
    repeats=2,
    placements=2,
    bases=5,
    delay_rounds=40,
    paced_rounds=16,
    load_rounds=16,
    crowd_rounds=16,
    pauses=3,
)
QUICK = Thoroughness(
    repeats=1,
    placements=1,
    bases=3,
    delay_rounds=16,
    paced_rounds=8,
    load_rounds=6,
    crowd_rounds=6,
    pauses=3,
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


class Equals(NamedTuple):
    """What tables of equal things came to."""

    comparisons: int
    false_verdicts: int
    within_run_floor: float
    """Noise floors, as ratios."""
    between_runs_floor: float


class Delays(NamedTuple):
    """What a pipe with known delays came to, and one without; times in seconds."""

    delays: list[Delay]
    loop_s: float
    clock_s: float
    pipe_round_trip_s: float


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
    equals = equal_things(bench, thoroughness)
    delays = known_delays(bench, thoroughness, equals.within_run_floor, seed)
    found = [
        *known_pace(bench, thoroughness),
        *known_crowds(bench, thoroughness),
        *known_loads(bench, thoroughness, scratch),
    ]
    fairness = known_fairness(bench, thoroughness)
    return Report(
        **equals._asdict(),
        **delays._asdict(),
        took_s=time.monotonic() - began_s,
        truths=found,
        fairness=fairness,
    )


def equal_things(bench: Bench, thoroughness: Thoroughness) -> Equals:
    """Compares equal things: each verdict is false. Raises UsageError."""
    rounds = thoroughness.equal_rounds
    tables = [bench.run(cases, rounds, _EFFORT) for cases in _equal_cases(thoroughness)]
    judged = [verdict for results in tables for verdict in _verdicts(results)]
    false_verdicts = sum(verdict in {"faster", "slower"} for verdict in judged)
    return Equals(len(judged), false_verdicts, *noise_floors(tables))


def known_delays(bench: Bench, thoroughness: Thoroughness, noise_floor: float, seed: int) -> Delays:
    """Looks for known delays, each beside none. Raises UsageError."""
    delayed = bench.run(_delay_cases(), thoroughness.delay_rounds, _DELAY_EFFORT)
    times = _times(delayed)
    null, pipe, undelayed = (times[name] for name in ("null", "pipe", _delayed_name(0)))
    delays = [
        found_delay(delay_ns, times[_delayed_name(delay_ns)], undelayed, noise_floor, seed)
        for delay_ns in DELAYS_NS
    ]
    loop_s, pipe_s = (statistics.median(one.values()) for one in (null, pipe))
    return Delays(delays, loop_s, _clock_cost_s(delayed, loop_s), pipe_s)


def known_pace(bench: Bench, thoroughness: Thoroughness) -> list[truths.Truth]:
    """Measures what is known of gaps, work and messages in flight. Raises UsageError."""
    return truths.truths(bench.run(truths.cases(), thoroughness.paced_rounds, truths.EFFORT))


def known_crowds(bench: Bench, thoroughness: Thoroughness) -> list[truths.Truth]:
    """Measures what is known of many clients; nothing where their transport isn't there.

    Raises UsageError.
    """
    cases = truths_of_crowds.cases()
    if not cases:
        return []
    results = bench.run(cases, thoroughness.crowd_rounds, truths_of_crowds.EFFORT)
    return truths_of_crowds.truths(results)


def known_loads(bench: Bench, thoroughness: Thoroughness, scratch: Scratch) -> list[truths.Truth]:
    """Measures what is known of an open loop; nothing where its ends can't have a CPU each.

    Raises UsageError.
    """
    cases = truths_of_load.cases()
    if not cases:
        return []
    results = bench.run(cases, thoroughness.load_rounds, truths_of_load.EFFORT)
    service_s = truths_of_load.service_of(results)
    try:
        paused = truths_of_load.pause_truths(scratch, service_s, thoroughness.pauses)
    except LaunchFailed as error:
        raise UsageError(f"the selftest can't go on: {error}") from error
    return [*truths_of_load.truths(results), *paused]


def known_fairness(bench: Bench, thoroughness: Thoroughness) -> list[truths_of_fairness.Fairness]:
    """Measures servers that are fair in a known way; nothing where their transport isn't there.

    Raises UsageError.
    """
    cases = truths_of_fairness.cases()
    if not cases:
        return []
    few = min(thoroughness.crowd_rounds, truths_of_fairness.ROUNDS)
    return truths_of_fairness.truths(bench.run(cases, few, truths_of_fairness.EFFORT))


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
