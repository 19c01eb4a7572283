"""Which ends tell whether a message waits; what they tell is in `ipcbench.testing.readiness`."""

from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Loop
from ipcbench.testing.subject import NotTried, Subject, joined
from ipcbench.transports.base import Transport
from ipcbench.transports.registry import STACK, get_transport
from tests.contract.tuned import all_transports

TELLING_RUNGS = ("framed", "epoll", "frame-", "rpc-zmq")
"""Beginnings of the names of the rungs that can tell: none of them reads ahead."""


def _expected(transport: Transport) -> list[bool]:
    """Whether its client, and whether its server can tell."""
    if STACK not in transport.groups or transport.name.startswith(TELLING_RUNGS):
        return [True, True]
    is_http = transport.name.startswith("http-")
    return [transport.setting("client") == "lean" and not is_http, False]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("transport", all_transports(), ids=lambda transport: transport.name)
def test_every_mechanism_tells_whether_a_message_waits(
    transport: Transport, loop: Loop, tmp_path: Path
) -> None:
    if "latency" not in transport.workloads:
        pytest.skip(f"{transport.name} has no round trips")
    try:
        with joined(
            Subject(transport, tmp_path), transport.size_of("latency", 64), "latency", loop
        ) as ends:
            assert [end.ready is not None for end in ends] == _expected(transport)
    except NotTried as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("name", "workload"), [("null", "latency"), ("memcpy", "throughput")])
def test_a_control_never_waits(name: str, workload: str, loop: Loop, tmp_path: Path) -> None:
    try:
        with joined(Subject(get_transport(name), tmp_path), 64, workload, loop) as ends:
            assert [end.ready and end.ready() for end in ends] == [True, True]
    except NotTried as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["sysv-shm", "posix-shm", "sysv-msg", "posix-mq", "inet-udp"])
def test_an_end_that_receives_nothing_refuses_to_tell(
    name: str, loop: Loop, tmp_path: Path
) -> None:
    try:
        with joined(Subject(get_transport(name), tmp_path), 64, "throughput", loop) as (client, _):
            assert client.ready is not None
            with pytest.raises(OSError, match=r"client to server only|not supported"):
                client.ready()
    except NotTried as reason:
        pytest.skip(str(reason))


def test_a_known_delay_of_the_server_leaves_it_as_it_is(tmp_path: Path) -> None:
    delayed = get_transport("pipe:delay=10us")
    with joined(Subject(delayed, tmp_path), 64, "latency") as (client, server):
        assert server.ready is not None
        assert not server.ready()
        client.send()
        assert server.ready()
        server.receive()
        assert not server.ready()
