"""What `transports.base` promises, for every transport that is listed, driven by every loop.

A transport is tested here the moment it is listed in the registry. Rules about messages run in two
threads of this process; rules about a death run in real processes.
"""

import gc
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, assert_never, cast

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import LaunchFailed, PeerDied
from ipcbench.measure import drivers, peer
from ipcbench.measure.drivers import native
from ipcbench.measure.pair import Pair, refused
from ipcbench.measure.payload import Payloads
from ipcbench.system.scratch import outstanding
from ipcbench.transports.base import LEDGER, Endpoint, Link, Traffic, Transport, Workspace
from ipcbench.transports.registry import get_transport, transports
from ipcbench.transports.shapes import (
    CopyShape,
    DatagramShape,
    NothingShape,
    QueueShape,
    SlotsShape,
    StreamShape,
)
from ipcbench.workloads import DEFINITIONS, WORKLOADS, Definition, Workload
from tests.contract.ends import driven_by, server_pid

_T = TypeVar("_T")

SIZES = (0, 1, 64, 4096, 65_537, 1_000_003)
MESSAGES = 20
BURST = 4
PATIENCE_S = 20
NOTICED_S = 5.0
"""No speed that is promised: a bound that a wait for something else than the death would break."""

MECHANISMS = [transport for transport in transports() if not transport.is_control]


def _runnable(transport: Transport, loop: Loop = "python") -> Transport:
    reason = transport.unavailable() or drivers.unavailable(loop)
    if reason is not None:
        pytest.skip(f"{transport.name}, {loop} loop: {reason}")
    return transport


@contextmanager
def _joined(
    transport: Transport, size: int, workload: Workload, directory: Path, loop: Loop = "python"
) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Client and server endpoints of one link, both in this process."""
    if size == 0 and transport.carries_payload:
        pytest.skip("0 bytes are for what only signals")
    if not transport.carries_payload and size:
        pytest.skip(f"{transport.name} carries no payload")
    if reason := refused(Case(workload, transport.name, size, loop)):
        pytest.skip(reason)
    link = _runnable(transport, loop).link(Traffic(size, workload), Workspace(directory))
    try:
        with ThreadPoolExecutor(1) as pool:
            accepting = pool.submit(link.server)
            client = driven_by(loop, link.client())
            server = driven_by(loop, accepting.result(PATIENCE_S))
        yield client, server
        client.close()
        server.close()
    finally:
        link.close()


def _in_thread(work: Callable[[], _T]) -> "Future[_T]":
    """Runs the work beside the test, in a thread that can't keep the test process alive."""
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


