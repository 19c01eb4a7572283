"""The report page, its pictures and the table for pull requests."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.judging import judged
from ipcbench.case import Case
from ipcbench.reporters import documents
from ipcbench.reporters.documents import Documents
from ipcbench.reporters.html import page
from ipcbench.reporters.html.elements import Html, element
from ipcbench.reporters.html.page import Drawing
from ipcbench.reporters.html.provenance import provenances
from ipcbench.reporters.markdown import escaped, markdown_text
from ipcbench.reporters.pictures import drawing, styles
from ipcbench.reporters.pictures.scales import log_ticks, size_ticks
from ipcbench.reporters.pictures.selection import Picture, Subject, pictures
from ipcbench.results import store
from ipcbench.results.collection import merge
from ipcbench.results.store import Metadata, Results
from ipcbench.transports.registry import usual
from ipcbench.units import display_time
from tests import browser
from tests.replay import replayed
from tests.synthetic import large

pytestmark = pytest.mark.early

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "results/amd-epyc-2cpu-kvm"
STORED = ROOT / "tests/data/run.json"
HOSTILE = "<script>alert(1)</script>\"'&|`$body"
WIDTHS = (390, 1400)
UNIX = Case("latency", "unix", 64)
EVERY_LATENCY = 100
"""Cases of `large` that are round trips: all sizes from 64 B to 16 MiB."""
CACHES: Metadata = {
    "cache_l1d_bytes": 32 * 1024,
    "cache_l2_bytes": 1024**2,
    "cache_l3_bytes": 256 * 1024**2,
}
"""Of which all but the last are no larger than the largest message."""
PROVED = "proved: both ends hold socket inode 7 of AF_UNIX stream"


def drawn(analysis: Analysis) -> list[tuple[Picture, str]]:
    found = pictures(Subject(analysis.cases, analysis.launches, usual()))
    return [(picture, drawing.svg_of(picture.chart)) for picture in found]


def page_of(analysis: Analysis) -> str:
    drawings = [Drawing(p.part, p.title, p.says, p.note, svg) for p, svg in drawn(analysis)]
    return page.page(analysis, drawings)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """What a run with both loops, three sizes and two placements tells."""
    return frame.analyse(store.load(RESULTS / "2026-11-24-1a31ff0/latency.json"))


@pytest.fixture(scope="module")
def document(analysis: Analysis) -> str:
    return page_of(analysis)


@pytest.fixture(scope="module")
def hostile() -> Analysis:
    """A run with markup wherever a file may have a text, and as a name, which a file may not."""
    data = json.loads(STORED.read_text(encoding="utf-8"))
    for bench in data["benchmarks"]:
        for launch in bench["runs"]:
            launch["metadata"] |= {"kernel": HOSTILE, "evidence": HOSTILE, "other": HOSTILE}
    data["metadata"] |= {"cpu_model": HOSTILE, "command": HOSTILE}
    reason = {"case": "latency/fifo/64/python/cross-core", "status": "failed", "reason": HOSTILE}
    data["ipcbench"]["unmeasured"].append(reason)
    analysis = frame.analyse(store.loads(json.dumps(data), "hostile"))
    cases, launches = (
        table.assign(transport=table["transport"].replace("unix", HOSTILE))
        for table in (analysis.cases, analysis.launches)
    )
    return analysis._replace(cases=cases, launches=launches)


class Elements(HTMLParser):
    """All elements of a document with their attributes, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_part_that_has_data_has_its_pictures(analysis: Analysis) -> None:
    parts = {picture.part for picture in pictures(Subject(analysis.cases, analysis.launches, ()))}
    assert parts == {"times", "percentiles", "drift", "native", "placements"}


def test_a_run_of_one_size_has_rows_instead_of_lines_over_sizes() -> None:
    analysis = frame.analyse(store.load(RESULTS / "2026-11-24-58cd074/connect.json"))
    names = [picture.name for picture, _ in drawn(analysis)]
    assert names == ["connect-1-same-core-python-loop", "launches-over-time"]


