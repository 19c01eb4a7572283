"""Tables as GitHub's Markdown, for a pull request."""

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from ipcbench.analysis.frame import Analysis, baseline_of
from ipcbench.analysis.judging import judged
from ipcbench.analysis.warnings import summarised
from ipcbench.reporters.tables import cases, matrix
from ipcbench.reporters.tables.claims import answer_text
from ipcbench.reporters.tables.columns import WORDS, Column, label, table_columns
from ipcbench.units import display_size, display_time

_SPECIAL = re.compile(r"[\\`*_\[\]|#]")


def markdown_text(analysis: Analysis, *, claims: bool = False) -> str:
    """A table for each workload, size, placement and loop; then the footer and the warnings.

    With `claims`, the answers to claims come first. Cases pinned to named CPUs have a table for
    each grid.
    """
    parts = list(_claims(analysis)) if claims else []
    for _, group in analysis.cases[~matrix.is_part(analysis.cases)].groupby(
        cases.TABLE_KEYS, sort=False
    ):
        first = group.iloc[0]
        columns = table_columns(str(first["workload"]), baseline_of(group))
        size = display_size(first["message_size_bytes"])
        title = (
            f"{WORDS[first['workload']].title}, {size}, {first['placement']}, {first['loop']} loop"
        )
        parts += [f"**{escaped(title)}**", "\n".join(_table(group, columns))]
    for grid in matrix.grids(analysis.cases):
        parts += [f"**{escaped(grid.title)}**", "\n".join(_grid(grid))]
    said = [text.plain for text in cases.reasons(analysis.cases)]
    said += [text.plain for text in cases.footer(analysis.launches, analysis.cases)]
    said += [f"warning: {line}" for line in summarised(analysis.objections)]
    parts += ["\n".join(f"- {escaped(line)}" for line in said)] if said else []
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Escapes a text for GitHub's Markdown: no markup, no mention, no reference, one line."""
    plain = " ".join(text.split())
    marked = _SPECIAL.sub(lambda match: f"\\{match[0]}", plain)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        marked = marked.replace(sign, entity)
    return marked


def _claims(analysis: Analysis) -> Iterator[str]:
    """Yields a table with a row a claim: its text, and the answer here."""
    rows = ((one.claim.quote, answer_text(one)) for one in judged(analysis))
    yield "**Claims**"
    yield "\n".join([*_head(["claim", "here"], [False, False]), *map(_line, rows)])


def _grid(grid: matrix.Grid) -> Iterator[str]:
    """Yields the lines of a grid: the client's CPU down, the server's across."""
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
