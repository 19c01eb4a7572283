"""Reports of the open loop: its table, sentences, picture and section, and what it stays out of."""

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.load_lines import loads
from ipcbench.analysis.objective import Objective
from ipcbench.case import Case, parse_workload
from ipcbench.cli import console
from ipcbench.errors import UsageError
from ipcbench.reporters.hgrm import hgrm_texts
from ipcbench.reporters.html import page
from ipcbench.reporters.html.page import Drawing
from ipcbench.reporters.json_file import json_text
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.model import Grid, GridRow
from ipcbench.reporters.pictures import drawing
from ipcbench.reporters.pictures.selection import Picture, Subject, pictures
from ipcbench.reporters.tables.load_words import sentences
from ipcbench.reporters.tables.loads import load_parts, section_parts
from ipcbench.reporters.tables.summary import summary
from tests.synthetic import Answers, open_loop

TITLE = "Load (open loop), 64 B, cross-core, python loop"
STEADY = Answers(range(1_000, 101_000, 10), from_send_ns=range(1_000, 101_000, 10))
HIDDEN = STEADY._replace(from_send_ns=range(500, 50_500, 5))
"""A closed loop would say half of what it is."""
SLOW = Answers([2 * time_ns for time_ns in STEADY.responses_ns])
DROWNED = Answers(
    [10**9] * 10_000,
    answered_share=0.7,
    slopes=(0.3,),
    window_full_share=0.9,
    server_busy_ratio=0.97,
)
GROWING = STEADY._replace(slopes=(0.012,))
LATE = STEADY._replace(lateness_ns=[100] * 980 + [60_000] * 20)
THROTTLED = LATE._replace(answered_share=0.5, slopes=(0.5,))
PEAK = {Case("latency:window=16", "unix", 64): 16 / 40e3}


def _case(rate: str, transport: str = "unix") -> Case:
    return Case(parse_workload(f"load:rate={rate}"), transport, 64)


def _analysis(
    answers: dict[str, Answers], slo: str | None = None, *, transport: str = "unix"
) -> Analysis:
    cases = {_case(rate, transport): one for rate, one in answers.items()}
    results = open_loop(cases, 6, PEAK)
    return frame.analyse(results, objective=None if slo is None else Objective.parse(slo))


def _said(analysis: Analysis) -> list[str]:
    (load,) = loads(analysis.cases, analysis.objective)
    return list(sentences(load, analysis.objective))


def _grid(analysis: Analysis) -> Grid:
    found = loads(analysis.cases, analysis.objective)
    return next(part for part in load_parts(found, analysis.objective) if isinstance(part, Grid))


def _texts(grid: Grid, row: GridRow) -> dict[str, str]:
    return {column.title: cell.text for column, cell in zip(grid.columns, row.cells, strict=True)}


def test_the_table_has_a_row_a_rate_with_what_a_person_wants_of_it() -> None:
    grid = _grid(_analysis({"10k": HIDDEN, "36k": STEADY}))
    assert grid.title == TITLE
    first, last = (_texts(grid, row) for row in grid.rows)
    assert first == {
        "transport, rate": "unix 10k/s",
        "of peak": "25%",
        "achieved": "10.0k/s",
        "p50": "51.1 µs",
        "p99": "100 µs",
        "p99.9": "101 µs",
        "max": "101 µs",
        "p99 from send": "50.0 µs",
        "late p99": "",
        "client CPU": "5.00 µs",
        "server CPU": "5.00 µs",
        "ran out": "neither",
        "state": "ok",
    }
    assert last["of peak"] == "90%"


def test_past_the_knee_the_growth_of_the_delay_stands_in_place_of_percentiles() -> None:
    grid = _grid(_analysis({"10k": DROWNED, "20k": GROWING}))
    drowned, growing = (_texts(grid, row) for row in grid.rows)
    for texts in (drowned, growing):
        assert {texts[name] for name in ("p50", "p99", "p99.9", "max", "p99 from send")} == {""}
    assert drowned["state"] == "overloaded: delay grows 0.30 s a second"
    assert drowned["ran out"] == "server"
    assert growing["state"] == "not steady: delay grows 0.012 s a second"