@pytest.fixture(params=transports(), ids=lambda transport: transport.name)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Every transport."""
    chosen: Transport = request.param
    return chosen


@pytest.fixture(params=MECHANISMS, ids=lambda transport: transport.name)
def mechanism(request: pytest.FixtureRequest) -> Transport:
    """Every transport that moves messages."""
    chosen: Transport = request.param
    return chosen


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    """Every loop."""
    chosen: Loop = request.param
    return chosen


@pytest.mark.parametrize("size", SIZES)
def test_round_trips_bring_back_what_was_sent(
    mechanism: Transport, loop: Loop, size: int, tmp_path: Path
) -> None:
    payloads = Payloads()
    with _joined(mechanism, size, "latency", tmp_path, loop) as (client, server):

        def echo() -> None:
            for _ in range(MESSAGES):
                server.receive()
                server.send()

        echoing = _in_thread(echo)
        for _ in range(MESSAGES):
            payloads.fill(client.outgoing)
            client.send()
            client.receive()
            assert client.incoming == client.outgoing
        echoing.result(PATIENCE_S)


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_arrives_whole_and_in_order(
    mechanism: Transport, loop: Loop, size: int, tmp_path: Path
) -> None:
    sent: list[bytes] = []
    received: list[bytes] = []
    payloads = Payloads()
    count = MESSAGES if size > 4096 else MESSAGES * 15  # more than any ring has slots
    with _joined(mechanism, size, "throughput", tmp_path, loop) as (client, server):

        def drain() -> None:
            for _ in range(count):
                server.receive()
                received.append(bytes(server.incoming))

        draining = _in_thread(drain)
        for _ in range(count):
            payloads.fill(client.outgoing)
            client.send()
            sent.append(bytes(client.outgoing))
        draining.result(PATIENCE_S)
    assert received == sent


def test_a_sender_waits_for_a_slow_receiver_and_nothing_is_dropped(
    mechanism: Transport, loop: Loop, tmp_path: Path
) -> None:
    size, count = 65_000, 100  # 6.5 MB: more than any of them buffers by default
    if mechanism.rejects(Traffic(size, "throughput")):
        size, count = 8192, 800  # for what carries small messages only
    with _joined(mechanism, size, "throughput", tmp_path, loop) as (client, server):

        def pour() -> None:
            for number in range(count):
                client.outgoing[8:12] = number.to_bytes(4)  # the first 8 may be the transport's
                client.send()

        pouring = _in_thread(pour)
        server.receive()
        assert not pouring.done()  # it can't be through: 99 messages have no room yet
        numbers = [int.from_bytes(server.incoming[8:12])]
        for _ in range(count - 1):
            server.receive()
            numbers.append(int.from_bytes(server.incoming[8:12]))
        pouring.result(PATIENCE_S)
    assert numbers == list(range(count))


@pytest.fixture
def burst(monkeypatch: pytest.MonkeyPatch) -> Workload:
    """A workload that isn't there yet: more than one message is in flight before a reply."""
    row = DEFINITIONS["latency"]._replace(in_flight=BURST)
    name: Workload = "burst"  # type: ignore[assignment]
    monkeypatch.setitem(cast("dict[Workload, Definition]", DEFINITIONS), name, row)
    knows = native.rejects  # it fails for a workload that it doesn't know
    monkeypatch.setattr(native, "rejects", lambda one: None if one == name else knows(one))
    return name


@pytest.mark.parametrize("size", [0, 1, 64, 65_537])
def test_messages_in_flight_arrive_whole_and_in_order_or_are_refused(
    mechanism: Transport, loop: Loop, size: int, burst: Workload, tmp_path: Path
) -> None:
    if reason := mechanism.rejects(Traffic(size, burst)):
        link_is_made = mechanism.overlaps and mechanism.rejects(Traffic(size, "latency")) is None
        assert not link_is_made
        pytest.skip(reason)
    payloads = Payloads()
    with _joined(mechanism, size, burst, tmp_path, loop) as (client, server):
        for _ in range(MESSAGES):
            sent = []

            def take() -> list[bytes]:
                taken = []
                for _ in range(BURST):
                    server.receive()
                    taken.append(bytes(server.incoming))
                return taken

            # Small ones are all in flight before the first is received.
            taking = _in_thread(take) if size > 64 else None
            for _ in range(BURST):
                payloads.fill(client.outgoing)
                client.send()
                sent.append(bytes(client.outgoing))
            received = take() if taking is None else taking.result(PATIENCE_S)
            assert received == sent
            replying = _in_thread(server.send)
            client.receive()
            assert client.incoming == client.outgoing
            replying.result(PATIENCE_S)


@pytest.mark.parametrize("size", [0, 64])
def test_replies_in_flight_arrive_whole_and_in_order(
    mechanism: Transport, loop: Loop, size: int, burst: Workload, tmp_path: Path
) -> None:
    payloads = Payloads()
    with _joined(mechanism, size, burst, tmp_path, loop) as (client, server):
        for _ in range(MESSAGES):
            sent = []
            for _ in range(BURST):
                payloads.fill(client.outgoing)
                client.send()
                sent.append(bytes(client.outgoing))
            for _ in range(BURST):
                server.receive()
                server.send()
            for message in sent:
                client.receive()
                assert client.incoming == message


