"""The rules of `transports.ends` over the rungs that have an event loop."""

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ipcbench.case import Case
from ipcbench.errors import Interrupted, PeerDied
from ipcbench.measure import drivers, server
from ipcbench.measure.control import Channel
from ipcbench.measure.drivers import base
from ipcbench.measure.pair import Pair
from ipcbench.testing.deaths import server_pid
from ipcbench.testing.subject import beside
from ipcbench.transports.base import Traffic, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.transports.stack.loops import let_go
from ipcbench.workloads import Workload

LOOPED = (
    "asyncio-sock-unix",
    "asyncio-protocol-unix",
    "asyncio-streams-unix",
    "uvloop-protocol-unix",
    "uvloop-streams-unix",
)
OVER_TCP = ("asyncio-protocol-inet", "asyncio-streams-inet6", "uvloop-protocol-inet")
RUNGS = ("epoll-unix", *LOOPED)
PATIENCE_S = 20.0


def _available(name: str) -> str:
    if reason := get_transport(name).unavailable():
        pytest.skip(reason)
    return name


class Alone:
    """A peer that never ends, and the acknowledgement of a stream that nobody reads."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def fileno(self) -> int:
        return self.reader

    def watch(self) -> NoReturn:
        raise PeerDied("the server was killed by SIGKILL in the timed batch")

    def wait(self) -> None:
        pass


@pytest.fixture
def alone() -> Iterator[Alone]:
    """The peer of a client whose server is in this process."""
    peer = Alone()
    yield peer
    os.close(peer.reader)
    os.close(peer.writer)


@contextmanager
def _driven(
    name: str, workload: Workload, size: int, peer: Any, directory: Path
) -> Iterator[tuple[base.Client, base.Server]]:
    """Both ends with their drivers, in this process; each is run in one thread at a time."""
    case = Case(workload, _available(name), size, "python")
    link = get_transport(name).link(Traffic(size, workload), Workspace(directory))
    opening = beside(lambda: drivers.server(case, link))
    client = drivers.client(case, link, peer)
    serving = opening.result(PATIENCE_S)
    try:
        yield client, serving
    finally:
        client.close()
        serving.close()
        link.close()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a loop was run in each thread."""
    counted: dict[str, int] = {}

    def count(kind: type) -> None:
        run_forever = kind.run_forever  # type: ignore[attr-defined]

        def counting(loop: asyncio.AbstractEventLoop) -> None:
            thread = threading.current_thread().name
            counted[thread] = counted.get(thread, 0) + 1
            run_forever(loop)

        monkeypatch.setattr(kind, "run_forever", counting)

    count(asyncio.SelectorEventLoop)
    if get_transport("uvloop-streams-unix").unavailable() is None:
        import uvloop

        count(uvloop.Loop)
    return counted


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", LOOPED)
def test_a_batch_goes_in_one_run_of_the_loop_at_each_end(
    name: str, workload: Workload, runs: dict[str, int], alone: Alone, tmp_path: Path
) -> None:
    with _driven(name, workload, 64, alone, tmp_path) as (client, serving):
        runs.clear()
        done = beside(lambda: serving.serve(500))
        assert client.batch(500, alone) > 0
        done.result(PATIENCE_S)
        assert list(runs.values()) == [1, 1]


@pytest.mark.parametrize("name", [*LOOPED, "asyncio-streams-inet6", "uvloop-protocol-inet"])
def test_a_batch_is_served_when_its_last_reply_has_left(
    name: str, alone: Alone, tmp_path: Path
) -> None:
    size = 3_000_000  # more than the socket and the kernel hold
    with _driven(name, "latency", size, alone, tmp_path) as (client, serving):
        client.outgoing[:] = os.urandom(size)
        done = beside(lambda: serving.serve(3))
        client.batch(3, alone)
        done.result(PATIENCE_S)  # and it runs no more
        assert client.incoming == client.outgoing


