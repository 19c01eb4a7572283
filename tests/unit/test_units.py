import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench import units
from ipcbench.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("1", 1), ("64", 64), ("1k", 1024), ("64K", 65536), ("1m", 1048576)),
        *((" 2g ", 2147483648), ("64B", 64), ("64 B", 64), ("64KiB", 65536), ("64kib", 65536)),
        *(("1MiB", 1048576), ("16 KiB", 16384), ("2GiB", 2147483648)),
    ],
)
def test_a_size_is_read_with_k_as_1024(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0k",
        "-1",
        "1.5",
        "abc",
        "10t",
        "",
        "64kb",
        "1 k",
        "٣",
        "1e3",
        "64ki",
        "1.5b",
        "0 KiB",
        "64  KiB",
    ],
)
def test_anything_else_is_no_size_and_the_error_quotes_it(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(text.strip()))):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["64KB", "64kB", "64kb", "64 KB", "1.5KB"])
def test_a_size_in_kb_is_refused_by_saying_that_k_is_1024(text: str) -> None:
    with pytest.raises(UsageError, match=r"; k is 1024 here: write it like 1k or 1KiB"):
        units.parse_size(text)


def test_a_size_in_mb_is_refused_by_saying_what_m_is() -> None:
    with pytest.raises(UsageError, match=r"; m is 1048576 here: write it like 1m or 1MiB"):
        units.parse_size("2MB")


@pytest.mark.parametrize(
    ("text", "written"), [("1.5k", "1536"), ("1.5 KiB", "1536"), ("0.25M", "262144")]
)
def test_a_broken_size_is_refused_by_naming_its_bytes(text: str, written: str) -> None:
    with pytest.raises(UsageError, match=rf"; write it as {written}$"):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["0.3k", "0.0k", "1.5"])
def test_a_broken_size_of_no_whole_bytes_is_told_how_sizes_are_written(text: str) -> None:
    with pytest.raises(UsageError, match="write it like 64, 1k, 64KiB or 1m"):
        units.parse_size(text)


@given(st.integers(min_value=1, max_value=2**50))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size


def test_a_list_of_sizes_keeps_its_order() -> None:
    assert units.parse_sizes("64k, 1k,64") == (65536, 1024, 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "empty"), ("1k,1k", "twice"), ("1k,1024", "twice"), ("1k,", "''"), ("1k,0", "'0'")],
)
def test_a_bad_list_of_sizes_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        units.parse_sizes(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("50ms", 0.05), ("2m", 120), ("1.5s", 1.5)]
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["0", "-1s", "1h", "fast", "", "1e9s", "nan", "inf"])
def test_a_bad_duration_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="write it like"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.412e-05, "44.1 µs"),
        (9.996e-07, "1.00 µs"),
        (9.99e-07, "999 ns"),
        (6.8e-08, "68.0 ns"),
        (0.25, "250 ms"),
        (12.0, "12.0 s"),
        (3e-10, "0.30 ns"),
    ],
)
def test_a_time_shows_three_digits_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert units.display_time(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "less than a minute"), (61, "1 minute"), (7199, "1 hour"), (7200, "2 hours")),
        *((86400, "1 day"), (3.5 * 86400, "3 days"), (1e8, "1,157 days")),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert units.display_age(seconds) == text


@given(st.floats(min_value=1e-9, max_value=1e4))
def test_a_shown_time_is_the_time_within_its_digits(seconds: float) -> None:
    number, unit = units.display_time(seconds).split()
    factor = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(seconds, rel=0.0051)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *((0, "0 B"), (64, "64 B"), (1024, "1 KiB"), (1536, "1536 B"), (16384, "16 KiB")),
        *((16385, "16385 B"), (1048576, "1 MiB"), (1572864, "1536 KiB"), (2**30, "1 GiB")),
    ],
)
def test_a_size_for_people_is_exact(size: int, text: str) -> None:
    assert units.display_size(size) == text


