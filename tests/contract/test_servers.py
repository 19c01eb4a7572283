"""The rungs whose server is a library's: uvicorn, aiohttp, gRPC. The rules of all are elsewhere.

Both ends are in this process, the server's in a thread. gRPC is used, and let go, in the usual way.
"""

import gc
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, PeerDied
from ipcbench.measure.pair import Pair
from ipcbench.testing.subject import beside
from ipcbench.transports.base import Endpoint, Link, Traffic, Transport, Workspace
from ipcbench.transports.parts.gate import STRANGERS
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.registry import get_transport
from ipcbench.transports.stack import over

PATIENCE_S = 20.0
HTTP = ("http-uvicorn", "http-aiohttp")
SERVERS = (*HTTP, "rpc-grpc")
LARGE_BYTES = 1_000_003
"""More than the buffers of both ends of a UNIX socket hold."""


def _available(name: str) -> Transport:
    transport = get_transport(name)
    if reason := transport.unavailable():
        pytest.skip(reason)
    return transport


@contextmanager
def _link(name: str, directory: Path, size: int = 64) -> Iterator[Link]:
    link = _available(name).link(Traffic(size, "latency"), Workspace(directory))
    try:
        yield link
    finally:
        link.close()


@contextmanager
def _joined(name: str, directory: Path, size: int = 64) -> Iterator[tuple[Endpoint, Endpoint]]:
    with _link(name, directory, size) as link:
        accepting = beside(link.server)
        client = link.client()
        server = accepting.result(PATIENCE_S)
        try:
            yield client, server
        finally:
            client.close()
            server.close()


def _exchange(client: Endpoint, server: Endpoint) -> None:
    def echo() -> None:
        server.receive()
        server.send()

    echoing = beside(echo)
    client.outgoing[:] = b"m" * len(client.outgoing)
    client.send()
    client.receive()
    echoing.result(PATIENCE_S)
    assert client.incoming == client.outgoing


def _address(link: Any) -> Any:
    return link._listener.getsockname()


def _posted(family: int, address: Any, path: str, body: bytes = b"") -> int:
    """The status that answers a request of somebody else."""
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(address)
        # In one write: a server that closes after the headers would break a second one.
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode("ascii") + body)
        with HTTPResponse(connection, method="POST") as response:
            response.begin()
            return response.status


@pytest.mark.parametrize("family", ["unix", "inet", "inet6"])
@pytest.mark.parametrize("rung", HTTP)
def test_a_stranger_gets_404_and_is_counted_and_the_client_is_served(
    rung: str, family: str, tmp_path: Path
) -> None:
    with _link(f"{rung}-{family}", tmp_path) as link:
        address = _address(link)
        number = socket.AF_UNIX if family == "unix" else link._listener.family  # type: ignore[attr-defined]
        accepting = beside(link.server)
        silent = socket.socket(number, socket.SOCK_STREAM)
        silent.settimeout(PATIENCE_S)
        with silent:
            silent.connect(address)
            assert _posted(number, address, "/", b"x" * 64) == 404
            assert _posted(number, address, f"/{'0' * 32}") == 404
            client = link.client()
            server = accepting.result(PATIENCE_S)
            assert server.facts[STRANGERS] == 3
            assert _ended(silent)
        with (
            socket.socket(number, socket.SOCK_STREAM) as late,
            pytest.raises(ConnectionRefusedError),
        ):
            late.connect(address)
        _exchange(client, server)
        client.close()
        server.close()