@pytest.mark.parametrize("name", LOOPED)
def test_what_was_sent_before_the_server_was_made_is_received(
    name: str, alone: Alone, tmp_path: Path
) -> None:
    size = 64
    link = get_transport(_available(name)).link(Traffic(size, "throughput"), Workspace(tmp_path))
    client = link.client()
    for number in range(3):
        client.outgoing[:] = bytes([number]) * size
        client.send()
    serving = link.server()
    received = []
    for _ in range(3):
        serving.receive()
        received.append(bytes(serving.incoming))
    client.close()
    serving.close()
    link.close()
    assert received == [bytes([number]) * size for number in range(3)]


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", LOOPED)
def test_nothing_is_delivered_between_batches(
    name: str, workload: Workload, alone: Alone, tmp_path: Path
) -> None:
    with _driven(name, workload, 64, alone, tmp_path) as (client, serving):
        for number in range(5):
            client.outgoing[:] = bytes([number]) * 64
            done = beside(lambda: serving.serve(20))
            client.batch(20, alone)
            done.result(PATIENCE_S)
            assert serving.incoming == client.outgoing


@pytest.mark.parametrize("name", LOOPED)
def test_a_peers_end_that_only_its_descriptor_tells_ends_a_batch(
    name: str, alone: Alone, tmp_path: Path
) -> None:
    with _driven(name, "latency", 64, alone, tmp_path) as (client, _):
        os.write(alone.writer, b"!")
        with pytest.raises(PeerDied, match="by SIGKILL in the timed batch"):
            client.batch(10, alone)  # nobody replies


@pytest.mark.parametrize("kind", [Interrupted, OSError, SystemError])
@pytest.mark.parametrize("name", LOOPED)
def test_a_batch_raises_what_a_signal_handler_raised_as_it_was(
    name: str, kind: Callable[[str], Exception], alone: Alone, tmp_path: Path
) -> None:
    raised = kind("ended by SIGUSR1")
    begun, heard = threading.Event(), threading.Event()

    def handle(*_: object) -> NoReturn:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        heard.set()
        raise raised

    def ask() -> None:
        begun.wait()
        while not heard.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with _driven(name, "latency", 64, alone, tmp_path) as (client, _):
            asking = beside(ask)

            def measure() -> None:
                begun.set()
                client.batch(10, alone)  # nobody replies

            with pytest.raises(type(raised)) as caught:
                measure()
            asking.result(PATIENCE_S)
            assert caught.value is raised
    finally:
        signal.signal(signal.SIGUSR1, before)


def _loop_of(name: str) -> Any:
    """A loop like that of this rung's ends, for the caller to close."""
    from ipcbench.transports.stack.loops import OwnLoop

    if name.startswith("asyncio"):
        return OwnLoop(asyncio.new_event_loop)
    import uvloop

    return OwnLoop(uvloop.new_event_loop)


@pytest.mark.parametrize("name", ["asyncio-streams-unix", "uvloop-streams-unix"])
def test_what_a_library_catches_and_forgets_ends_the_run_all_the_same(name: str) -> None:
    raised = Interrupted("ended by SIGUSR1")

    def handle(*_: object) -> NoReturn:
        raise raised

    async def forgetful() -> None:
        with suppress(Interrupted):
            signal.raise_signal(signal.SIGUSR1)
        await asyncio.get_running_loop().create_future()

    loop = _loop_of(_available(name))
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(Interrupted) as caught:
            loop.complete(forgetful())
        assert caught.value is raised
        assert signal.getsignal(signal.SIGUSR1) is handle
        with pytest.raises(Interrupted):  # nothing is run with it any more
            loop.run(lambda: None)
    finally:
        signal.signal(signal.SIGUSR1, before)
        loop.close()


@pytest.mark.parametrize("name", ["asyncio-streams-unix", "uvloop-streams-unix"])
def test_a_handler_that_is_set_while_a_loop_runs_stays(name: str) -> None:
    def other(*_: object) -> None:
        pass

    async def setting() -> None:
        signal.signal(signal.SIGUSR1, other)

    loop = _loop_of(_available(name))
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        loop.complete(setting())
        assert signal.getsignal(signal.SIGUSR1) is other
    finally:
        signal.signal(signal.SIGUSR1, before)
        loop.close()


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", [*RUNGS, *OVER_TCP])
def test_an_end_whose_other_end_is_gone_raises(
    name: str, workload: Workload, alone: Alone, tmp_path: Path
) -> None:
    with _driven(name, workload, 64, alone, tmp_path) as (client, serving):
        serving.close()
        with pytest.raises((OSError, EOFError)):
            client.batch(10_000_000, alone)


@pytest.mark.parametrize("name", RUNGS)
def test_a_server_whose_client_is_gone_raises(name: str, alone: Alone, tmp_path: Path) -> None:
    with _driven(name, "latency", 64, alone, tmp_path) as (client, serving):
        client.close()
        with pytest.raises((OSError, EOFError)):
            serving.serve(10)