@pytest.fixture(scope="module")
def by_cpus() -> Analysis:
    """The stored run, of both workloads, as if made on two pairs of CPUs."""
    text = STORED.read_text(encoding="utf-8")
    cells = [text.replace("cross-core", f"cpus-{pair}") for pair in ("0-0", "0-1")]
    results = [store.loads(cells[0], "one")]
    results.append(store.loads(re.sub('"run_id":"[0-9a-f]+"', '"run_id":"b"', cells[1]), "other"))
    return frame.analyse(merge((str(i), one) for i, one in enumerate(results)))


def test_a_matrix_is_a_heat_map_of_cpus(by_cpus: Analysis) -> None:
    found = {picture.name: picture for picture, _ in drawn(by_cpus)}
    says = found["cpus-pipe-64-python"].says
    assert says.startswith("Round trip by CPU, pipe, 64 B, python loop. Fastest: ")
    assert not any(picture.part == "times" for picture in found.values())


def test_a_stream_on_named_cpus_is_no_round_trip(by_cpus: Analysis) -> None:
    times = by_cpus.cases.set_index("case")["time_median_s"].map(display_time)
    streamed, trip = (
        times[f"{name}/pipe/64/python/cpus-0-1"] for name in ("throughput", "latency")
    )
    found = [picture for picture, _ in drawn(by_cpus)]
    matrices = [picture.says for picture in found if picture.name.startswith("cpus-pipe-64-")]
    assert [(trip in says, streamed in says) for says in matrices] == [(True, False)]
    assert any(picture.part == "throughput" for picture in found)
    text = Elements(page.page(by_cpus, [])).text
    assert "Throughput (one way, delivered)" in text
    assert "Latency (round trip)" not in text


def test_no_two_pictures_have_one_name_and_names_are_plain(
    analysis: Analysis, hostile: Analysis
) -> None:
    for one in (analysis, hostile):
        names = [picture.name for picture in pictures(Subject(one.cases, one.launches, ()))]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


def test_a_text_alternative_tells_the_numbers_of_the_table(analysis: Analysis) -> None:
    found = {
        picture.name: picture
        for picture in pictures(Subject(analysis.cases, analysis.launches, ()))
    }
    says = found["round-trip-by-size-same-core-python-loop"].says
    assert "At 64 B: pipe 7.65 µs, sysv-shm 8.23 µs, unix 13.6 µs, inet 19.9 µs" in says


def test_a_picture_is_a_document_of_its_own_and_the_same_each_time(analysis: Analysis) -> None:
    first, *_ = pictures(Subject(analysis.cases, analysis.launches, usual()))
    svg = drawing.svg_of(first.chart)
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    again, *_ = pictures(Subject(analysis.cases, analysis.launches, usual()))
    assert drawing.svg_of(again.chart) == svg
    assert drawing.png_of(svg).startswith(b"\x89PNG")


def test_a_picture_in_a_file_says_what_it_shows(hostile: Analysis, tmp_path: Path) -> None:
    list(documents.write(hostile, (), Documents(svg=tmp_path / "pictures"), str))
    found = pictures(Subject(hostile.cases, hostile.launches, usual()))
    assert any("<script>" in picture.says for picture in found)
    for picture in found:
        svg = ET.parse(tmp_path / f"pictures/{picture.name}.svg").getroot()
        namespace = svg.tag.removesuffix("svg")
        first, second, *_ = svg
        assert (first.tag, first.text) == (f"{namespace}title", picture.title)
        assert (second.tag, second.text) == (f"{namespace}desc", picture.says)


def test_caches_are_marked_where_they_lie_among_the_sizes() -> None:
    for picture in _sweeps(CACHES):
        svg = ET.fromstring(drawing.svg_of(picture.chart))
        texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
        assert [text for text in texts if text in ("L1d", "L2", "L3")] == ["L1d", "L2"]
        assert picture.note.endswith("Dotted: the CPU's caches.")
    for picture in _sweeps({}):
        assert "L1d" not in drawing.svg_of(picture.chart)
        assert "caches" not in picture.note


