"""The plan of a run as its results file stores it, to resume the run. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from ipcbench.case import Case
from ipcbench.errors import ResultsError, UsageError
from ipcbench.results.rules import (
    CPU_PAIR,
    POSITIVE,
    TEXT,
    ValueRule,
    checked,
    each,
    optional,
    whole,
)

_TITLES = {
    "cases": "other cases",
    "rounds": "another number of rounds",
    "seed": "another seed",
    "values": "another number of --values",
    "warmups": "another number of --warmups",
    "min_time_s": "another --min-time",
    "timeout_s": "another --timeout",
    "baseline": "another baseline",
    "cpus": "other CPUs",
    "target_ratio": "another --target",
    "budget_s": "another --budget",
}
"""A description, for messages, of a difference between two plans, by field."""


_LATER = frozenset(("question", "request", "again"))
"""Fields that plans of earlier versions lack."""


@dataclass(frozen=True, slots=True)
class Intent:
    """The plan of a run: equal intents make the same launches in the same order."""

    cases: tuple[str, ...]
    """Case ids, in the order of the tables."""
    rounds: int
    seed: int
    values: int
    warmups: int
    min_time_s: float
    timeout_s: float
    baseline: str
    cpus: Mapping[str, tuple[int, int] | None]
    """CPUs of client and server, by placement; None if unpinned."""
    target_ratio: float | None
    budget_s: float | None
    question: str = "compare"
    """What the run was to answer: `compare`, `claims`, or the name of a bench script."""
    again: Mapping[str, int] = field(default_factory=dict)
    """Rounds of single cases beyond those of all, by the id: what a search has to see twice."""
    request: Mapping[str, Any] | None = None
    """What was asked for, as `run.request.Request` writes it; None in files of before it."""

    def as_json(self) -> dict[str, Any]:
        """The plan as data for JSON."""
        return asdict(self)

    def difference(self, other: "Intent") -> str | None:
        """A description of the first field in which two plans differ; None if they are equal.

        The question and the request are how a plan came about, and no part of it.
        """
        for one in fields(self):
            if one.name in _TITLES and getattr(self, one.name) != getattr(other, one.name):
                return _TITLES[one.name]
        return None

    @classmethod
    def parse(cls, data: object) -> Self:
        """Parses the data that `as_json` returns. Raises ResultsError for anything else.

        The question and the request may be missing, as they are in files of before they were kept.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or not known - _LATER <= set(data) <= known:
            raise ResultsError('has a "plan" that isn\'t one')
        try:
            read = {name: checked(value, _RULES[name]) for name, value in data.items()}
            cases = tuple(Case.parse(case).id for case in read.pop("cases"))
            cpus = {name: pair and tuple(pair) for name, pair in read.pop("cpus").items()}
            for case in map(Case.parse, cases):
                if case.placement not in cpus:
                    raise ValueError(f"no CPUs are given for {case.placement}")
            return cls(cases=cases, cpus=cpus, **read)
        except (ValueError, UsageError) as error:
            raise ResultsError(f'has a "plan" that can\'t be followed: {error}') from error


_OBJECT = ValueRule("an object", lambda value: isinstance(value, dict))
_CPUS = ValueRule(
    "an object of pairs of CPUs",
    lambda value: isinstance(value, dict) and all(map(optional(CPU_PAIR).fits, value.values())),
)
_ROUNDS = ValueRule(
    "an object of numbers of rounds",
    lambda value: isinstance(value, dict) and all(map(whole(1).fits, value.values())),
)
_RULES: Mapping[str, ValueRule] = {
    "cases": each(TEXT),
    "rounds": whole(1),
    "seed": whole(0),
    "values": whole(1),
    "warmups": whole(0),
    "min_time_s": POSITIVE,
    "timeout_s": POSITIVE,
    "baseline": TEXT,
    "cpus": _CPUS,
    "target_ratio": optional(POSITIVE),
    "budget_s": optional(POSITIVE),
    "question": TEXT,
    "again": _ROUNDS,
    "request": optional(_OBJECT),
}
"""The requirement on each field of a stored plan."""
