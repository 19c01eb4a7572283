"""Claims judged by what was measured: how each comparison decides, and what the answer depends on.

Pure: results in, judgements out. Nothing is computed a second way: ratios, intervals, p-values and
the control of false discoveries are those of `stats`, over all comparisons of all claims together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from math import log
from operator import and_
from typing import Literal, NamedTuple, Self

import pandas as pd

from ipcbench.analysis.claims import ALIKE, CLAIMS, Claim, Pair
from ipcbench.analysis.frame import Told, by_round, noise_floor_of
from ipcbench.analysis.stats import Ratio, Verdict, alternating_ratio, verdicts
from ipcbench.analysis.store import Results
from ipcbench.case import Case

Says = Literal["agrees", "contradicts", "undecided"]
"""What a comparison says of a claim; of a question (`which`), `agrees` is for its subject."""
Answer = Literal["holds", "fails", "depends", "open", "not measured"]
"""`open`: measured, but no comparison is decided."""
Dimension = Literal["workload", "other", "subject", "size", "placement", "loop"]

DIMENSIONS: tuple[Dimension, ...] = ("workload", "other", "subject", "size", "placement", "loop")
"""What an answer may depend on, the plainest explanation first."""
_MOST_PICKED = 16
_MOST_TOLD = 5
"""What it may take to say where a claim holds; nobody reads more."""
_BUFFERS = (
    "client_so_sndbuf_bytes",
    "server_so_rcvbuf_bytes",
    "client_pipe_size_bytes",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison that was made."""

    pair: Pair
    time_s: float
    other_time_s: float
    ratio: Ratio
    """The subject's time over the other's: below 1 the subject is faster."""
    says: Says


class Term(NamedTuple):
    """A kind of comparison: those with one of each of these values, like throughput at 64k."""

    values: tuple[tuple[Dimension, tuple[str, ...]], ...]

    def holds(self, pair: Pair) -> bool:
        """Whether the comparison is of this kind."""
        its = traits(pair)
        return all(its.get(dimension) in values for dimension, values in self.values)

    def joined(self, other: Self) -> Self | None:
        """The one kind that both are, if they differ in a single dimension; None otherwise."""
        mine, others = dict(self.values), dict(other.values)
        differ = [dimension for dimension in mine if mine[dimension] != others.get(dimension)]
        if mine.keys() != others.keys() or len(differ) != 1:
            return None
        mine[differ[0]] += others[differ[0]]
        return type(self)(tuple(mine.items()))


@dataclass(frozen=True, slots=True)
class Buffer:
    """How many bytes a transport's buffer held."""

    transport: str
    name: str
    """The metadata's: `client_so_sndbuf_bytes`."""
    sizes_bytes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What this machine says of one claim."""

    claim: Claim
    answer: Answer
    compared: Sequence[Compared]
    agrees: Sequence[Term]
    """Where it agrees, if it depends: together, all comparisons that do and none that doesn't.

    Empty where the other side is told in fewer words: it agrees for the rest then. Both are empty
    where neither can be told in a few.
    """
    contradicts: Sequence[Term]
    """The same for where it contradicts."""
    buffers: Sequence[Buffer]

    @property
    def decided(self) -> int:
        """How many comparisons say something."""
        return sum(one.says != "undecided" for one in self.compared)

    @property
    def depends_on(self) -> list[Dimension]:
        """What the answer depends on, in the order of DIMENSIONS."""
        terms = (*self.agrees, *self.contradicts)
        named = {dimension for term in terms for dimension, _ in term.values}
        return [dimension for dimension in DIMENSIONS if dimension in named]


def judged(told: Told) -> list[Judgement]:
    """What these results say of each claim, in the order of CLAIMS."""
    groups = _groups(told)
    rows = [(claim, pair) for claim in CLAIMS for pair in claim.pairs(list(groups))]
    # Rounds in common are rare only where files of different runs were put together.
    pairs = dict.fromkeys(pair for _, pair in rows)
    ratios = {pair: ratio for pair in pairs if (ratio := _ratio(groups, pair)) is not None}
    rows = [(claim, pair) for claim, pair in rows if pair in ratios]
    tests = [_decisive(claim, groups, pair, ratios[pair]) for claim, pair in rows]
    said = verdicts(tests, noise_floor_of(told.launches))
    compared: dict[str, list[Compared]] = {claim.name: [] for claim in CLAIMS}
    for (claim, pair), verdict in zip(rows, said, strict=True):
        time_s, other_time_s = (float(groups[case]["time_s"].median()) for case in pair)
        says = _says(claim, ratios[pair].estimate, verdict)
        one = Compared(pair, time_s, other_time_s, ratios[pair], says)
        compared[claim.name].append(one)
    return [_judgement(claim, compared[claim.name], groups) for claim in CLAIMS]


def asked_for(results: Results) -> bool:
    """Whether these results were made to judge claims, by the command that their launches tell."""
    commands = {str(bench.get_metadata().get("command", "")) for bench in results.suite or ()}
    return any(command.split()[:2] == ["ipcbench", "claims"] for command in commands)


def traits(pair: Pair) -> Mapping[Dimension, str]:
    """What tells a comparison from others; a connection's size is no choice, and left out."""
    case = pair.subject
    every: dict[Dimension, str] = {
        "workload": case.workload,
        "other": pair.other.transport,
        "subject": case.transport,
        "size": str(case.message_size_bytes),
        "placement": case.placement,
        "loop": case.loop,
    }
    return {
        dimension: value
        for dimension, value in every.items()
        if dimension != "size" or case.workload != "connect"
    }


