"""Renders the parts of a report as GitHub's Markdown, for a pull request."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import assert_never

from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.judging import judged
from ipcbench.analysis.load_lines import loads
from ipcbench.analysis.sweeps import sweeps
from ipcbench.analysis.warnings import summarised
from ipcbench.reporters.model import Blank, Grid, Heading, Line, Part, padded
from ipcbench.reporters.tables import cases, matrix
from ipcbench.reporters.tables.claims import answers
from ipcbench.reporters.tables.knobs import knob_parts
from ipcbench.reporters.tables.ladder_crowds import crowd_claims, whole_ladder
from ipcbench.reporters.tables.loads import load_parts
from ipcbench.reporters.tables.sweeps import sweep_parts

_SPECIAL = re.compile(r"[\\`*_\[\]|#]")


def markdown_text(analysis: Analysis, *, claims: bool = False, ladder: bool = False) -> str:
    """A table for each workload, size, placement, loop and interpreter; then footer and warnings.

    With `claims`, the answers to claims come first; with `ladder`, its tables do. Cases pinned to
    named CPUs have a table for each grid, and those of the open loop one for all rates. Several
    interpreters have tables of each against the first.
    """
    parts: list[Part] = [answers(judged(analysis))] if claims else []
    parts += whole_ladder(analysis) if ladder else ()
    parts += crowd_claims(analysis) if ladder and not claims else ()
    apart = cases.ordinary(analysis.cases)
    parts += cases.tables(apart)
    parts += sweep_parts(sweeps(apart, analysis.launches))
    parts += load_parts(
        loads(analysis.cases, analysis.objective, analysis.searches), analysis.objective
    )
    parts += cases.interpreter_tables(analysis.cases)
    parts += matrix.matrices(analysis.cases)
    parts += knob_parts(analysis.launches)
    parts += cases.reasons(analysis.cases)
    parts += cases.footer(analysis.launches, analysis.cases)
    parts += cases.warnings(summarised(analysis.objections))
    return rendered(parts)


def rendered(parts: Iterable[Part]) -> str:
    """The parts as Markdown; lines that follow each other are one list."""
    blocks: list[str] = []
    for is_list, together in groupby(parts, lambda part: isinstance(part, Line)):
        found = [block for part in together for block in _blocks(part)]
        blocks += ["\n".join(found)] if is_list else found
    return "\n\n".join(blocks) + "\n"


def _blocks(part: Part) -> Iterator[str]:
    match part:
        case Blank():
            pass
        case Heading(text):
            yield f"**{escaped(text)}**"
        case Line(text):
            yield f"- {escaped(text)}"
        case Grid(title):
            if title:
                yield f"**{escaped(title)}**"
            yield "\n".join(_table(part))
        case _:
            assert_never(part)


def _table(grid: Grid) -> Iterator[str]:
    yield _line(column.title for column in grid.columns)
    rules = ("---:" if column.is_number else "---" for column in grid.columns)
    yield f"|{'|'.join(rules)}|"
    for row in grid.rows:
        yield _line(cell.text for cell in padded(row, grid))


def escaped(text: str) -> str:
    """Escapes a text for GitHub's Markdown: no markup, no mention, no reference, one line."""
    plain = " ".join(text.split())
    marked = _SPECIAL.sub(lambda match: f"\\{match[0]}", plain)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        marked = marked.replace(sign, entity)
    return marked


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
