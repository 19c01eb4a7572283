"""The schedule of an open loop and its generator in Python, against a simulated server."""

import math
import statistics
from array import array
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed
from ipcbench.measure.control import NoAcknowledgement
from ipcbench.measure.drivers import open_loop
from ipcbench.measure.drivers.open_loop import Batch, Load, client, client_load
from ipcbench.measure.schedule import schedule
from ipcbench.transports.base import Endpoint
from ipcbench.transports.ends import CoroutineEndpoint
from ipcbench.workloads import Arrivals
from tests.simulated import TICK_NS, Server

MANY = 100_000
SIGMAS = 4
"""Standard errors that a mean of so many may be off, one time in 15,000."""


# ---- The schedule.


@pytest.mark.parametrize("rate", [1, 3, 7, 333, 48_611, 999_983])
def test_even_times_do_not_drift_however_odd_the_rate(rate: int) -> None:
    count = 1_000_000
    times = schedule(Arrivals(rate), count, "seed")
    for number in (0, 1, 2, 1000, 77_777, count - 1):
        exact_ns = number * 10**9 / rate
        assert abs(times[number] - exact_ns) <= 0.5 + 1e-15 * exact_ns
    gaps = {later - earlier for earlier, later in pairwise(times)}
    assert max(gaps) - min(gaps) <= 1


def test_random_times_have_exponential_intervals_of_the_rate() -> None:
    rate = 2_000
    times = schedule(Arrivals(rate, is_random=True), MANY + 1, "seed")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean_ns = 1e9 / rate
    assert statistics.fmean(gaps) == pytest.approx(mean_ns, rel=SIGMAS / math.sqrt(MANY))
    variance = statistics.variance(gaps)
    assert variance == pytest.approx(mean_ns**2, rel=SIGMAS * math.sqrt(8 / MANY))
    longer = sum(gap > mean_ns for gap in gaps) / MANY
    assert longer == pytest.approx(math.exp(-1), abs=SIGMAS * 0.5 / math.sqrt(MANY))


def test_random_intervals_tell_nothing_of_the_next_one() -> None:
    times = schedule(Arrivals(1_000, is_random=True), MANY + 1, "seed")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert abs(statistics.correlation(gaps[:-1], gaps[1:])) < SIGMAS / math.sqrt(MANY)


def test_a_seed_has_one_schedule_and_another_seed_another_one() -> None:
    arrivals = Arrivals(1_000, is_random=True)
    assert schedule(arrivals, 50, "1/2/3") == schedule(arrivals, 50, "1/2/3")
    assert schedule(arrivals, 50, "1/2/3") != schedule(arrivals, 50, "1/2/4")
    assert schedule(Arrivals(1_000), 50, "1") == schedule(Arrivals(1_000), 50, "2")


def test_random_times_at_twice_the_rate_are_the_same_ones_in_half_the_time() -> None:
    slow, fast = (schedule(Arrivals(rate, is_random=True), 50, "s") for rate in (1_000, 2_000))
    assert all(abs(one - 2 * other) <= 2 for one, other in zip(slow, fast, strict=True))


@pytest.mark.parametrize("is_random", [False, True])
@pytest.mark.parametrize("messages", [1, 2, 500])
def test_the_first_message_is_at_0_and_none_before_the_one_in_front_of_it(
    messages: int, is_random: bool
) -> None:
    times = schedule(Arrivals(1_000, is_random=is_random), messages, "seed")
    assert (len(times), times[0]) == (messages, 0)
    assert all(earlier <= later for earlier, later in pairwise(times))


# ---- The generator.


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """A function that makes the clock of the generator that of a server."""
    return lambda server: monkeypatch.setattr(open_loop, "perf_counter_ns", server.clock)


def _loaded(
    server: Server, intended_ns: list[int], window: int, stamp_offset: int | None = 0
) -> Batch:
    endpoint = server.endpoint()
    load = Load(Arrivals(1.0), window, "", stamp_offset)
    assert endpoint.ready is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_loop, "perf_counter_ns", server.clock)
        return client_load(endpoint, array("q", intended_ns), load, endpoint.ready)


def _numbers(server: Server, offset: int = 0) -> list[tuple[int, int]]:
    """The number and the intended time that each message carried."""
    words = [memoryview(one)[offset : offset + 16].cast("q") for one in server.received]
    return [(number, at_ns) for number, at_ns in words]


def test_messages_are_sent_at_their_times_if_the_server_keeps_up() -> None:
    server = Server(service_ns=2_000)
    batch = _loaded(server, [number * 10_000 for number in range(50)], window=8)
    lateness = [sent - due for due, sent in zip(batch.intended_ns, batch.sent_ns, strict=True)]
    assert all(0 <= late <= 3 * TICK_NS for late in lateness)
    took = [end - sent for sent, end in zip(batch.sent_ns, batch.answered_ns, strict=True)]
    assert all(2_000 <= each <= 2_000 + 4 * TICK_NS for each in took)
    assert batch.held_back_count == 0


