"""What rungs of the stack promise beyond the contract: strangers, wrong bytes, the way taken."""

import gc
import http.client
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed, PeerDied
from ipcbench.measure import pair as pair_module
from ipcbench.measure.pair import Pair
from ipcbench.rungs import FAMILIES, Family
from ipcbench.terms import parse_settings
from ipcbench.testing.deaths import server_pid
from ipcbench.testing.subject import beside
from ipcbench.transports import registry
from ipcbench.transports.base import Endpoint, Link, Traffic, Transport, Workspace
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.registry import STACK, TRANSPORTS, get_transport
from ipcbench.transports.stack.over import Stacked

BLOCKING = [
    *("framed", "frame-pickle", "frame-json", "frame-msgspec"),
    *("http-std", "http-std-default", "rpc-zmq", "rpc-xmlrpc"),
]
"""The rungs whose ends are made of blocking calls."""
LOOPS = [
    *("epoll", "asyncio-sock", "asyncio-protocol", "asyncio-streams"),
    *("uvloop-protocol", "uvloop-streams"),
]
SERVERS = ["http-uvicorn", "http-aiohttp"]
"""Of gRPC, whose process can't fork again once a call was broken off, test_servers has its own."""
HTTP = ["http-std", "http-std-default", "rpc-xmlrpc"]


def _case(name: str, size_bytes: int = 64) -> Case:
    reason = get_transport(name).unavailable()
    if reason is not None:
        pytest.skip(reason)
    return Case("latency", name, size_bytes, "python", "free")


class _Changed(Link):
    """A link whose server's end is changed."""

    def __init__(self, link: Link, change: Callable[[Endpoint], None]) -> None:
        self._link, self._change = link, change

    def client(self) -> Endpoint:
        return self._link.client()

    def server(self) -> Endpoint:
        end = self._link.server()
        self._change(end)
        return end

    def keep_only(self, side: Any) -> None:
        self._link.keep_only(side)

    def close(self) -> None:
        self._link.close()


@contextmanager
def _in_place_of(
    name: str, link: Callable[[Transport, Traffic, Workspace], Link]
) -> Iterator[None]:
    """Inside, pairs over this transport have another link."""
    usual = get_transport(name)

    class Other(type(usual)):  # type: ignore[misc]
        def link(self, traffic: Traffic, workspace: Workspace) -> Link:
            return link(usual, traffic, workspace)

    made = Other()
    made.settle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_module, "get_transport", lambda _: made)
        yield


def _wrong_bytes(end: Endpoint) -> None:
    send = end.send

    def lying_send() -> None:
        end.outgoing[0] ^= 1
        send()
        end.outgoing[0] ^= 1

    if isinstance(end, CoroutineEndpoint):
        end.sending = _lying_coroutine(end, end.sending)
    elif isinstance(end, CallbackEndpoint):
        end.post = _lying_post(end, end.post)
    else:
        end.send = lying_send


def _lying_coroutine(
    end: Endpoint, sending: Callable[[], Coroutine[Any, Any, None]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def lying() -> None:
        end.outgoing[0] ^= 1
        await sending()
        end.outgoing[0] ^= 1

    return lying


def _lying_post(end: Endpoint, post: Callable[[], bool]) -> Callable[[], bool]:
    def lying() -> bool:
        end.outgoing[0] ^= 1
        has_room = post()
        end.outgoing[0] ^= 1
        return has_room

    return lying


@pytest.mark.parametrize("rung", [*BLOCKING, *LOOPS])
def test_a_rung_that_answers_with_wrong_bytes_has_no_number(rung: str, tmp_path: Path) -> None:
    name = f"{rung}-unix"
    case = _case(name)

    def lying(usual: Transport, traffic: Traffic, workspace: Workspace) -> Link:
        return _Changed(usual.link(traffic, workspace), _wrong_bytes)

    with (
        _in_place_of(name, lying),
        Pair(case, None, Workspace(tmp_path)) as pair,
        pytest.raises(CheckFailed, match="came back changed"),
    ):
        pair.run(50)


@pytest.mark.parametrize("rung", [*BLOCKING, *LOOPS, *SERVERS])
def test_a_rung_that_falls_back_to_tcp_is_refuted(rung: str, tmp_path: Path) -> None:
    name = f"{rung}-unix"
    case = _case(name)
    _case(f"{rung}-inet")

    def over_tcp(_: Transport, traffic: Traffic, workspace: Workspace) -> Link:
        return get_transport(f"{rung}-inet").link(traffic, workspace)

    with _in_place_of(name, over_tcp), Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(50)
        with pytest.raises(CheckFailed, match="refuted: the claim is unix-stream"):
            pair.check()


def _without_nodelay(end: Endpoint) -> None:
    """Turns Nagle's algorithm on again at every TCP socket of the server's process."""
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(descriptor.name))) as same:
                if same.proto == socket.IPPROTO_TCP:
                    same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        except OSError:
            continue  # no socket


