"""Who connects to a launch's socket and isn't its client is dropped and counted; it goes on.

Strangers come when the link is made and its client isn't there yet: the worst moment.
"""

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from ipcbench.case import Case
from ipcbench.measure import pair as pair_module
from ipcbench.measure.pair import Pair
from ipcbench.results import store
from ipcbench.transports.base import Link, Traffic, Transport, Workspace
from ipcbench.transports.parts import gate
from ipcbench.transports.registry import get_transport, transports
from ipcbench.workloads import Workload
from tests.command import environment

LISTENING = [
    transport.name
    for transport in transports()
    if transport.has("connect") and not getattr(transport, "nagle", False)
]
UDP = ["inet-udp", "inet6-udp"]
WORKLOADS: tuple[Workload, ...] = ("latency", "throughput", "connect")
CROWD = 40
"""More than are listened to at once."""


class Door(NamedTuple):
    """Where a link listens, and what its client says first, which no stranger can know."""

    family: int
    kind: int
    address: Any
    opening: bytes

    @classmethod
    def of(cls, link: Any) -> "Door":
        listener: socket.socket = link._gate._listener
        opening: bytes = link._gate._opening
        return cls(listener.family, listener.type, listener.getsockname(), opening)

    def stranger(self) -> socket.socket:
        """A new connection; ConnectionRefusedError where nobody listens."""
        stranger = socket.socket(self.family, self.kind)
        try:
            stranger.settimeout(10)
            stranger.connect(self.address)
        except BaseException:
            stranger.close()
            raise
        return stranger


Visit = Callable[[socket.socket, bytes], None]


def _silent(_stranger: socket.socket, _token: bytes) -> None:
    """Says nothing and stays."""


def _rubbish(stranger: socket.socket, _token: bytes) -> None:
    stranger.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def _nearly(stranger: socket.socket, token: bytes) -> None:
    """All of what our client says, but for the token's last bit."""
    stranger.sendall(token[:-1] + bytes([token[-1] ^ 1]) + b"x")


