"""Compares two runs: the changes from OLD to NEW, and the cases that can't be compared."""

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from ipcbench.analysis.cautions import cautions
from ipcbench.analysis.floors import UNKNOWN, Floor, Found
from ipcbench.analysis.measures import MEASURES, Measure, Missing, better_of, has_measure, number_of
from ipcbench.analysis.stats import Interval, Ratio, Verdict, paired_ratio, verdicts
from ipcbench.case import Case
from ipcbench.results.launches import Launch, mechanisms
from ipcbench.results.store import Results, Unmeasured
from ipcbench.workloads import Direction, place_of


@dataclass(frozen=True, slots=True)
class Change:
    """A number of one case in two runs, and the ratio of both."""

    case: Case
    """The case as NEW has it."""
    measure: Measure
    old_s: float
    new_s: float
    ratio: Ratio
    """The number in NEW over that in OLD; below 1 is faster, or less CPU time."""
    verdict: Verdict | None
    pairs: int
    """Launches of NEW that have one of OLD beside them."""
    among: int
    """Changes over which false discoveries are controlled together, this one included."""

    @property
    def better(self) -> Direction:
        """The better direction of `moved`."""
        return better_of(self.case.workload_name, self.measure)

    @property
    def moved(self) -> float:
        """The change as a share of the number that people compare: the time, or the rate."""
        return _as_change(self.ratio.estimate, self.better)

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of `moved`; None for too few launches."""
        if self.ratio.interval is None:
            return None
        bounds = sorted(_as_change(bound, self.better) for bound in self.ratio.interval)
        return Interval(*bounds)


class Uncompared(NamedTuple):
    """A case that can't be compared, and the reason."""

    case: Case
    why: str
    """The side and what is amiss there: `only in OLD`, `failed in NEW: Connection refused`."""
    measure: Measure | None = None
    """The measure that is missing; None: the case has no number at all on one side."""


class Side(NamedTuple):
    """One of the two runs that are compared, or the part of a run that an interpreter measured."""

    name: str
    launches: Mapping[Case, Sequence[Launch]]
    """The launches of measured mechanisms, under the cases of NEW."""
    unmeasured: Mapping[Case, Unmeasured]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """All changes between two runs, and the cautions about them."""

    changes_of: Mapping[Measure, Sequence[Change]]
    uncompared: Sequence[Uncompared]
    cautions: Sequence[str]
    """A sentence for each difference between the runs other than the code; see `cautions`."""
    noise_floor: float
    """Share by which unchanged code differs; a verdict within it is `~`. 0 if unknown."""
    old: str = "OLD"
    new: str = "NEW"
    floor_name: str = "noise floor between runs"
    floor_found: Found | None = None
    """Where the noise floor comes from, if the runs tell."""

    @property
    def changes(self) -> Sequence[Change]:
        """The changes of times."""
        return self.changes_of["time"]


def compare_runs(
    old: Results,
    new: Results,
    floor: Floor = UNKNOWN,
    measures: Collection[Measure] = (),
) -> RunComparison:
    """Compares the cases that two runs have in common, in the order of the tables.

    Times are always compared, other measures where they are named.

    The launches of two runs have no rounds in common. They are paired by position: that cancels no
    drift, but the interval of `stats.paired_ratio` applies. False discoveries are controlled over
    all changes of a measure together.
    """
    controls = {
        launch.case
        for results in (old, new)
        for launch in results.launches()
        if not launch.is_mechanism
    }
    before, after = (
        Side(name, mechanisms(results.counted()), _unmeasured(results, controls))
        for name, results in (("OLD", old), ("NEW", new))
    )
    changes_of: dict[Measure, Sequence[Change]] = {}
    uncompared = lacking(before, after)
    for measure in MEASURES:
        if measure == "time" or measure in measures:
            changes, more = compare_sides(before, after, measure, floor.ratio, _by_place)
            changes_of[measure] = changes
            uncompared += more
    return RunComparison(
        changes_of, uncompared, cautions(old, new), floor.ratio, floor_found=floor.found
    )