def test_a_late_generator_is_told_in_the_state_of_its_row() -> None:
    grid = _grid(_analysis({"10k": LATE, "20k": THROTTLED}))
    late, throttled = (_texts(grid, row) for row in grid.rows)
    assert (late["state"], late["p50"]) == ("generator-late", "51.1 µs")
    assert late["ran out"] == throttled["ran out"] == "client"
    assert throttled["state"] == "overloaded, generator-late: delay grows 0.50 s a second"


def test_a_case_without_a_number_has_its_status_as_its_state() -> None:
    results = open_loop({_case("10k"): STEADY}, 2)
    results.add_unmeasured(_case("1k"), "failed", "it broke")
    grid = _grid(frame.analyse(results, objective=Objective.parse("p99<1ms")))
    failed, measured = (_texts(grid, row) for row in grid.rows)
    assert (failed["transport, rate"], failed["state"]) == ("unix 1k/s", "failed")
    assert failed["p99 < 1 ms"] == ""
    assert measured["p99 < 1 ms"] == "holds"
    assert [row.status for row in grid.rows] == ["failed", "measured"]


def test_with_an_objective_each_row_says_whether_it_holds() -> None:
    grid = _grid(_analysis({"1k": STEADY, "2k": SLOW, "3k": THROTTLED}, "p99<150us"))
    assert [_texts(grid, row)["p99 < 150 µs"] for row in grid.rows] == ["holds", "doesn't", "?"]
    assert grid.about["objective"] == "p99<150us"


def test_controls_are_told_apart_and_have_no_sentence() -> None:
    cases = {_case("10k", name): STEADY for name in ("null", "unix")}
    analysis = frame.analyse(open_loop(cases, 6))
    assert [row.cells[0].text for row in _grid(analysis).rows] == [
        *("unix 10k/s", "null (floor) 10k/s")
    ]
    assert [row.kind for row in _grid(analysis).rows] == ["normal", "control"]
    assert not any("null" in text for text in _said(analysis))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {"10k": STEADY, "36k": STEADY, "50k": DROWNED},
            (
                "unix is steady up to 36k/s (90% of its peak); at 50k/s it isn't: the delay grows"
                " 0.30 s a second."
            ),
        ),
        (
            {"10k": STEADY},
            (
                "unix is steady at every rate tried, up to 10k/s (25% of its peak): its knee isn't"
                " found."
            ),
        ),
        (
            {"10k": GROWING},
            (
                "unix isn't steady even at 10k/s, the lowest rate tried: the delay grows 0.012 s a"
                " second."
            ),
        ),
        (
            {"10k": LATE, "20k": THROTTLED},
            (
                "unix is steady up to 10k/s (25% of its peak); at 20k/s the generator was late, so"
                " that its knee isn't found."
            ),
        ),
        (
            {"10k": THROTTLED},
            "At 10k/s, the lowest rate tried, the generator was late: nothing can be told of unix.",
        ),
    ],
)
def test_a_sentence_tells_the_knee_or_why_it_is_not_found(
    answers: dict[str, Answers], said: str
) -> None:
    assert _said(_analysis(answers)) == [said]


@pytest.mark.parametrize(
    ("answers", "slo", "said"),
    [
        (
            {"10k": STEADY, "20k": STEADY, "22k": SLOW},
            "p99<150us",
            "unix holds p99 < 150 µs up to 20k/s; at 22k/s it doesn't.",
        ),
        (
            {"10k": STEADY, "20k": DROWNED},
            "max<=1s",
            "unix holds max <= 1 s up to 10k/s; at 20k/s it doesn't.",
        ),
        (
            {"10k": STEADY},
            "p99<150us",
            "unix holds p99 < 150 µs at every rate tried, up to 10k/s: bound not found.",
        ),
        (
            {"10k": SLOW},
            "p99<150us",
            "unix doesn't hold p99 < 150 µs even at 10k/s, the lowest rate tried.",
        ),
        (
            {"10k": STEADY, "20k": THROTTLED},
            "p99<150us",
            (
                "unix holds p99 < 150 µs up to 10k/s; 20k/s can't be judged, since the generator"
                " was late: bound not found."
            ),
        ),
        (
            {"10k": Answers(range(1_000, 2_000))},
            "p99.9<150us",
            (
                "unix isn't known to hold p99.9 < 150 µs at any rate; 10k/s can't be judged, with"
                " too few messages for p99.9: bound not found."
            ),
        ),
    ],
)
def test_a_sentence_tells_the_capacity_or_why_it_is_not_found(
    answers: dict[str, Answers], slo: str, said: str
) -> None:
    assert said in _said(_analysis(answers, slo))


