"""A datagram that is lost or out of order is never a silent gap, whichever loop looks."""

import socket
import struct
from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Loop
from ipcbench.measure.drivers import native
from ipcbench.testing.subject import driven_by
from ipcbench.transports.base import Traffic, Transport, Workspace
from ipcbench.transports.dgram import DatagramLink, half_window
from ipcbench.transports.registry import transports

NUMBERING = [transport for transport in transports() if transport.numbers_messages]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("size", [1, 64, 1000])
@pytest.mark.parametrize("transport", NUMBERING, ids=lambda transport: transport.name)
def test_a_lost_message_is_told_with_the_count(
    transport: Transport, size: int, loop: Loop, tmp_path: Path
) -> None:
    reason = transport.unavailable() or (native.unavailable() if loop == "native" else None)
    if reason:
        pytest.skip(reason)
    link = transport.link(Traffic(size, "throughput"), Workspace(tmp_path))
    assert isinstance(link, DatagramLink)
    try:
        client = driven_by(loop, link.client())
        server = driven_by(loop, link.server())
        for _ in range(4):
            client.send()
        server.receive()
        for _ in range(2):  # somebody takes two of them away
            link._ends["server"].recv(size, socket.MSG_DONTWAIT)
        with pytest.raises(OSError, match="message 3 came where 1 was due: 2 were lost"):
            server.receive()
        client.close()
        server.close()
    finally:
        link.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_message_of_another_length_is_refused(loop: Loop, tmp_path: Path) -> None:
    if loop == "native" and (reason := native.unavailable()):
        pytest.skip(reason)
    (transport,) = (t for t in NUMBERING if t.name == "unix-dgram")
    link = transport.link(Traffic(64, "latency"), Workspace(tmp_path))
    assert isinstance(link, DatagramLink)
    try:
        server = driven_by(loop, link.server())
        link._ends["client"].send(b"short")
        with pytest.raises(OSError, match="a message of 5 bytes came in place of 64"):
            server.receive()
        server.close()
    finally:
        link.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("transport", NUMBERING, ids=lambda transport: transport.name)
def test_a_receiver_that_takes_nothing_is_told_as_that(
    transport: Transport, loop: Loop, tmp_path: Path
) -> None:
    reason = transport.unavailable() or (native.unavailable() if loop == "native" else None)
    if reason:
        pytest.skip(reason)
    # What is asked for fits one socket's buffer: only the missing credit keeps the sender waiting.
    link = transport.link(Traffic(20_000, "throughput"), Workspace(tmp_path))
    assert isinstance(link, DatagramLink)
    try:
        soon = struct.pack("@ll", 0, 1000)
        link._ends["client"].setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, soon)
        client = driven_by(loop, link.client())
        for _ in range(client.facts["window_messages_count"]):
            client.send()
        with pytest.raises(OSError, match=r"took no message in .*: no credit came"):
            client.send()
        client.close()
    finally:
        link.close()


def test_a_window_fits_the_receivers_buffer() -> None:
    assert half_window(64, 212_992) == 32
    for size in (1, 1024, 20_000):
        assert 2 * half_window(size, 212_992) * (2 * size + 1280) <= 212_992 // 2
    assert half_window(65_000, 212_992) == 1
