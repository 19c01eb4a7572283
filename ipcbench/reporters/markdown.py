"""The tables for a pull request, as GitHub reads them."""

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from ipcbench.analysis.frame import Told
from ipcbench.analysis.warnings import summarised
from ipcbench.reporters import table
from ipcbench.reporters.columns import Column, label, table_columns
from ipcbench.units import display_size

_SPECIAL = re.compile(r"[\\`*_\[\]|#]")


def markdown_text(told: Told) -> str:
    """A table for each workload, size, placement and loop; then what they rest on, and warnings."""
    parts: list[str] = []
    for _, group in told.cases.groupby(table.TABLE_KEYS, sort=False):
        first = group.iloc[0]
        baselines = group["baseline"].dropna()
        baseline = None if baselines.empty else str(baselines.iloc[0])
        columns = table_columns(str(first["workload"]), baseline)
        size = display_size(first["message_size_bytes"])
        title = (
            f"{table.TITLES[first['workload']]}, {size}, {first['placement']}, {first['loop']} loop"
        )
        parts += [f"**{escaped(title)}**", "\n".join(_table(group, columns))]
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


def _table(group: pd.DataFrame, columns: Sequence[Column]) -> Iterator[str]:
    yield _line(column.title for column in columns)
    yield "|" + "|".join("---:" if column.is_number else "---" for column in columns) + "|"
    for row in group.to_dict("records"):
        if row["status"] == "measured":
            yield _line([label(row), *(column.show(row) for column in columns[1:])])
        else:
            yield _line([label(row), row["status"], *[""] * (len(columns) - 2)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
