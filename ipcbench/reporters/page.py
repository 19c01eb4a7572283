"""The report as one page that opens anywhere, offline: results in, a document out.

The page asks for nothing: its style, script and pictures are in it, and its policy forbids the
rest. All that a file says goes through `html_text.element`, which escapes it.
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
from ipcbench.analysis.frame import Told, baseline_of, noise_floor_of, witnessed
from ipcbench.analysis.judging import judged
from ipcbench.reporters import matrix, table
from ipcbench.reporters.claims_page import claim_parts
from ipcbench.reporters.columns import (
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
from ipcbench.reporters.html_text import Html, element, together
from ipcbench.reporters.provenance import provenances
from ipcbench.reporters.styles import DARK, GROUND
from ipcbench.units import counted

_LONG = 25
"""Rows from which on a table scrolls in a box of its own."""


class Drawing(NamedTuple):
    """A picture that was drawn."""

    part: str
    title: str
    says: str
    note: str
    svg: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a page is made of."""

    told: Told
    drawings: Sequence[Drawing]

    @property
    def cases(self) -> pd.DataFrame:
        return self.told.cases

    @property
    def launches(self) -> pd.DataFrame:
        return self.told.launches


class Section(NamedTuple):
    """One part of the page."""

    name: str
    title: str
    body: Html


def page(told: Told, drawings: Sequence[Drawing]) -> str:
    """The whole document."""
    report = Report(told, drawings)
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
    lines = [text.plain for text in table.footer(report.launches, report.cases)]
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
    """Tables that not everybody wants, folded."""
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
    """These columns and those of the place that differ in this table.

    Only the size stands in front of the numbers, so that a phone shows some of them.
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
    """A table in a box of its own, so that it scrolls and the page doesn't."""
    looks = "scroll long" if is_long else "scroll"
    return element("div", inner, class_=looks, tabindex=0, role="region", aria_label=title)


def _row(row: Row, columns: Sequence[Column]) -> Html:
    is_measured = row["status"] == "measured"
    cells = [element("td", label(row), class_="text")]
    is_told = is_measured
    for column in columns[1:]:
        text = column.show(row)
        if not is_told and column not in PLACE_COLUMNS:
            text, is_told = str(row["status"]), True  # in the first cell that would have a number
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
    """What makes the section of all pictures of one part."""

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
    """The picture as one image to whoever can't see it, with what it says."""
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
    """The answers to common claims, as far as anything was measured that bears on one."""
    found = [one for one in judged(report.told) if one.compared]
    if not found:
        return None
    parts = claim_parts(found, noise_floor_of(report.launches))
    return Section("claims", "Claims", together(_plain(part) for part in parts))


def _plain(part: RenderableType) -> Html:
    """What a terminal would show, as HTML."""
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
    """What the kernel's own tables showed while pairs were alive, where launches recorded it."""
    if "evidence" not in report.launches or report.launches["evidence"].isna().all():
        return None
    rows = [
        element(
            "tr", *(element("td", text, class_="text") for text in _witnessed(str(case), group))
        )
        for case, group in report.launches.groupby("case")["evidence"]
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


def _witnessed(case: str, evidence: pd.Series) -> tuple[str, str, str]:
    """A case, in how many launches its claim was proved, and one of them: the worst there is."""
    proved_count, others = witnessed(evidence)
    shown = evidence.iloc[0] if others.empty else others.iloc[0]
    return case, f"{proved_count} of {len(evidence)}", str(shown)


def _warnings(report: Report) -> Section | None:
    found = report.told.objections
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
"""What makes each section, in order; a section that has nothing to say is left out."""


def _own(name: str) -> str:
    return files("ipcbench.reporters").joinpath("web", name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """What a browser may do with the page: run this script, use its style; ask for nothing."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _dark_rules() -> str:
    """The style that lets a picture's ground through, and swaps its colours in the dark."""
    swaps = "".join(
        f'figure svg [{kind}="{light}"]{{{kind}:{dark}}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    ground = f'figure svg>rect[fill="{GROUND}"]{{fill:none}}'
    return f"{ground}@media (prefers-color-scheme: dark){{{swaps}}}"
