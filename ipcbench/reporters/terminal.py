"""Renders the parts of a report for a terminal. The only reporter that knows rich."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from ipcbench.reporters.model import (
    Blank,
    Cell,
    Grid,
    Heading,
    Line,
    LineKind,
    Part,
    RowKind,
    padded,
)

_LINES: Mapping[LineKind, str] = {
    "plain": "",
    "quiet": "dim",
    "warning": "yellow",
    "good": "green",
    "bad": "red",
    "mixed": "yellow",
}
_ROWS: Mapping[RowKind, str | None] = {"normal": None, "control": "dim", "heading": "italic"}
_FAST, _SLOW = (247, 251, 255), (8, 81, 156)
"""Ends of the shades, light to dark in one hue, which any eye can order (ColorBrewer's Blues)."""
_DARK = 0.5


def rendered(part: Part) -> Iterator[Text | Table]:
    """Yields a part's lines and tables, as tables that may be wider than the terminal."""
    match part:
        case Blank():
            yield Text()
        case Heading(text):
            yield Text(text, style="bold")
        case Line(text, kind):
            yield Text(text, style=_LINES[kind])
        case Grid(title):
            if title:
                yield Text(title, style="bold")
            yield table(part)
            if title:
                yield Text()
        case _:
            assert_never(part)


def table(grid: Grid) -> Table:
    """The table of a grid: a line below its head, and no frame."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # A text of its own class is no markup, unlike a string.
    for column in grid.columns:
        made.add_column(Text(column.title), justify="right" if column.is_number else "left")
    for row in grid.rows:
        made.add_row(*map(_cell, padded(row, grid)), style=_ROWS[row.kind])
    return made


def _cell(cell: Cell) -> Text:
    if cell.shade is None:
        return Text(cell.text)
    red, green, blue = (
        round(fast + cell.shade * (slow - fast)) for fast, slow in zip(_FAST, _SLOW, strict=True)
    )
    ink = "white" if cell.shade > _DARK else "black"
    return Text(f" {cell.text} ", style=f"{ink} on rgb({red},{green},{blue})")


UNBOUNDED = 10_000
"""A width that no table exceeds."""


def _natural_width(table: Table, console: Console) -> int:
    """The table's width in characters if nothing is cut or wrapped."""
    options = console.options.update(width=UNBOUNDED)
    return Measurement.get(console, options, table).maximum


def folded(table: Table, console: Console, width: int) -> Iterator[Table]:
    """Yields the table if it fits the width; otherwise parts that do, each with the first column.

    The parts leave out empty columns. Only a column that doesn't fit beside the first is wrapped.
    """
    if _natural_width(table, console) <= width:
        yield table
        return
    first, *rest = table.columns
    part = [first]
    for column in rest:
        if not any(column.cells):
            continue
        if len(part) > 1 and _natural_width(_part(table, [*part, column]), console) > width:
            yield _part(table, part)
            part = [first]
        part.append(column)
    yield _part(table, part)


def _part(table: Table, columns: list[Column]) -> Table:
    """A table of the rows of another and some of its columns."""
    part = Table(
        box=table.box,
        show_edge=table.show_edge,
        pad_edge=table.pad_edge,
        padding=table.padding,
    )
    # A column knows its place by a number, and is wrapped, where it must be, rather than cut.
    part.columns = [
        replace(column, _index=place, overflow="fold") for place, column in enumerate(columns)
    ]
    part.rows = table.rows
    return part
