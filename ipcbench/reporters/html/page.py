"""The report as one self-contained HTML page: results in, a document out.

The page loads nothing: its style, script and pictures are inline, and its content security policy
forbids anything else. All text from a file goes through `html_text.element`, which escapes it.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import NamedTuple, assert_never

import pandas as pd

from ipcbench import __version__
from ipcbench.analysis.floors import within_run
from ipcbench.analysis.frame import MEASURED, Analysis
from ipcbench.analysis.judging import judged
from ipcbench.analysis.ladder import has_rungs
from ipcbench.analysis.load import is_part
from ipcbench.analysis.load_lines import loads as loads_of
from ipcbench.analysis.sweeps import SWEPT, Sweep, Swept, sweeps
from ipcbench.reporters.html.elements import Html, element, together
from ipcbench.reporters.html.provenance import provenances
from ipcbench.reporters.model import Blank, Cell, Grid, GridColumn, Heading, Line, Part, padded
from ipcbench.reporters.pictures.styles import DARK, GROUND
from ipcbench.reporters.tables import cases, loads
from ipcbench.reporters.tables.claims import claim_parts
from ipcbench.reporters.tables.knobs import knob_parts
from ipcbench.reporters.tables.ladder_crowds import whole_ladder
from ipcbench.reporters.tables.sweep_words import WORDS
from ipcbench.reporters.tables.sweeps import section_parts
from ipcbench.text import counted

_LONG = 25
"""Most rows of a table that doesn't scroll in a box of its own."""


class Drawing(NamedTuple):
    """A picture as SVG, with the texts beside it."""

    part: str
    title: str
    says: str
    note: str
    svg: str


@dataclass(frozen=True, slots=True)
class Report:
    """The input of a page: the analysis and the drawn pictures."""

    analysis: Analysis
    drawings: Sequence[Drawing]

    @property
    def cases(self) -> pd.DataFrame:
        return self.analysis.cases

    @property
    def launches(self) -> pd.DataFrame:
        return self.analysis.launches

    @property
    def sweeps(self) -> list[Sweep]:
        """The sweeps of the knobs of workloads, but for the cells of a matrix."""
        return sweeps(cases.ordinary(self.cases), self.launches)


class Section(NamedTuple):
    """A section of the page: the name is its anchor."""

    name: str
    title: str
    body: Html


def page(analysis: Analysis, drawings: Sequence[Drawing]) -> str:
    """The HTML document of a report."""
    report = Report(analysis, drawings)
    sections = [section for make in SECTIONS if (section := make(report)) is not None]
    script = _own("page.js")
    return Template(_own("page.html")).substitute(
        policy=_policy(script),
        title=together([_title(report)]),
        style=_own("page.css") + _dark_rules(),
        script=script,
        body=together([_header(report, sections), _main(sections), _footer()]),
    )


def _header(report: Report, sections: Iterable[Section]) -> Html:
    lines = [line.text for line in cases.footer(report.launches, report.cases)]
    links = [
        element("li", element("a", section.title, href=f"#{section.name}")) for section in sections
    ]
    return element(
        "header",
        element("h1", _title(report)),
        *(element("p", line, class_="quiet") for line in lines),
        element("nav", element("ul", *links), aria_label="Sections"),
    )


def _title(report: Report) -> str:
    if report.launches.empty:
        return "ipcbench"
    first = report.launches.iloc[0]
    return f"Ways to talk on {first['cpu_model']}, {first['cpu_count']} CPUs"


def _main(sections: Iterable[Section]) -> Html:
    return element(
        "main",
        *(
            element(
                "section",
                element("h2", section.title, id=f"{section.name}-title"),
                section.body,
                id=section.name,
                aria_labelledby=f"{section.name}-title",
            )
            for section in sections
        ),
    )


def _footer() -> Html:
    return element("footer", element("p", f"Made by ipcbench {__version__}.", class_="quiet"))


def _summary(report: Report) -> Section | None:
    apart = cases.ordinary(report.cases)
    tables = [
        together([element("h3", grid.title), _table(grid)]) for grid in cases.joined_tables(apart)
    ]
    details = [
        element("details", element("summary", grid.title), _table(grid))
        for grid in cases.joined_details(report.cases[~is_part(report.cases)])
    ]
    return Section("results", "Results", together([*tables, *details])) if tables else None