def test_a_sentence_tells_what_a_closed_loop_hides_most_of() -> None:
    (_, hidden) = _said(_analysis({"1k": STEADY, "10k": HIDDEN}))
    assert hidden == (
        "From the actual time of sending, as a closed loop counts, p99 over unix at 10k/s is"
        " 50.0 µs; from the intended one it is 100 µs."
    )


def _shown(analysis: Analysis, **how: bool) -> str:
    stream = io.StringIO()
    console.show(summary(analysis, **how), stream)
    return stream.getvalue()


MANY = {"1k": STEADY, "10k": HIDDEN, "20k": SLOW, "50k": DROWNED}


def test_a_report_has_rates_in_their_table_and_in_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # or a wide table is several
    analysis = _analysis(MANY)
    text = _shown(analysis, overview=True, details=True, percentiles=True)
    assert text.count("Load (open loop)") == 1
    assert text.count("\nunix 10k/s ") == 1
    assert "Latency (round trip), window=16" in text
    assert "response time" not in text.partition("warning")[0]
    assert "Share of the request" not in text
    assert "load" not in text.partition("Cost of a message")[2].partition("\n\n")[0]


def test_a_run_of_loads_has_their_tables_alone() -> None:
    text = _shown(_analysis(MANY), load=True, tables=False)
    assert "Load (open loop)" in text
    assert "Latency" not in text
    assert "Load" not in _shown(_analysis(MANY), tables=False)


def test_markdown_has_the_table_and_the_sentences() -> None:
    text = markdown_text(_analysis(MANY, "p99<150us"))
    assert f"**{TITLE}**" in text
    assert "- unix holds p99 &lt; 150 µs up to 10k/s; at 20k/s it doesn't." in text
    assert text.count("| unix 50k/s |") == 1


def test_json_has_the_values_of_a_row_in_base_units() -> None:
    analysis = _analysis(MANY, "p99<150us")
    document = json.loads(json_text(summary(analysis, load=True, tables=False)))
    (grid,) = (part for part in document["parts"] if part["kind"] == "grid")
    rows = {row["label"]: row["values"] for row in grid["rows"]}
    assert rows["unix 10k/s"]["rate_per_s"] == 10e3
    assert rows["unix 10k/s"]["response_p99_s"] == pytest.approx(100e-6, rel=0.01)
    assert rows["unix 10k/s"]["objective_outcome"] == "held"
    assert rows["unix 50k/s"]["response_p99_s"] is None
    assert rows["unix 50k/s"]["delay_slope_ratio"] == pytest.approx(0.3)


def _pictures(analysis: Analysis) -> list[Picture]:
    return pictures(Subject(analysis.cases, analysis.launches, ()))


def test_the_picture_is_of_both_percentiles_over_what_was_answered() -> None:
    (picture,) = [one for one in _pictures(_analysis(MANY)) if one.part == "load"]
    assert picture.title == "Response time against rate, 64 B, cross-core, python loop"
    assert picture.says == (
        f"{picture.title}. At 1k/s over unix: p50 51.1 µs, p99 100 µs."
        " At 20k/s over unix: p50 102 µs, p99 200 µs."
    )
    assert picture.note == (
        "Filled: p99; hollow: p50. Bands: 95 % intervals."
        " Dotted: the first rate that is not steady."
    )
    root = ET.fromstring(drawing.svg_of(picture.chart))
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"messages answered a second", "response time", "1k/s", "10k/s", "unix"} <= texts


