"""Rung `framed`: a length in front of each message, in one sendmsg; two reads, length and payload.

Its parts serve every layer whose messages vary in length.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial

from ipcbench.transports.base import Endpoint, Traffic, buffer_pair
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.sockets import Ends, socket_facts
from ipcbench.transports.parts.stream import whole_receiver
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked

LENGTH = struct.Struct("!I")
"""The length in front of a message: 4 bytes, the highest first."""
MOST_BYTES = 2**32 - 1
"""The longest message that such a length can tell."""


def whole_reader(connection: socket.socket) -> Callable[[memoryview], int]:
    """A read that fills a buffer in one call, but at the stream's end and when a signal arrives."""
    recv_into, wait_all = connection.recv_into, int(socket.MSG_WAITALL)

    def read(into: memoryview) -> int:
        return recv_into(into, 0, wait_all)

    return read


def length_reader(connection: socket.socket) -> Callable[[], int]:
    """Makes a call that reads the length in front of the next message; EOFError at the end."""
    prefix = memoryview(bytearray(LENGTH.size))
    fill, unpack = whole_receiver(whole_reader(connection), prefix), LENGTH.unpack

    def read_length() -> int:
        fill()
        (length,) = unpack(prefix)
        return int(length)

    return read_length


def send_rest(
    connection: socket.socket, prefix: bytes, body: bytes | memoryview, sent: int
) -> None:
    """Sends what a sendmsg of prefix and body, which a signal broke off, has left."""
    if sent < len(prefix):
        connection.sendall(prefix[sent:])
    connection.sendall(memoryview(body)[max(0, sent - len(prefix)) :])


def framed_endpoint(
    connection: socket.socket, size_bytes: int, *, echoes: bool, options: SocketOptions
) -> Endpoint:
    """An endpoint on a connected stream socket, which it then owns; messages of one length."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    prefix = LENGTH.pack(size_bytes)
    parts, whole, sendmsg = (prefix, outgoing), len(prefix) + size_bytes, connection.sendmsg
    read_length = length_reader(connection)
    fill = whole_receiver(whole_reader(connection), incoming)

    def send() -> None:
        sent = sendmsg(parts)
        if sent != whole:
            send_rest(connection, prefix, outgoing, sent)

    def receive() -> None:
        length = read_length()
        if length != size_bytes:
            raise OSError(f"a message of {length:,} bytes came in place of {size_bytes:,}")
        fill()

    return Endpoint(
        send=send,
        receive=receive,
        ready=readable(connection.fileno()),
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=connection.close,
    )


class FramedEnds(Ends):
    """Ends whose messages have their length in front."""

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        return framed_endpoint(
            connection, traffic.message_size_bytes, echoes=False, options=options
        )

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        return framed_endpoint(
            connection, traffic.message_size_bytes, echoes=traffic.echoes, options=options
        )


class Prefixed(Stacked):
    """A layer that puts a length of 4 bytes in front of each message."""

    def rejects(self, traffic: Traffic) -> str | None:
        reason = super().rejects(traffic)
        if reason is None and self.longest(traffic.message_size_bytes) > MOST_BYTES:
            return f"the length in front of a message is at most {MOST_BYTES:,}"
        return reason

    def system_limits(self) -> Mapping[str, str]:
        limits = super().system_limits()
        return {"length prefix": f"{LENGTH.size} bytes: {MOST_BYTES:,} bytes at most", **limits}

    def longest(self, message_size_bytes: int) -> int:
        """Bytes that may follow the length, about, for a payload of this size."""
        return message_size_bytes


class Framed(Prefixed):
    """Rung `framed`."""

    rung = "framed"
    layer = "a length before each message"
    waits = "blocks in recv, twice a message"
    source = "sendmsg(2), recv(2)"

    def ends(self) -> Ends:
        return FramedEnds()


class FramedUnix(Framed, OverUnix):
    """Rung `framed` over AF_UNIX."""


class FramedInet(Framed, OverInet):
    """Rung `framed` over AF_INET."""


class FramedInet6(Framed, OverInet6):
    """Rung `framed` over AF_INET6."""
