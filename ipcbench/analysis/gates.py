"""Gates: limits that a change must not exceed, each with one of three answers. Pure.

A gate passes only if it judged every case that it is about. It never contradicts a verdict: what is
`~` trips no gate, unless the gate demands a change.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, assert_never

from ipcbench.analysis.diff import Change, RunComparison
from ipcbench.analysis.measures import Measure, better_of, has_measure
from ipcbench.analysis.stats import FEWEST_LAUNCHES, fewest_launches, is_within
from ipcbench.case import Case, parse_workload
from ipcbench.errors import UsageError
from ipcbench.text import counted
from ipcbench.units import display_percent
from ipcbench.workloads import WORKLOADS, Direction

Sense = Literal[">", "<", "faster", "slower"]
"""How a change exceeds a limit: `>` and `<` as the number is shown; `faster` is less of a time and
more of a rate, `slower` the other way round."""

Outcome = Literal["passed", "tripped", "not judged"]

_GATE = re.compile(r"\s*([^<>]*?)\s*([<>])\s*([+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*%\s*")
_WILD = re.compile(r"[*?\[]")
_SUBJECTS: dict[str, tuple[Measure, Sense | None]] = {
    "p99": ("p99", None),
    "cpu": ("cpu", None),
    "faster": ("time", "faster"),
    "slower": ("time", "slower"),
}
"""Words before a limit that aren't a workload: the measure, and the sense if they fix it."""
_AMBIGUOUS = (
    "it is about times, where less is better, and rates, where more is; make two gates of it, or"
    " write 'slower' or 'faster' in front"
)


class Gate(NamedTuple):
    """A limit that a change must not exceed: `latency>5%`, `latency/unix/*>5%`, `p99>10%`.

    It is one of the number that people compare in its workload, as `Change.moved` is.
    """

    text: str
    measure: Measure
    sense: Sense
    limit: float
    workload: str | None
    """The workload that it is about, with any knobs unless it has its own; None for all."""
    pattern: str
    """The ids that it is about, as in a shell; what follows the last part may be left out."""

    def is_about(self, case: Case) -> bool:
        """Whether the case is one that the gate judges."""
        return (
            self.workload in (None, case.workload, case.workload_name)
            and has_measure(case.workload_name, self.measure)
            and (fnmatchcase(case.id, self.pattern) or fnmatchcase(case.id, f"{self.pattern}/*"))
        )

    @property
    def subject(self) -> str:
        """The gate without its limit, for people."""
        return re.split("[<>]", self.text)[0].strip()


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The answer of a gate for one case."""

    case: Case
    outcome: Outcome
    why: str = ""
    """The reason why it is not judged."""
    change: Change | None = None
    """The change that it was judged by; None for a case that couldn't be compared."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The answer of a gate, and for every case that it is about."""

    gate: Gate
    versus: str
    """The sides, like `NEW against OLD`."""
    cases: Sequence[CaseResult]
    why: str = ""
    """The reason why none of its cases is judged."""
    notes: Sequence[str] = ()
    """Sentences on what the answer doesn't cover."""

    @property
    def outcome(self) -> Outcome:
        """`tripped` if any case did; `passed` only if all cases were judged, and there are any."""
        if self.of("tripped"):
            return "tripped"
        return "not judged" if self.why or not self.cases or self.of("not judged") else "passed"

    @property
    def judged_count(self) -> int:
        """The number of cases that it judged."""
        return len(self.cases) - len(self.of("not judged"))

    def of(self, outcome: Outcome) -> list[CaseResult]:
        """The cases with this answer."""
        return [one for one in self.cases if one.outcome == outcome]


def parse_gate(text: str) -> Gate:
    """Parses a gate like `latency>5%` or `cpu latency/unix/*>5%`. Raises UsageError."""
    match = _GATE.fullmatch(text)
    words = match[1].split() if match else []
    keyword = words.pop(0) if words and words[0] in _SUBJECTS else None
    is_subject = len(words) == 1 and ("/" in words[0] or words[0].partition(":")[0] in WORKLOADS)
    if match is None or not text.isprintable() or not (is_subject or (keyword and not words)):
        raise UsageError(
            f"gate {text!r} can't be read; write it like 'latency>5%' or 'throughput<-10%',"
            " 'latency/unix/*>5%', 'p99>10%', 'cpu>5%', 'slower>5%' or 'faster>10%'"
        )
    limit = float(match[3]) / 100
    measure, fixed = _SUBJECTS[keyword] if keyword else ("time", None)
    if fixed and (match[2] == "<" or limit < 0):
        raise UsageError(f"gate {text!r} can't be read; write it like '{keyword}>10%'")
    workload, pattern = _cases_of(words)
    sense: Sense = fixed or (">" if match[2] == ">" else "<")
    return Gate(text.strip(), measure, sense, limit, workload, pattern)


def _cases_of(words: Sequence[str]) -> tuple[str | None, str]:
    """The workload and the pattern of ids in a gate. Raises UsageError for a workload unknown."""
    if not words:
        return None, "*"
    name, slash, _ = words[0].partition("/")
    if not slash:
        return parse_workload(name), "*"
    workload = name if _WILD.search(name) else parse_workload(name)
    return None, workload + words[0][len(name) :]