def compare_sides(
    old: Side,
    new: Side,
    measure: Measure,
    noise_floor: float,
    keyed: Callable[[Sequence[Launch]], Mapping[object, Launch]],
) -> tuple[list[Change], list[Uncompared]]:
    """Compares a measure of two sides; `keyed` tells which launches are paired.

    Returns the changes and the cases without that measure on a side, both in the order of tables.
    """
    ratios: dict[Case, tuple[Ratio, int, list[float], list[float]]] = {}
    uncompared = []
    for case in sorted(old.launches.keys() & new.launches.keys(), key=case_order):
        if not has_measure(case.workload_name, measure):
            continue
        before, after = (_numbers(side, case, measure, keyed) for side in (old, new))
        if isinstance(before, Missing):
            uncompared.append(Uncompared(case, f"not in {old.name}: {before.why}", measure))
        elif isinstance(after, Missing):
            uncompared.append(Uncompared(case, f"not in {new.name}: {after.why}", measure))
        elif (ratio := paired_ratio(after, before)) is None:
            uncompared.append(Uncompared(case, "no launches of both in one round", measure))
        else:
            pairs = len(before.keys() & after.keys())
            ratios[case] = ratio, pairs, list(before.values()), list(after.values())
    said = verdicts([ratio for ratio, *_ in ratios.values()], noise_floor)
    changes = [
        Change(
            case,
            measure,
            statistics.median(before_s),
            statistics.median(after_s),
            ratio,
            verdict,
            pairs,
            len(ratios),
        )
        for (case, (ratio, pairs, before_s, after_s)), verdict in zip(
            ratios.items(), said, strict=True
        )
    ]
    return changes, uncompared


def lacking(old: Side, new: Side) -> list[Uncompared]:
    """The cases that one side alone measured, or that failed on one, in the order of the tables.

    A case that neither has, and that is impossible on one of them at most, is none of them.
    """
    cases = {case for side in (old, new) for case in (*side.launches, *side.unmeasured)}
    found = []
    for case in sorted(cases, key=case_order):
        why = _why_lacking(case, old, new)
        if why is not None:
            found.append(Uncompared(case, why))
    return found


def _why_lacking(case: Case, old: Side, new: Side) -> str | None:
    for side in (new, old):
        item = side.unmeasured.get(case)
        if item is not None and item.has_failed:
            return f"failed in {side.name}: {item.reason}"
    for side, other in ((new, old), (old, new)):
        item = side.unmeasured.get(case)
        if case in other.launches and case not in side.launches:
            return (
                f"only in {other.name}"
                if item is None
                else f"{item.status} in {side.name}: {item.reason}"
            )
    return None


def _unmeasured(results: Results, controls: Collection[Case]) -> dict[Case, Unmeasured]:
    items = results.unmeasured.values()
    return {item.case: item for item in items if item.case not in controls}


def _numbers(
    side: Side,
    case: Case,
    measure: Measure,
    keyed: Callable[[Sequence[Launch]], Mapping[object, Launch]],
) -> Mapping[object, float] | Missing:
    """The numbers of a case's launches, by what they are paired by; Missing if one has none."""
    numbers: dict[object, float] = {}
    for key, launch in keyed(side.launches[case]).items():
        number = number_of(launch, measure)
        if isinstance(number, Missing):
            return number
        numbers[key] = number
    return numbers


def case_order(case: Case) -> tuple[object, ...]:
    """A key that sorts cases in the order of the tables."""
    place = place_of(case.workload)
    by_table = place, case.message_size_bytes, case.placement, case.loop
    return *by_table, case.transport, case.interpreter


def _by_place(launches: Sequence[Launch]) -> Mapping[object, Launch]:
    return dict(enumerate(launches))


def _as_change(ratio: float, better: Direction) -> float:
    """The change, as a share, of the number that people compare, from a ratio of times."""
    match better:
        case "less":
            return ratio - 1
        case "more":
            return 1 / ratio - 1
        case _:
            assert_never(better)
