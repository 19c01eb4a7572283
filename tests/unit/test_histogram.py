import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.results.histogram import Histogram, bounds_of, bucket_of, percentile_lines

TIMES = st.lists(st.integers(min_value=0, max_value=10**11), min_size=1, max_size=200)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_time_lies_in_its_bucket_and_no_bucket_is_wider_than_1_percent(value: int) -> None:
    first, beyond = bounds_of(bucket_of(value))
    assert first <= value < beyond
    assert beyond - first <= max(1, first / 100)


@given(st.integers(min_value=0, max_value=2**40))
def test_buckets_follow_each_other_without_a_gap(value: int) -> None:
    bucket = bucket_of(value)
    assert bounds_of(bucket)[1] == bounds_of(bucket + 1)[0]


@given(TIMES, st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 1.0]))
def test_percentiles_agree_with_numpys_within_a_buckets_width(
    samples: list[int], share: float
) -> None:
    expected = np.percentile(samples, share * 100, method="inverted_cdf")
    first, beyond = bounds_of(bucket_of(int(expected)))
    assert abs(Histogram.of(samples).percentile_ns(share) - expected) <= beyond - first


@given(TIMES, TIMES, TIMES)
def test_merging_is_associative_and_the_same_as_one_histogram_of_all(
    one: list[int], two: list[int], three: list[int]
) -> None:
    a, b, c = Histogram.of(one), Histogram.of(two), Histogram.of(three)
    assert a.merged(b).merged(c) == a.merged(b.merged(c)) == Histogram.of(one + two + three)


@given(TIMES)
def test_a_histogram_survives_its_one_line_of_text(samples: list[int]) -> None:
    histogram = Histogram.of(samples)
    assert Histogram.parse(str(histogram)) == histogram
    assert "\n" not in str(histogram)


@pytest.mark.parametrize(
    "text", ["", "1", "1 2", "1 2 3", "1 2 3:x", "5 2 3:1", "1 2 3:0", "a b c:d"]
)
def test_any_other_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a histogram"):
        Histogram.parse(text)


def test_a_percentile_needs_ten_samples_beyond_it() -> None:
    histogram = Histogram.of(range(1000))
    assert histogram.supports(0.99)
    assert not histogram.supports(0.999)


def test_the_percentile_text_is_what_plotters_read() -> None:
    lines = list(percentile_lines(Histogram.of([10_000] * 90 + [20_000] * 10)))
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    first, last = lines[2].split(), lines[3].split()
    assert float(first[0]) == pytest.approx(10.0, rel=0.01)
    assert first[1:] == ["0.900000000000", "90", "10.00"]
    assert last[1:] == ["1.000000000000", "100"]
    assert lines[-2].startswith("#[Max     =       20.000, Total count    =          100]")


def test_several_percentiles_are_those_asked_for_one_by_one() -> None:
    histogram = Histogram.of([1, 5, 5, 90, 1_000, 1_001, 50_000])
    shares = [0.0, 0.1, 0.5, 0.5, 0.9, 1.0]
    assert histogram.percentiles_ns(shares) == [histogram.percentile_ns(one) for one in shares]
    assert histogram.percentile_ns(0.5) == 90


def test_percentile_lines_of_very_many_samples_divide_by_no_zero() -> None:
    histogram = Histogram.parse("1 3 1:999999999999999999 3:1")
    *_, almost_all, last, _, _, _ = percentile_lines(histogram)
    assert float(almost_all.split()[-1]) == pytest.approx(1e18)
    assert last.split()[-1] == "1000000000000000000"
