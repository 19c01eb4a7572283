import pytest

from ipcbench.analysis import frame, launch_frame
from ipcbench.case import Case
from ipcbench.errors import UsageError
from tests.replay import Recorded, replayed

INET, UNIX, NULL = (Case("latency", name, 64) for name in ("inet", "unix", "null"))
STREAM, STREAM_NULL = Case("throughput", "inet", 1024), Case("throughput", "null", 1024)


def test_a_launch_counts_by_the_median_of_its_values() -> None:
    results, _, _ = replayed({INET: [[1e-5, 9e-5, 2e-5]]}, rounds=1)
    launches = launch_frame.launches(results)
    assert launches["time_s"].tolist() == [2e-5]
    assert launches["timed_s"].tolist() == [pytest.approx(12e-5 * 100)]
    assert launches["messages_count"].tolist() == [300]


def test_cases_have_all_columns_in_order_even_where_nothing_was_measured() -> None:
    results, _, _ = replayed({INET: ["boom"]}, rounds=1)
    cases = frame.cases(results)
    assert tuple(cases.columns) == (*frame.CASE_COLUMNS, launch_frame.MACHINE)
    assert cases["status"].tolist() == ["failed"]
    assert cases["time_median_s"].isna().all()


def test_the_fastest_comes_first_then_controls_then_what_failed() -> None:
    pipe = Case("latency", "pipe", 64)
    recorded: Recorded = {NULL: [[1e-8]], INET: [[2e-5]], pipe: ["boom"], UNIX: [[1e-5]]}
    cases = frame.cases(replayed(recorded, rounds=1)[0])
    assert cases["transport"].tolist() == ["unix", "inet", "null", "pipe"]


def test_ratios_are_paired_by_round_and_only_for_mechanisms() -> None:
    recorded = {
        INET: [[1e-5], [10e-5], [1e-5]],
        UNIX: [[2e-5], [20e-5], [2e-5]],
        NULL: [[1e-8]] * 3,
    }
    cases = frame.cases(replayed(recorded, rounds=3)[0]).set_index("transport")
    assert cases.loc["unix", "time_to_baseline_ratio"] == pytest.approx(2.0)
    assert cases.loc["inet", "time_to_baseline_ratio"] == 1.0
    assert cases["time_to_baseline_ratio"].isna()["null"]


def test_controls_are_compared_where_the_baseline_is_one_and_no_effect_is_a_verdict() -> None:
    dummies = [Case("latency", f"null:dummy={number}", 64) for number in (1, 2)]
    noise = [1.0e-8, 1.02e-8, 0.99e-8, 1.01e-8, 0.98e-8, 1.0e-8, 1.01e-8, 0.99e-8]
    recorded: Recorded = {
        NULL: [[time_s] for time_s in noise],
        dummies[0]: [[time_s] for time_s in (*noise[3:], *noise[:3])],
        dummies[1]: [[2 * time_s] for time_s in noise],
        UNIX: [[1e-5]] * 8,
    }
    results, _, _ = replayed(recorded, rounds=8, facts={"baseline": "null"})
    cases = frame.cases(results).set_index("transport")
    assert cases.loc["null:dummy=1", "verdict"] == "~"
    assert cases.loc["null:dummy=2", "verdict"] == "slower"
    assert cases.loc["null:dummy=2", "time_to_baseline_ratio"] == pytest.approx(2.0)
    assert cases.loc["unix", "verdict"] == "slower"
    assert cases["time_to_baseline_ratio"].notna().all()
    others = frame.cases(results, "unix").set_index("transport")
    assert others["time_to_baseline_ratio"].isna()[["null", "null:dummy=1"]].all()


def test_another_baseline_may_be_asked_for_but_must_have_been_measured() -> None:
    results, _, _ = replayed({INET: [[1e-5]], UNIX: [[2e-5]]}, rounds=1)
    cases = frame.cases(results, "unix").set_index("transport")
    assert cases.loc["inet", "time_to_baseline_ratio"] == pytest.approx(0.5)
    assert frame.cases(results, "pipe")["time_to_baseline_ratio"].isna().all()
    with pytest.raises(UsageError, match="'pipe' is not among the measured: "):
        frame.check_baseline(results, "pipe")


def test_where_the_baseline_failed_there_is_no_ratio_and_no_error() -> None:
    results, _, _ = replayed({INET: [[1e-5], "boom"], UNIX: [[2e-5]] * 2}, rounds=2)
    cases = frame.cases(results, "inet").set_index("transport")
    assert cases.loc["unix", "status"] == "measured"
    assert cases["time_to_baseline_ratio"].isna().all()


def test_a_case_with_a_failed_launch_has_a_reason_and_no_number() -> None:
    results, _, _ = replayed({INET: [[1e-5]] * 2, UNIX: [[1e-5], "boom"]}, rounds=2)
    row = frame.cases(results).set_index("transport").loc["unix"]
    assert row["status"] == "failed"
    assert row["reason"] == "round 2: boom (twice)"
    assert row.isna()["time_median_s"]


def test_a_difference_within_the_noise_floor_of_the_run_is_none() -> None:
    recorded: Recorded = {INET: [[1e-5]] * 8, UNIX: [[1.05e-5]] * 8}
    results, _, _ = replayed(recorded, rounds=8)
    assert frame.cases(results).set_index("transport")["verdict"]["unix"] == "slower"
    noisy, _, _ = replayed(recorded, rounds=8, facts={"noise_floor_ratio": 0.1})
    assert frame.cases(noisy).set_index("transport")["verdict"]["unix"] == "~"


def test_one_launch_tells_no_spread() -> None:
    cases = frame.cases(replayed({INET: [[1e-5, 2e-5]]}, rounds=1)[0])
    assert cases["spread_ratio"].isna().all()


def test_throughput_is_delivered_messages_and_bytes_and_a_control_delivers_none() -> None:
    cases = frame.cases(replayed({STREAM: [[1e-6]], STREAM_NULL: [[1e-8]]}, rounds=1)[0])
    stream, control = cases.to_dict("records")
    assert stream["throughput_messages_per_s"] == pytest.approx(1e6)
    assert stream["throughput_bytes_per_s"] == pytest.approx(1024e6)
    assert cases["throughput_bytes_per_s"].isna()[1]
    assert control["role"] == "floor"


def test_the_clock_ran_for_a_message_as_long_as_its_share_of_a_window() -> None:
    case = Case("latency:window=4", "unix", 64)
    results, _, _ = replayed({case: [[8e-6, 12e-6]]}, rounds=1)  # 100 messages a batch
    (row,) = frame.cases(results).to_dict("records")
    assert row["timed_s"] == pytest.approx((2e-6 + 3e-6) * 100)