def _interpreters(report: Report) -> Section | None:
    """The comparisons of several interpreters with the first of them."""
    tables = [
        together([element("h3", grid.title), _table(grid)])
        for grid in cases.interpreter_tables(report.cases)
    ]
    return Section("interpreters", "Interpreters", together(tables)) if tables else None


def _table(grid: Grid) -> Html:
    """A table that sorts by a click on a column's title."""
    return _boxed(_bare_table(grid, is_sortable=True), grid.title, is_long=len(grid.rows) > _LONG)


def _boxed(inner: Html, title: str, *, is_long: bool = True) -> Html:
    """Wraps a table in a box of its own, so that it scrolls and the page doesn't."""
    looks = "scroll long" if is_long else "scroll"
    return element("div", inner, class_=looks, tabindex=0, role="region", aria_label=title)


def _bare_table(grid: Grid, *, is_sortable: bool) -> Html:
    heads = (
        element("th", column.title, scope="col", class_=_look(column)) for column in grid.columns
    )
    rows = (
        element(
            "tr",
            *(
                _cell(cell, column, is_sortable=is_sortable)
                for cell, column in zip(padded(row, grid), grid.columns, strict=True)
            ),
            class_="control" if row.kind == "control" else None,
        )
        for row in grid.rows
    )
    return element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        class_="sortable" if is_sortable else None,
    )


def _cell(cell: Cell, column: GridColumn, *, is_sortable: bool) -> Html:
    has_value = column.is_number and isinstance(cell.value, int | float)
    value = cell.value if is_sortable and has_value else None
    return element(
        "td",
        cell.text,
        class_=_look(column),
        data_value=None if value is None else float(value),
    )


def _look(column: GridColumn) -> str | None:
    return None if column.is_number else "text"


def _pictured(part: str, title: str) -> Callable[[Report], Section | None]:
    """A function that makes the section of all pictures of one part."""

    def section(report: Report) -> Section | None:
        drawings = [drawing for drawing in report.drawings if drawing.part == part]
        if not drawings:
            return None
        return Section(part, title, element("div", *map(_figure, drawings), class_="pictures"))

    return section


def _figure(drawing: Drawing) -> Html:
    note = element("small", drawing.note) if drawing.note else Html("")
    return element(
        "figure",
        element("figcaption", drawing.title, note),
        _with_text(drawing.svg, drawing.says),
    )


def _with_text(svg: str, says: str) -> Html:
    """The SVG as a single image with a text alternative, for screen readers."""
    opening, _, rest = svg.partition(">")
    size = re.search(r'viewBox="([0-9. ]+)"', opening)
    return element(
        "svg",
        element("desc", says),
        Html(rest.removesuffix("</svg>")),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=size[1] if size else None,
        role="img",
        aria_label=says,
    )


def _claims(report: Report) -> Section | None:
    """The answers to the common claims that these results have a comparison for."""
    found = [one for one in judged(report.analysis) if one.compared]
    if not found:
        return None
    parts = claim_parts(found, within_run(report.launches))
    return Section("claims", "Claims", together(map(_part, parts)))


def _part(part: Part) -> Html:
    match part:
        case Blank():
            return Html("")
        case Heading(text):
            return element("h3", text)
        case Line(text):
            return element("p", text)
        case Grid():
            title = part.title or "Comparisons"
            return _boxed(_bare_table(part, is_sortable=False), title, is_long=False)
        case _:
            assert_never(part)


def _ladder(report: Report) -> Section | None:
    """The ladder, where there is more of it than the bare socket: its tables and pictures."""
    if not has_rungs(report.cases):
        return None
    drawings = [drawing for drawing in report.drawings if drawing.part == "ladder"]
    figures = element("div", *map(_figure, drawings), class_="pictures")
    tables = together(map(_part, whole_ladder(report.analysis)))
    return Section("ladder", "The ladder", together([tables, figures]))