def _half(stranger: socket.socket, token: bytes) -> None:
    stranger.sendall(token[: len(token) // 2])


def _leaves(stranger: socket.socket, _token: bytes) -> None:
    stranger.close()


def _resets(stranger: socket.socket, _token: bytes) -> None:
    if stranger.family != socket.AF_UNIX:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
    stranger.close()


VISITS: dict[str, tuple[Visit, ...]] = {
    "silent": (_silent,),
    "rubbish": (_rubbish,),
    "nearly": (_nearly,),
    "half": (_half,),
    "leaves": (_leaves,),
    "several": (_half, _rubbish, _silent, _leaves, _nearly, _resets),
    "crowd": (_silent,) * CROWD,
}


def _available(name: str) -> Transport:
    transport = get_transport(name)
    if reason := transport.unavailable():
        pytest.skip(reason)
    return transport


@contextmanager
def _visited(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, visits: tuple[Visit, ...]
) -> Iterator[list[Door]]:
    """Inside, links have these visitors before their client; yields where they listen."""
    doors: list[Door] = []
    with ExitStack() as strangers:

        class Visited(type(transport)):  # type: ignore[misc]
            def link(self, *arguments: Any) -> Link:
                made: Link = super().link(*arguments)
                doors.append(Door.of(made))
                for visit in visits:
                    visit(strangers.enter_context(doors[-1].stranger()), doors[-1].opening)
                return made

        monkeypatch.setattr(pair_module, "get_transport", lambda _: Visited())
        monkeypatch.setattr(gate, "_LOOK_EVERY_S", 0.1)
        yield doors


def _case(name: str, workload: Workload) -> Case:
    return Case(workload, name, 1 if workload == "connect" else 64, "python", "free")


@pytest.mark.parametrize("visitors", VISITS)
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("name", LISTENING)
def test_strangers_that_come_first_are_dropped_and_counted(
    name: str,
    workload: Workload,
    visitors: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visits = VISITS[visitors]
    with (
        _visited(_available(name), monkeypatch, visits),
        Pair(_case(name, workload), None, Workspace(tmp_path)) as pair,
    ):
        pair.run(50)
        pair.check()
        assert pair.facts()["server_strangers_count"] == len(visits)


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("name", LISTENING)
def test_without_strangers_there_is_no_count(name: str, workload: Workload, tmp_path: Path) -> None:
    _available(name)
    with Pair(_case(name, workload), None, Workspace(tmp_path)) as pair:
        pair.run(10)
        assert "server_strangers_count" not in pair.facts()


@pytest.mark.parametrize("name", LISTENING)
def test_strangers_between_batches_of_connections_are_dropped_and_counted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    with (
        _visited(_available(name), monkeypatch, ()) as doors,
        Pair(_case(name, "connect"), None, Workspace(tmp_path)) as pair,
    ):
        for visit in (_rubbish, _half, _silent):
            with doors[0].stranger() as stranger:
                visit(stranger, doors[0].opening)
                pair.run(20)
            counts.append(pair.facts()["server_strangers_count"])
    assert counts == [1, 2, 3]


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", LISTENING)
def test_nobody_listens_any_more_once_the_client_is_there(
    name: str, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        _visited(_available(name), monkeypatch, ()) as doors,
        Pair(_case(name, workload), None, Workspace(tmp_path)) as pair,
    ):
        with pytest.raises(ConnectionRefusedError):
            doors[0].stranger()
        pair.run(10)


@pytest.mark.parametrize("name", UDP)
def test_datagrams_of_a_stranger_never_reach_a_socket(name: str, tmp_path: Path) -> None:
    link: Any = _available(name).link(Traffic(64, "latency"), Workspace(tmp_path))
    try:
        with socket.socket(link._ends["client"].family, socket.SOCK_DGRAM) as stranger:
            for end in link._ends.values():
                stranger.sendto(b"x" * 64, end.getsockname())
                with pytest.raises(BlockingIOError):
                    end.recv(64, socket.MSG_DONTWAIT)
    finally:
        link.close()


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", UDP)
def test_datagrams_that_came_before_the_ends_were_joined_are_thrown_away_and_counted(
    name: str, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Visited(socket.socket):
        """A socket that a stranger sends two datagrams to just before it is connected."""

        def connect(self, address: Any) -> None:
            with socket.socket(self.family, self.type) as stranger:
                for _ in range(2):
                    stranger.sendto(b"x" * 64, self.getsockname())
            super().connect(address)

    transport = _available(name)

    class Joining(type(transport)):  # type: ignore[misc]
        def link(self, *arguments: Any) -> Link:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(socket, "socket", Visited)
                made: Link = super().link(*arguments)
            return made

    monkeypatch.setattr(pair_module, "get_transport", lambda _: Joining())
    with Pair(_case(name, workload), None, Workspace(tmp_path)) as pair:
        pair.run(50)
        pair.check()
        assert pair.facts()["server_strangers_count"] == 4


def test_a_unix_datagram_socket_has_no_name_any_more(tmp_path: Path) -> None:
    link = get_transport("unix-dgram").link(Traffic(64, "latency"), Workspace(tmp_path))
    try:
        assert list(tmp_path.iterdir()) == []
    finally:
        link.close()


def _listening(driver: psutil.Process) -> set[tuple[str, int]]:
    """The addresses at which a process below this one listens."""
    found = set()
    for child in driver.children(recursive=True):
        try:
            sockets = child.net_connections("tcp")
            found |= {(c.laddr.ip, c.laddr.port) for c in sockets if c.status == "LISTEN"}
        except psutil.Error:
            continue  # it ended while it was looked at
    return found


def test_a_run_goes_on_among_strangers_and_warns_of_them(tmp_path: Path) -> None:
    _available("inet")
    # Long batches: a stranger can find the port while it is in use, and costs some seconds.
    options = ("inet", "--workloads=connect", "--rounds=1", "--values=3", "--min-time=1s")
    command = [sys.executable, "-m", "ipcbench", "compare", *options, "-o", "run.json"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as driver:
        over = threading.Event()
        visiting = threading.Thread(target=_visit_all, args=(driver.pid, over))
        visiting.start()
        try:
            out, _ = driver.communicate(timeout=100)
        finally:
            over.set()
            visiting.join()
            driver.kill()
    assert driver.returncode == 0, out
    assert "strangers: connect/inet/1/" in out
    first, *_ = store.load(tmp_path / "run.json").launches()
    strangers = first.facts["server_strangers_count"]
    assert isinstance(strangers, int)
    assert strangers >= 1


def _visit_all(pid: int, over: threading.Event) -> None:
    """Connects to every port of this run, again and again, and says rubbish."""
    driver = psutil.Process(pid)
    while not over.wait(0.05):
        try:
            ports = _listening(driver)
        except psutil.Error:
            return
        for address in ports:
            try:
                with socket.create_connection(address, timeout=5) as stranger:
                    stranger.sendall(b"hello?")
            except OSError:
                continue  # dropped, or the pair is done
