"""What is made of the times of an open loop's messages: values, samples, facts, refusals."""

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.errors import CheckFailed
from ipcbench.measure.drivers.open_loop import Batch
from ipcbench.measure.responses import Responses, mean_response_s
from ipcbench.measure.tether import LATENESS, SAMPLES, SAMPLES_FROM_SENDING


def _batch(
    intended: Sequence[int],
    answered: Sequence[int],
    sent: Sequence[int] | None = None,
    held_back: int = 0,
) -> Batch:
    times = [array("q", each) for each in (intended, sent or intended, answered)]
    return Batch(times[0], times[1], times[2], held_back)


def _facts(*batches: Batch) -> dict[str, int | float]:
    responses = Responses()
    for batch in batches:
        responses.add(batch, len(batch.intended_ns))
    return responses.facts()


def _served(rate: int, most: int, count: int = 200) -> Batch:
    """Even messages at a rate, and a server that answers as many a second as it can at most."""
    interval, service = 10**9 // rate, 10**9 // most
    intended = [number * interval for number in range(count)]
    answered, free = [], 0
    for at in intended:
        free = max(free, at) + service
        answered.append(free)
    return _batch(intended, answered)


def test_a_value_is_the_mean_time_from_when_messages_were_to_be_sent() -> None:
    batch = _batch([0, 1000, 2000], [500, 2500, 6000], sent=[0, 1000, 4000])
    assert mean_response_s(batch) == pytest.approx((500 + 1500 + 4000) / 3 * 1e-9)


def test_samples_are_from_the_intended_and_the_actual_time_and_what_is_between_them() -> None:
    responses = Responses()
    responses.add(_batch([0, 1000], [500, 2500], sent=[10, 1700]), 2)
    responses.add(_batch([0], [70], sent=[7]), 1)
    samples = {name: list(each) for name, each in responses.samples_ns().items()}
    assert samples == {
        SAMPLES: [500, 1500, 70],
        SAMPLES_FROM_SENDING: [490, 800, 63],
        LATENESS: [10, 700, 7],
    }


def test_rates_are_of_the_intervals_between_messages_and_between_answers() -> None:
    batch = _batch([0, 1000, 2000, 3000], [900, 2400, 3900, 5400])
    facts = _facts(batch)
    assert facts["load_offered_per_s"] == pytest.approx(1e6)
    assert facts["load_achieved_per_s"] == pytest.approx(3 / 4500e-9)


def test_rates_of_several_batches_are_those_of_all_their_intervals() -> None:
    facts = _facts(_batch([0, 1000], [10, 1010]), _batch([0, 500, 1000], [10, 510, 3010]))
    assert facts["load_offered_per_s"] == pytest.approx(3 / 2000e-9)
    assert facts["load_achieved_per_s"] == pytest.approx(3 / 4000e-9)


def test_a_server_that_keeps_up_achieves_what_is_offered_and_no_delay_grows() -> None:
    facts = _facts(_served(rate=1_000, most=2_000))
    assert facts["load_achieved_per_s"] == pytest.approx(facts["load_offered_per_s"])
    assert facts["load_delay_slope_ratio"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("rate", "most"), [(2_000, 1_000), (5_000, 4_000), (10_000, 1_000)])
def test_past_the_most_each_second_adds_what_the_server_falls_behind_in_it(
    rate: int, most: int
) -> None:
    facts = _facts(_served(rate, most))
    assert facts["load_achieved_per_s"] == pytest.approx(most)
    assert facts["load_delay_slope_ratio"] == pytest.approx(rate / most - 1)


def test_the_slope_is_the_mean_of_the_batches() -> None:
    facts = _facts(_served(2_000, 1_000), _served(1_000, 2_000))
    assert facts["load_delay_slope_ratio"] == pytest.approx(0.5)


def test_delays_that_come_and_go_within_a_batch_have_no_slope() -> None:
    intended = [number * 1000 for number in range(100)]
    waits = [min(number, 99 - number) * 10 for number in range(100)]
    answered = [at + 500 + wait for at, wait in zip(intended, waits, strict=True)]
    assert _facts(_batch(intended, answered))["load_delay_slope_ratio"] == pytest.approx(0)


def test_counts_are_of_all_batches() -> None:
    first = _batch([0, 1000], [10, 1010], held_back=1)
    second = _batch([0, 1000, 2000], [10, 1010, 2010], held_back=2)
    facts = _facts(first, second)
    counts = ("offered", "sent", "delivered", "answered")
    assert [facts[f"load_{name}_count"] for name in counts] == [5, 5, 5, 5]
    assert facts["load_window_full_count"] == 3


def test_a_launch_without_batches_has_no_facts_and_one_message_has_no_rate() -> None:
    assert _facts() == {}
    facts = _facts(_batch([0], [500]))
    assert facts["load_answered_count"] == 1
    assert not {"load_offered_per_s", "load_achieved_per_s", "load_delay_slope_ratio"} & set(facts)


def test_a_control_has_no_server_that_counts() -> None:
    responses = Responses()
    responses.add(_batch([0, 1], [5, 6]), None)
    assert responses.facts()["load_sent_count"] == 2


@pytest.mark.parametrize("delivered", [0, 1, 3])
def test_another_number_of_delivered_messages_fails_the_launch(delivered: int) -> None:
    with pytest.raises(CheckFailed, match=f"2 messages were sent and {delivered} delivered"):
        Responses().add(_batch([0, 1000], [10, 1010]), delivered)


@pytest.mark.parametrize(
    ("sent", "answered", "says"),
    [
        ([0, 999, 2000], [10, 1010, 2010], "of 3 messages 1 were sent before their time and 0"),
        ([0, 1000, 2000], [10, 1010, 0], "0 were sent before their time and 1 have no reply"),
        ([0, 1000, 2000], [10, 0, 0], "0 were sent before their time and 2 have no reply"),
        ([0, 1000, 1], [10, 999, 2010], "1 were sent before their time and 1 have no reply"),
    ],
)
def test_messages_that_are_early_or_unanswered_fail_the_launch(
    sent: list[int], answered: list[int], says: str
) -> None:
    responses = Responses()
    with pytest.raises(CheckFailed, match=says):
        responses.add(_batch([0, 1000, 2000], answered, sent), 3)
    assert responses.facts() == {}


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=50), st.integers(1, 10**6))
def test_a_delay_that_is_always_the_same_has_no_slope_whatever_the_times(
    gaps: list[int], took: int
) -> None:
    intended = [sum(gaps[:number]) for number in range(len(gaps))]
    facts = _facts(_batch(intended, [at + took for at in intended]))
    assert facts["load_delay_slope_ratio"] == pytest.approx(0, abs=1e-6)
    assert facts["load_achieved_per_s"] == pytest.approx(facts["load_offered_per_s"])