def test_a_workload_that_a_transport_lacks_is_refused_before_anything_is_made(
    transport: Transport, loop: Loop, burst: Workload, tmp_path: Path
) -> None:
    for workload in (*WORKLOADS, burst):
        case = Case(workload, transport.name, transport.size_of(workload, 64), loop)
        if refused(case):
            with pytest.raises(LaunchFailed, match="can't be measured: ") as raised:
                Pair(case, None, Workspace(tmp_path))
            assert len(str(raised.value).splitlines()) == 1
        elif not transport.has(workload):
            pytest.fail(f"{transport.name} has no {workload}, and doesn't refuse it")
    assert list(tmp_path.iterdir()) == []


def test_the_server_of_a_latency_link_sends_back_its_own_buffer(
    mechanism: Transport, loop: Loop, tmp_path: Path
) -> None:
    if not mechanism.carries_payload:
        pytest.skip(f"{mechanism.name} carries no payload")
    with _joined(mechanism, 64, "latency", tmp_path, loop) as (client, server):
        server.incoming[:] = b"x" * 64
        assert server.outgoing == server.incoming
        client.incoming[:] = b"y" * 64
        assert client.outgoing != client.incoming


@pytest.mark.parametrize("workload", WORKLOADS)
def test_buffers_are_of_the_exact_size_and_facts_name_their_unit(
    transport: Transport, loop: Loop, workload: Workload, tmp_path: Path
) -> None:
    size = transport.size_of(workload, 1000)
    with _joined(transport, size, workload, tmp_path, loop) as ends:
        for end in ends:
            assert len(end.outgoing) == len(end.incoming) == size
            assert all(name.endswith(("_bytes", "_count")) for name in end.facts)
            assert all(value > 0 for value in end.facts.values())


def test_a_driver_may_make_an_ends_descriptors_non_blocking(
    mechanism: Transport, tmp_path: Path
) -> None:
    with _joined(mechanism, 64, "latency", tmp_path) as (client, server):
        ours, theirs = _own_descriptors(client), _own_descriptors(server)
        for descriptor in ours:
            os.set_blocking(descriptor, False)
        assert all(map(os.get_blocking, theirs))
        client.close()
        assert not any(map(_is_open, ours))


def _own_descriptors(end: Endpoint) -> set[int]:
    """The descriptors of a stream or a datagram socket that a driver may poll."""
    match end.shape:
        case StreamShape(_, reader, writer):
            return {reader, writer}
        case DatagramShape(_, descriptor):
            return {descriptor}
        case None | QueueShape() | SlotsShape() | NothingShape() | CopyShape():
            pytest.skip("it is no stream of descriptors")
        case _:
            assert_never(end.shape)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("workload", WORKLOADS)
def test_closing_twice_is_allowed_and_nothing_stays(
    transport: Transport, loop: Loop, workload: Workload, tmp_path: Path
) -> None:
    size = 64 if transport.carries_payload else 0
    with _joined(transport, size, workload, tmp_path, loop) as (client, server):
        for end in (client, server, client, server):
            end.close()
    link = transport.link(Traffic(size, workload), Workspace(tmp_path))
    link.close()
    link.close()
    ledger = tmp_path / LEDGER
    noted = ledger.read_text() if ledger.exists() else ""
    assert outstanding(noted) == []
    assert {line.split()[1] for line in noted.splitlines()} <= set(transport.leftovers)
    assert [path for path in tmp_path.iterdir() if path != ledger] == []


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_summary_and_the_wait_are_one_line_each(
    transport: Transport, workload: Workload
) -> None:
    for text in (
        *(transport.name, transport.summary, transport.waits, transport.copies, transport.source),
        *transport.system_limits().values(),
    ):
        assert text
        assert "\n" not in text
    assert len(transport.summary) <= 52  # a line of `ipcbench list` has 80 columns
    assert (transport.rejects(Traffic(64, workload)) is None) == transport.has(workload)
    assert get_transport(transport.name) is transport


@pytest.mark.parametrize(
    "more", [{"window": 2}, {"clients": 2}, {"settings": (("sndbuf", "1m"),)}], ids=str
)
def test_traffic_that_no_link_is_made_for_is_refused(
    transport: Transport, more: dict[str, Any]
) -> None:
    traffic = Traffic(64 if transport.carries_payload else 0, transport.workloads[0])
    assert transport.rejects(traffic) is None
    assert transport.rejects(traffic._replace(**more)) is not None


