"""The tables for a pull request, as GitHub reads them."""

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from ipcbench.analysis.frame import Told, baseline_of
from ipcbench.analysis.judging import judged
from ipcbench.analysis.warnings import summarised
from ipcbench.reporters import matrix, table
from ipcbench.reporters.claims_page import answer_text
from ipcbench.reporters.columns import WORDS, Column, label, table_columns
from ipcbench.units import display_size, display_time

_SPECIAL = re.compile(r"[\\`*_\[\]|#]")


def markdown_text(told: Told, *, claims: bool = False) -> str:
    """A table for each workload, size, placement and loop; then what they rest on, and warnings.

    With `claims`, their answers come first. Of a matrix there is a table for each of its grids.
    """
    parts = list(_claims(told)) if claims else []
    for _, group in told.cases[~matrix.is_part(told.cases)].groupby(table.TABLE_KEYS, sort=False):
        first = group.iloc[0]
        columns = table_columns(str(first["workload"]), baseline_of(group))
        size = display_size(first["message_size_bytes"])
        title = (
            f"{WORDS[first['workload']].title}, {size}, {first['placement']}, {first['loop']} loop"
        )
        parts += [f"**{escaped(title)}**", "\n".join(_table(group, columns))]
    for grid in matrix.grids(told.cases):
        parts += [f"**{escaped(grid.title)}**", "\n".join(_grid(grid))]
    said = [text.plain for text in table.reasons(told.cases)]
    said += [text.plain for text in table.footer(told.launches, told.cases)]
    said += [f"warning: {line}" for line in summarised(told.objections)]
    parts += ["\n".join(f"- {escaped(line)}" for line in said)] if said else []
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """The text as GitHub shows it again: no markup, no mention, no reference, one line."""
    plain = " ".join(text.split())
    marked = _SPECIAL.sub(lambda match: f"\\{match[0]}", plain)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        marked = marked.replace(sign, entity)
    return marked


def _claims(told: Told) -> Iterator[str]:
    """A row a claim: the saying, and its answer here."""
    rows = ((one.claim.quote, answer_text(one)) for one in judged(told))
    yield "**Claims**"
    yield "\n".join([*_head(["claim", "here"], [False, False]), *map(_line, rows)])


def _grid(grid: matrix.Grid) -> Iterator[str]:
    """The client's CPU down, the server's across."""
    yield from _head(["CPU", *map(str, grid.cpus)], [True] * (len(grid.cpus) + 1))
    for client in grid.cpus:
        cells = (grid.times_s.get((client, server)) for server in grid.cpus)
        yield _line(
            [str(client), *("" if time_s is None else display_time(time_s) for time_s in cells)]
        )


def _table(group: pd.DataFrame, columns: Sequence[Column]) -> Iterator[str]:
    yield from _head([column.title for column in columns], [column.is_number for column in columns])
    for row in group.to_dict("records"):
        if row["status"] == "measured":
            yield _line([label(row), *(column.show(row) for column in columns[1:])])
        else:
            yield _line([label(row), row["status"], *[""] * (len(columns) - 2)])


def _head(titles: Sequence[str], are_numbers: Sequence[bool]) -> Iterator[str]:
    yield _line(titles)
    yield "|" + "|".join("---:" if is_number else "---" for is_number in are_numbers) + "|"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