def _load(report: Report) -> Section | None:
    """The open loop: its pictures, sentences on knees and capacities, and tables."""
    objective = report.analysis.objective
    found = loads_of(report.cases, objective, report.analysis.searches)
    if not found:
        return None
    drawings = [drawing for drawing in report.drawings if drawing.part == "load"]
    figures = element("div", *map(_figure, drawings), class_="pictures")
    parts = loads.section_parts(found, objective)
    told = (_table(part) if isinstance(part, Grid) else _part(part) for part in parts)
    return Section("load", "Response times at a rate", together([figures, *told]))


def _sweeps(knob: Swept) -> Callable[[Report], Section | None]:
    """A function that makes the section of the sweeps of one knob: pictures, sentences, tables."""

    def section(report: Report) -> Section | None:
        found = [sweep for sweep in report.sweeps if sweep.knob == knob]
        if not found:
            return None
        drawings = [drawing for drawing in report.drawings if drawing.part == knob]
        figures = element("div", *map(_figure, drawings), class_="pictures")
        parts = section_parts(found)
        told = (_table(part) if isinstance(part, Grid) else _part(part) for part in parts)
        return Section(knob, WORDS[knob].title, together([figures, *told]))

    return section


def _knobs(report: Report) -> Section | None:
    """The knobs that were set, if any were, and what they came to."""
    parts = list(knob_parts(report.launches))
    return Section("knobs", "Knobs", together(map(_part, parts))) if parts else None


def _evidence(report: Report) -> Section | None:
    """The evidence from the kernel's tables, if launches recorded any."""
    tables = [
        _boxed(_bare_table(grid, is_sortable=True), grid.title)
        for grid in cases.evidence_tables(report.launches)
    ]
    said = "What joined both processes, in the kernel's own tables, while they were alive."
    body = together([element("p", said), *tables])
    return Section("evidence", "Evidence", body) if tables else None


def _warnings(report: Report) -> Section | None:
    found = report.analysis.objections
    if not found:
        return None
    parts = []
    for flag in dict.fromkeys(one.flag for one in found):
        same = [one for one in found if one.flag == flag]
        lines = (element("li", element("code", one.case), f" {one.says}") for one in same)
        title = f"{flag}: {counted(len(same), 'case')}"
        parts.append(element("details", element("summary", title), element("ul", *lines)))
    return Section("warnings", "Warnings", together(parts))


def _reasons(report: Report) -> Section | None:
    without = report.cases[report.cases["status"] != MEASURED]
    lines = [
        element("li", element("code", row["case"]), f" {row['status']}: {row['reason']}")
        for row in without.to_dict("records")
    ]
    return Section("reasons", "Without a number", element("ul", *lines)) if lines else None


def _provenance(report: Report) -> Section | None:
    parts = []
    for one in provenances(report.launches):
        if one.again is not None:
            parts.append(element("p", "To measure the same cases in the same order:"))
            parts.append(element("pre", element("code", one.again), tabindex=0))
        pairs = (part for title, text in one.facts for part in _fact(title, text))
        parts.append(element("dl", *pairs))
    return Section("provenance", "How to run it again", together(parts)) if parts else None


def _fact(title: str, text: str) -> tuple[Html, Html]:
    return element("dt", title), element("dd", text)


SECTIONS: tuple[Callable[[Report], Section | None], ...] = (
    _ladder,
    _load,
    *map(_sweeps, SWEPT),
    _summary,
    _knobs,
    _interpreters,
    _pictured("times", "Times"),
    _pictured("throughput", "Throughput"),
    _pictured("percentiles", "Percentiles"),
    _pictured("native", "Python against native"),
    _pictured("placements", "Placements"),
    _pictured("drift", "Launches over time"),
    _claims,
    _evidence,
    _warnings,
    _reasons,
    _provenance,
)
"""The functions that make the sections, in order; each returns None if it has no content."""


def _own(name: str) -> str:
    return files("ipcbench.reporters.html").joinpath("web", name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """The content security policy: this script and inline style only, no requests."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _dark_rules() -> str:
    """CSS that makes a picture's ground transparent and swaps its colours in dark mode."""
    swaps = "".join(
        f'figure svg [{kind}="{light}"]{{{kind}:{dark}}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    ground = f'figure svg>rect[fill="{GROUND}"]{{fill:none}}'
    return f"{ground}@media (prefers-color-scheme: dark){{{swaps}}}"