@pytest.mark.parametrize("nodelay", ["on", "off"])
@pytest.mark.parametrize("name", OVER_TCP)
def test_a_loop_leaves_nodelay_as_it_was_asked_for_at_both_ends(
    name: str, nodelay: str, tmp_path: Path
) -> None:
    transport = get_transport(f"{_available(name)}:nodelay={nodelay}")
    link = transport.link(Traffic(64, "latency"), Workspace(tmp_path))
    opening = beside(link.server)
    ends = link.client(), opening.result(PATIENCE_S)
    assert [end.effective()["nodelay"] for end in ends] == [nodelay] * 2
    for end in ends:
        end.close()
    link.close()


def test_a_tcp_socket_says_that_it_is_tcps(tmp_path: Path) -> None:
    link: Any = get_transport("inet").link(Traffic(64, "latency"), Workspace(tmp_path))
    assert link._listener.proto == socket.IPPROTO_TCP
    link.close()


def _killing(*_: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it was killed")


@pytest.mark.parametrize("name", [*RUNGS, *OVER_TCP])
def test_a_server_that_is_killed_before_it_says_hello_is_told_of_by_the_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expect = Channel.expect

    def expecting(channel: Channel, kind: str) -> dict[str, Any]:
        channel.send("die")  # the client's end is made: no death breaks into that
        return expect(channel, kind)

    def obeying(serving: server.Server) -> NoReturn:
        serving._channel.receive()
        _killing()

    monkeypatch.setattr(Channel, "expect", expecting)
    monkeypatch.setattr(server.Server, "obey", obeying)
    case = Case("latency", _available(name), 64, "python", "free")
    with pytest.raises(PeerDied) as raised:
        Pair(case, None, Workspace(tmp_path)).__enter__()
    assert str(raised.value) == "the server was killed by SIGKILL in the hand-shake"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("step", "phase"), [("_run", "timed batch"), ("_check", "payload check")])
@pytest.mark.parametrize("name", [*RUNGS, *OVER_TCP])
def test_a_server_that_is_killed_is_told_of_by_the_sentence(
    name: str, step: str, phase: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = Case("latency", _available(name), 64, "python", "free")
    monkeypatch.setattr(server.Server, step, _killing)

    def measure() -> None:
        with Pair(case, None, Workspace(tmp_path)) as pair:
            pair.run(100)  # so many that no message is checked before them
            pair.check()

    with pytest.raises(PeerDied) as raised:
        measure()
    assert str(raised.value) == f"the server was killed by SIGKILL in the {phase}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", RUNGS)
def test_a_server_killed_between_the_messages_of_the_check_is_told_of(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = Case("latency", _available(name), 64, "python", "free")
    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(10)
        client, _ = pair._ends()
        exchange, pid = client.exchange, server_pid(pair)

        def killing_exchange(look: Callable[[], None]) -> None:
            exchange(look)
            os.kill(pid, signal.SIGKILL)

        vars(client)["exchange"] = killing_exchange
        with pytest.raises(PeerDied, match="was killed by SIGKILL in the payload check"):
            pair.check()


@pytest.mark.parametrize("name", [*LOOPED, *OVER_TCP])
def test_an_end_that_a_death_breaks_off_as_it_is_made_leaves_nothing_open(
    name: str, tmp_path: Path
) -> None:
    class Gone(Alone):
        def fileno(self) -> NoReturn:
            raise PeerDied("the server was killed by SIGKILL in the hand-shake")

    case, gone = Case("latency", _available(name), 64, "python"), Gone()
    link = get_transport(name).link(Traffic(64, "latency"), Workspace(tmp_path))
    opening = beside(link.server)
    with pytest.raises(PeerDied):
        drivers.client(case, link, gone)
    with suppress(EOFError, OSError):  # it may have met the client's end by now
        opening.result(PATIENCE_S).close()
    link.close()
    for descriptor in (gone.reader, gone.writer):
        os.close(descriptor)
    gc.collect()  # what is left open warns


def test_a_socket_that_a_transport_of_a_loop_still_uses_is_closed() -> None:
    one, other = socket.socketpair()
    one._io_refs += 1  # type: ignore[attr-defined]  # as uvloop's transports do
    let_go(one)
    with other:
        assert other.recv(1) == b""
    let_go(other)  # one that is closed
