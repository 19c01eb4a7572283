"""The plan of a run as its results file stores it, to resume the run. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ipcbench.case import Case
from ipcbench.errors import ResultsError, UsageError

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


_LATER = frozenset(("question", "request"))
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
    request: Mapping[str, Any] | None = None
    """What was asked for, as `run.request.Request` writes it; None in files of before it."""

    def as_json(self) -> dict[str, Any]:
        """The plan as data for JSON."""
        return asdict(self)

    def difference(self, other: "Intent") -> str | None:
        """A description of the first field in which two plans differ; None if they are equal.

        The question and the request are how a plan came about, and no part of it.
        """
        for field in fields(self):
            if field.name in _TITLES and getattr(self, field.name) != getattr(other, field.name):
                return _TITLES[field.name]
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
            intent = cls(
                cases=tuple(Case.parse(_text(case)).id for case in _listed(data["cases"])),
                rounds=_whole(data["rounds"], at_least=1),
                seed=_whole(data["seed"], at_least=0),
                values=_whole(data["values"], at_least=1),
                warmups=_whole(data["warmups"], at_least=0),
                min_time_s=_positive(data["min_time_s"]),
                timeout_s=_positive(data["timeout_s"]),
                baseline=_text(data["baseline"]),
                cpus={name: _optional(_cpus, pair) for name, pair in data["cpus"].items()},
                target_ratio=_optional(_positive, data["target_ratio"]),
                budget_s=_optional(_positive, data["budget_s"]),
                question=_text(data.get("question", "compare")),
                request=_optional(_object, data.get("request")),
            )
            for case in map(Case.parse, intent.cases):
                if case.placement not in intent.cpus:
                    raise ValueError(f"no CPUs are given for {case.placement}")
            return intent
        except (ValueError, AttributeError, UsageError) as error:
            raise ResultsError(f'has a "plan" that can\'t be followed: {error}') from error


def _optional(parse: Callable[[object], Any], value: object) -> Any:
    return None if value is None else parse(value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not an object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return value


def _whole(value: object, *, at_least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{value!r} is not a whole number of at least {at_least}")
    return value


def _positive(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise ValueError(f"{value!r} is not a positive number")
    return float(value)


def _cpus(value: object) -> tuple[int, int]:
    client, server = _listed(value)
    return _whole(client, at_least=0), _whole(server, at_least=0)