@pytest.mark.parametrize(
    ("workload", "stop"),
    [*((workload, signal.SIGKILL) for workload in WORKLOADS), ("latency", signal.SIGTERM)],
)
def test_the_servers_death_is_noticed_in_the_middle_of_a_batch(
    mechanism: Transport, loop: Loop, workload: Workload, stop: signal.Signals, tmp_path: Path
) -> None:
    case = Case(workload, mechanism.name, mechanism.size_of(workload, 64), loop, "free")
    if reason := refused(case):
        pytest.skip(reason)
    _runnable(mechanism, loop)
    with _unclosed_connections(workload), Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(10)
        server = server_pid(pair)
        noticed = threading.Event()
        killing = _in_thread(lambda: _kill_as_a_driver_sees_it(server, stop, noticed))
        # More messages than any mechanism moves in the time that the kill takes.
        with pytest.raises(PeerDied, match=f"was killed by {stop.name} in the timed batch"):
            pair.run(50_000_000_000)
        noticed_s = time.monotonic()
        noticed.set()
        assert noticed_s - killing.result(PATIENCE_S) < NOTICED_S


@contextmanager
def _unclosed_connections(workload: Workload) -> Iterator[None]:
    """Lets a death break into the making of a connection, which then nobody can close."""
    with warnings.catch_warnings():
        if DEFINITIONS[workload].connects:
            warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def _kill_as_a_driver_sees_it(pid: int, stop: signal.Signals, noticed: threading.Event) -> float:
    """When it killed; then repeats SIGCHLD until noticed, as the driver does (`WorkerProcess`).

    A client that was just about to block when the first one came would wait for ever.
    """
    time.sleep(0.05)  # some messages into the batch
    killed_s = time.monotonic()
    os.kill(pid, stop)
    while not noticed.wait(0.02):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGCHLD)
    return killed_s


def test_a_servers_death_that_is_seen_as_its_pair_is_closed_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = Case("latency", _runnable(get_transport("sysv-shm")).name, 64, "python", "free")

    def seeing_a_death() -> None:
        monkeypatch.undo()
        raise PeerDied("the server was killed by SIGKILL in the timed batch")

    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(10)
        monkeypatch.setattr(peer, "forget_children", seeing_a_death)
    assert not outstanding((tmp_path / LEDGER).read_text(encoding="ascii"))


def test_the_clients_death_ends_the_server(
    mechanism: Transport, loop: Loop, tmp_path: Path
) -> None:
    case = Case("latency", mechanism.name, mechanism.size_of("latency", 64), loop, "free")
    if reason := refused(case):
        pytest.skip(reason)
    _runnable(mechanism, loop)
    reader, writer = os.pipe()
    client = os.fork()
    if client == 0:
        try:
            with Pair(case, None, Workspace(tmp_path)) as pair:
                os.write(writer, str(server_pid(pair)).encode())
                pair.run(50_000_000_000)
        finally:
            os._exit(1)
    os.close(writer)
    server = int(os.read(reader, 100))
    os.close(reader)
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    # The fixture `leaves_nothing_behind` waits for what the ledger can't name: the process.
    _await_end(server)
    _remove_noted(tmp_path)


def _await_end(pid: int) -> None:
    """Returns once the process is gone or a zombie; its parent is not this process."""
    with_pidfd = os.pidfd_open if hasattr(os, "pidfd_open") else None
    if with_pidfd is None:
        pytest.skip("no pidfd_open here")
    try:
        descriptor = with_pidfd(pid)
    except ProcessLookupError:
        return
    import select

    try:
        assert select.select([descriptor], [], [], 5.0)[0], f"server {pid} lives on"
    finally:
        os.close(descriptor)


def _remove_noted(directory: Path) -> None:
    from ipcbench.system.scratch import sweep

    sweep(directory)


def test_a_link_is_a_link(transport: Transport, tmp_path: Path) -> None:
    link = _runnable(transport).link(Traffic(64, transport.workloads[0]), Workspace(tmp_path))
    assert isinstance(link, Link)
    link.close()
