"""A request: all that a user can ask to have measured, as data that travels and is kept.

The command line makes one, a result file keeps it, `--resume` compares it, and another machine
can be handed it. What it means on a machine is found out by `choice` and `plan`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from ipcbench.case import (
    DEFAULT_LOOP,
    LOOPS,
    PLACEMENTS,
    Loop,
    Placement,
    parse_workload,
    placement_of_cpus,
)
from ipcbench.errors import ResultsError, UsageError
from ipcbench.results.rules import (
    CPU_PAIR,
    FLAG,
    NAME_PATTERN,
    POSITIVE,
    TEXT,
    ValueRule,
    checked,
    each,
    like,
    one_of,
    optional,
    whole,
)
from ipcbench.rungs import FAMILIES, Family
from ipcbench.workloads import DEFAULT_WORKLOADS, SERVER_MODELS

MOST_TOGETHER = 12
"""Most pairs at once: the cases of a usual table. A waiting pair takes 30 MB and its buffers."""
MOST_OF_LADDER = 60
"""The same for the ladder: every rung over three families, and a control."""

PresetName = Literal["quick", "default", "rigorous", "claims", "ladder", "crowds", "load"]

_TITLES = {
    "question": "another question",
    "transports": "other cases",
    "usual_transports": "other cases",
    "vary": "other cases",
    "grid": "other cases",
    "only": "other cases",
    "rungs": "other cases",
    "families": "other cases",
    "concurrency": "other numbers of clients",
    "at_first": "other cases",
    "at_last": "other cases",
    "first_size": "other cases",
    "last_placement": "other cases",
    "workloads": "other cases",
    "rates": "other rates",
    "arrivals": "other arrivals",
    "in_flight": "another number of messages in flight",
    "server": "another server",
    "work": "other work",
    "objective": "another objective",
    "sizes": "other cases",
    "loops": "other cases",
    "placements": "other cases",
    "usual_placements": "other cases",
    "matrix": "other cases",
    "cpus": "other CPUs",
    "pythons": "other interpreters",
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

_LATER = frozenset(
    (
        *("vary", "grid", "pythons", "rungs", "families", "at_first"),
        *("concurrency", "at_last", "first_size", "last_placement"),
        *("rates", "arrivals", "in_flight", "server", "work", "objective"),
    )
)
"""Fields that requests of earlier versions lack; they asked for nothing of them."""


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
    seed: int = 0
    """Seed of what is random about the messages."""


@dataclass(frozen=True, slots=True)
class Request:
    """All that a user asks to have measured; None and empty where the tool is to choose.

    Equal requests ask for the same cases and effort. Nothing here is about where results go or
    what is shown of them.
    """

    question: str = "compare"
    """What the answer is for: `compare`, `claims`, `ladder`, or the name of a bench script."""
    transports: tuple[str, ...] = ()
    """Names and groups (`@sockets`). One that can't run here is an error."""
    usual_transports: tuple[str, ...] = ("@core",)
    """Measured where `transports` and `vary` are empty. One that can't run here is left out, and so
    is one with knobs that this machine doesn't have."""
    vary: tuple[str, ...] = ()
    """Transports and workloads with values of their knobs to compare: `unix:sndbuf=4k,64k`."""
    grid: bool = False
    """Whether every combination of the values in `vary` is measured, instead of one at a time."""
    only: Mapping[str, tuple[str, ...]] | None = None
    """By term of a workload, the transports it is measured for; all, and the controls, where None.

    A term that isn't there has those of the same workload without knobs."""
    rungs: tuple[str, ...] = ()
    """Rungs of the ladder, which are measured in place of transports, those that there are. One
    that can't run here is n/a."""
    families: tuple[Family, ...] = ()
    """Families of sockets that the rungs are measured over."""
    concurrency: tuple[int, ...] = ()
    """Numbers of clients that each of the workloads is measured with; empty: as they say."""
    at_first: tuple[str, ...] = ()
    """Transports that are measured with the first size and the first placement alone."""
    at_last: tuple[str, ...] = ()
    """Transports that are measured with the first size and the last placement alone."""
    first_size: tuple[str, ...] = ()
    """Terms of workloads that are measured with the first size alone."""
    last_placement: tuple[str, ...] = ()
    """Terms of workloads that are measured at the last placement alone."""
    workloads: tuple[str, ...] = DEFAULT_WORKLOADS
    """Terms, with knobs: `latency:gap=1ms`."""
    rates: tuple[str, ...] = ()
    """Rates of an open loop: messages a second (`10000`), or shares of each peak (`50%`)."""
    arrivals: tuple[str, ...] = ()
    """How its messages are sent: `constant`, `poisson`."""
    in_flight: int | None = None
    """Most of its messages that are unanswered at once."""
    server: str | None = None
    """How the server serves several: `threads`, `epoll`, `fork`."""
    work: str | None = None
    """How long its server computes before each reply: `100us`."""
    objective: str | None = None
    """What its response times are to keep: `p99<200us`."""
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
    pythons: tuple[str, ...] = ()
    """Other interpreters, each as `LABEL=PATH` with the path as typed; empty: the own one alone."""
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
        of them leaves to be chosen, nor where an interpreter is: its label tells which one it is.
        """
        for field in fields(self):
            mine, others = getattr(self, field.name), getattr(other, field.name)
            if field.name == "transports":
                mine, others = set(mine), set(others)
            if field.name == "pythons":
                mine, others = ([text.partition("=")[0] for text in one] for one in (mine, others))
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
        """The request that `as_json` wrote, of this version or an earlier one.

        Raises ResultsError for anything else.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or not known - _LATER <= set(data) <= known:
            raise ResultsError("it holds no request that can be read")
        try:
            read = {name: checked(value, _RULES[name]) for name, value in data.items()}
        except ValueError as error:
            raise ResultsError(f"its request can't be read: {error}") from error
        only = read.pop("only")
        if only is not None:
            read["only"] = {workload: tuple(names) for workload, names in only.items()}
        return cls(**{name: _frozen(value) for name, value in read.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_placement(value: object) -> bool:
    return isinstance(value, str) and (value in PLACEMENTS or placement_of_cpus(value) is not None)


def _is_workload(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_workload(value) == value
    except UsageError:
        return False


def _is_only(value: object) -> bool:
    return isinstance(value, dict) and all(
        _is_workload(workload) and each(TEXT).fits(names) for workload, names in value.items()
    )


_LABELLED = re.compile(rf"{NAME_PATTERN.pattern}=.+", re.ASCII)
_RATE_PATTERN = re.compile(r"[0-9]{1,9}|[0-9]{1,4}(\.[0-9]{1,14})?%", re.ASCII)
_WORKLOADS = each(ValueRule("a workload", _is_workload))
_PLACEMENTS = each(ValueRule("a placement", _is_placement))
_RULES: Mapping[str, ValueRule] = {
    "question": TEXT,
    "transports": each(TEXT),
    "usual_transports": each(TEXT),
    "vary": each(TEXT),
    "grid": FLAG,
    "only": optional(ValueRule("an object of transports by workload", _is_only)),
    "rungs": each(TEXT),
    "families": each(one_of(*FAMILIES)),
    "concurrency": each(whole(1)),
    "at_first": each(TEXT),
    "at_last": each(TEXT),
    "first_size": _WORKLOADS,
    "last_placement": _WORKLOADS,
    "workloads": _WORKLOADS,
    "rates": each(like(_RATE_PATTERN, "a rate, or a share of the peak")),
    "arrivals": each(one_of("constant", "poisson")),
    "in_flight": optional(whole(1)),
    "server": optional(one_of(*SERVER_MODELS)),
    "work": optional(TEXT),
    "objective": optional(TEXT),
    "sizes": each(whole(1)),
    "loops": each(one_of(*LOOPS)),
    "placements": _PLACEMENTS,
    "usual_placements": _PLACEMENTS,
    "cpus": optional(CPU_PAIR),
    "matrix": FLAG,
    "pythons": each(like(_LABELLED, "an interpreter, LABEL=PATH")),
    "baseline": optional(TEXT),
    "seed": optional(whole(0)),
    "preset": optional(one_of(*get_args(PresetName))),
    "rounds": optional(whole(1)),
    "values": optional(whole(1)),
    "warmups": whole(0),
    "min_time_s": optional(POSITIVE),
    "timeout_s": POSITIVE,
    "target_ratio": optional(POSITIVE),
    "budget_s": optional(POSITIVE),
}
"""The requirement on each field of a stored request."""
