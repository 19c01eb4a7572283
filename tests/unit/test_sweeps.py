"""Sweeps of a workload's knob: what is one, what is told of it, in tables, pictures and pages."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

import pandas as pd
import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.stats import Estimate
from ipcbench.analysis.sweeps import Sweep, rate_to_first, sweeps
from ipcbench.case import Case
from ipcbench.cli import console
from ipcbench.reporters import csv_file
from ipcbench.reporters.html import page
from ipcbench.reporters.html.page import Drawing
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.model import Grid
from ipcbench.reporters.pictures import drawing
from ipcbench.reporters.pictures.selection import Picture, Subject, pictures
from ipcbench.reporters.tables.summary import summary
from ipcbench.reporters.tables.sweep_words import sentences
from ipcbench.reporters.tables.sweeps import ratio_text, sweep_parts
from tests.replay import replayed

JITTER = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.003, 0.997, 1.001)
"""By how much the machine is faster or slower in a round, alike for all."""
WILD = (1.3, 0.7, 1.2, 0.8, 1.1, 0.9, 1.25, 0.75, 1.05, 0.95)
"""By how much launches differ that decide nothing."""
FLAT = (1.01, 1.0, 0.995, 1.001, 0.998, 1.003, 1.005, 0.99, 1.002, 0.997)
"""Another order of JITTER, whose ratios to it are about 1, above and below."""

Times = Mapping[tuple[str, str], float]
"""Seconds by workload and transport."""


def _analysis(
    times: Times, *, rounds: int = 10, by: Mapping[str, Sequence[float]] | None = None
) -> Analysis:
    """Launches of these times, in a workload or over a transport with factors of its own."""
    own = by or {}
    recorded = {
        Case(workload, transport, 64): [
            [time_s * factor] for factor in own.get(workload, own.get(transport, JITTER))
        ]
        for (workload, transport), time_s in times.items()
    }
    return frame.analyse(replayed(recorded, rounds)[0])


def _sweeps(times: Times, **how: object) -> list[Sweep]:
    analysis = _analysis(times, **how)  # type: ignore[arg-type]
    return sweeps(analysis.cases, analysis.launches)


RISING = {
    ("latency", "unix"): 10e-6,
    ("latency:gap=1ms", "unix"): 20e-6,
    ("latency:gap=10ms", "unix"): 40e-6,
    ("latency", "inet"): 20e-6,
    ("latency:gap=1ms", "inet"): 30e-6,
    ("latency:gap=10ms", "inet"): 60e-6,
}
WORKED = {
    ("latency", "unix"): 10e-6,
    ("latency:work=10us", "unix"): 20e-6,
    ("latency:work=1ms", "unix"): 1010e-6,
    ("latency", "inet"): 30e-6,
    ("latency:work=10us", "inet"): 40e-6,
    ("latency:work=1ms", "inet"): 1010e-6,
}
WINDOWED = {
    ("latency", "unix"): 10e-6,
    ("latency:window=4", "unix"): 20e-6,
    ("latency:window=16", "unix"): 80e-6,
}


def test_an_unset_knob_is_a_value_and_values_are_in_their_order() -> None:
    (sweep,) = _sweeps({key: RISING[key] for key in reversed(RISING)})
    assert (sweep.knob, sweep.place.workload) == ("gap", "latency")
    assert sweep.values == {0.0: "0", 1e-3: "1ms", 1e-2: "10ms"}
    assert [line.transport for line in sweep.lines] == ["unix", "inet"]
    assert [point.value for point in sweep.lines[0].points] == [0.0, 1e-3, 1e-2]


def test_a_rising_line_is_slower_by_its_ratio_of_rounds() -> None:
    (sweep,) = _sweeps(RISING)
    first, *others = sweep.lines[0].points
    assert (first.cost_to_first, first.verdict) == (None, None)
    ratios = [sweep.lines[0].time_to_first(point) for point in others]
    assert [ratio.value for ratio in ratios if ratio] == pytest.approx([2.0, 4.0])
    assert [point.verdict for point in others] == ["slower", "slower"]


def test_a_flat_line_is_not_told_from_its_first_value() -> None:
    flat = {("latency", "unix"): 10e-6, ("latency:gap=1ms", "unix"): 10e-6}
    (sweep,) = _sweeps(flat, by={"latency:gap=1ms": FLAT})
    _, last = sweep.lines[0].points
    assert last.verdict == "~"
    assert last.cost_to_first is not None
    assert last.cost_to_first.interval is not None
    low, high = last.cost_to_first.interval
    assert low < 1 < high


def test_too_few_launches_decide_nothing() -> None:
    (sweep,) = _sweeps(RISING, rounds=5)
    assert {point.verdict for line in sweep.lines for point in line.points} == {None}
    assert sentences(sweep) == []


@pytest.mark.parametrize(
    "workloads",
    [
        ("latency",),
        ("latency", "throughput"),
        ("latency", "latency:gap=1ms:work=10us"),
        ("latency:gap=1ms", "latency:gap=2ms:work=10us"),
        ("latency:work=10us", "latency:gap=1ms"),
    ],
)
def test_cases_that_do_not_differ_in_one_knob_alone_are_no_sweep(
    workloads: Sequence[str],
) -> None:
    assert _sweeps({(workload, "unix"): 10e-6 for workload in workloads}) == []


def test_values_of_different_transports_or_sizes_are_no_sweep() -> None:
    assert _sweeps({("latency", "unix"): 1e-5, ("latency:gap=1ms", "inet"): 1e-5}) == []
    recorded = {
        Case("latency", "unix", 64): [[1e-5]],
        Case("latency:gap=1ms", "unix", 128): [[1e-5]],
    }
    analysis = frame.analyse(replayed(recorded, rounds=1)[0])
    assert sweeps(analysis.cases, analysis.launches) == []


def test_a_grid_of_two_knobs_has_a_sweep_of_each_at_every_value_of_the_other() -> None:
    gaps, work = ("", ":gap=1ms"), ("", ":work=10us")
    found = _sweeps({(f"latency{gap}{each}", "unix"): 1e-4 for gap in gaps for each in work})
    assert sorted((sweep.knob, sweep.place.workload) for sweep in found) == [
        ("gap", "latency"),
        ("gap", "latency:work=10us"),
        ("work", "latency"),
        ("work", "latency:gap=1ms"),
    ]


def test_how_a_knob_is_meant_makes_another_line_from_the_same_first_value() -> None:
    times = {
        ("latency", "unix"): 10e-6,
        ("latency:gap=1ms", "unix"): 20e-6,
        ("latency:gap=1ms:gap-by=spin", "unix"): 15e-6,
    }
    (sweep,) = _sweeps(times)
    assert [sweep.label(line) for line in sweep.lines] == ["unix", "unix (gap-by=spin)"]
    assert {line.first.case for line in sweep.lines} == {"latency/unix/64/python/cross-core"}
    assert [line.points[-1].time.value for line in sweep.lines] == pytest.approx(
        [20e-6, 15e-6], rel=0.01
    )


def test_what_all_lines_have_is_in_the_title_and_not_in_their_names() -> None:
    times = {("latency", "unix"): 10e-6, ("latency:gap=1ms:gap-by=spin", "unix"): 15e-6}
    (sweep,) = _sweeps(times)
    assert sweep.label(sweep.lines[0]) == "unix"
    grid = next(iter(sweep_parts([sweep])))
    assert isinstance(grid, Grid)
    assert grid.title == ("Round trip against gap, 64 B, cross-core, python loop, gap-by=spin")


def test_a_case_that_failed_has_no_point() -> None:
    recorded: dict[Case, list[list[float] | str]] = {
        Case(workload, "unix", 64): [[time_s]] * 6
        for (workload, name), time_s in RISING.items()
        if name == "unix"
    }
    recorded[Case("latency:gap=1ms", "unix", 64)] = ["it broke"]
    analysis = frame.analyse(replayed(recorded, rounds=6)[0])
    (sweep,) = sweeps(analysis.cases, analysis.launches)
    assert list(sweep.values) == [0.0, 1e-2]


def test_controls_have_lines_but_no_say() -> None:
    times = RISING | {("latency", "null"): 1e-8, ("latency:gap=10ms", "null"): 3e-8}
    (sweep,) = _sweeps(times)
    assert [line.transport for line in sweep.lines] == ["unix", "inet", "null"]
    assert [line.transport for line in sweep.mechanisms] == ["unix", "inet"]
    assert all("null" not in sentence for sentence in sentences(sweep))
    only = {key: time_s for key, time_s in times.items() if key[1] == "null"}
    assert _sweeps(only) == []


def test_controls_have_no_line_over_work_which_they_have_no_server_for() -> None:
    times = WORKED | {(workload, "null"): 1e-8 for workload, _ in WORKED}
    (sweep,) = _sweeps(times)
    assert [line.transport for line in sweep.lines] == ["unix", "inet"]


def test_verdicts_on_mechanisms_are_no_less_sure_for_controls() -> None:
    times = {
        ("latency", "unix"): 10e-6,
        ("latency:gap=1ms", "unix"): 20e-6,
        ("latency", "null"): 1e-8,
        ("latency:gap=1ms", "null"): 1e-8,
    }
    (sweep,) = _sweeps(times, rounds=6)  # as few as one difference alone can be told with
    assert [line.points[-1].verdict for line in sweep.lines] == ["slower", "~"]


def test_the_share_of_the_request_falls_with_the_work() -> None:
    (sweep,) = _sweeps(WORKED)
    shares = [point.share.value for point in sweep.lines[0].points if point.share]
    assert shares == pytest.approx([1.0, 0.5, 1 / 101], abs=0.003)
    last = sweep.lines[0].points[-1].share
    assert last is not None
    assert last.interval is not None
    assert last.interval.low < last.value < last.interval.high


def test_with_several_in_flight_no_share_of_the_request_is_told() -> None:
    times = {
        (f"latency:{work}window=4", "unix"): time_s
        for work, time_s in (("", 20e-6), ("work=10us:", 60e-6))
    }
    analysis = _analysis(times)
    assert analysis.cases["mechanism_share_ratio"].isna().all()
    (sweep,) = sweeps(analysis.cases, analysis.launches)
    assert sweep.knob == "work"
    assert [point.share for point in sweep.lines[0].points] == [None, None]
    assert sentences(sweep) == []
    assert _pictures(analysis) == []


def test_messages_a_second_are_those_in_flight_over_the_time_of_one() -> None:
    (sweep,) = _sweeps(WINDOWED)
    assert sweep.values == {1.0: "1", 4.0: "4", 16.0: "16"}
    line = sweep.lines[0]
    rates = [point.rate.value for point in line.points if point.rate]
    assert rates == pytest.approx([1e5, 2e5, 2e5], rel=0.01)
    last = line.points[-1]
    rate, time = rate_to_first(last), line.time_to_first(last)
    assert rate is not None
    assert time is not None
    assert [rate.value, time.value] == pytest.approx([2.0, 8.0])
    assert last.verdict == "faster"


def test_a_window_that_only_queues_carries_no_more() -> None:
    times = {("latency", "unix"): 10e-6, ("latency:window=8", "unix"): 80e-6}
    (sweep,) = _sweeps(times, by={"latency:window=8": FLAT})
    assert sweep.lines[0].points[-1].verdict == "~"
    (said,) = sentences(sweep)
    assert said.startswith("With 8 in flight, against 1: no difference in messages a second can")


def test_an_estimates_interval_stays_the_right_way_round() -> None:
    (sweep,) = _sweeps(RISING)
    time = sweep.lines[0].first.time
    for changed in (time.into(1.0), time.share_left_by(1e-6), time.times(2.0)):
        assert changed.interval is not None
        assert changed.interval.low < changed.value < changed.interval.high
    assert Estimate(2.0, None).into(1.0) == Estimate(0.5, None)
    assert Estimate(2.0, None).bounds == (2.0, 2.0)


def test_a_sentence_tells_what_became_slower_and_what_cannot_be_told() -> None:
    times = {
        ("latency", "pipe"): 10e-6,
        ("latency:gap=10ms", "pipe"): 20e-6,
        ("latency", "unix"): 10e-6,
        ("latency:gap=10ms", "unix"): 40e-6,
    }
    (sweep,) = _sweeps(times)
    ratio, added = sentences(sweep)
    assert ratio == (
        "After a gap of 10 ms, against none, a round trip takes 2.00 times (pipe; 95%: 2.00)"
        " to 4.00 times (unix; 95%: 4.00) as long."
    )
    assert added == (
        "What it takes longer is 10.0 µs (pipe; 95%: 9.96 µs to 10.0 µs)"
        " to 30.0 µs (unix; 95%: 29.9 µs to 30.1 µs)."
    )
    (wild,) = _sweeps(dict.fromkeys(times, 1e-5), by={"latency:gap=10ms": WILD})
    (said,) = sentences(wild)
    assert said.startswith("After a gap of 10 ms, against none, no difference can be told over")
    assert "takes" not in said


def test_a_sentence_tells_what_a_window_carries_and_what_it_costs() -> None:
    (sweep,) = _sweeps(WINDOWED)
    assert sentences(sweep) == [
        "With 16 in flight, against 1: 2.00 times (unix; 95%: 2.00) as many messages a second.",
        "A message then takes 8.00 times (unix; 95%: 8.00) as long.",
    ]


def test_a_sentence_tells_the_share_and_where_mechanisms_are_no_longer_told_apart() -> None:
    (sweep,) = _sweeps(WORKED, by={"unix": FLAT})
    first, *others = sentences(sweep)
    assert re.fullmatch(
        r"With 1 ms of work, the mechanism is [01]\.\d% \(\w+; 95%: 0\.\d% to 1\.\d%\)"
        r".* of a request; with 10 µs, 50% \(unix; .*\) to 75% \(inet; .*\)\.",
        first,
    )
    assert others == [
        "With 1 ms of work, no mechanism can be told from inet; with no work, 1 of 1 can."
    ]


def test_mechanisms_that_are_told_apart_at_both_ends_get_no_such_sentence() -> None:
    times = WORKED | {("latency:work=1ms", "inet"): 1200e-6}
    (sweep,) = _sweeps(times)
    assert len(sentences(sweep)) == 1


def test_many_mechanisms_are_counted_and_not_named() -> None:
    names = ("unix", "inet", "pipe", "fifo", "socketpair", "sysv-shm", "sysv-msg")
    times = {
        (workload, name): time_s
        for name in names
        for workload, time_s in (("latency", 1e-5), ("latency:gap=1ms", 2e-5))
    }
    (sweep,) = _sweeps(times)
    assert sentences(sweep)[0].endswith(" as long over all 7 mechanisms.")


def test_the_table_has_a_column_a_value_with_the_time_and_its_ratio() -> None:
    (sweep,) = _sweeps(RISING)
    grid = next(iter(sweep_parts([sweep])))
    assert isinstance(grid, Grid)
    assert grid.title == "Round trip against gap, 64 B, cross-core, python loop"
    assert [column.title for column in grid.columns] == ["transport", "no gap", "1 ms", "10 ms"]
    assert [cell.text for cell in grid.rows[0].cells] == [
        *("unix", "10.0 µs", "20.0 µs 2.00x", "40.0 µs 4.00x")
    ]
    last = grid.rows[0].cells[-1]
    assert last.value == pytest.approx(40e-6, rel=0.01)
    assert last.also["gap_10ms_time_to_first_ratio"] == pytest.approx(4.0)
    assert last.also["gap_10ms_added_s"] == pytest.approx(30e-6, rel=0.01)
    assert last.also["gap_10ms_verdict"] == "slower"
    assert "gap_0_verdict" not in grid.rows[0].cells[1].also


def test_tables_over_work_and_windows_have_shares_and_rates() -> None:
    texts = {}
    for times in (WORKED, WINDOWED):
        (sweep,) = _sweeps(times)
        grid = next(iter(sweep_parts([sweep])))
        assert isinstance(grid, Grid)
        texts[sweep.knob] = [cell.text for cell in grid.rows[0].cells[1:]]
    assert texts["work"][0] == "10.0 µs 100%"
    assert texts["work"][1] == "20.0 µs 50%"
    assert texts["window"][2] == "80.0 µs 200k/s"


def test_a_ratio_says_how_sure_it_is() -> None:
    assert ratio_text(2.0, "slower") == "2.00x"
    assert ratio_text(1.01, "~") == "~1.01x"
    assert ratio_text(2.0, None) == "?2.00x"


def _shown(analysis: Analysis, *, tables: bool = True) -> str:
    stream = io.StringIO()
    console.show(summary(analysis, tables=tables), stream)
    return stream.getvalue()


def test_a_report_has_the_table_of_a_sweep_and_no_other_one() -> None:
    title = "Round trip against gap"
    analysis = _analysis(RISING)
    assert _shown(analysis).count(title) == 1
    assert f"**{title}, 64 B" in markdown_text(analysis)
    assert "Share of the request against" not in _shown(analysis)
    assert title not in _shown(analysis, tables=False)
    plain = _analysis({("latency", "unix"): 1e-5})
    assert title not in _shown(plain) + markdown_text(plain)


def _pictures(analysis: Analysis) -> list[Picture]:
    parts = ("gap", "work", "window")
    found = pictures(Subject(analysis.cases, analysis.launches, ()))
    return [picture for picture in found if picture.part in parts]


def _texts(picture: Picture) -> list[str]:
    svg = ET.fromstring(drawing.svg_of(picture.chart))
    return [text.text or "" for text in svg.iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_of_a_gap_has_a_place_for_none() -> None:
    (picture,) = _pictures(_analysis(RISING))
    assert picture.title == "Round trip against gap, 64 B, cross-core, python loop"
    texts = _texts(picture)
    assert [text for text in texts if text in ("0", "1 ms", "10 ms")] == ["0", "1 ms", "10 ms"]
    assert {"gap before each message", "round trip", "unix", "inet"} <= set(texts)
    assert "No gap: unix 10.0 µs, inet 20.0 µs. Gap 10 ms: unix 40.0 µs" in picture.says


def test_the_picture_of_work_is_of_shares() -> None:
    (picture,) = _pictures(_analysis(WORKED))
    assert {"0%", "100%", "share of the round trip"} <= set(_texts(picture))
    assert "No work: unix 100%, inet 100%." in picture.says


def test_windows_have_pictures_of_the_rate_and_of_the_time() -> None:
    rate, time = _pictures(_analysis(WINDOWED))
    assert rate.title.startswith("Throughput against window")
    assert time.title.startswith("Response time against window")
    for picture in (rate, time):
        assert {"1", "4", "16", "messages in flight"} <= set(_texts(picture))
    assert "1 in flight: unix 100k/s. 16 in flight: unix 200k/s." in rate.says


def test_a_sweep_of_no_gap_and_one_more_is_drawn() -> None:
    times = {key: time_s for key, time_s in RISING.items() if "10ms" not in key[0]}
    (picture,) = _pictures(_analysis(times))
    assert {"0", "1 ms"} <= set(_texts(picture))


def test_lines_that_are_meant_differently_are_told_apart_in_a_picture() -> None:
    times = RISING | {("latency:gap=10ms:gap-by=spin", "unix"): 15e-6}
    (picture,) = _pictures(_analysis(times))
    assert {"unix", "inet", "unix (gap-by=spin)"} <= set(_texts(picture))


def _page(analysis: Analysis) -> str:
    found = pictures(Subject(analysis.cases, analysis.launches, ()))
    drawings = [Drawing(p.part, p.title, p.says, p.note, drawing.svg_of(p.chart)) for p in found]
    return page.page(analysis, drawings)


def test_a_page_has_a_section_of_each_swept_knob_with_sentence_table_and_picture() -> None:
    analysis = _analysis(RISING)
    document = _page(analysis)
    section = document.partition('<section id="gap"')[2].partition("</section>")[0]
    assert section.count("<figure") == 1
    assert section.count("<table") == 1
    assert section.count("<tr") == 1 + len(analysis.cases)
    assert "After a gap of 10 ms, against none" in section
    assert "longer by" in section
    assert '<a href="#gap">' in document
    for other in ("work", "window"):
        assert f'<section id="{other}"' not in document


def test_a_page_of_many_mechanisms_and_values_is_small_and_asks_for_nothing() -> None:
    gaps = ("", *(f":gap={gap}" for gap in ("1us", "10us", "100us", "1ms", "10ms", "100ms")))
    names = ("unix", "inet", "inet6", "pipe", "fifo", "socketpair", "sysv-shm", "sysv-msg")
    more = ("posix-shm", "eventfd")
    times = {
        (f"latency{gap}", name): 1e-5 * (1 + place) * (1 + number)
        for place, gap in enumerate(gaps)
        for number, name in enumerate((*names, *more))
    }
    analysis = _analysis(times)
    (picture,) = _pictures(analysis)
    assert picture.note == "Bands: 95 % intervals. Grey: 2 others, named below."
    document = _page(analysis)
    assert len(document.encode()) < 5 * 1024**2
    assert not re.search(r"""(src|href)=["']?(?!["']?(#|data:,))""", document)
    assert "@import" not in document
    assert not re.search(r"url\((?!#)", document)


def test_a_page_of_windows_has_both_pictures_and_the_rates() -> None:
    document = _page(_analysis(WINDOWED))
    section = document.partition('<section id="window"')[2].partition("</section>")[0]
    assert section.count("<figure") == 2
    assert "messages vs 1" in section


def test_a_page_without_a_sweep_has_no_section_of_one() -> None:
    document = _page(_analysis({("latency", "unix"): 1e-5, ("latency", "inet"): 2e-5}))
    assert not re.search(r'<section id="(gap|work|window)"', document)


def test_the_csv_has_the_numbers_that_a_picture_takes() -> None:
    times = RISING | WORKED | WINDOWED | {("throughput", "unix"): 1e-6}
    text = csv_file.csv_text(_analysis(times).cases)
    read = pd.read_csv(io.StringIO(text)).set_index(["workload", "transport"])
    unix = read.xs("unix", level="transport")
    assert isinstance(unix, pd.DataFrame)
    assert unix.loc["latency:window=16", "in_flight_count"] == 16
    assert unix.loc["latency:window=16", "messages_per_s"] == pytest.approx(2e5, rel=0.01)
    assert unix.loc["latency", "in_flight_count"] == 1
    assert unix.loc["latency", "messages_per_s"] == pytest.approx(1e5, rel=0.01)
    assert unix.loc["latency:gap=10ms", "gap_s"] == 0.01
    assert unix.loc[["latency:gap=10ms"], "messages_per_s"].isna().all()
    assert unix.loc["latency:work=1ms", "work_s"] == 1e-3
    assert unix.loc["throughput", ["in_flight_count", "messages_per_s"]].isna().all()


# ---- Readers of one writer.

READ = {
    ("throughput", "unix"): 2e-6,
    ("throughput:readers=2", "unix"): 4e-6,
    ("throughput:readers=4", "unix"): 9e-6,
    ("throughput", "pipe"): 1e-6,
    ("throughput:readers=2", "pipe"): 1.5e-6,
    ("throughput:readers=4", "pipe"): 3e-6,
}


def test_a_sweep_of_readers_tells_how_much_longer_a_message_to_all_takes() -> None:
    (sweep,) = _sweeps(READ)
    assert (sweep.knob, list(sweep.values)) == ("readers", [1, 2, 4])
    ratios = {
        sweep.label(line): [line.time_to_first(point) for point in line.points[1:]]
        for line in sweep.mechanisms
    }
    found = {name: [one.value for one in each if one] for name, each in ratios.items()}
    assert found["unix"] == pytest.approx([2, 4.5], rel=0.01)
    assert found["pipe"] == pytest.approx([1.5, 3], rel=0.01)
    (said,) = sentences(sweep)
    assert said.startswith("With 4 readers, against 1, a message to all of them takes 3")
    assert "4.5" in said


def test_readers_have_a_table_a_picture_and_a_column() -> None:
    analysis = _analysis(READ)
    (sweep,) = sweeps(analysis.cases, analysis.launches)
    (grid,) = (part for part in sweep_parts([sweep]) if isinstance(part, Grid))
    assert grid.title == "Time per message against readers, 64 B, cross-core, python loop"
    assert [column.title for column in grid.columns] == ["transport", "1", "2", "4"]
    drawn = pictures(Subject(analysis.cases, analysis.launches, ()))
    assert any(one.title.startswith("Time per message against readers") for one in drawn)
    counts = dict(zip(analysis.cases["workload"], analysis.cases["readers_count"], strict=True))
    assert counts == {"throughput": 1, "throughput:readers=2": 2, "throughput:readers=4": 4}
    assert set(analysis.cases["clients_count"]) == {1}
