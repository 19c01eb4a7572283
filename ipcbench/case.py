"""What is measured: a case, and the plan that orders all cases of a run. Pure."""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self, TypeVar, get_args

from ipcbench.errors import UsageError, unknown_name
from ipcbench.units import format_size, parse_size

Workload = Literal["latency", "throughput"]
Loop = Literal["python"]
Placement = Literal["same-core", "smt", "cross-core", "cross-socket", "free"]

_Name = TypeVar("_Name", bound=str)

WORKLOADS: tuple[Workload, ...] = get_args(Workload)
LOOPS: tuple[Loop, ...] = get_args(Loop)
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)

DEFAULT_LOOP: Loop = "python"
DEFAULT_PLACEMENT: Placement = "cross-core"


class Case(NamedTuple):
    """One thing to measure; equal cases are the same row in every table.

    A named tuple, like all data that a worker loads: importing dataclasses costs every launch
    about 10 ms.
    """

    workload: Workload
    transport: str
    message_size_bytes: int
    loop: Loop = DEFAULT_LOOP
    placement: Placement = DEFAULT_PLACEMENT

    @property
    def id(self) -> str:
        """The name used everywhere: `latency/unix/1k/python/cross-core`."""
        size = format_size(self.message_size_bytes)
        return f"{self.workload}/{self.transport}/{size}/{self.loop}/{self.placement}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The case with this id; loop and placement may be left out. UsageError otherwise."""
        parts = text.split("/")
        if not 3 <= len(parts) <= 5 or not all(parts):
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
            parse_size(size),
            _one_of("loop", loop, LOOPS),
            _one_of("placement", placement, PLACEMENTS),
        )


def parse_workload(text: str) -> Workload:
    """The workload of this name; UsageError with the nearest known one otherwise."""
    return _one_of("workload", text, WORKLOADS)


def plan(
    transports: Sequence[str],
    workloads: Sequence[Workload],
    sizes: Sequence[int],
    loops: Sequence[Loop] = (DEFAULT_LOOP,),
    placements: Sequence[Placement] = (DEFAULT_PLACEMENT,),
) -> tuple[Case, ...]:
    """All cases of a run, in the order of their tables: workload, size, then transport."""
    return tuple(
        Case(workload, transport, size, loop, placement)
        for workload in workloads
        for size in sizes
        for placement in placements
        for transport in transports
        for loop in loops
    )


def shuffled_groups(
    cases: Sequence[Case], seed: int, round_number: int, most: int
) -> list[list[Case]]:
    """The order of one round: the same for the same seed and round, whatever came before.

    Cases that a table compares (of one workload, size and placement) come in one group, whose
    batches are to alternate; a table of more than `most` cases is cut into groups of like size.
    """
    order = list(cases)
    random.Random(f"{seed}/{round_number}").shuffle(order)
    tables: dict[tuple[Workload, int, Placement], list[Case]] = {}
    for case in order:
        key = (case.workload, case.message_size_bytes, case.placement)
        tables.setdefault(key, []).append(case)
    return [group for table in tables.values() for group in _in_groups(table, most)]


def _in_groups(table: list[Case], most: int) -> list[list[Case]]:
    count = -(-len(table) // most)
    return [table[start::count] for start in range(count)]


def _one_of(kind: str, text: str, known: tuple[_Name, ...]) -> _Name:
    for name in known:
        if name == text:
            return name
    raise unknown_name(kind, text, known)