@pytest.mark.parametrize("rung", ["raw", *BLOCKING, *LOOPS, *SERVERS])
def test_a_server_whose_end_has_nagles_algorithm_on_is_refuted(rung: str, tmp_path: Path) -> None:
    name = "inet" if rung == "raw" else f"{rung}-inet"
    if rung == "http-std-default":
        pytest.skip("that is what it claims")
    case = _case(name, 16_384)

    def left_on(usual: Transport, traffic: Traffic, workspace: Workspace) -> Link:
        return _Changed(usual.link(traffic, workspace), _without_nodelay)

    with _in_place_of(name, left_on), Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(2)
        assert pair.inspect().outcome == "refuted"
        assert "nothing is nodelay" in pair.inspect().reason
        assert "Nagle at the server" in pair.inspect().reason


@pytest.mark.parametrize(
    ("asked", "claims"),
    [("", "nagle-at-server"), (":nodelay=on", "nodelay"), (":nodelay=off", "nagle")],
)
def test_http_server_as_it_comes_claims_what_each_end_has(
    asked: str, claims: str, tmp_path: Path
) -> None:
    name = f"http-std-default-inet{asked}"
    case = _case(name, 16_384)
    assert get_transport(name).mediums == ("tcp4", claims)
    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(2)
        assert pair.inspect().outcome == "proved"
        facts = pair.facts()
    ends = [parse_settings(str(facts[f"knobs_{side}"]))["nodelay"] for side in ("client", "server")]
    expected = {"nagle-at-server": ["on", "off"], "nodelay": ["on"] * 2, "nagle": ["off"] * 2}
    assert ends == expected[claims]


@contextmanager
def _served(name: str, directory: Path) -> Iterator[tuple[Any, Callable[[], list[Endpoint]]]]:
    """A link whose server waits for its client, and a call that lets the client in."""
    _case(name)
    link = get_transport(name).link(Traffic(64, "latency"), Workspace(directory))
    accepting = beside(link.server)
    ends: list[Endpoint] = []

    def both_ends() -> list[Endpoint]:
        ends.append(link.client())
        ends.append(accepting.result(10))
        return ends

    try:
        yield link, both_ends
    finally:
        for end in ends:
            end.close()
        link.close()


def _visitor(link: Any) -> socket.socket:
    visitor = socket.socket(link._family)
    visitor.settimeout(10)
    visitor.connect(link._address)
    return visitor


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rung", HTTP)
def test_whoever_doesnt_know_the_path_gets_404_and_is_counted(
    rung: str, family: Family, tmp_path: Path
) -> None:
    request = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % (b"0" * 64)
    with _served(f"{rung}-{family}", tmp_path) as (link, both_ends):
        with _visitor(link) as visitor, _visitor(link):
            visitor.sendall(request)
            answer = http.client.HTTPResponse(visitor)
            answer.begin()
            assert answer.status == 404
            answer.close()
            _, server = both_ends()
        assert server.facts["strangers_count"] == 2


def _round_trip(client: Endpoint, server: Endpoint) -> None:
    client.outgoing[:] = os.urandom(len(client.outgoing))
    client.send()
    server.receive()
    server.send()
    client.receive()
    assert client.incoming == client.outgoing


@pytest.mark.parametrize("family", FAMILIES)
def test_zmq_lets_nobody_in_who_doesnt_know_the_token(family: Family, tmp_path: Path) -> None:
    name = f"rpc-zmq-{family}"
    _case(name)
    import zmq

    context = zmq.Context()
    strangers = [context.socket(zmq.PAIR) for _ in range(2)]
    with _served(name, tmp_path) as (link, both_ends), _visitor(link), _visitor(link) as loud:
        try:
            loud.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            strangers[0].plain_username, strangers[0].plain_password = b"ipcbench", b"0" * 32
            for stranger in strangers:
                stranger.reconnect_ivl, stranger.ipv6 = -1, True
                seen = stranger.get_monitor_socket(zmq.EVENT_CONNECTED)
                stranger.connect(link.zmq_address())
                assert seen.poll(10_000)
                stranger.disable_monitor()
                seen.close()
            client, server = both_ends()
            _round_trip(client, server)
            assert server.facts["strangers_count"] == 4
        finally:
            context.destroy(linger=0)


