"""Cases to measure, and the order of all cases of a run. Pure."""

import re
from typing import Literal, NamedTuple, Self, TypeVar, get_args

from ipcbench.errors import UsageError, unknown_name
from ipcbench.terms import Term
from ipcbench.units import format_size, parse_size
from ipcbench.workloads import (
    DEFINITIONS,
    WORKLOADS,
    Arrivals,
    Clients,
    Definition,
    Flow,
    Rhythm,
    Workload,
    arrivals_of,
    clients_of,
    flow_of,
    name_of,
    rhythm_of,
    settled_workload,
)

Loop = Literal["python", "native"]
Placement = str
"""One of PLACEMENTS, or `cpus-2-3`: the client on CPU 2 and the server on CPU 3."""

_Name = TypeVar("_Name", bound=str)

LOOPS: tuple[Loop, ...] = get_args(Loop)
PLACEMENTS: tuple[Placement, ...] = ("same-core", "smt", "cross-core", "cross-socket", "free")

_CPUS = re.compile(r"cpus-([0-9]{1,5})-([0-9]{1,5})")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

DEFAULT_LOOP: Loop = "python"
DEFAULT_PLACEMENT: Placement = "cross-core"


class Case(NamedTuple):
    """One combination to measure; equal cases share a row in every table.

    A named tuple, like all data that a worker loads: importing dataclasses costs every launch
    about 10 ms.
    """

    workload: str
    """The term of a workload, in canonical spelling: `latency`, `latency:gap=1ms`."""
    transport: str
    message_size_bytes: int
    loop: Loop = DEFAULT_LOOP
    placement: Placement = DEFAULT_PLACEMENT
    interpreter: str = ""
    """Label of the Python that measures it; empty: the one that runs ipcbench."""

    @property
    def workload_name(self) -> Workload:
        """The name of the workload, without its knobs."""
        return name_of(self.workload)

    @property
    def definition(self) -> Definition:
        """The row of the table of workloads."""
        return DEFINITIONS[self.workload_name]

    @property
    def rhythm(self) -> Rhythm:
        """What the ends do between messages."""
        return rhythm_of(self.workload)

    @property
    def flow(self) -> Flow:
        """How many messages are under way."""
        return flow_of(self.workload)

    @property
    def clients(self) -> Clients:
        """The clients of its server."""
        return clients_of(self.workload)

    @property
    def arrivals(self) -> Arrivals | None:
        """When the client sends in an open loop; None where replies set the pace."""
        return arrivals_of(self.workload)

    @property
    def id(self) -> str:
        """The case's name in files and messages: `latency/unix/1k/python/cross-core`.

        The label of an interpreter follows, where there is one.
        """
        size = format_size(self.message_size_bytes)
        label = f"/{self.interpreter}" if self.interpreter else ""
        return f"{self.workload}/{self.transport}/{size}/{self.loop}/{self.placement}{label}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The case with this id; what follows the size may be left out. Raises UsageError."""
        parts = text.split("/")
        if not 3 <= len(parts) <= 6 or not all(parts):
            raise UsageError(
                f"{text!r} is not a case; write it like latency/unix/1k"
                " or latency/unix/1k/python/cross-core"
            )
        workload, transport, size = parts[:3]
        loop = parts[3] if len(parts) > 3 else DEFAULT_LOOP
        placement = parts[4] if len(parts) > 4 else DEFAULT_PLACEMENT
        return cls(
            parse_workload(workload),
            transport,
            0 if size == "0" else parse_size(size),  # a transport that only signals
            _one_of("loop", loop, LOOPS),
            parse_placement(placement),
            parse_label(parts[5]) if len(parts) > 5 else "",
        )


def parse_workload(text: str) -> str:
    """The one spelling of a workload's term, in which equal ones are equal texts.

    UsageError for an unknown name or knob, with those there are, and for a value that it can't be.
    """
    term = Term.parse(text)
    _one_of("workload", term.name, WORKLOADS)
    return str(settled_workload(term))


def parse_loop(text: str) -> Loop:
    """The loop of this name; UsageError with the nearest known one otherwise."""
    return _one_of("loop", text, LOOPS)


def parse_placement(text: str) -> Placement:
    """The placement of this name; UsageError with the nearest known one otherwise."""
    return text if placement_of_cpus(text) else _one_of("placement", text, PLACEMENTS)


def is_label(text: str) -> bool:
    """Whether a text can be the label of an interpreter."""
    return _LABEL.fullmatch(text) is not None


def parse_label(text: str) -> str:
    """The label of an interpreter, as it is; UsageError where it can't be one."""
    if not is_label(text):
        raise UsageError(
            f"{text!r} can't be an interpreter's label; use up to 64 letters, digits, . _ -"
            " and begin with a letter or digit"
        )
    return text


def cpus_placement(client: int, server: int) -> Placement:
    """The placement on two given CPUs: `cpus-2-3`."""
    return f"cpus-{client}-{server}"


def placement_of_cpus(placement: Placement) -> tuple[int, int] | None:
    """The CPUs in a placement's name; None if it has none."""
    match = _CPUS.fullmatch(placement)
    return (int(match[1]), int(match[2])) if match else None


def is_on_one_cpu(placement: Placement) -> bool:
    """Whether both ends are pinned to one CPU."""
    cpus = placement_of_cpus(placement)
    return placement == "same-core" or (cpus is not None and cpus[0] == cpus[1])


def _one_of(kind: str, text: str, known: tuple[_Name, ...]) -> _Name:
    for name in known:
        if name == text:
            return name
    raise unknown_name(kind, text, known)
