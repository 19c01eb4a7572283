"""The look of every table in a terminal."""

from collections.abc import Iterator
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table


def bare_table() -> Table:
    """A table without columns yet: a line below its head, and no frame."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


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
