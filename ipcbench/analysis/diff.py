"""Compares two runs: the changes from OLD to NEW, and the gates they trip."""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from ipcbench.analysis.floors import Floor, between_runs
from ipcbench.analysis.stats import Interval, Ratio, Verdict, paired_ratio, verdicts
from ipcbench.case import Case, parse_workload
from ipcbench.errors import UsageError
from ipcbench.results.launches import mechanisms
from ipcbench.results.metadata import CAUTIONED
from ipcbench.results.store import Results
from ipcbench.workloads import DEFINITIONS, WORKLOADS, Workload

_GATE = re.compile(
    rf"\s*({'|'.join(map(re.escape, WORKLOADS))})\s*([<>])\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*%\s*"
)


@dataclass(frozen=True, slots=True)
class Change:
    """The times of one case in two runs, and their ratio."""

    case: Case
    old_s: float
    new_s: float
    ratio: Ratio
    """The time in NEW over the time in OLD; below 1 is faster."""
    verdict: Verdict | None

    @property
    def moved(self) -> float:
        """The change as a share of the number that people compare: the time, or the rate."""
        return _as_change(self.ratio.estimate, self.case.workload)

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of `moved`; None for too few launches."""
        if self.ratio.interval is None:
            return None
        bounds = sorted(_as_change(bound, self.case.workload) for bound in self.ratio.interval)
        return Interval(*bounds)


@dataclass(frozen=True, slots=True)
class RunComparison:
    """All changes between two runs, and the cautions about them."""

    changes: Sequence[Change]
    only_old: Sequence[str]
    only_new: Sequence[str]
    cautions: Sequence[str]
    """A sentence for each difference between the runs other than the code."""
    floor: Floor
    """By how much unchanged code differs between runs; a verdict within it is `~`."""


class Gate(NamedTuple):
    """A limit that a change must not exceed: `latency>5%`, `throughput<-10%`.

    It is one of the number that people compare in its workload, as `Change.moved` is.
    """

    text: str
    workload: Workload
    above: bool
    limit: float

    def tripped_by(self, change: Change) -> bool:
        """Whether the whole interval of the change exceeds the limit."""
        if change.case.workload != self.workload or change.interval is None:
            return False
        low, high = change.interval
        return low > self.limit if self.above else high < self.limit


def parse_gate(text: str) -> Gate:
    """Parses a gate like `latency>5%`. Raises UsageError."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"gate {text!r} can't be read; write it like 'latency>5%' or 'throughput<-10%'"
        )
    return Gate(text.strip(), parse_workload(match[1]), match[2] == ">", float(match[3]) / 100)


def compare_runs(old: Results, new: Results) -> RunComparison:
    """Compares the cases that two runs have in common, in the order of the tables.

    The launches of two runs have no rounds in common. They are paired by position: that cancels no
    drift, but the interval of `stats.paired_ratio` applies. False discoveries are controlled over
    all changes together, against the noise floor that the runs were made with.
    """
    before, after = _times(old), _times(new)
    both = sorted(before.keys() & after.keys(), key=_order)
    ratios = [paired_ratio(_by_place(after[case]), _by_place(before[case])) for case in both]
    floor = between_runs(old, new)
    said = verdicts(ratios, floor.ratio)
    changes = [
        Change(
            case, statistics.median(before[case]), statistics.median(after[case]), ratio, verdict
        )
        for case, ratio, verdict in zip(both, ratios, said, strict=True)
        if ratio is not None
    ]
    only_old, only_new = (
        [case.id for case in sorted(mine.keys() - others.keys(), key=_order)]
        for mine, others in ((before, after), (after, before))
    )
    return RunComparison(changes, only_old, only_new, _cautions(old, new), floor)


def _times(results: Results) -> dict[Case, list[float]]:
    """The median time of each launch, by measured mechanism, in launch order."""
    measured = mechanisms(results.counted())
    return {case: [one.time_s for one in launches] for case, launches in measured.items()}


def _by_place(times: Sequence[float]) -> Mapping[int, float]:
    return dict(enumerate(times))


def _as_change(time_ratio: float, workload: Workload) -> float:
    """The change, as a share, of what a workload is compared by, from a ratio of its times."""
    better = DEFINITIONS[workload].better
    match better:
        case "less":
            return time_ratio - 1
        case "more":
            return 1 / time_ratio - 1
        case _:
            assert_never(better)


def _order(case: Case) -> tuple[int, int, str, str, str, str]:
    place = WORKLOADS.index(case.workload)
    by_table = place, case.message_size_bytes, case.placement, case.loop
    return *by_table, case.transport, case.interpreter


def _cautions(old: Results, new: Results) -> list[str]:
    cautions = []
    for fact in CAUTIONED:
        before, after = _facts(old, fact), _facts(new, fact)
        if before != after:
            cautions.append(f"{fact} differs: {', '.join(before)} and {', '.join(after)}")
    placements = [{case.placement for case in _times(results)} for results in (old, new)]
    if placements[0] != placements[1]:
        cautions.append("the placements differ: cases are compared only where they are the same")
    return cautions


def _facts(results: Results, name: str) -> list[str]:
    return sorted({str(launch.facts.get(name, "unknown")) for launch in results.launches()})
