"""The parts of a report in a terminal, and tables in narrow ones."""

import io

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from ipcbench.reporters import markdown
from ipcbench.reporters.model import (
    Blank,
    Cell,
    Grid,
    GridColumn,
    GridRow,
    Heading,
    Line,
    LineKind,
    Part,
    RowKind,
)
from ipcbench.reporters.terminal import folded, rendered


def _lines(table: Table, width: int) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=width)
    parts = []
    for part in folded(table, console, width):
        with console.capture() as shown:
            console.print(part)
        parts.append(shown.get().splitlines())
    return parts


@pytest.fixture
def table() -> Table:
    """Four columns, one of them empty, 41 characters wide."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("transport", "round trip", "spread", "verdict"):
        made.add_column(title)
    made.add_row("mp-pipe", "123 µs", "", "1.36x faster")
    made.add_row("null", "99.9 ns", "", "")
    return made


def test_a_table_that_fits_is_left_as_it_is(table: Table) -> None:
    ((titles, _, first, *_),) = _lines(table, 80)
    assert titles.split() == ["transport", "round", "trip", "spread", "verdict"]
    assert first.split() == ["mp-pipe", "123", "µs", "1.36x", "faster"]


def test_a_wider_one_is_folded_between_columns_with_the_first_in_front(table: Table) -> None:
    times, verdicts = _lines(table, 24)
    assert [line.split() for line in times] == [
        ["transport", "round", "trip"],
        ["─" * 21],
        ["mp-pipe", "123", "µs"],
        ["null", "99.9", "ns"],
    ]
    assert verdicts[0].split() == ["transport", "verdict"]
    assert verdicts[2].split() == ["mp-pipe", "1.36x", "faster"]


@pytest.mark.parametrize("width", range(12, 41))
def test_no_line_of_a_folded_table_is_too_wide_and_no_value_is_cut(
    width: int, table: Table
) -> None:
    lines = [line for part in _lines(table, width) for line in part]
    assert max(map(len, lines)) <= width
    text = "".join(lines).replace(" ", "")
    assert "…" not in text
    if width >= 22:  # beside the longest name the longest value has room
        for value in ("123µs", "99.9ns", "1.36xfaster"):
            assert value in text


def _seen(*parts: Part) -> list[str]:
    """The lines of these parts, with codes for their colours."""
    console = Console(
        file=io.StringIO(), width=40, force_terminal=True, color_system="truecolor", highlight=False
    )
    for part in parts:
        for one in rendered(part):
            console.print(one)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def _grid(*rows: GridRow, title: str = "") -> Grid:
    return Grid(title, [GridColumn("name", "name", is_number=False), GridColumn("n", "n")], rows)


def test_a_text_is_no_markup_and_no_emoji() -> None:
    text = "[b]x[/b] :fire:"
    assert _seen(Line(text), Heading(text)) == [text, f"\x1b[1m{text}\x1b[0m"]
    row = _seen(_grid(GridRow([Cell(text), Cell("1")])))[-1]
    assert row.split() == [*text.split(), "1"]


@pytest.mark.parametrize(
    ("kind", "code"), [("quiet", 2), ("warning", 33), ("good", 32), ("bad", 31), ("mixed", 33)]
)
def test_a_line_has_the_colour_of_its_kind(kind: LineKind, code: int) -> None:
    assert _seen(Line("x", kind)) == [f"\x1b[{code}mx\x1b[0m"]


@pytest.mark.parametrize(("kind", "code"), [("control", 2), ("heading", 3)])
def test_a_row_has_the_look_of_its_kind(kind: RowKind, code: int) -> None:
    *_, row = _seen(_grid(GridRow([Cell("x"), Cell("1")], kind)))
    assert f"\x1b[{code}mx" in row


def test_only_a_table_with_a_title_is_followed_by_a_gap() -> None:
    row = GridRow([Cell("x"), Cell("1")])
    first, *_, last = _seen(_grid(row, title="Numbers"))
    assert (first, last) == ("\x1b[1mNumbers\x1b[0m", "")
    assert _seen(_grid(row))[-1].startswith("x")


def test_the_darkest_cell_is_written_in_white() -> None:
    cells = [Cell("1", shade=0.0), Cell("2", shade=1.0)]
    *_, row = _seen(_grid(GridRow(cells)))
    black, white = 30, 37
    assert f"\x1b[{black};48;2;247;251;255m 1 " in row
    assert f"\x1b[{white};48;2;8;81;156m  2" in row


def test_the_same_parts_are_markdown() -> None:
    grid = _grid(GridRow([Cell("x"), Cell("1")]), GridRow([Cell("y")], "heading"), title="Numbers")
    parts = (Heading("A"), Line("one"), Line("two"), Blank(), grid, Line("three"))
    assert markdown.rendered(parts).split("\n\n") == [
        "**A**",
        "- one\n- two",
        "**Numbers**",
        "| name | n |\n|---|---:|\n| x | 1 |\n| y |  |",
        "- three\n",
    ]