def _groups(told: Told) -> dict[Case, pd.DataFrame]:
    """The launches of each case that has a number."""
    without, launches = told.results.unmeasured, told.launches
    every = {} if launches.empty else {str(name): own for name, own in launches.groupby("case")}
    return {Case.parse(name): own for name, own in every.items() if name not in without}


def _ratio(groups: Mapping[Case, pd.DataFrame], pair: Pair, over: float = 1.0) -> Ratio | None:
    """The ratio of the pair's times over this number: a test against 1 is then one against it."""
    subject, other = (by_round(groups[case]) for case in pair)
    scaled = {key: [value / over for value in batches] for key, batches in subject.items()}
    return alternating_ratio(scaled, other)


def _decisive(
    claim: Claim, groups: Mapping[Case, pd.DataFrame], pair: Pair, ratio: Ratio
) -> Ratio | None:
    """The ratio that has to differ from 1 for the comparison to say anything.

    Of what is said to be alike there are two, over each bound of the band; the one that is less
    sure to differ decides, so each comparison counts once among all: what is surely on one side
    of both bounds is outside, what is surely between them inside.
    """
    if claim.asserts != "alike":
        return ratio
    over_bounds = [_ratio(groups, pair, bound) for bound in ALIKE]
    return max((over for over in over_bounds if over is not None), key=_doubt, default=None)


def _doubt(ratio: Ratio) -> tuple[float, float]:
    return 1.0 if ratio.p_value is None else ratio.p_value, -abs(log(ratio.estimate))


def _says(claim: Claim, estimate: float, verdict: Verdict | None) -> Says:
    if verdict is None or verdict == "~":
        return "undecided"
    low, high = ALIKE
    right = {
        "faster": verdict == "faster",
        "which": verdict == "faster",
        "slower": verdict == "slower",
        "alike": low < estimate < high,
    }
    return "agrees" if right[claim.asserts] else "contradicts"


def _judgement(
    claim: Claim, compared: Sequence[Compared], groups: Mapping[Case, pd.DataFrame]
) -> Judgement:
    agree = [one.pair for one in compared if one.says == "agrees"]
    contradict = [one.pair for one in compared if one.says == "contradicts"]
    answer: Answer
    if agree and contradict:
        answer = "depends"
    elif agree or contradict:
        answer = "holds" if agree else "fails"
    else:
        answer = "open" if compared else "not measured"
    shown = compared if claim.tells_buffers else ()
    buffers = _buffers(groups, [case for one in shown for case in one.pair])
    agrees, contradicts = _told(terms(agree, contradict), terms(contradict, agree))
    return Judgement(claim, answer, compared, agrees, contradicts, buffers)


def terms(wanted: Sequence[Pair], others: Sequence[Pair]) -> list[Term]:
    """The fewest kinds of comparison found that hold for all of `wanted` and none of `others`.

    Nothing where there are no others, for nothing need be told apart then, nor where it would take
    more than can be read. Greedy: the kind that holds for most of what is still to be told first,
    then the one with the fewest words.
    """
    left = (1 << len(wanted)) - 1 if others else 0
    foreign = ((1 << len(others)) - 1) << len(wanted)
    pure = [kind for kind in _kinds(wanted, [*wanted, *others]) if not kind.pairs & foreign]
    if not pure:  # what disagrees differs in nothing that is told
        return []
    found: list[Term] = []
    while left and len(found) < _MOST_PICKED:
        pick = max(pure, key=lambda kind: ((kind.pairs & left).bit_count(), -len(kind.term.values)))
        found.append(pick.term)
        left &= ~pick.pairs
    told = _joined(found)
    return [] if left or len(told) > _MOST_TOLD else told


class _Kind(NamedTuple):
    """A kind of comparison, and which it holds for: a bit for each."""

    term: Term
    pairs: int


def _kinds(wanted: Sequence[Pair], every: Sequence[Pair]) -> list[_Kind]:
    """Every kind of comparison that some of the wanted are of, the plainest first."""
    traits_of = [traits(pair) for pair in every]
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
                    term = Term(tuple((name, (value,)) for name, value in chosen))
                    kinds[chosen] = _Kind(term, reduce(and_, map(bits.__getitem__, chosen)))
    return list(kinds.values())


def _joined(apart: Sequence[Term]) -> list[Term]:
    """The same kinds, told in fewer: throughput at 64 and throughput at 1k is one."""
    kept: list[Term] = []
    for term in apart:
        for place, other in enumerate(kept):
            both = other.joined(term)
            if both is not None:
                kept[place] = both
                break
        else:
            kept.append(term)
    return kept


def _told(agrees: list[Term], contradicts: list[Term]) -> tuple[list[Term], list[Term]]:
    """Both sides where each is one kind; else only the one that is told in fewer words."""
    if len(agrees) == len(contradicts) == 1:
        return agrees, contradicts
    if not contradicts or (agrees and _words(agrees) < _words(contradicts)):
        return agrees, []
    return [], contradicts


def _words(told: Sequence[Term]) -> tuple[int, int]:
    return len(told), sum(len(values) for term in told for _, values in term.values)


def _buffers(groups: Mapping[Case, pd.DataFrame], cases: Sequence[Case]) -> list[Buffer]:
    """The sizes of the buffers that the launches of these cases recorded."""
    found: dict[tuple[str, str], set[int]] = {}
    for case in dict.fromkeys(cases):
        for name in _BUFFERS:
            if name in groups[case]:
                sizes = groups[case][name].dropna()
                found.setdefault((case.transport, name), set()).update(map(int, sizes))
    return [Buffer(*key, sorted(sizes)) for key, sizes in found.items() if sizes]
