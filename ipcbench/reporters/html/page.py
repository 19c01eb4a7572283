"""The report as one self-contained HTML page: results in, a document out.

The page loads nothing: its style, script and pictures are inline, and its content security policy
forbids anything else. All text from a file goes through `html_text.element`, which escapes it.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import NamedTuple

import pandas as pd
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from ipcbench import __version__
from ipcbench.analysis.frame import Analysis, baseline_of, confirmed, noise_floor_of
from ipcbench.analysis.judging import judged
from ipcbench.reporters.html.elements import Html, element, together
from ipcbench.reporters.html.provenance import provenances
from ipcbench.reporters.pictures.styles import DARK, GROUND
from ipcbench.reporters.tables import cases, matrix
from ipcbench.reporters.tables.claims import claim_parts
from ipcbench.reporters.tables.columns import (
    COST_COLUMNS,
    EFFORT_COLUMNS,
    PERCENTILE_COLUMNS,
    PLACE_COLUMNS,
    SWITCH_COLUMNS,
    WORDS,
    Column,
    Row,
    label,
    table_columns,
)
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
    lines = [text.plain for text in cases.footer(report.launches, report.cases)]
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
    cases = report.cases[~matrix.is_part(report.cases)]
    parts = []
    for workload, group in cases.groupby("workload", sort=False):
        columns = table_columns(str(workload), baseline_of(group))
        shown = [*_placed(columns, group), *EFFORT_COLUMNS]
        title = WORDS[str(workload)].title
        parts += [element("h3", title), _table(group, shown, title)]
    return Section("results", "Results", together([*parts, *_details(report)])) if parts else None


def _details(report: Report) -> Iterator[Html]:
    """Yields the tables of percentiles and costs, collapsed."""
    measured = report.cases[report.cases["status"] == "measured"]
    folded = (
        ("Percentiles of single round trips", PERCENTILE_COLUMNS, "round_trip_samples_count"),
        ("CPU time of a message", COST_COLUMNS, COST_COLUMNS[1].keys[0]),
        ("Switches of a message, and page faults", SWITCH_COLUMNS, SWITCH_COLUMNS[1].keys[0]),
    )
    for title, columns, key in folded:
        group = measured[measured[key].notna()]
        if len(group):
            shown = _placed(columns, group)
            if group["workload"].nunique() > 1:
                workload = Column("workload", ("workload",), str, is_number=False)
                shown.insert(1, workload)
            yield element("details", element("summary", title), _table(group, shown, title))


def _placed(columns: Sequence[Column], group: pd.DataFrame) -> list[Column]:
    """Adds the columns of size, placement and loop that vary in this table.

    Only the size stands before the numbers, so that some of them are visible on a phone.
    """
    size, *others = PLACE_COLUMNS
    first = [columns[0], *_differing([size], group)]
    return [*first, *columns[1:], *_differing(others, group)]


def _differing(columns: Iterable[Column], group: pd.DataFrame) -> list[Column]:
    return [column for column in columns if group[column.keys[0]].nunique() > 1]


def _table(group: pd.DataFrame, columns: Sequence[Column], title: str) -> Html:
    heads = (
        element("th", column.title, scope="col", class_=None if column.is_number else "text")
        for column in columns
    )
    rows = [_row(row, columns) for row in group.to_dict("records")]
    whole = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        class_="sortable",
    )
    return _boxed(whole, title, is_long=len(rows) > _LONG)


def _boxed(inner: Html, title: str, *, is_long: bool = True) -> Html:
    """Wraps a table in a box of its own, so that it scrolls and the page doesn't."""
    looks = "scroll long" if is_long else "scroll"
    return element("div", inner, class_=looks, tabindex=0, role="region", aria_label=title)


def _row(row: Row, columns: Sequence[Column]) -> Html:
    is_measured = row["status"] == "measured"
    cells = [element("td", label(row), class_="text")]
    has_status = is_measured
    for column in columns[1:]:
        text = column.show(row)
        if not has_status and column not in PLACE_COLUMNS:
            # The status stands in the first cell that would have a number.
            text, has_status = str(row["status"]), True
        value = row[column.keys[0]]
        is_sortable = column.is_number and not pd.isna(value)
        cells.append(
            element(
                "td",
                text,
                class_=None if column.is_number else "text",
                data_value=float(value) if is_sortable else None,
            )
        )
    is_control = is_measured and row["role"] != "mechanism"
    return element("tr", *cells, class_="control" if is_control else None)


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
    parts = claim_parts(found, noise_floor_of(report.launches))
    return Section("claims", "Claims", together(_plain(part) for part in parts))


def _plain(part: RenderableType) -> Html:
    """Converts terminal output to HTML."""
    if isinstance(part, RichTable):
        return _boxed(_plain_table(part), "Comparisons", is_long=False)
    if not isinstance(part, Text) or not part.plain:
        return Html("")
    return element("h3" if part.style == "bold" else "p", part.plain)


def _plain_table(part: RichTable) -> Html:
    looks = [None if column.justify == "right" else "text" for column in part.columns]
    heads = (
        element("th", str(column.header), scope="col", class_=look)
        for column, look in zip(part.columns, looks, strict=True)
    )
    rows = (
        element(
            "tr",
            *(
                element("td", Text.from_markup(str(cell)).plain, class_=look)
                for cell, look in zip(cells, looks, strict=True)
            ),
        )
        for cells in zip(*(column.cells for column in part.columns), strict=True)
    )
    return element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
    )


def _evidence(report: Report) -> Section | None:
    """The evidence from the kernel's tables, if launches recorded any."""
    if "evidence" not in report.launches or report.launches["evidence"].isna().all():
        return None
    rows = [
        element(
            "tr", *(element("td", text, class_="text") for text in _confirmed_row(str(case), group))
        )
        for case, group in report.launches.groupby("case")
    ]
    titles = ("case", "proved", "what was seen in one of its launches")
    heads = (element("th", title, scope="col", class_="text") for title in titles)
    seen = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        class_="sortable",
    )
    said = "What joined both processes, in the kernel's own tables, while they were alive."
    return Section("evidence", "Evidence", together([element("p", said), _boxed(seen, "Evidence")]))


def _confirmed_row(case: str, launches: pd.DataFrame) -> tuple[str, str, str]:
    """The row of a case: id, count of confirmed launches, and one evidence, the worst."""
    count, others = confirmed(launches)
    shown = launches["evidence"].iloc[0] if others.empty else others.iloc[0]
    return case, f"{count} of {len(launches)}", str(shown)


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
    without = report.cases[report.cases["status"] != "measured"]
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
    _summary,
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
