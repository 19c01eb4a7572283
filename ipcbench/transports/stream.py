"""Whole messages over a byte stream, and the stream sockets; shared by unix, inet, inet6, pipe.

A stream may take or give fewer bytes than asked for: a 1 MiB message crosses a 64 KiB pipe in
many pieces. The first call is tried with the whole buffer, and its count is the only thing
checked when all went at once; the rest of a message goes through views that were cut beforehand.
"""

import mmap
import socket
import struct
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from ipcbench.transports.base import (
    Endpoint,
    Link,
    Side,
    StreamShape,
    Workload,
    buffer_pair,
    kernel_setting,
)

Count = Callable[[memoryview], int | None]
"""A `read` into or `write` from a view; returns the bytes moved, 0 or None at the end."""

Address = str | tuple[Any, ...]
"""What a socket connects to: a path, or what getsockname() of the listener says."""

_MOST_VIEWS = 4096
_CONNECT_BACKLOG = 1
_NO_LINGER = struct.pack("@ii", 1, 0)
"""struct linger of socket(7): on, and no time."""
_UNIX_OVERHEAD_BYTES = 32
"""unix_dgram_sendmsg(), of records too, refuses what is longer than the send buffer less this."""
CONNECTING: tuple[Workload, ...] = ("latency", "throughput", "connect")
"""The workloads of what connects."""


class Tails:
    """The rests of one message buffer, by the number of bytes already moved.

    Pipes and sockets move whole pages unless something is odd, so the rests at page boundaries
    are cut beforehand (for messages up to 16 MiB); any other rest is cut when it is needed.
    """

    __slots__ = ("_cut", "_message")

    def __init__(self, message: memoryview) -> None:
        self._message = message
        pages = range(mmap.PAGESIZE, len(message), mmap.PAGESIZE)
        self._cut = {offset: message[offset:] for offset in pages[:_MOST_VIEWS]}

    def after(self, moved: int) -> memoryview:
        """What is left of the message after `moved` bytes."""
        return self._cut.get(moved) or self._message[moved:]


def whole_receiver(read_into: Count, message: memoryview) -> Callable[[], None]:
    """A call that fills `message`, however many reads it takes; EOFError if the stream ends."""
    size = len(message)
    after = Tails(message).after

    def receive() -> None:
        moved = read_into(message)
        while moved != size:
            more = read_into(after(moved)) if moved else None
            if not more:
                raise EOFError(f"the stream ended after {moved or 0} of {size} bytes")
            moved += more  # type: ignore[operator]  # moved is an int above 0 here

    return receive


def whole_sender(write: Count, message: memoryview) -> Callable[[], None]:
    """A call that writes all of `message`, however many writes it takes."""
    size = len(message)
    after = Tails(message).after

    def send() -> None:
        moved = write(message)
        while moved != size:
            more = write(after(moved)) if moved else None
            if not more:
                raise EOFError(f"the stream took {moved or 0} of {size} bytes")
            moved += more  # type: ignore[operator]  # moved is an int above 0 here

    return send


