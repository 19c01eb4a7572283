"""The open loop's numbers: percentiles at a rate, what blanks them, and whose doing it is."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.interpreters import compare_interpreters
from ipcbench.analysis.load_lines import LoadLine, RatePoint, loads
from ipcbench.analysis.objective import Objective
from ipcbench.analysis.precision import precisions
from ipcbench.analysis.sweeps import sweeps
from ipcbench.case import Case, parse_workload
from ipcbench.errors import ResultsError
from ipcbench.reporters import csv_file
from ipcbench.results.histogram import LATENESS_KEY
from ipcbench.results.load import OBJECTIVE_KEY, OFFERED_RATE_KEY, SLOPE_KEY
from ipcbench.results.metadata import rule_of
from ipcbench.results.store import Metadata, Results
from tests.synthetic import Answers, open_loop

UNIFORM = range(1_000, 101_000, 10)
"""Responses of 1 to 101 µs: percentiles of 10,000 messages are known."""
NEAR = 0.008
"""Relative width of a histogram's bucket, to which percentiles are known."""
STEADY = Answers(UNIFORM)
GROWING = Answers(UNIFORM, slopes=(0.01, 0.02, 0.015))
DROWNED = Answers(
    [10**9] * 10_000,
    answered_share=0.7,
    slopes=(0.3, 0.31, 0.29),
    window_full_share=0.9,
    server_busy_ratio=0.97,
    lateness_ns=[5 * 10**8] * 1_000,
)
THROTTLED = Answers(
    [10**7] * 10_000, answered_share=0.5, slopes=(0.5,), lateness_ns=[10**7] * 1_000
)
"""A generator that sends half of what it should, to a server that answers all of it at once."""

Rates = Mapping[str, Answers]


def _case(rate: str, transport: str = "unix", more: str = "") -> Case:
    return Case(parse_workload(f"load:rate={rate}{more}"), transport, 64)


def _analysis(answers: Rates, *, rounds: int = 6, slo: str | None = None, **more: Any) -> Analysis:
    results = open_loop({_case(rate): one for rate, one in answers.items()}, rounds, **more)
    return frame.analyse(results, objective=None if slo is None else Objective.parse(slo))


def _row(one: Answers, **more: Any) -> "pd.Series[Any]":
    return _analysis({"10k": one}, **more).cases.iloc[0]


def _line(answers: Rates, **more: Any) -> LoadLine:
    analysis = _analysis(answers, **more)
    ((line,),) = (load.lines for load in loads(analysis.cases, analysis.objective))
    return line


def _rate(point: RatePoint | None) -> float | None:
    return None if point is None else point.rate_per_s


def test_a_percentile_is_the_median_of_those_of_launches_with_its_interval() -> None:
    factors = (1.0, 1.2, 0.8, 1.1, 0.9, 1.05, 0.95)
    row = _row(Answers(UNIFORM, factors=factors), rounds=len(factors))
    names = ("p50", "p90", "p99", "p99_9", "max")
    expected = [51e-6, 91e-6, 100e-6, 100.9e-6, 101e-6]
    assert [row[f"response_{name}_s"] for name in names] == pytest.approx(expected, rel=NEAR)
    low, high = row["response_p99_low_s"], row["response_p99_high_s"]
    assert 80e-6 * (1 - NEAR) <= low < 100e-6 < high <= 120e-6 * (1 + NEAR)


def test_too_few_launches_have_percentiles_and_no_interval() -> None:
    row = _row(STEADY, rounds=5)
    assert row["response_p99_s"] == pytest.approx(100e-6, rel=NEAR)
    assert pd.isna(row["response_p99_low_s"])


@pytest.mark.parametrize(
    ("messages", "known"),
    [
        (10_000, ["p50", "p90", "p99", "p99_9"]),
        (9_999, ["p50", "p90", "p99"]),
        (999, ["p50", "p90"]),
        (99, ["p50"]),
        (19, []),
    ],
)
def test_a_percentile_takes_ten_messages_of_each_launch_beyond_it(
    messages: int, known: Sequence[str]
) -> None:
    row = _row(Answers(UNIFORM[:messages]))
    names = ("p50", "p90", "p99", "p99_9")
    for kind in ("response", "from_send"):
        assert [name for name in names if pd.notna(row[f"{kind}_{name}_s"])] == known
    assert pd.notna(row["response_max_s"])


