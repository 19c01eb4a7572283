"""Tests common claims against measured times, and finds what each answer depends on.

Pure: results in, judgements out. Ratios, intervals, p-values and the control of false discoveries
are those of `stats`, over all comparisons of all claims together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from math import isfinite, log
from operator import and_
from typing import Literal, NamedTuple, Self, assert_never, get_args

import pandas as pd

from ipcbench.analysis.claims import CLAIMS
from ipcbench.analysis.comparisons import Claim, Comparison
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.launch_frame import (
    MACHINE,
    Measurements,
    by_round,
    congestion_of,
    noise_floor_of,
)
from ipcbench.analysis.saturation import Unsaturated, server_busy, unsaturated
from ipcbench.analysis.stats import Ratio, Verdict, alternating_ratio, verdicts
from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.results.metadata import QUESTION_KEY
from ipcbench.terms import Term
from ipcbench.workloads import without_clients

Says = Literal["agrees", "contradicts", "undecided"]
"""The outcome of a comparison for a claim; for `which`, `agrees` means a faster subject."""
Answer = Literal["holds", "fails", "depends", "open", "not measured"]
"""The answer to a claim; `open` means measured, but with no comparison decided."""
Dimension = Literal[
    "workload",
    "clients",
    "other",
    "subject",
    "size",
    "placement",
    "congestion",
    "loop",
    "interpreter",
]

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""The dimensions that an answer may depend on, the simplest explanation first."""
_MOST_PICKED = 16
_MOST_TOLD = 5
"""Most conditions in an explanation of where a claim holds."""
_BUFFERS = (
    "client_so_sndbuf_bytes",
    "server_so_rcvbuf_bytes",
    "client_pipe_size_bytes",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured comparison, with its ratio and its outcome for one claim."""

    comparison: Comparison
    time_s: float
    other_time_s: float
    ratio: Ratio
    """The subject's time over the other's; below 1 the subject is faster."""
    says: Says
    unsaturated: Unsaturated | None = None
    """Why the servers of many clients weren't saturated, so that nothing is decided."""
    server_busy: float | None = None
    """Of many clients, the least share of a CPU that either server took."""


class Condition(NamedTuple):
    """A set of comparisons, by the values they may have in some dimensions: throughput at 64k."""

    values: tuple[tuple[Dimension, tuple[str, ...]], ...]

    def holds(self, comparison: Comparison) -> bool:
        """Whether the comparison has one of the values in each dimension."""
        its = traits(comparison)
        return all(its.get(dimension) in values for dimension, values in self.values)

    def joined(self, other: Self) -> Self | None:
        """The union of two conditions that differ in a single dimension; None for others."""
        mine, others = dict(self.values), dict(other.values)
        differ = [dimension for dimension in mine if mine[dimension] != others.get(dimension)]
        if mine.keys() != others.keys() or len(differ) != 1:
            return None
        mine[differ[0]] += others[differ[0]]
        return type(self)(tuple(mine.items()))


@dataclass(frozen=True, slots=True)
class Buffer:
    """The recorded sizes of a transport's buffer."""

    transport: str
    name: str
    """The name in the metadata, like `client_so_sndbuf_bytes`."""
    sizes_bytes: Sequence[int]


@dataclass(frozen=True, slots=True)
class ByCongestion:
    """The same comparison under several of TCP's congestion controls."""

    where: Condition
    """Values in the dimensions in which they are all alike."""
    compared: Sequence[Compared]
    """One for each congestion control."""

    @property
    def differs(self) -> bool:
        """Whether two of the ratios surely differ: their intervals have nothing in common."""
        intervals = [one.ratio.interval for one in self.compared]
        known = [interval for interval in intervals if interval is not None]
        return any(one.high < other.low for one in known for other in known)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer of one machine to one claim."""

    claim: Claim
    answer: Answer
    compared: Sequence[Compared]
    agrees: Sequence[Condition]
    """Conditions that cover all comparisons that agree and none that contradict, if both are there.

    Empty if `contradicts` takes fewer words: all other comparisons agree then. Both are empty if
    neither side can be described in few conditions.
    """
    contradicts: Sequence[Condition]
    """Conditions that cover all comparisons that contradict and none that agree; see `agrees`."""
    buffers: Sequence[Buffer]
    congestion: Sequence[str] = ()
    """TCP's congestion controls that the comparisons were made under, for a claim that tells it."""
    by_congestion: Sequence[ByCongestion] = ()
    """The comparisons that were made under several of them."""

    @property
    def decided(self) -> int:
        """The number of comparisons with a decided outcome."""
        return sum(one.says != "undecided" for one in self.compared)

    @property
    def depends_on(self) -> list[Dimension]:
        """The dimensions that the answer depends on, in the order of DIMENSIONS."""
        conditions = (*self.agrees, *self.contradicts)
        named = {dimension for condition in conditions for dimension, _ in condition.values}
        return [dimension for dimension in DIMENSIONS if dimension in named]


def judged(analysis: Analysis) -> list[Judgement]:
    """Tests each claim against these results, in the order of CLAIMS."""
    groups = _groups(analysis)
    rows = [
        (claim, _under(claim, comparison, groups))
        for claim in CLAIMS
        for comparison in claim.comparisons(list(groups))
    ]
    # Rounds in common are rare only where files of different runs were put together.
    pairs = dict.fromkeys(comparison for _, comparison in rows)
    ratios = {
        comparison: ratio
        for comparison in pairs
        if (ratio := _ratio(groups, comparison)) is not None
    }
    rows = [(claim, comparison) for claim, comparison in rows if comparison in ratios]
    lacks = {comparison: unsaturated(comparison, groups) for comparison in ratios}
    tests = [
        None if lacks[comparison] else _decisive(claim, groups, comparison, ratios[comparison])
        for claim, comparison in rows
    ]
    said = verdicts(tests, noise_floor_of(analysis.launches))
    compared: dict[str, list[Compared]] = {claim.name: [] for claim in CLAIMS}
    for (claim, comparison), verdict in zip(rows, said, strict=True):
        time_s, other_time_s = (float(groups[case]["time_s"].median()) for case in comparison.cases)
        says = _says(claim, ratios[comparison].estimate, verdict)
        one = Compared(
            comparison,
            time_s,
            other_time_s,
            ratios[comparison],
            says,
            lacks[comparison],
            server_busy(comparison, groups),
        )
        compared[claim.name].append(one)
    return [_judgement(claim, compared[claim.name], groups) for claim in CLAIMS]


def asked_for(results: Measurements) -> bool:
    """Whether any of the results were measured to judge the claims."""
    return any(launch.facts.get(QUESTION_KEY) == "claims" for launch in results.launches())


def traits(comparison: Comparison) -> Mapping[Dimension, str]:
    """The value of a comparison in each dimension that it has: a workload may fix the size.

    A transport beside which the congestion control is told is named without its knobs; one that its
    subject implies isn't named, nor is the workload of a transport that is compared with itself.
    """
    case = comparison.subject
    has_sizes = case.definition.fixed_size_bytes is None
    other = comparison.other.transport
    every: dict[Dimension, str] = {
        "workload": without_clients(case.workload),
        "clients": str(case.clients.number),
        "other": Term.parse(other).name if comparison.congestion else other,
        "subject": case.transport,
        "size": str(case.message_size_bytes),
        "placement": case.placement,
        "congestion": comparison.congestion,
        "loop": case.loop,
        "interpreter": case.interpreter,
    }
    lacking = {"size"} if not has_sizes else set()
    if not comparison.congestion:
        lacking.add("congestion")
    if comparison.is_pair:
        lacking.add("other")
    if comparison.is_with_itself:
        lacking.add("workload")
    return {dimension: value for dimension, value in every.items() if dimension not in lacking}


def _groups(analysis: Analysis) -> dict[Case, pd.DataFrame]:
    """The launches of each case with a number. Raises UsageError if two machines made them."""
    if analysis.launches.empty:
        return {}
    counted = analysis.launches[analysis.launches["is_counted"]]
    if counted[MACHINE].nunique() > 1:
        raise UsageError("a claim is judged on one machine; give the files of one")
    return {Case.parse(str(name)): own for name, own in counted.groupby("case")}


def _under(claim: Claim, comparison: Comparison, groups: Mapping[Case, pd.DataFrame]) -> Comparison:
    """The comparison with the congestion control in force, for a claim that tells it."""
    if not claim.tells_congestion:
        return comparison
    return comparison._replace(congestion=",".join(congestion_of(groups[comparison.other])))


def _ratio(
    groups: Mapping[Case, pd.DataFrame], comparison: Comparison, over: float = 1.0
) -> Ratio | None:
    """The ratio of times divided by `over`, so that its test against 1 is one against `over`."""
    subject, other = (by_round(groups[case]) for case in comparison.cases)
    scaled = {key: [value / over for value in batches] for key, batches in subject.items()}
    return alternating_ratio(scaled, other)


def _decisive(
    claim: Claim, groups: Mapping[Case, pd.DataFrame], comparison: Comparison, ratio: Ratio
) -> Ratio | None:
    """The ratio that must differ from 1 for the comparison to be decided.

    A claim of `alike` has two, one over each bound of the band (0 and infinity are none). The one
    less certain to differ from 1 decides, so that each comparison counts once among all: if both
    differ, the ratio is certainly inside the band or certainly outside.
    """
    if claim.asserts != "alike":
        return ratio
    bounds = [bound for bound in claim.band if bound > 0 and isfinite(bound)]
    over_bounds = [_ratio(groups, comparison, bound) for bound in bounds]
    return max((over for over in over_bounds if over is not None), key=_doubt, default=None)


def _doubt(ratio: Ratio) -> tuple[float, float]:
    return 1.0 if ratio.p_value is None else ratio.p_value, -abs(log(ratio.estimate))


def _says(claim: Claim, estimate: float, verdict: Verdict | None) -> Says:
    if verdict is None or verdict == "~":
        return "undecided"
    match claim.asserts:
        case "faster" | "which":
            is_right = verdict == "faster"
        case "slower":
            is_right = verdict == "slower"
        case "alike":
            low, high = claim.band
            is_right = low < estimate < high
        case _:
            assert_never(claim.asserts)
    return "agrees" if is_right else "contradicts"


def _judgement(
    claim: Claim, compared: Sequence[Compared], groups: Mapping[Case, pd.DataFrame]
) -> Judgement:
    agree = [one.comparison for one in compared if one.says == "agrees"]
    contradict = [one.comparison for one in compared if one.says == "contradicts"]
    answer: Answer
    if agree and contradict:
        answer = "depends"
    elif agree or contradict:
        answer = "holds" if agree else "fails"
    else:
        answer = "open" if compared else "not measured"
    pairs = [one.comparison for one in compared if claim.tells_buffers]
    of_itself = [pair for pair in pairs if pair.other.transport in claim.others]
    buffers = _buffers(groups, [case for pair in of_itself for case in pair.cases])
    agrees, contradicts = _told(conditions(agree, contradict), conditions(contradict, agree))
    controls = dict.fromkeys(one.comparison.congestion for one in compared)
    return Judgement(
        claim,
        answer,
        compared,
        agrees,
        contradicts,
        buffers,
        [control for control in controls if control],
        _by_congestion(compared),
    )


def _by_congestion(compared: Sequence[Compared]) -> list[ByCongestion]:
    """The comparisons that differ in the congestion control alone, where there are several."""
    alike: dict[Condition, list[Compared]] = {}
    for one in compared:
        its = traits(one.comparison)
        if "congestion" in its:
            same = ((name, (value,)) for name, value in its.items() if name != "congestion")
            alike.setdefault(Condition(tuple(same)), []).append(one)
    return [ByCongestion(where, found) for where, found in alike.items() if len(found) > 1]


def conditions(wanted: Sequence[Comparison], others: Sequence[Comparison]) -> list[Condition]:
    """Conditions, as few as are found, that hold for all of `wanted` and none of `others`.

    Empty without `others`, and if it takes more than _MOST_TOLD of them. The search is greedy: it
    picks the condition that holds for most of the uncovered comparisons, of equals the shortest.
    """
    left = (1 << len(wanted)) - 1 if others else 0
    foreign = ((1 << len(others)) - 1) << len(wanted)
    pure = [kind for kind in _kinds(wanted, [*wanted, *others]) if not kind.pairs & foreign]
    if not pure:  # each comparison has an equal on the other side
        return []
    found: list[Condition] = []
    while left and len(found) < _MOST_PICKED:
        pick = max(
            pure, key=lambda kind: ((kind.pairs & left).bit_count(), -len(kind.condition.values))
        )
        found.append(pick.condition)
        left &= ~pick.pairs
    told = _joined(found)
    return [] if left or len(told) > _MOST_TOLD else told


class _Kind(NamedTuple):
    """A condition, and the comparisons it holds for, a bit for each."""

    condition: Condition
    pairs: int


def _kinds(wanted: Sequence[Comparison], every: Sequence[Comparison]) -> list[_Kind]:
    """Every condition that holds for some of the wanted comparisons, the shortest first."""
    traits_of = [traits(comparison) for comparison in every]
    bits: dict[tuple[Dimension, str], int] = {}
    for place, its in enumerate(traits_of):
        for trait in its.items():
            bits[trait] = bits.get(trait, 0) | 1 << place
    varying = [name for name in DIMENSIONS if len({its.get(name) for its in traits_of}) > 1]
    kinds: dict[tuple[tuple[Dimension, str], ...], _Kind] = {}
    for count in range(1, len(varying) + 1):
        for names in combinations(varying, count):
            for its in traits_of[: len(wanted)]:
                chosen = tuple((name, its[name]) for name in names if name in its)
                if len(chosen) == count and chosen not in kinds:
                    condition = Condition(tuple((name, (value,)) for name, value in chosen))
                    kinds[chosen] = _Kind(condition, reduce(and_, map(bits.__getitem__, chosen)))
    return list(kinds.values())


def _joined(apart: Sequence[Condition]) -> list[Condition]:
    """Merges conditions that differ in one dimension: throughput at 64 and at 1k become one."""
    kept: list[Condition] = []
    for condition in apart:
        for place, other in enumerate(kept):
            both = other.joined(condition)
            if both is not None:
                kept[place] = both
                break
        else:
            kept.append(condition)
    return kept


def _told(
    agrees: list[Condition], contradicts: list[Condition]
) -> tuple[list[Condition], list[Condition]]:
    """Both sides if each is a single condition; otherwise only the side that takes fewer words."""
    if len(agrees) == len(contradicts) == 1:
        return agrees, contradicts
    if not contradicts or (agrees and _words(agrees) < _words(contradicts)):
        return agrees, []
    return [], contradicts


def _words(told: Sequence[Condition]) -> tuple[int, int]:
    return len(told), sum(len(values) for condition in told for _, values in condition.values)


def _buffers(groups: Mapping[Case, pd.DataFrame], cases: Sequence[Case]) -> list[Buffer]:
    """The buffer sizes that the launches of these cases recorded."""
    found: dict[tuple[str, str], set[int]] = {}
    for case in dict.fromkeys(cases):
        for name in _BUFFERS:
            if name in groups[case]:
                sizes = groups[case][name].dropna()
                found.setdefault((case.transport, name), set()).update(map(int, sizes))
    return [Buffer(*key, sorted(sizes)) for key, sizes in found.items() if sizes]
