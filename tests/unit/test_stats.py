import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis.stats import (
    Interval,
    Ratio,
    alternating_ratio,
    discovery_limit,
    median_interval,
    paired_ratio,
    spread,
    verdicts,
)

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
    ratio = paired_ratio(case, baseline)
    assert ratio is not None
    assert ratio.estimate == pytest.approx(2.0)


def test_a_round_that_only_one_side_has_is_left_out() -> None:
    ratio = paired_ratio({1: 30.0, 2: 500.0}, {1: 10.0, 3: 1.0})
    assert ratio is not None
    assert ratio.estimate == pytest.approx(3.0)


def test_without_a_common_round_there_is_no_ratio() -> None:
    assert paired_ratio({1: 1.0}, {2: 1.0}) is None


def test_six_launches_are_the_fewest_that_give_an_interval() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    interval = median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert interval is not None
    # [1, 6] covers 96.875 %, [2, 5] 78.125 %: Hettmansperger & Sheather's weight for 95 % is 1/3
    # of the way in confidence, which is less of the way in values.
    assert 1.0 < interval.low < 1.5
    assert interval.low + interval.high == pytest.approx(7.0)


@given(st.lists(st.floats(min_value=1e-6, max_value=1e3), min_size=6, max_size=40))
def test_an_interval_holds_the_sample_median_and_lies_within_the_launches(
    launches: list[float],
) -> None:
    interval = median_interval(launches)
    assert interval is not None
    assert min(launches) <= interval.low <= statistics.median(launches) <= interval.high
    assert interval.high <= max(launches)


def test_intervals_cover_the_median_as_often_as_they_claim() -> None:
    random = Random(1)
    for count in (6, 9, 20):
        held = 0
        for _ in range(2000):
            interval = median_interval([random.lognormvariate(0, 0.3) for _ in range(count)])
            assert interval is not None
            held += interval.low <= 1.0 <= interval.high
        assert 0.935 <= held / 2000 <= 0.97  # 95 % within what 2,000 tries can tell


def test_a_ratio_of_few_launches_claims_nothing() -> None:
    ratio = paired_ratio({1: 2.0, 2: 2.0}, {1: 1.0, 2: 1.0})
    assert ratio is not None
    assert (ratio.interval, ratio.p_value) == (None, None)
    assert verdicts([ratio]) == [None]


def test_the_p_value_of_six_launches_on_one_side_is_two_in_64() -> None:
    ratio = paired_ratio({r: 2.0 + r / 100 for r in range(6)}, dict.fromkeys(range(6), 1.0))
    assert ratio is not None
    assert ratio.p_value == pytest.approx(2 / 64)


@given(st.lists(st.floats(min_value=0.5, max_value=2.0), min_size=6, max_size=30))
def test_the_interval_excludes_1_exactly_where_the_p_value_is_below_5_percent(
    ratios: list[float],
) -> None:
    ratio = paired_ratio(dict(enumerate(ratios)), dict.fromkeys(range(len(ratios)), 1.0))
    assert ratio is not None
    assert ratio.interval is not None
    assert ratio.p_value is not None
    outside = not ratio.interval.low <= 1.0 <= ratio.interval.high
    if abs(ratio.p_value - 0.05) > 1e-6:
        assert outside == (ratio.p_value < 0.05)


def test_a_ratio_turned_round_is_the_same_finding_turned_round() -> None:
    case = {r: 1.1 + 0.01 * r for r in range(9)}
    baseline = {r: 1.0 + 0.013 * r * r for r in range(9)}
    one, other = paired_ratio(case, baseline), paired_ratio(baseline, case)
    assert one is not None
    assert other is not None
    assert one.interval is not None
    assert other.interval is not None
    assert one.estimate == pytest.approx(1 / other.estimate)
    assert one.interval.low == pytest.approx(1 / other.interval.high)
    assert one.p_value == pytest.approx(other.p_value)


def _ratio(estimate: float, p_value: float) -> Ratio:
    bounds = sorted((estimate * 0.99, estimate * 1.01))
    return Ratio(estimate, Interval(*bounds), p_value)


def test_verdicts_say_which_way_and_only_what_passes_all_three_gates() -> None:
    ratios = [_ratio(0.5, 0.01), _ratio(2.0, 0.01), _ratio(1.0, 0.9), None]
    assert verdicts(ratios) == ["faster", "slower", "~", None]
    assert verdicts([_ratio(1.03, 0.01)], noise_floor=0.05) == ["~"]
    assert verdicts([_ratio(1.03, 0.01)], noise_floor=0.02) == ["slower"]


def test_one_small_p_value_among_many_comparisons_is_no_discovery() -> None:
    alone = verdicts([_ratio(0.5, 0.03)])
    crowd = verdicts([_ratio(0.5, 0.03), *[_ratio(1.0, 0.5)] * 9])
    assert alone == ["faster"]
    assert crowd[0] == "~"


def test_benjamini_and_hochbergs_own_example() -> None:
    # Benjamini & Hochberg 1995, section 4.1: 15 p-values, of which the first 4 are rejected.
    p_values = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000),
    ]
    assert discovery_limit(p_values) == 0.0095
    assert discovery_limit([]) == 0.0


def test_batches_that_took_turns_are_compared_turn_by_turn() -> None:
    # The machine is three times slower for two turns of five: no median of batches is untouched.
    baseline = {r: [1.0, 1.1, 3.3, 3.0, 1.0] for r in range(6)}
    case = {r: [2.0, 2.2, 6.6, 6.0, 2.0] for r in range(6)}
    ratio = alternating_ratio(case, baseline)
    assert ratio is not None
    assert ratio.interval is not None
    assert (ratio.estimate, *ratio.interval) == pytest.approx((2.0, 2.0, 2.0))


def test_different_counts_of_batches_are_compared_by_their_medians() -> None:
    ratio = alternating_ratio({1: [4.0, 6.0, 5.0]}, {1: [1.0, 3.0]})
    assert ratio is not None
    assert ratio.estimate == pytest.approx(2.5)
