"""The window that is common to all clients of a server, and how evenly they were served."""

from array import array
from collections.abc import Sequence

import pytest

from ipcbench.errors import CheckFailed
from ipcbench.measure.common_window import (
    Fairness,
    RoundTrips,
    Stream,
    fairness,
    of_round_trips,
    of_streams,
)


def _trips(began_ns: int, *took_ns: int) -> RoundTrips:
    return RoundTrips(began_ns, array("q", took_ns))


def test_the_window_is_from_the_latest_start_to_the_earliest_end() -> None:
    window = of_round_trips([_trips(0, *[10] * 10), _trips(35, *[10] * 10)])
    assert (window.began_ns, window.ended_ns) == (35, 100)
    assert window.length_s == pytest.approx(65e-9)


def test_only_what_ended_in_the_window_counts() -> None:
    window = of_round_trips([_trips(0, *[10] * 10), _trips(35, *[20] * 10)])
    assert window.counts == (7, 3)  # at 40 to 100, and at 55, 75 and 95
    assert sorted(window.took_ns) == [10] * 7 + [20] * 3
    assert window.response_s == pytest.approx((7 * 10 + 3 * 20) / 10 * 1e-9)
    assert window.message_s == pytest.approx(6.5e-9)


def test_messages_at_the_very_ends_count_once() -> None:
    window = of_round_trips([_trips(0, 10, 10, 10), _trips(0, 10, 10, 10)])
    assert window.counts == (3, 3)


@pytest.mark.parametrize("later_ns", [30, 31])
def test_clients_that_were_never_at_work_together_have_no_window(later_ns: int) -> None:
    window = of_round_trips([_trips(0, 10, 10, 10), _trips(later_ns, 10, 10, 10)])
    assert window.length_s == 0.0
    assert window.response_s is None
    assert window.message_s is None


def test_a_client_without_a_message_in_flight_breaks_littles_law() -> None:
    with pytest.raises(CheckFailed, match=r"and there are 2 clients with one each"):
        of_round_trips([_trips(0, 50, -40, 90), _trips(0, 50, 50)])


def _stream(began_ns: int, sent: int, *marks_ns: int) -> Stream:
    return Stream(began_ns, sent, marks_ns)


def test_the_window_of_streams_ends_with_the_first_that_is_received() -> None:
    window = of_streams([_stream(0, 20, 50, 100), _stream(0, 20, 100, 200)])
    assert (window.began_ns, window.ended_ns) == (0, 100)
    assert window.counts == (20, 10)
    assert window.message_s == pytest.approx(100e-9 / 30)


def test_between_two_marks_messages_come_evenly() -> None:
    window = of_streams([_stream(0, 20, 50, 100), _stream(25, 20, 100, 200)])
    assert list(window.counts) == pytest.approx([15.0, 7.5 + 2.5])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 5, 5], Fairness(1.0, 1.0, 1.0, 1, 1)),
        ([1, 0, 0, 0], Fairness(0.25, 0.0, 4.0, 2, 1)),
        ([1, 2, 1, 1], Fairness(25 / 28, 0.8, 1.6, 1, 2)),
    ],
)
def test_fairness_is_jains_index_with_the_least_and_the_most_and_whose_they_are(
    counts: Sequence[float], expected: Fairness
) -> None:
    found = fairness(counts)
    assert found is not None
    assert found == pytest.approx(expected)


def test_nothing_served_is_neither_fair_nor_unfair() -> None:
    assert fairness([0, 0]) is None