def test_each_message_carries_its_number_and_when_it_was_to_be_sent() -> None:
    server, times = Server(service_ns=50_000), [0, 10, 20_000, 20_001, 90_000]
    _loaded(server, times, window=2)
    assert _numbers(server) == list(enumerate(times))


def test_a_slow_reply_puts_no_message_off_while_the_window_is_not_full() -> None:
    server = Server(service_ns=1_000_000)
    batch = _loaded(server, [number * 1_000 for number in range(20)], window=20)
    assert all(
        sent - due <= 3 * TICK_NS
        for due, sent in zip(batch.intended_ns, batch.sent_ns, strict=True)
    )
    assert batch.sent_ns[-1] < batch.answered_ns[0]
    assert server.most_in_flight == 20


def test_a_full_window_holds_messages_back_and_they_are_counted() -> None:
    server = Server(service_ns=100_000)
    batch = _loaded(server, [number * 1_000 for number in range(10)], window=4)
    assert server.most_in_flight == 4
    assert batch.held_back_count == 6
    for number in range(4, 10):
        assert batch.sent_ns[number] >= batch.answered_ns[number - 4]
    assert [number for number, _ in _numbers(server)] == list(range(10))


def test_a_window_that_is_full_only_before_the_next_message_is_due_holds_none_back() -> None:
    server = Server(service_ns=5_000)
    batch = _loaded(server, [number * 10_000 for number in range(10)], window=1)
    assert server.most_in_flight == 1
    assert batch.held_back_count == 0


def test_a_message_that_is_late_for_another_reason_is_not_counted_as_held_back() -> None:
    server = Server(service_ns=500)
    server.slow = {3: 200_000}
    batch = _loaded(server, [number * 10_000 for number in range(30)], window=64)
    assert batch.sent_ns[4] - batch.intended_ns[4] > 100_000
    assert batch.held_back_count == 0


@pytest.mark.parametrize("window", [1, 4])
def test_what_waits_for_a_window_that_a_late_generator_filled_is_not_held_back(window: int) -> None:
    server = Server(service_ns=5_000)
    server.slow = {3: 200_000}
    batch = _loaded(server, [number * 10_000 for number in range(60)], window)
    assert server.most_in_flight == window
    late = [sent - due for due, sent in zip(batch.intended_ns, batch.sent_ns, strict=True)]
    assert sum(one > 10_000 for one in late) > 20
    assert batch.held_back_count <= 2  # where it has all but caught up


def test_a_server_that_stands_still_as_the_generator_is_late_holds_the_messages_back() -> None:
    class Stops(Server):
        def reply(self, message: bytes) -> bytes:
            self.service_ns = 1_000_000 if len(self.received) == 8 else 5_000
            return message

    server = Stops(service_ns=5_000)
    server.slow = {3: 100_000}
    batch = _loaded(server, [number * 10_000 for number in range(60)], window=1)
    assert batch.held_back_count > 40


def test_messages_behind_one_that_was_held_back_are_so_too() -> None:
    server = Server(service_ns=15_000)
    batch = _loaded(server, [number * 10_000 for number in range(30)], window=1)
    assert batch.held_back_count == 29


def test_a_generator_that_was_late_sends_all_that_is_due_at_once() -> None:
    server = Server(service_ns=500)
    server.slow = {3: 200_000}
    batch = _loaded(server, [number * 10_000 for number in range(40)], window=64)
    late = [sent - due for due, sent in zip(batch.intended_ns, batch.sent_ns, strict=True)]
    assert late[4] > late[10] > late[20] > 0
    assert max(late[30:]) <= 3 * TICK_NS


def test_replies_out_of_their_order_fail_the_launch() -> None:
    class Swaps(Server):
        def reply(self, message: bytes) -> bytes:
            return bytes([message[0] ^ 1]) + message[1:]

    with pytest.raises(CheckFailed, match="the reply to message 0 carries the number 1"):
        _loaded(Swaps(service_ns=50_000), [0, 1, 2, 3], window=8)


def test_a_reply_that_is_one_of_before_fails_the_launch() -> None:
    class Stale(Server):
        def reply(self, message: bytes) -> bytes:
            return self.received[max(0, len(self.received) - 2)]

    with pytest.raises(CheckFailed, match="the reply to message 1 carries the number 0"):
        _loaded(Stale(service_ns=1_000), [0, 10_000, 20_000], window=2)


def test_messages_without_room_for_a_number_are_sent_and_counted_all_the_same() -> None:
    server = Server(service_ns=1_000, size=1)
    batch = _loaded(server, [number * 5_000 for number in range(20)], 4, stamp_offset=None)
    assert len(server.received) == 20
    assert all(batch.answered_ns)