@given(st.integers(min_value=1, max_value=2**50))
def test_a_shown_size_is_read_back_so_no_two_sizes_share_a_name(size: int) -> None:
    assert units.parse_size(units.display_size(size)) == size


@pytest.mark.parametrize(
    ("amount", "text"),
    [(64, "64 B"), (6400, "6.2 KiB"), (1536, "1.5 KiB"), (1048576, "1 MiB"), (65537, "64 KiB")],
)
def test_an_amount_of_memory_is_rounded(amount: int, text: str) -> None:
    assert units.display_amount(amount) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(22_650, "22.6k/s"), (999.9, "1.00k/s"), (12.3, "12.3/s"), (2e9, "2.00G/s")]
)
def test_a_rate_for_people(rate: float, text: str) -> None:
    assert units.display_rate(rate) == text


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        *(("1", 1), ("500", 500), ("10k", 10_000), ("10K", 10_000), ("1.5m", 1_500_000)),
        *((" 2k ", 2_000), ("0.5", 0.5), ("0.25k", 250), ("1.001k", 1_001), ("1.005m", 1_005_000)),
    ],
)
def test_a_rate_is_read_with_k_as_1000(text: str, rate: float) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("0", "0k", "0.000", "-1k", "-5", "abc", "", "k", "1g", "10 k", "1e3", "10k/s", "1.2.3"),
        *("1.", ".5", "1,000", "nan", "inf", "٣", "1.0001", "9" * 10),
    ],
)
def test_anything_else_is_no_rate_and_the_error_quotes_it(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        units.parse_rate(text)
    assert str(refused.value).startswith(f"rate {text.strip()!r} is not a number of messages")
    assert "write it like 500, 10k or 1.5m" in str(refused.value)


@given(st.integers(1, 999_999), st.sampled_from([("k", 1), ("m", 1000)]))
def test_a_rate_of_whole_messages_is_whole_however_it_is_written(
    thousandths: int, unit: tuple[str, int]
) -> None:
    letter, factor = unit
    assert units.parse_rate(f"{thousandths / 1000:.3f}{letter}") == thousandths * factor


@pytest.mark.parametrize(
    ("rate", "rounded"),
    [
        *((93_456, 93_000), (93_500.1, 94_000), (99_600, 100_000), (100, 100), (12.4, 12)),
        *((5.7, 6), (9.96, 10), (1.2, 1), (0.3, 1), (0.0, 1), (1_234_567, 1_200_000)),
    ],
)
def test_a_rate_of_two_digits_is_whole_and_at_least_1(rate: float, rounded: int) -> None:
    assert units.two_digits(rate) == rounded
    assert isinstance(units.two_digits(rate), int)


@given(st.floats(10, 1e9))
def test_two_digits_are_off_by_no_more_than_5_percent(rate: float) -> None:
    rounded = units.two_digits(rate)
    assert rounded == pytest.approx(rate, rel=0.051)
    assert len(str(rounded).rstrip("0")) <= 2


@pytest.mark.parametrize(("share", "text"), [(0.034, "3.4%"), (0.34, "34%"), (0.0, "0.0%")])
def test_a_share_for_people(share: float, text: str) -> None:
    assert units.display_percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(45.4, "45 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_a_time_left_for_people(seconds: float, text: str) -> None:
    assert units.display_left(seconds) == text


@pytest.mark.parametrize("count", [1, 3, 5, 7, 20, 350, 999])
@pytest.mark.parametrize(("unit", "per_second"), [("ns", 10**9), ("us", 10**6), ("ms", 10**3)])
def test_a_time_that_was_counted_is_spelled_as_it_was_typed(
    count: int, unit: str, per_second: int
) -> None:
    assert units.format_duration(count / per_second) == f"{count}{unit}"
    assert units.parse_duration(f"{count}{unit}") == count / per_second
