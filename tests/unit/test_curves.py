"""The points that pictures are drawn from."""

import pytest

from ipcbench.analysis import curves, frame, launch_frame
from ipcbench.case import Case
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from tests.replay import replayed

INET, UNIX = Case("latency", "inet", 64), Case("latency", "unix", 64)
NULL, STREAM = Case("latency", "null", 64), Case("throughput", "unix", 64)


def test_only_mechanisms_with_a_number_have_a_point() -> None:
    results, _, _ = replayed({INET: [[1e-5]], NULL: [[1e-8]], UNIX: ["it broke"]}, rounds=1)
    assert list(curves.timed(frame.cases(results))["transport"]) == ["inet"]


def test_without_an_interval_the_time_stands_for_both_its_ends() -> None:
    results, _, _ = replayed({INET: [[1e-5]]}, rounds=1)
    (point,) = curves.timed(frame.cases(results)).to_dict("records")
    assert point["low_s"] == point["high_s"] == point["time_median_s"]


def test_a_rate_is_the_size_over_the_time_and_its_interval_is_turned_round() -> None:
    times = [[1e-6 * (10 + number)] for number in range(8)]
    results, _, _ = replayed({STREAM: times}, rounds=8)
    (point,) = curves.streamed(frame.cases(results)).to_dict("records")
    assert point["bytes_per_s"] == pytest.approx(64 / 13.5e-6)
    assert point["low_bytes_per_s"] < point["bytes_per_s"] < point["high_bytes_per_s"]


def test_drift_is_each_launch_over_the_median_of_its_case() -> None:
    results, _, _ = replayed({INET: [[1e-5], [1e-5], [2e-5]], UNIX: [[2e-6]] * 3}, rounds=3)
    points = curves.drift(launch_frame.launches(results))
    assert sorted(points["ratio"]) == pytest.approx([1, 1, 1, 1, 1, 2])
    rounds = curves.drift_by_round(points)
    assert list(rounds["round"]) == [1, 2, 3]
    assert rounds["median"].iloc[-1] == pytest.approx(1.5)


def test_a_percentile_has_a_point_only_where_samples_lie_beyond_it() -> None:
    results, _, _ = replayed({INET: [[1e-5]]}, rounds=1)
    launches = launch_frame.launches(results)
    sampled = Histogram.of(range(1_000, 2_000))
    launches[HISTOGRAM_KEY] = str(sampled)
    points = curves.percentile_curves(launches)
    assert points["inverse_tail"].max() == pytest.approx(100)
    labelled = points[points["is_labelled"]]
    assert list(labelled["inverse_tail"]) == [2, 10, 100]
    assert labelled["time_s"].iloc[0] == pytest.approx(1.5e-6, rel=0.01)


def test_without_samples_there_are_no_percentiles() -> None:
    results, _, _ = replayed({INET: [[1e-5]]}, rounds=1)
    assert curves.percentile_curves(launch_frame.launches(results)).empty


def test_caches_are_labelled_only_where_they_were_recorded() -> None:
    results, _, _ = replayed({INET: [[1e-5]]}, rounds=1)
    launches = launch_frame.launches(results)
    assert curves.caches_bytes(launches) == {}
    assert curves.caches_bytes(launches.assign(cache_l2_bytes=512)) == {"l2": 512}


def test_ends_are_the_smallest_and_the_largest_each_once() -> None:
    assert curves.ends([64, 4, 1024]) == [4, 1024]
    assert curves.ends([64, 64]) == [64]
    assert curves.ends([]) == []