@given(
    gaps_ns=st.lists(st.integers(0, 20_000), min_size=1, max_size=40),
    service_ns=st.integers(0, 30_000),
    window=st.integers(1, 10),
)
def test_whatever_the_times_are_order_window_and_counts_hold(
    gaps_ns: list[int], service_ns: int, window: int
) -> None:
    server = Server(service_ns)
    times = [sum(gaps_ns[:number]) for number in range(len(gaps_ns))]
    batch = _loaded(server, times, window)
    assert _numbers(server) == list(enumerate(times))
    assert server.most_in_flight <= window
    for due, sent, answered in zip(*batch[:3], strict=True):
        assert due <= sent < answered
    assert list(batch.sent_ns) == sorted(batch.sent_ns)
    assert list(batch.answered_ns) == sorted(batch.answered_ns)
    assert batch.held_back_count <= max(0, len(times) - window)


# ---- The client that a case has.


def _client(case: str, server: Server, **how: Any) -> open_loop.Client:
    return client(server.endpoint(**how), Case.parse(case), "seed")


def _run(generator: open_loop.Client, messages: int) -> float:
    """Runs a batch as a pair does."""
    generator.prepare(messages)
    return generator.batch(messages, NoAcknowledgement())


def test_a_mechanism_that_numbers_messages_has_the_stamp_behind_its_number(
    clocked: Callable[[Server], None],
) -> None:
    server = Server(service_ns=1_000)
    clocked(server)
    _run(_client("load:rate=100000/inet-udp/64", server, overwrites=True), 5)
    assert [number for number, _ in _numbers(server, offset=8)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("case", "size"), [("load/unix/15", 15), ("load/inet-udp/23", 23), ("load/unix/1", 1)]
)
def test_a_message_too_small_for_a_stamp_keeps_its_bytes(
    case: str, size: int, clocked: Callable[[Server], None]
) -> None:
    server = Server(service_ns=1_000, size=size)
    clocked(server)
    _run(_client(case, server), 3)
    assert server.received == [bytes(size)] * 3


def test_each_batch_has_a_schedule_of_its_own_and_each_launch_of_a_seed_the_same(
    clocked: Callable[[Server], None],
) -> None:
    def times() -> list[list[int]]:
        server = Server(service_ns=1_000)
        clocked(server)
        generator = _client("load:rate=1000:arrivals=poisson/unix/64", server)
        batches = []
        for _ in range(2):
            _run(generator, 20)
            assert generator.timed is not None
            batches.append(list(generator.timed.intended_ns))
        return batches

    first, second = times(), times()
    assert first == second
    assert first[0] != first[1]


def test_a_schedule_of_another_number_of_messages_is_not_run() -> None:
    generator = _client("load:rate=1000/unix/64", Server(service_ns=1_000))
    generator.prepare(4)
    with pytest.raises(LaunchFailed, match="no schedule of 5 messages"):
        generator.batch(5, NoAcknowledgement())


def test_a_batch_takes_from_its_start_to_the_last_reply(clocked: Callable[[Server], None]) -> None:
    server = Server(service_ns=1_000)
    clocked(server)
    began_ns = server.now_ns
    elapsed_s = _run(_client("load:rate=1000/unix/64", server), 5)
    assert elapsed_s == pytest.approx((server.now_ns - began_ns) * 1e-9, rel=0.001)


def _blind(server: Server, close: Any) -> Endpoint:
    endpoint = server.endpoint(close=close)
    endpoint.ready = None
    return endpoint


def test_an_end_that_cannot_look_for_a_reply_waits_for_it_with_one_in_flight(
    clocked: Callable[[Server], None],
) -> None:
    server = Server(service_ns=100_000)
    clocked(server)
    end = _blind(server, lambda: None)
    generator = client(end, Case.parse("load:rate=20000/unix/64"), "seed")
    _run(generator, 5)
    assert generator.timed is not None
    assert generator.timed.held_back_count == 4


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("load:window=2/unix/64", "this end can't look for a reply; leave window out"),
        ("latency/unix/64", "latency/unix/64/python/cross-core has no schedule"),
    ],
)
def test_an_end_without_a_generator_for_it_is_closed_and_the_reason_told(
    case: str, says: str
) -> None:
    closed: list[bool] = []
    with pytest.raises(LaunchFailed) as refused:
        client(_blind(Server(0), lambda: closed.append(True)), Case.parse(case), "seed")
    assert str(refused.value) == says
    assert closed == [True]


def test_an_end_in_an_event_loop_is_no_generator() -> None:
    end = CoroutineEndpoint.__new__(CoroutineEndpoint)
    with pytest.raises(LaunchFailed, match="an event loop can't be the generator"):
        open_loop.looking(end, 1)


def test_a_case_in_an_event_loop_is_refused_with_the_way_out() -> None:
    refused = open_loop.rejects(Case("load", "asyncio-streams-unix", 64))
    assert refused == (
        "the client of asyncio-streams-unix is in an event loop, which can't send by a schedule;"
        " write client=lean behind it"
    )
    assert open_loop.rejects(Case("load", "asyncio-streams-unix:client=lean", 64)) is None
    assert open_loop.rejects(Case("latency", "asyncio-streams-unix", 64)) is None
