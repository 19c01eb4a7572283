"""The pictures of documents, each from committed results; `tools/refresh.py` writes them.

A comment names the file, the results and the picture, and the line after it shows the picture with
its text alternative: `<!-- picture docs/pictures/x.svg from results/y.json: NAME -->`. NAME is a
picture's, as `ipcbench report --svg` calls its files, or `table N`, the N-th table.
"""

import io
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from ipcbench.analysis import frame
from ipcbench.analysis.frame import Analysis
from ipcbench.reporters import terminal
from ipcbench.reporters.model import Grid
from ipcbench.reporters.pictures import drawing
from ipcbench.reporters.pictures.selection import Subject, pictures
from ipcbench.reporters.tables.summary import summary
from ipcbench.results import store
from ipcbench.transports.registry import usual

ROOT = Path(__file__).parent.parent
MADE_WITH = ("altair", "vl-convert-python", "rich")
_SHOWN = re.compile(
    r"(<!-- picture docs/(pictures/[a-z-]+\.svg)"
    r" from (results/\S+\.json(?:\.gz)?): ([a-z0-9 -]+) -->\n\n)"
    r"!\[.*?\]\(((?:docs/)?\2)\)"
)
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts that rich's SVG loads from another host; without them the reader's own is used."""
_WIDTH = 80


class Made(NamedTuple):
    """A picture, and its text alternative."""

    svg: str
    says: str


def made_with() -> str:
    """The libraries that decide how pictures look, as a comment at a picture's end."""
    return f"<!-- {', '.join(f'{name} {version(name)}' for name in MADE_WITH)} -->\n"


@cache
def made(results: str, name: str) -> Made:
    """The picture of this name from these results; reproducible with the same libraries."""
    analysis = _analysed(results)
    kind, _, number = name.partition(" ")
    picture = _table(analysis, int(number)) if kind == "table" else _picture(analysis, name)
    return picture._replace(svg=f"{picture.svg.rstrip()}\n{made_with()}")


@cache
def _analysed(results: str) -> Analysis:
    return frame.analyse(store.load(ROOT / results))


def shown(text: str) -> Iterator[tuple[str, Made]]:
    """The path of each picture that a document shows, with the picture."""
    for _, path, results, name, _link in _SHOWN.findall(text):
        yield f"docs/{path}", made(results, name)


def with_words(text: str) -> str:
    """The document with its pictures' text alternatives brought up to date."""
    return _SHOWN.sub(
        lambda match: f"{match[1]}![{made(*match.group(3, 4)).says}]({match[5]})", text
    )


def _picture(analysis: Analysis, name: str) -> Made:
    found = pictures(Subject(analysis.cases, analysis.launches, usual()))
    (picture,) = (picture for picture in found if picture.name == name)
    return Made(drawing.svg_of(picture.chart), picture.says)


def _table(analysis: Analysis, number: int) -> Made:
    grids = [part for part in summary(analysis) if isinstance(part, Grid) and part.title]
    grid = grids[number - 1]
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(terminal.table(grid))
    svg = _FONTS.sub("", console.export_svg(title=grid.title, unique_id="ipcbench"))
    said = (f"{row.cells[0].text} {row.cells[1].text}" for row in grid.rows)
    return Made(svg, f"{grid.title}: {', '.join(said)}.")