def socket_endpoint(connection: socket.socket, size_bytes: int, *, echoes: bool) -> Endpoint:
    """An endpoint on a connected, blocking stream socket, which it then owns.

    `recv_into` with MSG_WAITALL is one call a message and makes no object; it still returns
    early at the end of the stream and when a signal arrives (recv(2)), hence the check.
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    recv_into, sendall, wait_all = connection.recv_into, connection.sendall, socket.MSG_WAITALL
    after = Tails(incoming).after

    def receive() -> None:
        moved = recv_into(incoming, size_bytes, wait_all)
        while moved != size_bytes:
            more = recv_into(after(moved), size_bytes - moved, wait_all) if moved else 0
            if not more:
                raise EOFError(f"the connection ended after {moved} of {size_bytes} bytes")
            moved += more

    return Endpoint(
        send=partial(sendall, outgoing),
        receive=receive,
        outgoing=outgoing,
        incoming=incoming,
        facts={
            "so_sndbuf_bytes": connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
            "so_rcvbuf_bytes": connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        },
        close=connection.close,
        shape=StreamShape("stream", connection.fileno(), connection.fileno(), is_socket=True),
    )


def connecting_endpoint(exchange: Callable[[memoryview, memoryview], None]) -> Endpoint:
    """The client of the connect workload: `send` makes a connection, exchanges a byte, ends it."""
    outgoing, incoming = buffer_pair(1, echoes=False)
    return Endpoint(
        send=partial(exchange, outgoing, incoming),
        receive=_nothing,
        outgoing=outgoing,
        incoming=incoming,
        facts={},
        close=_nothing,
    )


def accepting_endpoint(answer: Callable[[memoryview], None]) -> Endpoint:
    """Its server: `receive` takes a connection, answers its byte, and ends it."""
    outgoing, incoming = buffer_pair(1, echoes=True)
    return Endpoint(
        send=_nothing,
        receive=partial(answer, incoming),
        outgoing=outgoing,
        incoming=incoming,
        facts={},
        close=_nothing,
    )


class SocketLink(Link):
    """A listening socket that one client connects to; subclasses say where.

    In the connect workload it connects over and over. The client then ends each connection with a
    reset (SO_LINGER of 0), the one way that leaves no port waiting in TIME_WAIT: a port for each
    connection would end a run after some 28,000 of them, and a table of waiting ports slows the
    next batch down. Both ends have all of their bytes by then; the time holds no orderly end of a
    TCP connection.
    """

    def __init__(
        self, family: int, size_bytes: int, workload: Workload, kind: int = socket.SOCK_STREAM
    ) -> None:
        self._family = family
        self._kind = kind
        self._size_bytes = size_bytes
        self._workload = workload
        self._listener = socket.socket(family, kind)
        try:
            self._address = self.bind(self._listener)
            self._listener.listen(_CONNECT_BACKLOG)
        except BaseException:
            self._listener.close()
            raise

    @abstractmethod
    def bind(self, listener: socket.socket) -> Address:
        """Binds the listener and returns the address that the client connects to."""

    def tune(self, connection: socket.socket) -> None:
        """Sets the options of either end of a new connection."""

    def client(self) -> Endpoint:
        if self._workload == "connect":
            return connecting_endpoint(self._connect_once)
        connection = socket.socket(self._family, self._kind)
        try:
            connection.connect(self._address)
        except BaseException:
            connection.close()
            raise
        return self._endpoint(connection, echoes=False)

    def server(self) -> Endpoint:
        if self._workload == "connect":
            return accepting_endpoint(self._accept_once)
        connection, _ = self._listener.accept()
        return self._endpoint(connection, echoes=self._workload == "latency")

    def keep_only(self, side: Side) -> None:
        if side == "client":
            self._listener.close()

    def close(self) -> None:
        self._listener.close()

    def _connect_once(self, outgoing: memoryview, incoming: memoryview) -> None:
        with socket.socket(self._family, self._kind) as connection:
            connection.connect(self._address)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.tune(connection)
            connection.send(outgoing)
            if connection.recv_into(incoming) != 1:
                raise EOFError("a new connection ended before its byte came back")

    def _accept_once(self, message: memoryview) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.tune(connection)
            if connection.recv_into(message) != 1:
                raise EOFError("a new connection ended before its byte came")
            connection.send(message)

    def _endpoint(self, connection: socket.socket, *, echoes: bool) -> Endpoint:
        self.tune(connection)
        return socket_endpoint(connection, self._size_bytes, echoes=echoes)


class TcpLink(SocketLink):
    """TCP over a loopback address, at a port the kernel chose, with Nagle's algorithm on or off."""

    def __init__(
        self, family: int, host: str, size_bytes: int, workload: Workload, *, nagle: bool
    ) -> None:
        self._host = host
        self._nagle = nagle
        super().__init__(family, size_bytes, workload)

    def bind(self, listener: socket.socket) -> Address:
        listener.bind((self._host, 0))
        address: Address = listener.getsockname()
        return address

    def tune(self, connection: socket.socket) -> None:
        if not self._nagle:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def tcp_unavailable(family: int, host: str) -> str | None:
    """Why nothing can listen at this loopback address; None where it can."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return f"{host} can't be bound: {error.strerror or error}"
    return None


def unix_message_limit(message_size_bytes: int) -> str | None:
    """Why one UNIX datagram or record can't be so long; None if it can."""
    room = kernel_setting("net.core.wmem_default")
    if room is None or message_size_bytes <= room - _UNIX_OVERHEAD_BYTES:
        return None
    needed = message_size_bytes + _UNIX_OVERHEAD_BYTES
    return (
        f"a message must fit the send buffer, which holds {room - _UNIX_OVERHEAD_BYTES:,} bytes;"
        f" raise it with sysctl net.core.wmem_default={needed}"
    )


def _nothing() -> None:
    """The other half of a connection's exchange, done already; and what there is to close."""
