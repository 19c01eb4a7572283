"""The parts of a report as data: headings, lines and tables. Renderers turn them into documents.

A cell of a table has a text for people and a value for programs, in base units. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | None
"""A value in base units (seconds, bytes, ratios), or a name; None where there is none."""

LineKind = Literal["plain", "quiet", "warning", "good", "bad", "mixed"]
"""How a line is meant; `good`, `bad` and `mixed` are answers."""

RowKind = Literal["normal", "control", "heading"]
"""How a row is meant: `control` only bounds the others, `heading` has a label and no values."""


@dataclass(frozen=True, slots=True)
class Blank:
    """A gap, where the output has lines."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading over the parts that follow."""

    text: str
    about: Mapping[str, Value] = field(default_factory=dict)
    """Facts behind the text, for programs."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    text: str
    kind: LineKind = "plain"


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A column of a table."""

    title: str
    key: str
    """Name of the column's values, with their unit; no other column of the table has it."""
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str
    value: Value = None
    also: Mapping[str, Value] = field(default_factory=dict)
    """More values behind the text, by name, like the verdict of a ratio."""
    shade: float | None = None
    """Place of the value between the least (0) and the greatest (1) of a table of shades."""


EMPTY = Cell("")


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of a table; cells at its end may be left out."""

    cells: Sequence[Cell]
    kind: RowKind = "normal"
    status: str | None = None
    """Whether the row's case was measured; None for a row that is no case."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. Where it has a title, nothing else stands over it, and a gap follows."""

    title: str
    columns: Sequence[GridColumn]
    rows: Sequence[GridRow]
    about: Mapping[str, Value] = field(default_factory=dict)
    """Values that all rows have in common, by name."""


Part = Blank | Heading | Line | Grid


def padded(row: GridRow, grid: Grid) -> Sequence[Cell]:
    """The cells of a row, one for each column of its table."""
    return [*row.cells, *[EMPTY] * (len(grid.columns) - len(row.cells))]
