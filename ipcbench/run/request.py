"""A request: all that a user can ask to have measured, as data that travels and is kept.

The command line makes one, a result file keeps it, `--resume` compares it, and another machine
can be handed it. What it means on a machine is found out by `choice` and `plan`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from ipcbench.case import (
    DEFAULT_LOOP,
    Loop,
    Placement,
    parse_loop,
    parse_placement,
    parse_workload,
)
from ipcbench.errors import ResultsError, UsageError
from ipcbench.workloads import DEFAULT_WORKLOADS, Workload

MOST_TOGETHER = 12
"""Most pairs at once: the cases of a usual table. A waiting pair takes 30 MB and its buffers."""

PresetName = Literal["quick", "default", "rigorous", "claims"]

_TITLES = {
    "question": "another question",
    "transports": "other cases",
    "usual_transports": "other cases",
    "only": "other cases",
    "workloads": "other cases",
    "sizes": "other cases",
    "loops": "other cases",
    "placements": "other cases",
    "usual_placements": "other cases",
    "matrix": "other cases",
    "cpus": "other CPUs",
    "baseline": "another baseline",
    "seed": "another seed",
    "preset": "another number of rounds",
    "rounds": "another number of rounds",
    "values": "another number of --values",
    "warmups": "another number of --warmups",
    "min_time_s": "another --min-time",
    "timeout_s": "another --timeout",
    "target_ratio": "another --target",
    "budget_s": "another --budget",
}
"""The phrase for two requests that differ in a field."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Size of a launch: batches, samples and time limits."""

    values: int = 9
    warmups: int = 1
    min_time_s: float = 0.025
    """Wanted duration of one batch."""
    timeout_s: float = 30.0
    """Time limit of a launch."""
    samples: int = 20_000
    """Single round trips to time in a latency launch, at most one batch."""
    together: int = MOST_TOGETHER
    """Most pairs that exist at once and take turns."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for; None and empty where the tool is to choose.

    Equal requests ask for the same cases and effort. Nothing here is about where results go or
    what is shown of them.
    """

    question: str = "compare"
    """What the answer is for: `compare`, `claims`, or the name of a bench script."""
    transports: tuple[str, ...] = ()
    """Names and groups (`@sockets`). One that can't run here is an error."""
    usual_transports: tuple[str, ...] = ("@core",)
    """Measured where `transports` is empty. One that can't run here is left out."""
    only: Mapping[str, tuple[str, ...]] | None = None
    """By workload, the transports it is measured for; all, and the controls, where None."""
    workloads: tuple[Workload, ...] = DEFAULT_WORKLOADS
    sizes: tuple[int, ...] = (1024, 64 * 1024)
    """Message sizes in bytes."""
    loops: tuple[Loop, ...] = (DEFAULT_LOOP,)
    placements: tuple[Placement, ...] = ()
    usual_placements: tuple[Placement, ...] = ()
    """Measured where neither `placements`, `cpus` nor `matrix` says; empty: one is chosen."""
    cpus: tuple[int, int] | None = None
    """CPUs of the client and the server."""
    matrix: bool = False
    """Whether round trips of one transport are measured over every pair of CPUs."""
    baseline: str | None = None
    seed: int | None = None
    preset: PresetName | None = None
    """How much is measured where the numbers below don't say."""
    rounds: int | None = None
    values: int | None = None
    warmups: int = 1
    min_time_s: float | None = None
    timeout_s: float = 30.0
    target_ratio: float | None = None
    budget_s: float | None = None

    def difference(self, other: "Request") -> str | None:
        """A phrase for the first field that differs; None where both ask for the same.

        The order in which transports are named makes no difference. Neither does a seed that one
        of them leaves to be chosen.
        """
        for field in fields(self):
            mine, others = getattr(self, field.name), getattr(other, field.name)
            if field.name == "transports":
                mine, others = set(mine), set(others)
            if field.name == "seed" and None in (mine, others):
                continue
            if mine != others:
                return _TITLES[field.name]
        return None

    def as_json(self) -> dict[str, Any]:
        """The request as JSON data: `Request.parse` reads it back."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data

    @classmethod
    def parse(cls, data: object) -> Self:
        """The request that `as_json` wrote. Raises ResultsError for anything else."""
        if not isinstance(data, dict) or set(data) != {field.name for field in fields(cls)}:
            raise ResultsError("it holds no request that can be read")
        try:
            return cls(**{name: _READ[name](value) for name, value in data.items()})
        except (ValueError, UsageError) as error:
            raise ResultsError(f"its request can't be read: {error}") from error


def _optional(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


def _each(read: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    def read_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{value!r} is not a list")
        return tuple(map(read, value))

    return read_all


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a text")
    return value


def _named(parse: Callable[[str], Any]) -> Callable[[object], Any]:
    return lambda value: parse(_text(value))


def _whole(at_least: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int or value < at_least:
            raise ValueError(f"{value!r} is not a whole number of at least {at_least}")
        return value

    return read


def _positive(value: object) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e9:  # type: ignore[operator]
        raise ValueError(f"{value!r} is not a positive number")
    return float(value)  # type: ignore[arg-type]


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _cpus(value: object) -> tuple[int, int]:
    client, server = _each(_whole(0))(value)
    return client, server


def _only(value: object) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not an object")
    return {parse_workload(name): _each(_text)(names) for name, names in value.items()}


def _preset(value: object) -> str:
    if value not in get_args(PresetName):
        raise ValueError(f"{value!r} is no preset")
    return _text(value)


_READ: Mapping[str, Callable[[object], Any]] = {
    "question": _text,
    "transports": _each(_text),
    "usual_transports": _each(_text),
    "only": _optional(_only),
    "workloads": _each(_named(parse_workload)),
    "sizes": _each(_whole(1)),
    "loops": _each(_named(parse_loop)),
    "placements": _each(_named(parse_placement)),
    "usual_placements": _each(_named(parse_placement)),
    "cpus": _optional(_cpus),
    "matrix": _flag,
    "baseline": _optional(_text),
    "seed": _optional(_whole(0)),
    "preset": _optional(_preset),
    "rounds": _optional(_whole(1)),
    "values": _optional(_whole(1)),
    "warmups": _whole(0),
    "min_time_s": _optional(_positive),
    "timeout_s": _positive,
    "target_ratio": _optional(_positive),
    "budget_s": _optional(_positive),
}
"""How each field is read from JSON data: ValueError or UsageError for what it can't be."""
