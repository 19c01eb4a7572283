"""Little's law over a sampled burst: messages in flight = throughput x response time."""

import pytest

from ipcbench.errors import CheckFailed
from ipcbench.measure.pair import _check_in_flight, messages_in_flight


def _closed_loop(window: int, messages: int, took_ns: int) -> tuple[list[int], list[int]]:
    """When messages are sent and how long each takes, at a server that takes one at a time."""
    sent, samples, free = [], [], 0
    ends: list[int] = []
    for number in range(messages):
        at = 0 if number < window else ends[number - window]
        free = max(free, at) + took_ns
        ends.append(free)
        sent.append(at)
        samples.append(free - at)
    return sent, samples


@pytest.mark.parametrize("window", [2, 3, 64])
def test_a_window_that_is_kept_full_has_so_many_in_flight(window: int) -> None:
    sent, samples = _closed_loop(window, 40 * window, 1000)
    in_flight = messages_in_flight(sent, samples, window)
    assert in_flight == pytest.approx(window)
    _check_in_flight(in_flight, window)


def test_what_is_slow_at_both_ends_of_a_burst_changes_nothing() -> None:
    sent, samples = _closed_loop(8, 200, 1000)
    slow = (*range(7), *range(193, 200))
    late = [took + (10**9 if number in slow else 0) for number, took in enumerate(samples)]
    early = [at - (10**9 if number < 7 else 0) for number, at in enumerate(sent)]
    assert messages_in_flight(early, late, 8) == pytest.approx(8, rel=0.01)


def test_a_window_that_is_not_kept_full_has_no_number() -> None:
    sent, samples = _closed_loop(4, 400, 1000)
    in_flight = messages_in_flight(sent, samples, 8)  # half of what was asked for
    with pytest.raises(CheckFailed, match=r"4.00 messages were in flight .* the window is 8"):
        _check_in_flight(in_flight, 8)


def test_a_burst_without_a_duration_has_nothing_in_flight() -> None:
    assert messages_in_flight([5, 5, 5], [1, 1, 1], 2) == 0.0
