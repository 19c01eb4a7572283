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
)
QUICK = Thoroughness(
    repeats=1,
    placements=1,
    bases=3,
    delay_rounds=16,
    paced_rounds=8,
    load_rounds=6,
    crowd_rounds=6,
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
    tables = [
        bench.run(cases, thoroughness.equal_rounds, _EFFORT) for cases in _equal_cases(thoroughness)
    ]
    judged = [verdict for results in tables for verdict in _verdicts(results)]
    floors = noise_floors(tables)
    delayed = bench.run(_delay_cases(), thoroughness.delay_rounds, _DELAY_EFFORT)
    times = _times(delayed)
    paced = bench.run(truths.cases(), thoroughness.paced_rounds, truths.EFFORT)
    known = [
        *truths.truths(paced),
        *_truths_of_crowds(bench, thoroughness.crowd_rounds),
        *_truths_of_load(bench, thoroughness.load_rounds, scratch),
    ]
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
        truths=known,
        fairness=_truths_of_fairness(bench, thoroughness.crowd_rounds),
    )


def _truths_of_crowds(bench: Bench, rounds: int) -> list[truths.Truth]:
    """What is known of many clients; nothing where their transport isn't there.

    Raises UsageError.
    """
    cases = truths_of_crowds.cases()
    if not cases:
        return []
    return truths_of_crowds.truths(bench.run(cases, rounds, truths_of_crowds.EFFORT))


def _truths_of_fairness(bench: Bench, rounds: int) -> list[truths_of_fairness.Fairness]:
    """What is known of servers in turn; nothing where their transport isn't there.

    Raises UsageError.
    """
    cases = truths_of_fairness.cases()
    if not cases:
        return []
    few = min(rounds, truths_of_fairness.ROUNDS)
    return truths_of_fairness.truths(bench.run(cases, few, truths_of_fairness.EFFORT))


def _truths_of_load(bench: Bench, rounds: int, scratch: Scratch) -> list[truths.Truth]:
    """What is known of an open loop; nothing where its ends can't have a CPU each.

    Raises UsageError.
    """
    cases = truths_of_load.cases()
    if not cases:
        return []
    loaded = bench.run(cases, rounds, truths_of_load.EFFORT)
    try:
        paused = truths_of_load.pause_truths(scratch, truths_of_load.service_of(loaded))
    except LaunchFailed as error:
        raise UsageError(f"the selftest can't go on: {error}") from error
    return [*truths_of_load.truths(loaded), *paused]


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
