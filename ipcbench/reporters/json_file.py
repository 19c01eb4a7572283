"""Renders the parts of a report as JSON: the shown tables as data, in base units.

`{"format": 1, "parts": [...]}`; the `kind` of a part is `heading`, `line` or `grid`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, assert_never

from ipcbench.reporters.model import Blank, Grid, GridRow, Heading, Line, Part, Value, padded

FORMAT = 1
"""Raised if a reader of the document must change; a new key or kind of line is no reason."""


def json_text(parts: Iterable[Part]) -> str:
    """The document; a value that is missing, or is no finite number, is null."""
    documents = [document for part in parts for document in _documents(part)]
    whole = {"format": FORMAT, "parts": documents}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _documents(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Blank():
            pass
        case Heading(text, about):
            yield {"kind": "heading", "text": text, "about": _finite(about)}
        case Line(text, kind):
            yield {"kind": "line", "style": kind, "text": text}
        case Grid(title, columns, rows, about):
            heads = [
                {"key": column.key, "title": column.title, "is_number": column.is_number}
                for column in columns
            ]
            yield {
                "kind": "grid",
                "title": title,
                "about": _finite(about),
                "columns": heads,
                "rows": [_row(row, part) for row in rows],
            }
        case _:
            assert_never(part)


def _row(row: GridRow, grid: Grid) -> dict[str, Any]:
    """A row: its label as shown, and its values by name."""
    values: dict[str, Value] = {}
    for column, cell in zip(grid.columns, padded(row, grid), strict=True):
        values |= {column.key: cell.value, **cell.also}
    return {
        "kind": row.kind,
        "label": row.cells[0].text,
        "status": row.status,
        "values": {} if row.kind == "heading" else _finite(values),
    }


def _finite(values: Mapping[str, Value]) -> dict[str, Value]:
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in values.items()
    }