def _ended(connection: socket.socket) -> bool:
    """Whether the other end has closed the connection, or reset it."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("family", ["unix", "inet"])
def test_a_call_of_a_stranger_is_unauthenticated_and_counted(family: str, tmp_path: Path) -> None:
    _available(f"rpc-grpc-{family}")
    import grpc

    with _link(f"rpc-grpc-{family}", tmp_path) as link:
        targets: list[str] = []
        target = link._target  # type: ignore[attr-defined]

        def noted(port: int) -> str:
            targets.append(target(port))
            return targets[-1]

        link._target = noted  # type: ignore[attr-defined]
        accepting = beside(link.server)
        client = link.client()
        server = accepting.result(PATIENCE_S)
        with grpc.insecure_channel(targets[-1]) as channel:
            for method in ("/echo", f"/{'0' * 32}/echo"):
                with pytest.raises(grpc.RpcError) as raised:
                    channel.unary_unary(method)(b"x" * 64)
                assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
        del channel
        assert server.facts[STRANGERS] == 2
        _exchange(client, server)
        client.close()
        server.close()


@pytest.mark.parametrize("rung", HTTP)
def test_a_message_of_another_size_fails_the_server(rung: str, tmp_path: Path) -> None:
    with _link(f"{rung}-unix", tmp_path) as link:
        accepting = beside(link.server)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(_address(link))
            connection.sendall(link._ends.opening)  # type: ignore[attr-defined]
            server = accepting.result(PATIENCE_S)
            path = link._ends.path  # type: ignore[attr-defined]
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 65\r\n\r\n"
            connection.sendall(head.encode() + b"x" * 65)
            with pytest.raises(OSError, match=r"a body of 65 bytes.* came in place of 64"):
                server.receive()
        server.close()


@pytest.mark.parametrize("rung", HTTP)
def test_a_reply_has_left_when_its_run_ends(rung: str, tmp_path: Path) -> None:
    with _link(f"{rung}-unix", tmp_path, LARGE_BYTES) as link:
        accepting = beside(link.server)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(_address(link))
            connection.sendall(link._ends.opening)  # type: ignore[attr-defined]
            server = accepting.result(PATIENCE_S)
            while b"\r\n\r\n" not in connection.recv(4096):
                pass
            receiving = beside(server.receive)
            path = link._ends.path  # type: ignore[attr-defined]
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE_BYTES}\r\n\r\n"
            connection.sendall(head.encode() + b"x" * LARGE_BYTES)
            receiving.result(PATIENCE_S)
            replying = beside(server.send)
            assert select.select([connection], [], [], PATIENCE_S)[0]
            assert not replying.done()  # more than there is room for outside of the process
            came = b""
            while b"\r\n\r\n" not in came:
                came += connection.recv(4096)
            left = LARGE_BYTES - len(came.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(connection.recv(65_536))
            replying.result(PATIENCE_S)
        server.close()


def _changed_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    from ipcbench.transports.stack.turns import Turns

    reply = Turns.reply

    async def changing(self: Turns) -> None:
        await reply(self)
        self.outgoing[0] ^= 1

    monkeypatch.setattr(Turns, "reply", changing)


def _changed_in_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from ipcbench.transports.stack.grpc_ends import CalledServer

    receive = CalledServer._receive

    def changing(self: CalledServer, request: bytes) -> None:
        receive(self, bytes([request[0] ^ 1]) + request[1:])

    monkeypatch.setattr(CalledServer, "_receive", changing)


@pytest.mark.parametrize(
    ("rung", "change"),
    [
        ("http-uvicorn", _changed_in_turns),
        ("http-aiohttp", _changed_in_turns),
        ("rpc-grpc", _changed_in_a_call),
    ],
)
def test_a_rung_that_changes_a_byte_has_no_number(
    rung: str,
    change: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _available(f"{rung}-unix")
    change(monkeypatch)
    case = Case("latency", f"{rung}-unix", 64, "python", "free")
    with (
        Pair(case, None, Workspace(tmp_path)) as pair,
        pytest.raises(CheckFailed, match="changed"),
    ):
        pair.run(3)


@pytest.mark.parametrize(
    "name",
    [
        *(f"{one}-unix" for one in SERVERS),
        *("http-aiohttp-unix:client=lean", "http-aiohttp-unix:client=bare"),
        *("http-std-unix:client=bare", "http-uvicorn-unix:client=bare:loop=asyncio"),
    ],
)
def test_a_client_whose_server_has_gone_gets_an_error(name: str, tmp_path: Path) -> None:
    with _joined(name, tmp_path) as (client, server):
        _exchange(client, server)
        server.close()

        def call() -> None:
            client.send()
            client.receive()

        with pytest.raises((OSError, EOFError)):
            call()


@pytest.mark.parametrize("rung", SERVERS)
def test_no_thread_and_no_listening_socket_is_left(rung: str, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with _joined(f"{rung}-inet", tmp_path) as (client, server):
        _exchange(client, server)
    left = set(threading.enumerate()) - before
    assert [one.name for one in left if not one.daemon] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rung", SERVERS)
def test_a_run_may_be_late_for_its_message(rung: str, tmp_path: Path) -> None:
    with _joined(f"{rung}-unix", tmp_path) as (client, server):
        for _ in range(3):

            def call() -> None:
                client.send()
                client.receive()

            calling = beside(call)
            server.receive()
            assert not calling.done()
            server.send()
            calling.result(PATIENCE_S)


NEEDED = (
    ("http-uvicorn-unix", "uvicorn", "stack"),
    ("http-uvicorn-unix", "httptools", "stack"),
    ("http-uvicorn-unix", "uvloop", "stack"),
    ("http-aiohttp-inet", "aiohttp", "stack"),
    ("rpc-grpc-inet6", "grpc", "grpc"),
)


@pytest.mark.parametrize(("name", "module", "extra"), NEEDED)
def test_a_rung_without_its_package_says_what_installs_it(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over, "find_spec", lambda asked: None if asked == module else object())
    reason = get_transport(name).unavailable()
    assert reason == f"{module} isn't installed: pip install 'ipcbench[{extra}]'"


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("http-uvicorn-unix", "body"),
        ("http-aiohttp-unix", "client_max_size"),
        ("rpc-grpc-unix", "max_receive_message_length"),
    ],
)
def test_a_limit_that_is_raised_is_told(name: str, limit: str) -> None:
    assert limit in get_transport(name).system_limits()


def test_the_modules_of_the_rungs_load_no_library() -> None:
    import subprocess

    code = "import sys; from ipcbench.transports.registry import transports; transports();"
    code += " print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"uvicorn", "uvloop", "aiohttp", "grpc", "asyncio"} & set(done.stdout.split())


def test_an_aiohttp_client_that_is_broken_off_as_it_is_made_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("aiohttp")
    from ipcbench.transports.stack import aiohttp_ends

    async def broken_off(_: socket.socket) -> NoReturn:
        raise PeerDied("the server was killed by SIGKILL in the hand-shake")

    monkeypatch.setattr(aiohttp_ends, "_session", broken_off)
    connection, other = socket.socketpair()
    with other:
        with pytest.raises(PeerDied):
            aiohttp_ends.aiohttp_client_endpoint(connection, 64, "/", SocketOptions({}))
        assert other.recv(1) == b""  # it is closed
    gc.collect()  # what is left open warns
