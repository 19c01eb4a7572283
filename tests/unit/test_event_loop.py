"""The loops over ends that an event loop drives, on ends that note what is done with them."""

from array import array
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import pytest

from ipcbench.measure.drivers import event_loop
from ipcbench.measure.drivers.blocking import takes_turns
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.registry import get_transport
from ipcbench.transports.stack import over
from ipcbench.workloads import WORKLOADS, Workload

_T = TypeVar("_T")

PEERS_DESCRIPTOR = 77


class Noted:
    """What was done, in order; and the peer and the acknowledgement, which note it, too."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.runs = 0
        self.watched: dict[int, Callable[[], None]] = {}

    def watch(self) -> None:
        """Watches, as the peer does."""
        self.calls.append("watch")

    def wait(self) -> None:
        """Waits for the acknowledgement."""
        self.calls.append("acknowledged")

    def watching(self, descriptor: int, call: Callable[[], None]) -> None:
        """Has a descriptor watched, as the loop does."""
        self.watched[descriptor] = call


class Peer(Noted):
    def fileno(self) -> int:
        return PEERS_DESCRIPTOR


class Acknowledged(Noted):
    def fileno(self) -> None:
        pass


class Coroutines(Acknowledged):
    """An end of coroutines, whose loop steps them until they end."""

    def __init__(self) -> None:
        super().__init__()
        message = memoryview(bytearray(8))
        self.endpoint = CoroutineEndpoint(
            loop=self,
            sending=self._noting("send"),
            receiving=self._noting("receive"),
            flushing=self._noting("flush"),
            outgoing=message,
            incoming=message,
            close=lambda: self.calls.append("close"),
        )

    def complete(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        self.runs += 1
        try:
            while True:
                coroutine.send(None)
        except StopIteration as end:
            result: _T = end.value
            return result

    @property
    def watch(self) -> Any:
        return self.watching

    def _noting(self, what: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def note() -> None:
            self.calls.append(what)

        return note


class Callbacks(Acknowledged):
    """An end that calls back for each of `incoming` messages, or for each that is posted."""

    def __init__(self, incoming: int = 0, room: int = 1_000) -> None:
        super().__init__()
        message = memoryview(bytearray(8))
        self._waiting = incoming
        self._room = room
        self._left = room
        self._runs_on = False
        self.endpoint = CallbackEndpoint(
            post=self._post,
            run=self._run,
            stop=self._stop,
            watch=self.watching,
            outgoing=message,
            incoming=message,
            close=lambda: self.calls.append("close"),
        )

    def _post(self) -> bool:
        self.calls.append("post")
        self._waiting += 1
        self._left -= 1
        return self._left > 0

    def _run(self, begin: Callable[[], None]) -> None:
        self.runs += 1
        self._runs_on = True
        begin()
        while self._runs_on:
            if self._left <= 0:
                self._left = self._room
                self.endpoint.on_room()
                continue
            assert self._waiting, "nothing comes any more"
            self._waiting -= 1
            self.calls.append("message")
            self.endpoint.on_message()

    def _stop(self) -> None:
        assert self._runs_on
        self._runs_on = False
        self.calls.append("stop")


def test_a_batch_of_coroutines_goes_in_one_run_and_is_acknowledged_after_its_last_reply() -> None:
    noted = Coroutines()
    assert event_loop.CoroutineClient(noted.endpoint, "latency", Peer()).batch(2, noted) > 0
    assert noted.calls == ["send", "receive", "send", "receive", "acknowledged"]
    assert noted.runs == 1


def test_a_stream_of_coroutines_is_acknowledged_once_all_has_left() -> None:
    noted = Coroutines()
    assert event_loop.CoroutineClient(noted.endpoint, "throughput", Peer()).batch(2, noted) > 0
    assert noted.calls == ["send", "send", "flush", "acknowledged"]
    assert noted.runs == 1


def test_coroutines_echo_a_batch_in_one_run_that_ends_when_all_has_left() -> None:
    noted = Coroutines()
    event_loop.CoroutineServer(noted.endpoint, "latency").serve(2)
    assert noted.calls == ["receive", "send", "receive", "send", "flush"]
    assert noted.runs == 1


def test_coroutines_receive_a_stream_in_one_run() -> None:
    noted = Coroutines()
    event_loop.CoroutineServer(noted.endpoint, "throughput").serve(2)
    assert noted.calls == ["receive", "receive"]
    assert noted.runs == 1


def test_a_batch_of_callbacks_goes_in_one_run_and_is_acknowledged_after_its_last_reply() -> None:
    noted = Callbacks()
    assert event_loop.CallbackClient(noted.endpoint, "latency", Peer()).batch(2, noted) > 0
    assert noted.calls == ["post", "message", "post", "message", "stop", "acknowledged"]
    assert noted.runs == 1


def test_a_stream_of_callbacks_is_acknowledged_once_all_has_left() -> None:
    noted = Callbacks()
    assert event_loop.CallbackClient(noted.endpoint, "throughput", Peer()).batch(2, noted) > 0
    assert noted.calls == ["post", "post", "stop", "acknowledged"]
    assert noted.runs == 1


@pytest.mark.parametrize("room", [1, 2, 3, 6, 7])
def test_a_stream_of_callbacks_goes_on_when_there_is_room_again(room: int) -> None:
    noted = Callbacks(room=room)
    event_loop.CallbackClient(noted.endpoint, "throughput", Peer()).batch(6, noted)
    assert noted.calls == ["post"] * 6 + ["stop", "acknowledged"]
    assert noted.runs == 1


def test_callbacks_echo_a_batch_in_one_run() -> None:
    noted = Callbacks(incoming=2)
    event_loop.CallbackServer(noted.endpoint, "latency").serve(2)
    assert noted.calls == ["message", "post", "message", "post", "stop"]
    assert noted.runs == 1


def test_callbacks_receive_a_stream_in_one_run_and_nothing_after_it() -> None:
    noted = Callbacks(incoming=3)
    event_loop.CallbackServer(noted.endpoint, "throughput").serve(2)
    assert noted.calls == ["message", "message", "stop"]
    assert noted.runs == 1


def _client(noted: Coroutines | Callbacks, workload: Workload, peer: Peer) -> Any:
    match noted:
        case Coroutines():
            return event_loop.CoroutineClient(noted.endpoint, workload, peer)
        case Callbacks():
            return event_loop.CallbackClient(noted.endpoint, workload, peer)


def _server(noted: Coroutines | Callbacks, workload: Workload) -> Any:
    match noted:
        case Coroutines():
            return event_loop.CoroutineServer(noted.endpoint, workload)
        case Callbacks():
            return event_loop.CallbackServer(noted.endpoint, workload)


KINDS = pytest.mark.parametrize("kind", [Coroutines, Callbacks])


@KINDS
def test_a_burst_goes_in_one_run_that_fills_every_sample(
    kind: Callable[[], Coroutines | Callbacks],
) -> None:
    noted, samples_ns = kind(), array("q", [-1] * 5)
    _client(noted, "latency", Peer()).sample(samples_ns)
    assert min(samples_ns) >= 0
    assert noted.runs == 1


@KINDS
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_message_of_the_check_waits_for_a_reply_only_where_one_comes(
    kind: Callable[[], Coroutines | Callbacks], workload: Workload
) -> None:
    noted = kind()
    looks: list[None] = []
    _client(noted, workload, Peer()).exchange(lambda: looks.append(None))
    came = {"message", "receive"} & set(noted.calls)
    assert bool(came) is takes_turns(workload)
    assert len(looks) == takes_turns(workload)


@KINDS
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_server_looks_at_a_message_before_it_replies(
    kind: Callable[[], Coroutines | Callbacks], workload: Workload
) -> None:
    noted = kind()
    if isinstance(noted, Callbacks):
        noted = Callbacks(incoming=1)
    _server(noted, workload).exchange(lambda: noted.calls.append("look"))
    sent = [what for what in noted.calls if what in ("look", "send", "post")]
    assert sent[0] == "look"
    assert len(sent) == 1 + takes_turns(workload)


@KINDS
def test_the_loop_watches_the_peer_which_then_tells_of_its_end(
    kind: Callable[[], Coroutines | Callbacks],
) -> None:
    noted, peer = kind(), Peer()
    _client(noted, "latency", peer)
    assert list(noted.watched) == [PEERS_DESCRIPTOR]
    noted.watched[PEERS_DESCRIPTOR]()
    assert peer.calls == ["watch"]


@KINDS
def test_an_end_is_closed_once(kind: Callable[[], Coroutines | Callbacks]) -> None:
    noted = kind()
    client = _client(noted, "latency", Peer())
    client.close()
    client.close()
    assert noted.calls == ["close"]


@KINDS
@pytest.mark.parametrize("makes", [True, False])
def test_the_collector_runs_only_for_an_end_that_makes_garbage(
    kind: Callable[[], Coroutines | Callbacks], makes: bool
) -> None:
    noted = kind()
    noted.endpoint.makes_garbage = makes
    assert _client(noted, "latency", Peer()).collects_garbage is makes
    assert _server(noted, "latency").collects_garbage is makes


@KINDS
def test_a_known_delay_comes_after_each_message(
    kind: Callable[[], Coroutines | Callbacks],
) -> None:
    noted = kind()
    if isinstance(noted, Callbacks):
        noted = Callbacks(incoming=2)
    noted.endpoint.lengthen(lambda: noted.calls.append("delay"))
    _server(noted, "latency").serve(2)
    whole = [what for what in noted.calls if what not in ("flush", "stop")]
    assert [what in ("message", "receive") for what in whole] == [True, False, False] * 2
    assert whole[1::3] == ["delay", "delay"]


def test_what_a_coroutine_raises_comes_out_of_the_batch() -> None:
    noted = Coroutines()

    async def failing() -> NoReturn:
        raise EOFError("the stream ended")

    noted.endpoint.receiving = failing
    with pytest.raises(EOFError, match="the stream ended"):
        event_loop.CoroutineClient(noted.endpoint, "latency", Peer()).batch(2, noted)


def test_the_samples_of_callbacks_are_the_times_between_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = deque([100, 103, 110, 125])
    monkeypatch.setattr(event_loop, "perf_counter_ns", ticks.popleft)
    samples_ns = array("q", [0] * 3)
    event_loop.CallbackClient(Callbacks().endpoint, "latency", Peer()).sample(samples_ns)
    assert list(samples_ns) == [3, 7, 15]


@pytest.mark.parametrize("name", ["uvloop-protocol-unix", "uvloop-streams-inet"])
def test_a_rung_without_its_package_says_what_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over, "find_spec", lambda _: None)
    reason = get_transport(name).unavailable()
    assert reason == "uvloop isn't installed: pip install 'ipcbench[stack]'"
    assert get_transport("asyncio-protocol-unix").unavailable() is None