def _run(case: Case, directory: Path, *, checks: bool) -> None:
    with Pair(case, None, Workspace(directory)) as pair:
        if checks:
            pair.check()
        pair.run(50)


@pytest.mark.parametrize("phase", ["set-up", "batch", "check"])
@pytest.mark.parametrize("rung", BLOCKING)
def test_a_servers_death_ends_the_client_with_the_reason(
    rung: str, phase: str, tmp_path: Path
) -> None:
    case = _case(f"{rung}-unix")

    def dying(end: Endpoint) -> None:
        def die() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        if phase == "batch":
            end.receive = die
        elif phase == "check":
            end.send = die
        else:
            die()

    def deadly(usual: Transport, traffic: Traffic, workspace: Workspace) -> Link:
        return _Changed(usual.link(traffic, workspace), dying)

    said = "the server was killed by SIGKILL in the (hand-shake|timed batch|payload check)"
    with _in_place_of(case.transport, deadly), pytest.raises(PeerDied, match=said):
        _run(case, tmp_path, checks=phase == "check")
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("rung", BLOCKING)
def test_a_killed_server_leaves_neither_file_nor_thread(rung: str, tmp_path: Path) -> None:
    case = _case(f"{rung}-unix")
    before = len(list(Path("/proc/self/task").iterdir()))  # of other tests
    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(3)
        os.kill(server_pid(pair), signal.SIGKILL)
        with pytest.raises(PeerDied):
            pair.run(50_000_000)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/task").iterdir())) <= before


@pytest.mark.parametrize(
    ("name", "threads"), [("unix", 1), ("rpc-zmq-unix", 3), ("http-std-unix", 1)]
)
def test_the_threads_of_each_end_are_counted(name: str, threads: int, tmp_path: Path) -> None:
    with Pair(_case(name), None, Workspace(tmp_path)) as pair:
        before = len(list(Path("/proc/self/task").iterdir()))  # of other tests, too
        pair.run(3)
        facts = pair.facts()
    assert facts["threads_server_count"] == threads
    assert facts["threads_client_count"] == before


@pytest.mark.parametrize("rung", BLOCKING)
def test_a_known_delay_is_in_every_round_trip(rung: str, tmp_path: Path) -> None:
    _case(f"{rung}-unix")
    case = Case("latency", f"{rung}-unix:delay=20ms", 64, "python", "free")
    with Pair(case, None, Workspace(tmp_path)) as pair:
        assert pair.run(3) / 3 >= 0.02
        assert parse_settings(str(pair.facts()["knobs_server"]))["delay"] == "20ms"


@pytest.mark.parametrize("rung", BLOCKING)
def test_round_trips_make_no_cyclic_garbage(rung: str, tmp_path: Path) -> None:
    # The collector is off while messages are timed: a cycle in each would grow without end.
    with _served(f"{rung}-unix", tmp_path) as (_, both_ends):
        client, server = both_ends()
        _round_trip(client, server)
        gc.collect()
        gc.disable()
        try:
            for _ in range(100):
                _round_trip(client, server)
            assert gc.collect() < 100
        finally:
            gc.enable()


@pytest.mark.parametrize("size_bytes", [1, 65_537, 1_000_003])
@pytest.mark.parametrize("rung", BLOCKING)
def test_a_message_of_another_length_is_an_error(
    rung: str, size_bytes: int, tmp_path: Path
) -> None:
    name = f"{rung}-unix"
    case = _case(name, 4096)

    def longer(usual: Transport, traffic: Traffic, workspace: Workspace) -> Link:
        link: Any = usual.link(traffic, workspace)
        client = link._connected

        def other_size() -> Endpoint:
            link._traffic = traffic._replace(message_size_bytes=size_bytes)
            end: Endpoint = client()
            return end

        link._connected = other_size
        made: Link = link
        return made

    with (
        _in_place_of(name, longer),
        Pair(case, None, Workspace(tmp_path)) as pair,
        pytest.raises(LaunchFailed),
    ):
        pair.run(2)


def test_the_stack_is_a_group_of_its_own() -> None:
    every = registry.groups()
    names = [name for name in TRANSPORTS if isinstance(get_transport(name), Stacked)]
    assert set(names) == set(every[STACK])
    assert not set(names) & set(every["all"])


@pytest.mark.parametrize(
    "rung", [rung for rung in BLOCKING if rung in ("frame-msgspec", "rpc-zmq")]
)
def test_what_isnt_installed_is_told_with_the_command_that_installs_it(
    rung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipcbench.transports.stack.over.find_spec", lambda _: None)
    reason = get_transport(f"{rung}-inet").unavailable()
    assert reason is not None
    assert reason.endswith("isn't installed: pip install 'ipcbench[stack]'")
