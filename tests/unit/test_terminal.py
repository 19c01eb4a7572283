"""Tables in narrow terminals."""

import io

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from ipcbench.reporters.terminal import folded


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