def _sweeps(facts: Metadata) -> list[Picture]:
    """The pictures over sizes of launches with this metadata."""
    analysis = frame.analyse(large(cases=EVERY_LATENCY, rounds=2, facts=facts))
    found = pictures(Subject(analysis.cases, analysis.launches, usual()))
    sweeps = [picture for picture in found if picture.title.startswith("Round trip by message")]
    assert len(sweeps) == 2
    return sweeps


def test_every_picture_in_the_page_is_an_image_with_words(document: str) -> None:
    images = [attrs for tag, attrs in Elements(document).found if tag == "svg"]
    assert len(images) > 10
    assert all(i["role"] == "img" and len(i["aria-label"] or "") > 60 for i in images)


def test_the_page_asks_for_nothing(document: str) -> None:
    for tag, attrs in Elements(document).found:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "xlink:href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:,")), (tag, attrs)
    assert "@import" not in document
    assert not re.search(r"url\((?!#)", document)
    assert "default-src &#x27;none&#x27;" in document or "default-src 'none'" in document


def test_the_page_has_every_case_and_sorts_by_base_units(analysis: Analysis, document: str) -> None:
    rows = document.count("<tr") - document.count("<thead")
    assert rows >= len(analysis.cases)
    fastest = analysis.cases["time_median_s"].min()
    assert f'data-value="{float(fastest)}"' in document


def test_markup_in_a_file_stays_text(document: str, hostile: Analysis) -> None:
    usual, changed = Elements(document), Elements(page_of(hostile))
    assert {tag for tag, _ in changed.found} <= {tag for tag, _ in usual.found}
    assert [tag for tag, _ in changed.found].count("script") == 1
    names = {name for _, attrs in usual.found for name in attrs}
    assert {name for _, attrs in changed.found for name in attrs} <= names
    assert changed.text.count(HOSTILE) > 5  # and a template's word in it stays one, too


