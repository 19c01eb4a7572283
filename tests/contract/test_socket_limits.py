import os
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from ipcbench.transports.base import Endpoint, Traffic, Transport, Unavailable, Workspace
from ipcbench.transports.parts import sockets
from ipcbench.transports.parts.stream import whole_receiver, whole_sender
from ipcbench.transports.registry import STACK, get_transport, transports
from ipcbench.workloads import WORKLOADS, Workload
from tests.contract.tuned import all_transports, is_tried


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A folder in which no path of a socket fits sun_path."""
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["unix", "unix-seqpacket", "unix-dgram", "mp-connection"])
def test_in_a_folder_with_a_path_longer_than_sun_path_messages_arrive_and_nothing_is_left(
    name: str, deep: Path
) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    link = get_transport(name).link(Traffic(64, "throughput"), Workspace(deep))
    with ThreadPoolExecutor(1) as elsewhere:
        served = elsewhere.submit(link.server)
        client, server = link.client(), served.result(timeout=10)
    client.outgoing[:] = os.urandom(64)
    client.send()
    server.receive()
    assert server.incoming == client.outgoing
    client.close()
    server.close()
    link.close()
    assert list(deep.iterdir()) == []
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_where_descriptors_have_no_paths_such_a_folder_is_refused_with_the_length(
    deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_DESCRIPTORS", "/nowhere")
    with pytest.raises(Unavailable, match=r"takes \d+ bytes and sun_path holds 108.*TMPDIR"):
        get_transport("unix").link(Traffic(64, "latency"), Workspace(deep))


def test_the_longest_socket_path_that_fits_is_used() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a test's own may be too deep
        room = 108 - 1 - len(os.fsencode(Path(short) / "socket")) - 1
        directory = Path(short) / ("d" * room)
        directory.mkdir()
        link = get_transport("unix").link(Traffic(64, "latency"), Workspace(directory))
        assert len(os.fsencode(directory / "socket")) == 107
        assert (directory / "socket").is_socket()
        link.close()
        assert not (directory / "socket").exists()


@pytest.mark.parametrize("name", ["inet", "inet6"])
def test_nagle_is_off_at_both_ends_and_only_loopback_listens(name: str, tmp_path: Path) -> None:
    transport = get_transport(name)
    if reason := transport.unavailable():
        pytest.skip(reason)
    link = transport.link(Traffic(64, "latency"), Workspace(tmp_path))
    listener: socket.socket = link._listener  # type: ignore[attr-defined]
    assert listener.getsockname()[0] in {"127.0.0.1", "::1"}
    with ThreadPoolExecutor(1) as pool:
        server = pool.submit(link.server)
        ends = [link.client(), server.result(5)]
    assert [end.effective()["nodelay"] for end in ends] == ["on", "on"]
    for end in ends:
        end.close()
    link.close()


IP_TABLES = ("tcp", "tcp6", "udp", "udp6")
LOOPBACK = {f"{int.from_bytes(IPv4Address('127.0.0.1').packed, sys.byteorder):08X}"} | {
    # /proc/net writes each 32 bits of an address as a number of this machine.
    "".join(
        f"{int.from_bytes(address.packed[at : at + 4], sys.byteorder):08X}" for at in (0, 4, 8, 12)
    )
    for address in (IPv6Address("::1"), IPv6Address("::ffff:127.0.0.1"))
}
OVER_IP = [t for t in all_transports() if any(medium[:3] in {"tcp", "udp"} for medium in t.mediums)]


def _bound_here() -> dict[str, str]:
    """The local address of each IP socket that this process holds, as /proc/net writes it."""
    held = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this very look
            held.add(str(descriptor.readlink()))
    rows = [
        row.split()
        for table in IP_TABLES
        if (path := Path("/proc/self/net", table)).exists()
        for row in path.read_text().splitlines()[1:]
    ]
    return {row[9]: row[1].partition(":")[0] for row in rows if f"socket:[{row[9]}]" in held}


def test_what_goes_over_ip_is_known() -> None:
    # By its name, so that a claim that is spelled anew doesn't empty the list above.
    names = {t.name for t in all_transports() if "inet" in t.name}
    assert {transport.name for transport in OVER_IP} == names
    assert len({t.name for t in OVER_IP if STACK not in t.groups}) == 7


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("transport", OVER_IP, ids=lambda transport: transport.name)
def test_all_that_goes_over_ip_is_bound_to_loopback_only(
    transport: Transport, workload: Workload, tmp_path: Path
) -> None:
    if not transport.has(workload):
        pytest.skip(f"{transport.name} has no {workload}")
    if reason := transport.unavailable():
        pytest.skip(reason)
    before = _bound_here()
    size = transport.size_of(workload, 64)
    link = transport.link(Traffic(size, workload), Workspace(tmp_path))
    try:
        bound = {inode: at for inode, at in _bound_here().items() if inode not in before}
        with ThreadPoolExecutor(1) as elsewhere:
            served = elsewhere.submit(link.server)
            client, server = link.client(), served.result(timeout=10)
            answered = elsewhere.submit(_answer, server, Traffic(size, workload))
            client.send()
            answered.result(timeout=10)
        bound |= {inode: at for inode, at in _bound_here().items() if inode not in before}
        assert bound
        client.close()
        server.close()
    finally:
        link.close()
    assert set(bound.values()) <= LOOPBACK


def _answer(server: Endpoint, traffic: Traffic) -> None:
    """Receives a message, and replies where there is a turn for it: a call waits for that."""
    server.receive()
    if traffic.alternates:
        server.send()


class Trickle:
    """A stream that moves at most so many bytes a call, then ends."""

    def __init__(self, step: int, total: int) -> None:
        self.step, self.left = step, total
        self.moved = bytearray()

    def read_into(self, view: memoryview) -> int:
        count = min(self.step, self.left, len(view))
        view[:count] = bytes(range(256))[:count] if count <= 256 else os.urandom(count)
        self.moved += view[:count]
        self.left -= count
        return count

    def write(self, view: memoryview) -> int:
        count = min(self.step, self.left, len(view))
        self.moved += view[:count]
        self.left -= count
        return count


@pytest.mark.parametrize("step", [1, 7, 4095, 4096, 4097, 10_000])
def test_a_message_is_whole_however_small_the_pieces_are(step: int) -> None:
    message = memoryview(bytearray(10_000))
    source = Trickle(step, 10_000)
    whole_receiver(source.read_into, message)()
    assert message == source.moved
    sink = Trickle(step, 10_000)
    whole_sender(sink.write, message)()
    assert sink.moved == message


def test_a_stream_that_ends_inside_a_message_says_where() -> None:
    message = memoryview(bytearray(100))
    with pytest.raises(EOFError, match="ended after 60 of 100 bytes"):
        whole_receiver(Trickle(20, 60).read_into, message)()
    with pytest.raises(EOFError, match="took 0 of 100 bytes"):
        whole_sender(Trickle(20, 0).write, message)()


_BUFFERED = [
    one.name
    for one in filter(is_tried, transports())
    if {"sndbuf", "rcvbuf"} <= {knob.name for knob in one.knobs}
]


@pytest.mark.parametrize("name", _BUFFERED)
def test_buffers_that_are_asked_for_are_in_force_at_both_ends(name: str, tmp_path: Path) -> None:
    transport = get_transport(f"{name}:sndbuf=20k:rcvbuf=24k")
    if reason := transport.unavailable():
        pytest.skip(reason)
    link = transport.link(Traffic(64, "latency"), Workspace(tmp_path))
    with ThreadPoolExecutor(1) as elsewhere:
        served = elsewhere.submit(link.server)
        ends = (link.client(), served.result(timeout=10))
    found = [(end.effective()["sndbuf"], end.effective()["rcvbuf"]) for end in ends]
    for end in ends:
        end.close()
    link.close()
    assert found == [("40k", "48k")] * 2