def test_the_chart_has_a_line_at_the_knee_and_no_point_past_it() -> None:
    (picture,) = [one for one in _pictures(_analysis(MANY)) if one.part == "load"]
    layers = picture.chart.to_dict(format="vega-lite")["layer"]
    marks = [layer["mark"]["type"] for layer in layers]
    assert marks.count("rule") == 1
    assert marks.count("line") == 2
    steady = _analysis({"1k": STEADY, "10k": STEADY})
    (picture,) = [one for one in _pictures(steady) if one.part == "load"]
    layers = picture.chart.to_dict(format="vega-lite")["layer"]
    assert "rule" not in [layer["mark"]["type"] for layer in layers]
    assert "Dotted" not in picture.note


def test_rates_are_in_no_other_picture() -> None:
    cases = {
        _case(rate, name)._replace(message_size_bytes=size): one
        for rate, one in MANY.items()
        for name in ("unix", "inet")
        for size in (64, 1024)
    }
    parts = {one.part for one in _pictures(frame.analyse(open_loop(cases, 6)))}
    assert parts == {"load"}


def test_a_load_of_which_nothing_is_steady_has_no_picture() -> None:
    analysis = _analysis({"1k": DROWNED, "10k": DROWNED})
    assert [one for one in _pictures(analysis) if one.part == "load"] == []


def _page(analysis: Analysis) -> str:
    drawings = [
        Drawing(one.part, one.title, one.says, one.note, drawing.svg_of(one.chart))
        for one in _pictures(analysis)
    ]
    return page.page(analysis, drawings)


def test_a_page_has_a_section_with_sentences_picture_and_all_numbers() -> None:
    document = _page(_analysis(MANY, "p99<150us"))
    section = document.partition('<section id="load"')[2].partition("</section>")[0]
    assert '<a href="#load">' in document
    assert section.count("<figure") == 1
    assert section.count("<table") == 1
    assert section.count("<tr") == 1 + len(MANY)
    assert "unix is steady up to 20k/s" in section
    assert "unix holds p99 &lt; 150 µs up to 10k/s" in section
    assert "late p50" in section
    results = document.partition('<section id="results"')[2].partition("</section>")[0]
    assert "10k/s" not in results
    assert "load:rate" not in results


def test_a_page_without_a_load_has_no_such_section() -> None:
    assert '<section id="load"' not in _page(_analysis({}))


def test_the_pages_table_has_each_number_once() -> None:
    analysis = _analysis(MANY, "p99<150us")
    parts = section_parts(loads(analysis.cases, analysis.objective), analysis.objective)
    (grid,) = (part for part in parts if isinstance(part, Grid))
    keys = [column.key for column in grid.columns]
    assert len(keys) == len(set(keys))
    assert [row.cells[0].text for row in grid.rows] == ["unix"] * len(MANY)


def test_histograms_for_plotters_are_of_rates_that_are_steady() -> None:
    launches = _analysis(MANY).launches
    names = {path.name for path in hgrm_texts(launches, Path("run.hgrm"))}
    assert names == {
        f"run-load:rate={rate}-unix-64-python-cross-core.hgrm" for rate in (10_000, 20_000)
    } | {"run-load-unix-64-python-cross-core.hgrm"}
    with pytest.raises(UsageError, match="steady"):
        hgrm_texts(_analysis({"10k": DROWNED}).launches, Path("run.hgrm"))


def test_many_transports_are_drawn_in_grey_but_for_as_many_as_have_styles() -> None:
    names = (
        "unix",
        "inet",
        "inet6",
        "pipe",
        "fifo",
        "socketpair",
        "sysv-shm",
        "sysv-msg",
        "pipe-1m",
    )
    cases = {_case(rate, name): STEADY for rate in ("1k", "10k") for name in names}
    analysis = frame.analyse(open_loop(cases, 2))
    (picture,) = _pictures(analysis)
    assert picture.note.endswith("Grey: the p99 of 1 other, named below.")
    assert len(re.findall("<path", drawing.svg_of(picture.chart))) > 4 * len(names)
