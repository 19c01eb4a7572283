"""The generator in Python over several links, against simulated servers; and one writer's loop."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed
from ipcbench.measure.control import NoAcknowledgement
from ipcbench.measure.drivers import open_loop, spread
from ipcbench.measure.drivers.fan_out import Writer, stream_to_all
from ipcbench.measure.drivers.open_loop import Batch, Load, load_of
from ipcbench.measure.drivers.spread import Generator, spread_load
from ipcbench.transports.ends import CoroutineEndpoint
from ipcbench.workloads import Arrivals
from tests.simulated import TICK_NS, Server


class _Beside(Server):
    """A server with the clock of another one."""

    def __init__(self, first: Server, service_ns: int) -> None:
        self._first = first
        super().__init__(service_ns)

    @property
    def now_ns(self) -> int:
        return self._first.now_ns

    @now_ns.setter
    def now_ns(self, value: int) -> None:
        if value:  # it isn't set back as this one is made
            self._first.now_ns = value


def _servers(*services_ns: int) -> list[Server]:
    first = Server(services_ns[0])
    return [first, *(_Beside(first, service_ns) for service_ns in services_ns[1:])]


def _loaded(
    servers: list[Server], intended_ns: list[int], window: int, stamp_offset: int | None = 0
) -> Batch:
    endpoints = [server.endpoint() for server in servers]
    load = Load(Arrivals(1.0), window, "", stamp_offset)
    ready = [endpoint.ready for endpoint in endpoints if endpoint.ready is not None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spread, "perf_counter_ns", servers[0].clock)
        return spread_load(endpoints, array("q", intended_ns), load, ready)


def _numbers(server: Server) -> list[tuple[int, int]]:
    """The number and the intended time that each message carried."""
    words = [memoryview(one)[:16].cast("q") for one in server.received]
    return [(number, at_ns) for number, at_ns in words]


def test_the_links_carry_the_messages_in_turn() -> None:
    servers, times = _servers(2_000, 2_000, 2_000), [number * 10_000 for number in range(11)]
    batch = _loaded(servers, times, window=8)
    for link, server in enumerate(servers):
        assert _numbers(server) == list(enumerate(times))[link::3]
    late = [sent - due for due, sent in zip(batch.intended_ns, batch.sent_ns, strict=True)]
    assert all(0 <= one <= 4 * TICK_NS for one in late)
    assert batch.held_back_count == 0


def test_a_slow_link_puts_off_no_reply_of_another_one() -> None:
    slow_ns, quick_ns = 500_000, 2_000
    times = [number * 10_000 for number in range(20)]
    batch = _loaded(_servers(slow_ns, quick_ns), times, window=20)
    took = [end - due for due, end in zip(batch.intended_ns, batch.answered_ns, strict=True)]
    assert all(one <= quick_ns + 8 * TICK_NS for one in took[1::2])
    assert all(one >= slow_ns for one in took[::2])
    assert list(batch.answered_ns) != sorted(batch.answered_ns)


def test_the_window_is_that_of_all_links_together() -> None:
    servers = _servers(*[1_000_000] * 4)
    batch = _loaded(servers, [0] * 12, window=6)
    assert sum(server.most_in_flight for server in servers) <= 8  # two of them a second time
    unanswered = [
        sum(sent <= at for sent in batch.sent_ns) - sum(end <= at for end in batch.answered_ns)
        for at in batch.sent_ns
    ]
    assert max(unanswered) == 6
    assert batch.held_back_count > 0


def test_a_reply_that_is_another_links_fails_the_launch() -> None:
    first, second = _servers(1_000, 1_000)
    second.reply = lambda message: bytes(8) + message[8:]  # type: ignore[method-assign]
    with pytest.raises(CheckFailed, match="the reply to message 1 carries the number 0"):
        _loaded([first, second], [0, 1, 2, 3], window=4)


@given(
    gaps_ns=st.lists(st.integers(0, 20_000), min_size=1, max_size=40),
    services_ns=st.lists(st.integers(0, 30_000), min_size=1, max_size=5),
    window=st.integers(1, 10),
)
def test_whatever_the_times_are_order_window_and_counts_hold(
    gaps_ns: list[int], services_ns: list[int], window: int
) -> None:
    servers = _servers(*services_ns)
    times = [sum(gaps_ns[:number]) for number in range(len(gaps_ns))]
    batch = _loaded(servers, times, window)
    for link, server in enumerate(servers):
        assert _numbers(server) == list(enumerate(times))[link :: len(servers)]
        answered_ns = list(batch.answered_ns[link :: len(servers)])
        assert answered_ns == sorted(answered_ns)
    for due, sent, answered in zip(*batch[:3], strict=True):
        assert due <= sent < answered
    assert list(batch.sent_ns) == sorted(batch.sent_ns)
    assert batch.held_back_count <= max(0, len(times) - window)


def _generator(case: str, servers: list[Server]) -> Generator:
    parsed = Case.parse(case)
    return Generator([one.endpoint() for one in servers], parsed, load_of(parsed, "seed"))


def test_a_batch_has_so_many_messages_of_each_link(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = _servers(1_000, 1_000, 1_000)
    monkeypatch.setattr(spread, "perf_counter_ns", servers[0].clock)
    generator = _generator("load:rate=50000:window=4:clients=3/unix/64", servers)
    generator.prepare(10)
    elapsed_s = generator.batch(10, [NoAcknowledgement()] * 3)
    assert [len(server.received) for server in servers] == [10] * 3
    assert generator.timed is not None
    assert len(generator.timed.intended_ns) == 30
    ended_ns = max(generator.timed.answered_ns)
    assert elapsed_s == pytest.approx((ended_ns + open_loop.LEAD_NS) * 1e-9)


def test_a_schedule_of_another_number_of_messages_is_not_run() -> None:
    generator = _generator("load:rate=50000:clients=2/unix/64", _servers(1, 1))
    generator.prepare(10)
    with pytest.raises(LaunchFailed, match="no schedule of 22 messages"):
        generator.batch(11, [NoAcknowledgement()] * 2)


def test_a_message_goes_to_all_readers_before_the_next_one() -> None:
    calls: list[str] = []
    sends = [lambda name=name: calls.append(name) for name in "abc"]
    elapsed_s = stream_to_all(sends, 3, lambda: calls.append("acknowledged"))
    assert calls == [*"abcabcabc", "acknowledged"]
    assert elapsed_s > 0


def test_an_event_loop_is_no_writer_of_many_readers() -> None:
    server = Server(1)
    plain = server.endpoint()
    asleep = CoroutineEndpoint.__new__(CoroutineEndpoint)
    with pytest.raises(LaunchFailed, match="can't be the writer"):
        Writer([plain, asleep], Case.parse("throughput:readers=2/unix/64"))
