"""Tables in a narrow terminal: folded between columns, so that no number is cut. Prints nothing."""

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

UNBOUNDED = 10_000
"""Wider than any table of ours."""


def _natural_width(table: Table, console: Console) -> int:
    """Columns of the terminal that the table takes when nothing is cut or wrapped."""
    options = console.options.update(width=UNBOUNDED)
    return Measurement.get(console, options, table).maximum


def folded(table: Table, console: Console, width: int) -> Iterator[Table]:
    """The table if it fits the width; else parts that do, each with the first column in front.

    A column without a value is left out then. Only one that doesn't fit beside the first is left to
    be wrapped.
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
    """A table of some of this one's columns, with the same rows."""
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