def check_about(gates: Iterable[Gate], cases: Sequence[Case]) -> None:
    """Raises UsageError for a gate that can judge none of the cases that are to be measured."""
    for gate in gates:
        about = [case for case in cases if gate.is_about(case)]
        if _is_ambiguous(gate, {better_of(case.workload_name, gate.measure) for case in about}):
            raise UsageError(f"gate {gate.text!r} can't be judged: {_AMBIGUOUS}")
        if not about:
            raise UsageError(
                f"gate {gate.text!r} is about nothing that is to be measured; its cases are like"
                f" {cases[0].id if cases else 'latency/unix/1k'}"
            )


def judged_gates(gates: Iterable[Gate], comparison: RunComparison) -> list[GateResult]:
    """Judges each gate by a comparison that has its measure."""
    return [_judged(gate, comparison) for gate in gates]


def _judged(gate: Gate, comparison: RunComparison) -> GateResult:
    old, new = comparison.old, comparison.new
    changes = [one for one in comparison.changes_of[gate.measure] if gate.is_about(one.case)]
    lacking = [
        CaseResult(one.case, "not judged", one.why)
        for one in comparison.uncompared
        if one.measure in (None, gate.measure) and gate.is_about(one.case)
    ]
    versus = f"{new} against {old}"
    if not changes and not lacking:
        why = f"neither {old} nor {new} has a case of {gate.subject}"
        return GateResult(gate, versus, [], why)
    if _is_ambiguous(gate, {one.better for one in changes}):
        unjudged = [CaseResult(one.case, "not judged", _AMBIGUOUS, one) for one in changes]
        return GateResult(gate, versus, [*unjudged, *lacking], _AMBIGUOUS)
    cases = [_of_case(gate, change, comparison.noise_floor) for change in changes]
    return GateResult(gate, versus, [*cases, *lacking], notes=_notes(gate, changes, comparison))


def _is_ambiguous(gate: Gate, better: Collection[Direction]) -> bool:
    """Whether the sign of its limit means better for some of its cases and worse for others."""
    return gate.sense in ("<", ">") and len(better) > 1


def _of_case(gate: Gate, change: Change, noise_floor: float) -> CaseResult:
    """The answer for one case that both sides have."""
    if change.interval is None or change.verdict is None:
        few = counted(change.pairs, "launch", "launches")
        why = f"too few launches: {few}, it takes {FEWEST_LAUNCHES} of each (--rounds)"
        return CaseResult(change.case, "not judged", why, change)
    is_above, limit = _limit(gate, change.better)
    if not is_above and limit <= -1:
        why = f"it can't trip: nothing can fall by {display_percent(-limit)}"
        return CaseResult(change.case, "not judged", why, change)
    low, high = change.interval
    is_beyond = low > limit if is_above else high < limit
    if not is_beyond:
        return CaseResult(change.case, "passed", change=change)
    demands_change = limit < 0 if is_above else limit > 0
    if change.verdict != "~" or demands_change:
        return CaseResult(change.case, "tripped", change=change)
    needed = fewest_launches(change.among)
    if change.pairs >= needed or is_within(change.ratio.estimate, noise_floor):
        return CaseResult(change.case, "passed", change=change)
    why = (
        f"too few launches: {change.pairs} can't tell one change among {change.among} from chance,"
        f" it takes {needed} of each (--rounds)"
    )
    return CaseResult(change.case, "not judged", why, change)


def _limit(gate: Gate, better: Direction) -> tuple[bool, float]:
    """Whether changes above the limit trip, not those below; and the limit with its sign."""
    match gate.sense:
        case ">" | "<":
            return gate.sense == ">", gate.limit
        case "faster":
            is_above = better == "more"
        case "slower":
            is_above = better == "less"
        case _:
            assert_never(gate.sense)
    return is_above, gate.limit if is_above else -gate.limit


def _notes(gate: Gate, changes: Sequence[Change], comparison: RunComparison) -> list[str]:
    """Sentences on the noise floor, and on launches too few to find one change among many.

    Not for a limit that demands a change.
    """
    limits = [_limit(gate, change.better) for change in changes]
    ratios = [
        1 + limit
        for is_above, limit in limits
        if limit > -1 and (limit >= 0 if is_above else limit <= 0)
    ]
    if not ratios:
        return []
    return [*_on_floor(ratios, comparison), *_on_launches(changes)]


def _on_floor(ratios: Sequence[float], comparison: RunComparison) -> Iterator[str]:
    name, floor = comparison.floor_name, comparison.noise_floor
    if not floor:
        found = "`ipcbench selftest` finds it"
        yield f"the {name} of this machine is unknown, so equal things may trip it; {found}"
    elif any(is_within(ratio, floor) for ratio in ratios):
        share = f"{name} ({display_percent(floor)})"
        yield f"its limit is within this machine's {share}; a change must exceed that to trip it"


def _on_launches(changes: Sequence[Change]) -> Iterator[str]:
    few = [
        change
        for change in changes
        if change.verdict == "~" and change.pairs < fewest_launches(change.among)
    ]
    if few:
        pairs, among = min(change.pairs for change in few), max(change.among for change in few)
        yield (
            f"{pairs} launches can't tell one change among {among} from chance;"
            f" {fewest_launches(among)} of each can (--rounds)"
        )