def test_responses_from_the_intended_and_from_the_actual_sending_stand_beside_each_other() -> None:
    row = _row(Answers(UNIFORM, from_send_ns=range(500, 50_500, 5)))
    assert row["response_p99_s"] == pytest.approx(100e-6, rel=NEAR)
    assert row["from_send_p99_s"] == pytest.approx(50e-6, rel=NEAR)


def test_what_was_asked_for_and_what_it_came_to() -> None:
    case = _case("10k", more=":arrivals=poisson:window=16")
    one = Answers(UNIFORM, answered_share=0.99, lateness_ns=range(1, 2001))
    row = frame.analyse(open_loop({case: one}, 3)).cases.iloc[0]
    assert (row["rate_per_s"], row["arrivals"], row["window_count"]) == (10e3, "poisson", 16)
    assert (row["offered_per_s"], row["achieved_per_s"]) == (10e3, 9.9e3)
    assert row["load_state"] == "ok"
    assert (row["load_offered_count"], row["load_answered_count"]) == (30_000, 30_000)
    late = [row[f"lateness_{name}_s"] for name in ("p50", "p99", "max")]
    assert late == pytest.approx([1e-6, 1.98e-6, 2e-6], rel=NEAR)
    assert row["quantity"] == "response"
    assert row["timed_s"] == pytest.approx(3 * 1.0)


def test_overload_blanks_all_times_and_tells_the_slope() -> None:
    row = _row(DROWNED)
    assert row["load_state"] == "overloaded"
    blank = [name for name in row.index if name.startswith(("response_", "from_send_", "time_"))]
    assert len(blank) > 20
    assert row[blank].isna().all()
    assert row["delay_slope_ratio"] == pytest.approx(0.3)
    assert row["delay_slope_low_ratio"] <= 0.3 <= row["delay_slope_high_ratio"]
    assert pd.notna(row["lateness_p99_s"])


@pytest.mark.parametrize(("share", "state"), [(0.981, "ok"), (0.979, "overloaded")])
def test_what_is_answered_decides_whether_a_system_keeps_up(share: float, state: str) -> None:
    assert _row(Answers(UNIFORM, answered_share=share))["load_state"] == state


@pytest.mark.parametrize(
    ("slopes", "rounds", "state"),
    [
        ((0.006, 0.007), 6, "not steady"),
        ((0.004, 0.007), 6, "ok"),
        ((0.0, 0.0, 0.0, 0.0, 0.0, 0.9), 6, "ok"),
        ((0.006, 0.007), 2, "not steady"),
        ((0.004, 0.9), 2, "ok"),
        ((-0.2,), 6, "ok"),
        ((0.005,), 6, "ok"),
    ],
)
def test_a_system_is_not_steady_where_its_delay_surely_grows(
    slopes: Sequence[float], rounds: int, state: str
) -> None:
    row = _row(Answers(UNIFORM, slopes=slopes), rounds=rounds)
    assert row["load_state"] == state
    assert pd.isna(row["response_p50_s"]) == (state != "ok")


def _flags(one: Answers) -> list[str]:
    flags = _row(one)["flags"]
    return [] if pd.isna(flags) else str(flags).split(";")


def test_a_generator_that_is_late_is_flagged_and_keeps_its_percentiles() -> None:
    late = Answers(UNIFORM, lateness_ns=[100] * 980 + [6_000] * 20)
    assert _flags(late) == ["generator-late"]
    assert pd.notna(_row(late)["response_p99_s"])
    (objection,) = _analysis({"10k": late}).objections
    assert objection.says.startswith("one in a hundred of its messages was sent 6.00 µs late")


def test_lateness_of_a_tenth_of_the_median_is_none() -> None:
    assert _flags(Answers(UNIFORM, lateness_ns=[100] * 980 + [5_000] * 20)) == []
    assert _flags(Answers(UNIFORM, lateness_ns=[100] * 991 + [10**6] * 9)) == []


