"""The table of knobs, and the line on TCP: what was asked for, what each end read back. Pure.

All of it is what launches recorded: no transport is asked, and a file may be of one that isn't
installed here.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from ipcbench.analysis.launch_frame import settings_of
from ipcbench.reporters.model import EMPTY, Blank, Cell, Grid, GridColumn, GridRow, Line, Part
from ipcbench.results.metadata import ASKED_KEY, CLIENT_KNOBS_KEY, SERVER_KNOBS_KEY
from ipcbench.terms import format_settings, magnitude, parse_settings

_SIDES = {"client": CLIENT_KNOBS_KEY, "server": SERVER_KNOBS_KEY}
_DOUBLED = {"sndbuf", "rcvbuf"}
"""Knobs that read back as twice what was asked for."""

_MOST_LISTED = 3
"""Most values of one cell: TCP chooses another buffer in each launch."""

_Settings = dict[str, list[str]]
"""The values of each knob in the launches of one transport, the least first."""


class _Row(NamedTuple):
    transport: str
    asked: dict[str, str]
    in_force: dict[str, _Settings]
    """Values that were read back, by side."""


def knob_parts(launches: pd.DataFrame) -> Iterator[Part]:
    """Yields the table of the knobs that were set, if any were, and how to read it.

    It has the transports with knobs, and beside them the ones without whose knobs these are. A
    name of its own for knobs (`pipe-1m`) begins with that of its transport.
    """
    if ASKED_KEY not in launches or launches[ASKED_KEY].isna().all():
        return
    each = [_row(str(name), group) for name, group in launches.groupby("transport", sort=False)]
    names = {row.transport for row in each if not row.asked}
    bases = {row.transport: _base(row, names) for row in each}
    set_ones = {bases[row.transport] for row in each if row.asked}
    rows = sorted(
        (row for row in each if bases[row.transport] in set_ones),
        key=lambda row: (bases[row.transport], *_place(row)),
    )
    knobs = list(dict.fromkeys(knob for row in rows for knob in row.asked))
    columns = [
        (side, knob)
        for side in _SIDES
        for knob in knobs
        if any(row.in_force[side].get(knob) for row in rows)
    ]
    heads = [
        GridColumn("transport", "transport", is_number=False),
        GridColumn("asked", "asked", is_number=False),
        *(GridColumn(f"{side} {knob}", f"{side}_{knob}") for side, knob in columns),
    ]
    yield Grid("Knobs: asked for, and in force at each end", heads, list(_cells(rows, columns)))
    if _DOUBLED & {knob for _, knob in columns}:
        yield Line(
            "sndbuf and rcvbuf in force are as the kernel tells them: twice what it was asked for"
        )
        yield Blank()


def congestion_text(launches: pd.DataFrame) -> str | None:
    """TCP's congestion control at both ends, in words; None if no launch recorded any.

    Where several were in force, each is told with its transports.
    """
    found: dict[str, list[str]] = {}
    for transport, group in launches.groupby("transport"):
        controls = {
            side: "/".join(sorted(settings_of(group, key).get("congestion", ())))
            for side, key in _SIDES.items()
        }
        if any(controls.values()):
            found.setdefault(_at_ends(controls), []).append(str(transport))
    if not found:
        return None
    if len(found) == 1:
        return f"TCP: {next(iter(found))}"
    each = (f"{text} ({', '.join(transports)})" for text, transports in found.items())
    return f"TCP: {'; '.join(each)}"


def _at_ends(values: Mapping[str, str]) -> str:
    """The values of a knob at the ends that told it."""
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values()))} at both ends"
    return ", ".join(f"{value} at the {side}" for side, value in values.items() if value)


def _row(transport: str, launches: pd.DataFrame) -> _Row:
    asked = launches[ASKED_KEY].dropna()
    return _Row(
        transport,
        {} if asked.empty else parse_settings(str(asked.iloc[0])),
        {side: _values(launches, key) for side, key in _SIDES.items()},
    )


def _values(launches: pd.DataFrame, key: str) -> _Settings:
    """The different values of each knob that these launches have in a column of settings."""
    found = settings_of(launches, key)
    return {knob: sorted(values, key=magnitude) for knob, values in found.items()}


def _base(row: _Row, names: Iterable[str]) -> str:
    """The transport that a row is of, without its knobs."""
    name = row.transport.partition(":")[0]
    spelled = [base for base in names if name.startswith(f"{base}-")] if row.asked else []
    return max(spelled, key=len, default=name)


def _place(row: _Row) -> tuple[object, ...]:
    """The place of a row among those of its transport: the one without knobs, then by value."""
    settings = [(knob, magnitude(value)) for knob, value in sorted(row.asked.items())]
    return len(settings), [knob for knob, _ in settings], [value for _, value in settings]


def _cells(rows: Iterable[_Row], columns: Iterable[tuple[str, str]]) -> Iterator[GridRow]:
    for row in rows:
        asked = format_settings(row.asked)
        found = (row.in_force[side].get(knob) for side, knob in columns)
        values = [EMPTY if one is None else _joined(one) for one in found]
        name = Cell(row.transport, row.transport)
        yield GridRow([name, _text(asked) if asked else Cell("-"), *values])


def _text(text: str) -> Cell:
    return Cell(text, text)


def _joined(values: list[str]) -> Cell:
    """The values of several launches: all, or the least and the most of many."""
    few = len(values) <= _MOST_LISTED
    return Cell(", ".join(values) if few else f"{values[0]} to {values[-1]}", ", ".join(values))