def test_a_script_in_the_page_is_the_one_its_policy_names(document: str) -> None:
    import base64
    import hashlib

    (script,) = re.findall(r"<script>(.*?)</script>", document, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in document


def test_evidence_has_a_section_only_where_launches_recorded_it(
    document: str, hostile: Analysis
) -> None:
    assert 'id="evidence"' not in document
    results, _, _ = replayed({UNIX: [[1e-5]] * 3}, rounds=3)
    analysis = frame.analyse(results)
    analysis.launches["evidence"] = ["proved: it is", None, "proved: it was"]
    analysis.launches["evidence_outcome"] = ["proved", None, "proved"]
    text = Elements(page.page(analysis, [])).text
    assert "2 of 3" in text
    assert "no record" in text
    assert "0 of 6" in page_of(hostile)


def test_claims_are_answered_where_something_bears_on_one(document: str) -> None:
    text = Elements(document).text
    assert "AF_UNIX is faster than AF_INET" in text
    assert 'id="claims"' in document
    results, _, _ = replayed({UNIX: [[1e-5]] * 3}, rounds=3)
    assert 'id="claims"' not in page.page(frame.analyse(results), [])


def test_results_without_any_number_still_make_a_page() -> None:
    results = Results()
    results.add_unmeasured(Case("latency", "fifo", 64), "n/a", "there is no such thing here")
    text = Elements(page_of(frame.analyse(results))).text
    assert "there is no such thing here" in text


def test_children_are_escaped_unless_they_are_html() -> None:
    assert element("p", "<b>", Html("<i>")) == "<p>&lt;b&gt;<i></p>"
    assert (
        element("td", class_='a"b', hidden=True, title=None) == '<td class="a&quot;b" hidden></td>'
    )


def test_markdown_has_a_row_a_case_and_stays_a_table(analysis: Analysis, hostile: Analysis) -> None:
    assert "| pipe | 7.65 µs | 4.5% | 2.59x faster | 2.54-2.62 | 14.0 µs |" in markdown_text(
        analysis
    )
    text = markdown_text(hostile)
    assert "<script>" not in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            columns = {len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(columns) == 1


def test_markdown_shows_a_matrix_as_one_table(by_cpus: Analysis) -> None:
    text = markdown_text(by_cpus)
    times = by_cpus.cases.set_index("case")["time_median_s"].map(display_time)
    cells = [times[f"latency/pipe/64/python/cpus-{pair}"] for pair in ("0-0", "0-1")]
    table = [
        "**Round trip by CPU, pipe, 64 B, python loop**",
        "",
        "| CPU | 0 | 1 |",
        "|---:|---:|---:|",
        f"| 0 | {cells[0]} | {cells[1]} |",
        "| 1 |  |  |",
        "",
    ]
    assert "\n".join(table) in text
    assert "Latency (round trip)" not in text
    assert "**Throughput (one way, delivered), 64 B, cpus-0-1, python loop**" in text


def test_markdown_has_the_answers_to_claims_if_asked(analysis: Analysis) -> None:
    assert "**Claims**" not in markdown_text(analysis)
    text = markdown_text(analysis, claims=True)
    assert text.startswith("**Claims**\n\n| claim | here |\n|---|---|\n| AF\\_UNIX is faster")
    assert text.endswith(markdown_text(analysis))
    assert text.count("comparisons decided)") == sum(bool(one.compared) for one in judged(analysis))
    assert text.count("not measured") == sum(not one.compared for one in judged(analysis))


def test_markdown_mentions_nobody() -> None:
    assert escaped("@a\n#1 <x> `b` *c*") == r"&#64;a \#1 &lt;x&gt; \`b\` \*c\*"


def test_the_first_launch_is_told_where_any_launch_has_its_date() -> None:
    launches = launch_frame.launches(replayed({UNIX: [[1e-5]] * 3}, rounds=3)[0])
    launches["date"] = [None, "2026-11-24 07:00", "2026-11-24 06:00"]
    (one,) = provenances(launches)
    assert one.facts[0] == ("first launch", "2026-11-24 06:00")
    (one,) = provenances(launches.assign(date=None))
    assert "first launch" not in dict(one.facts)


@pytest.mark.parametrize(
    ("span", "ticks"),
    [
        ((1e-6, 1e-3), [1e-6, 1e-5, 1e-4, 1e-3]),
        ((60e-6, 120e-6), [6e-05, 8e-05, 0.0001, 0.00012]),
        ((0.97, 1.04), [0.98, 1.0, 1.02, 1.04]),
    ],
)
def test_an_axis_has_round_ticks(span: tuple[float, float], ticks: list[float]) -> None:
    assert log_ticks(span) == ticks


def test_many_sizes_are_thinned_and_keep_their_ends() -> None:
    sizes = [2**power for power in range(6, 24)]
    ticks = size_ticks(sizes)
    assert len(ticks) <= 9
    assert (ticks[0], ticks[-1]) == (sizes[0], sizes[-1])


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _page_colours() -> tuple[dict[str, str], dict[str, str]]:
    """The colours that the page's style sheet names, in the light and in the dark."""
    css = (ROOT / "ipcbench/reporters/html/web/page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{([^}]*)\}", css)
    named = r"--(\w+): (#[0-9a-f]{6})"
    return dict(re.findall(named, light)), dict(re.findall(named, dark))


LIGHT_PAGE, DARK_PAGE = _page_colours()


def test_pictures_have_the_colours_of_their_page() -> None:
    colours = (styles.INK, styles.QUIET, styles.GRID)
    names = ("ink", "quiet", "line")
    assert [LIGHT_PAGE[name] for name in ("ground", *names)] == [styles.GROUND, *colours]
    assert [DARK_PAGE[name] for name in names] == [styles.DARK[colour] for colour in colours]


@pytest.mark.parametrize("style", styles.STYLES)
def test_series_stand_out_from_both_grounds(style: styles.Style) -> None:
    """WCAG 2.1, 1.4.11: graphical objects need a contrast of 3:1."""
    assert contrast(style.colour, styles.GROUND) >= 3
    assert contrast(styles.DARK[style.colour], DARK_PAGE["ground"]) >= 3


def test_texts_are_readable_on_both_grounds() -> None:
    """WCAG 2.1, 1.4.3: text needs 4.5:1."""
    for ink in (styles.INK, styles.QUIET):
        assert contrast(ink, styles.GROUND) >= 4.5
        assert contrast(styles.DARK[ink], DARK_PAGE["ground"]) >= 4.5


def test_no_two_series_share_a_dash_or_a_shape() -> None:
    for look in ("colour", "dash", "shape"):
        assert len({getattr(style, look) for style in styles.STYLES}) == len(styles.STYLES)


def test_the_page_of_200_cases_of_20_launches_is_under_5_mib() -> None:
    analysis = frame.analyse(large(cases=200, rounds=20))
    assert (len(analysis.cases), len(analysis.launches)) == (200, 4000)
    assert len(page_of(analysis).encode()) < 5 * 1024**2


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, document: str) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(document, encoding="utf-8")
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[browser.Tab]:
    program = browser.chromium()
    if program is None:
        pytest.skip("there is no chromium here")
    with browser.tab(program, tmp_path / "profile") as tab:
        yield tab


def test_a_browser_shows_all_of_the_page_and_asks_for_nothing(
    shown: Path, opened: browser.Tab
) -> None:
    url = shown.as_uri()
    for width in WIDTHS:
        for dark in (False, True):
            opened.open(url, width, dark=dark)
            sizes = opened.run(
                "[...document.querySelectorAll('figure svg')].map(s => {"
                "const b = s.getBoundingClientRect();"
                "return [b.width, b.height, s.querySelectorAll('path').length] })"
            )
            assert len(sizes) == document_pictures(shown)
            for drawn_width, height, paths in sizes:
                assert 250 <= drawn_width <= width
                assert height > 80
                assert paths > 3
            assert opened.run("document.documentElement.scrollWidth") <= width
            ground = opened.run("getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
            ink = opened.run("getComputedStyle(document.querySelector('figure svg text')).fill")
            assert ink == ("rgb(230, 237, 243)" if dark else "rgb(31, 35, 40)")
    assert set(opened.requests) == {url}
    assert opened.complaints == []


def test_a_browser_shows_the_evidence_and_the_caches(tmp_path: Path, opened: browser.Tab) -> None:
    path = tmp_path / "page.html"
    analysis = frame.analyse(
        large(
            cases=EVERY_LATENCY,
            rounds=2,
            facts=CACHES | {"evidence": PROVED, "evidence_outcome": "proved"},
        )
    )
    path.write_text(page_of(analysis), encoding="utf-8")
    assert 'id="evidence"' in path.read_text(encoding="utf-8")
    for width in WIDTHS:
        opened.open(path.as_uri(), width, dark=False)
        shown = "document.querySelector('#evidence').checkVisibility()"
        assert opened.run(shown) is True
        words = opened.run("document.querySelector('#evidence').textContent")
        assert words.count("2 of 2") == EVERY_LATENCY
        assert PROVED.removeprefix("proved: ") in words
        marks = "[...document.querySelectorAll('figure svg text')].map(t => t.textContent)"
        assert {"L1d", "L2"} <= set(opened.run(marks))
        assert opened.run("document.documentElement.scrollWidth") <= width
    assert opened.complaints == []


def document_pictures(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("<figure")


def test_a_click_on_a_heading_sorts_its_table(shown: Path, opened: browser.Tab) -> None:
    opened.open(shown.as_uri(), 1400, dark=False)
    column = "[...t.tBodies[0].rows].map(r => r.cells[2].dataset.value)"
    start = "const t = document.querySelector('table.sortable'); const b = "
    click = "t.tHead.rows[0].cells[2].querySelector('button'); b.click();"
    rising = [float(v) for v in opened.run(f"(() => {{{start}{click} return {column}}})()")]
    assert rising == sorted(rising)
    falling = [float(v) for v in opened.run(f"(() => {{{start}{click} return {column}}})()")]
    assert falling == sorted(rising, reverse=True)
    sort = "document.querySelector('table.sortable').tHead.rows[0].cells[2].ariaSort"
    assert opened.run(sort) == "descending"
    assert opened.complaints == []
