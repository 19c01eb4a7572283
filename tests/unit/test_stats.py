import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis.stats import paired_ratio, spread

TIMES = st.lists(st.floats(min_value=1e-9, max_value=10.0), min_size=1, max_size=30)


def test_five_numbers_of_five_launches() -> None:
    assert spread([5.0, 1.0, 3.0, 2.0, 4.0]) == (1.0, 2.0, 3.0, 4.0, 5.0)


def test_one_launch_has_no_spread() -> None:
    assert spread([2.0]).relative_iqr == 0.0


def test_the_relative_iqr_is_a_share_of_the_median() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]).relative_iqr == pytest.approx(2 / 3)


@given(TIMES)
def test_the_numbers_are_ordered_and_the_median_is_the_median(times: list[float]) -> None:
    summary = spread(times)
    assert list(summary) == sorted(summary)
    assert summary.median == pytest.approx(statistics.median(times))


def test_a_ratio_pairs_launches_of_one_round_so_that_drift_cancels() -> None:
    case = {1: 20.0, 2: 40.0, 3: 80.0}
    baseline = {1: 10.0, 2: 20.0, 3: 40.0}
    assert paired_ratio(case, baseline) == 2.0


def test_a_round_that_only_one_side_has_is_left_out() -> None:
    assert paired_ratio({1: 30.0, 2: 500.0}, {1: 10.0, 3: 1.0}) == 3.0


def test_without_a_common_round_there_is_no_ratio() -> None:
    assert paired_ratio({1: 1.0}, {2: 1.0}) is None