def test_messages_that_a_full_window_held_back_are_not_blamed_on_the_generator() -> None:
    late = Answers(UNIFORM, lateness_ns=[100] * 900 + [60_000] * 100, window_full_share=0.1)
    assert _flags(late) == []
    assert _flags(late._replace(window_full_share=0.01)) == ["generator-late"]
    assert _flags(DROWNED) == ["overloaded"]


def test_a_throttled_generator_is_told_from_an_overloaded_server() -> None:
    assert _flags(THROTTLED) == ["generator-late"]
    assert _row(THROTTLED)["load_state"] == "overloaded"
    assert [_row(one)["ran_out"] for one in (STEADY, DROWNED, THROTTLED)] == [
        *("neither", "server-bound", "client-bound")
    ]


def test_a_delay_that_grows_is_flagged_with_what_to_do() -> None:
    assert _flags(GROWING) == ["not-steady"]
    (objection,) = _analysis({"10k": GROWING}).objections
    assert "its delay grows 0.015 s a second" in objection.says


@pytest.mark.parametrize(("one", "has_shape"), [(STEADY, True), (DROWNED, False)])
def test_the_spread_of_times_is_no_fault_past_the_knee(one: Answers, has_shape: bool) -> None:
    wild = one._replace(factors=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    assert ("unstable" in _flags(wild)) == has_shape


def test_the_peak_is_the_most_that_a_closed_loop_of_the_same_answers() -> None:
    peaks = {
        Case("latency", "unix", 64): 50e-6,
        Case("latency:window=16", "unix", 64): 400e-6,
        Case("latency:window=64:work=10us", "unix", 64): 64e-6,
        Case("latency:gap=1ms", "unix", 64): 1e-9,
        Case("latency:window=64", "unix", 1024): 64e-6,
        Case("latency:window=64", "inet", 64): 64e-6,
    }
    cases = _analysis({"10k": STEADY}, peaks=peaks).cases.set_index("workload")
    row = cases.loc["load:rate=10000"]
    assert row["peak_per_s"] == pytest.approx(40e3)
    assert row["rate_to_peak_ratio"] == pytest.approx(0.25)
    assert cases.drop("load:rate=10000")["peak_per_s"].isna().all()
    worked = {_case("10k", more=":work=10us"): STEADY}
    rows = frame.analyse(open_loop(worked, 2, peaks)).cases.set_index("workload")
    assert rows.loc["load:rate=10000:work=10us", "peak_per_s"] == pytest.approx(1e6)


def test_without_a_closed_loop_there_is_no_peak() -> None:
    assert pd.isna(_row(STEADY)["peak_per_s"])


def test_a_line_has_its_rates_in_order_whatever_their_spelling() -> None:
    rates = ("9k", "800", "10k", "1.1k", "100k", "1k")
    line = _line(dict.fromkeys(rates, STEADY))
    assert [point.rate_per_s for point in line.points] == [800, 1e3, 1.1e3, 9e3, 10e3, 100e3]


def test_the_knee_lies_between_the_last_steady_rate_and_the_first_that_is_not() -> None:
    line = _line({"1k": STEADY, "10k": STEADY, "20k": GROWING, "50k": DROWNED})
    assert [_rate(point) for point in line.knee] == [10e3, 20e3, None]
    assert line.capacity is None


def test_a_steady_rate_above_one_that_is_not_does_not_move_the_knee() -> None:
    line = _line({"1k": STEADY, "10k": GROWING, "20k": STEADY})
    assert [_rate(point) for point in line.knee] == [1e3, 10e3, None]


def test_a_generator_that_cannot_keep_up_hides_the_knee() -> None:
    line = _line({"10k": STEADY, "20k": THROTTLED})
    assert [_rate(point) for point in line.knee] == [10e3, None, 20e3]


def test_without_a_rate_that_fails_the_knee_is_not_found() -> None:
    assert [_rate(point) for point in _line({"1k": STEADY}).knee] == [1e3, None, None]
    assert [_rate(point) for point in _line({"1k": DROWNED}).knee] == [None, 1e3, None]


def test_the_capacity_lies_where_the_objective_stops_holding() -> None:
    slow = Answers([2 * time_ns for time_ns in UNIFORM])
    rates = {"1k": STEADY, "10k": STEADY, "20k": slow, "50k": DROWNED}
    line = _line(rates, slo="p99<150us")
    assert line.capacity is not None
    assert [_rate(point) for point in line.capacity] == [10e3, 20e3, None]
    assert [_rate(point) for point in line.knee] == [20e3, 50e3, None]


def test_an_objective_that_a_late_generator_misses_is_not_judged() -> None:
    late = Answers(UNIFORM, lateness_ns=[100] * 980 + [60_000] * 20)
    line = _line({"1k": STEADY, "10k": late}, slo="p50<50us")
    assert line.capacity is not None
    assert [_rate(point) for point in line.capacity] == [None, 1e3, None]
    line = _line({"10k": late}, slo="p50<50us")
    assert line.capacity is not None
    assert [_rate(point) for point in line.capacity] == [None, None, 10e3]


def test_the_objective_of_a_file_is_taken_unless_another_is_asked_for() -> None:
    facts: Metadata = {OBJECTIVE_KEY: "p99<150us"}
    analysis = _analysis({"10k": STEADY}, facts=facts)
    assert str(analysis.objective) == "p99<150us"
    other = _analysis({"10k": STEADY}, facts=facts, slo="max<1ms")
    assert str(other.objective) == "max<1ms"
    assert _analysis({"10k": STEADY}).objective is None


def test_each_way_of_asking_has_lines_of_its_own() -> None:
    cases = {
        _case("1k"): STEADY,
        _case("2k"): STEADY,
        _case("1k", "inet"): STEADY,
        _case("1k", more=":arrivals=poisson"): STEADY,
        _case("1k", more=":window=4"): STEADY,
        _case("1k")._replace(message_size_bytes=128): STEADY,
    }
    found = loads(frame.analyse(open_loop(cases, 1)).cases)
    assert [(one.place.workload, one.place.message_size_bytes) for one in found] == [
        ("load", 64),
        ("load", 128),
        ("load:window=4", 64),
        ("load:arrivals=poisson", 64),
    ]
    assert [(line.transport, len(line.points)) for line in found[0].lines] == [
        *(("inet", 1), ("unix", 2))
    ]


def test_the_transport_with_the_highest_peak_comes_first_and_controls_last() -> None:
    names = ("pipe", "unix", "null")
    answers = {_case("1k", name): STEADY for name in names}
    windows = {"pipe": 4e-3, "unix": 1e-3, "null": 1e-9}
    peaks = {Case("latency:window=16", name, 64): time_s for name, time_s in windows.items()}
    (load,) = loads(frame.analyse(open_loop(answers, 2, peaks)).cases)
    assert [line.transport for line in load.lines] == ["unix", "pipe", "null"]
    assert [line.transport for line in load.mechanisms] == ["unix", "pipe"]


def test_rates_that_failed_stand_beside_those_that_did_not() -> None:
    results = open_loop({_case("10k"): STEADY}, 2)
    results.add_unmeasured(_case("1k"), "failed", "it broke")
    (load,) = loads(frame.analyse(results).cases)
    assert load.rows["rate_per_s"].tolist() == [1e3, 10e3]
    assert [point.rate_per_s for point in load.lines[0].points] == [10e3]


def test_rates_are_no_comparison_no_sweep_and_no_precision() -> None:
    cases = {
        _case(rate, name, more): STEADY
        for rate in ("1k", "2k")
        for name in ("unix", "inet")
        for more in ("", ":window=4", ":work=10us")
    }
    results = open_loop(cases, 6)
    analysis = frame.analyse(results)
    assert analysis.cases["time_to_baseline_ratio"].isna().all()
    assert analysis.cases["mechanism_share_ratio"].isna().all()
    assert sweeps(analysis.cases, analysis.launches) == []
    assert precisions(results, "inet") == []


def test_a_launch_without_the_facts_of_an_open_loop_has_no_state() -> None:
    results = open_loop({}, 1, {_case("1k"): 1e-5})
    row = frame.analyse(results).cases.iloc[0]
    assert pd.isna(row["load_state"])
    assert row["time_median_s"] == 1e-5
    assert [len(load.lines) for load in loads(frame.analyse(results).cases)] == [0]


def _compared(old: Answers, new: Answers, *measures: Any) -> tuple[list[str], list[str]]:
    """The measures of the changes from OLD to NEW, and why others aren't compared."""
    before, after = (open_loop({_case("10k"): one}, 6) for one in (old, new))
    found = compare_runs(before, after, measures=measures)
    changes = [str(name) for name, those in found.changes_of.items() if those]
    return changes, [one.why for one in found.uncompared]


def test_two_runs_are_compared_by_responses_at_a_rate_that_both_keep_up_with() -> None:
    slow = Answers([2 * time_ns for time_ns in UNIFORM])
    assert _compared(STEADY, slow, "p99", "cpu") == (["time", "p99", "cpu"], [])
    changes, why = _compared(STEADY, DROWNED, "cpu")
    assert changes == ["cpu"]
    assert why == ["not in NEW: fewer messages were answered than offered"]


def test_interpreters_are_not_compared_by_responses_at_a_rate() -> None:
    cases = {
        _case("10k")._replace(interpreter=label): STEADY._replace(factors=(factor,))
        for label, factor in (("old", 1.0), ("new", 2.0))
    }
    results = open_loop(cases, 6, facts={"interpreters": "old,new"})
    (comparison,) = compare_interpreters(results, frame.analyse(results), ["p99"])
    assert [change.measure for change in comparison.changes_of["p99"]] == ["p99"]
    assert comparison.changes == []
    assert [one.why for one in comparison.uncompared] == [
        "no ratio is told of response times at a rate"
    ]


def test_the_csv_has_what_a_picture_takes() -> None:
    analysis = _analysis({"10k": STEADY, "50k": DROWNED})
    text = csv_file.csv_text(analysis.cases)
    read = pd.read_csv(io.StringIO(text)).set_index("workload")
    kept_up, drowned = (read.loc[f"load:rate={rate}"] for rate in ("10000", "50000"))
    columns = list(frame.CASE_COLUMNS)
    assert text.splitlines()[0].split(",") == columns
    assert columns.index("rate_per_s") > columns.index("messages_per_s")
    assert kept_up["rate_per_s"] == kept_up["achieved_per_s"] == 10e3
    assert kept_up["response_p99_s"] == pytest.approx(100e-6, rel=NEAR)
    assert drowned["achieved_per_s"] == 35e3
    assert pd.isna(drowned["response_p99_s"])
    assert drowned["load_state"] == "overloaded"
    assert read["round_trip_p99_s"].isna().all()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (OFFERED_RATE_KEY, [0.5, 10_000], [0, -1.0, float("inf"), "10k"]),
        (SLOPE_KEY, [-0.1, 0.5], [float("nan"), 1e12, "steep"]),
        ("load_sent_count", [0, 10], [-1, 1.5, "10"]),
        (LATENESS_KEY, ["5 5 5:3"], ["", "5 5", 5, "9 5 5:1"]),
        (OBJECTIVE_KEY, ["p99<200us", "p99.9<=1.5ms"], ["", "p99", "p99>1us", "p99<1us\n"]),
    ],
)
def test_facts_of_an_open_loop_are_held_to_what_they_can_be(
    name: str, good: Sequence[object], bad: Sequence[object]
) -> None:
    assert all(rule_of(name).fits(value) for value in good)
    assert not any(rule_of(name).fits(value) for value in bad)


def test_a_file_with_a_false_fact_is_refused(tmp_path: Any) -> None:
    from ipcbench.results import store

    results: Results = open_loop({_case("10k"): STEADY}, 1, facts={OBJECTIVE_KEY: "p99<1ms"})
    path = tmp_path / "load.json"
    store.save(results, path)
    again = frame.analyse(store.load(path))
    assert str(again.objective) == "p99<1ms"
    assert again.cases.iloc[0]["response_p99_s"] == pytest.approx(100e-6, rel=NEAR)
    path.write_text(path.read_text().replace('"p99<1ms"', '"p99<1ms;"'))
    with pytest.raises(ResultsError, match="objective"):
        store.load(path)
