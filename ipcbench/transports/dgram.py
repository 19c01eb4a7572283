"""Datagram sockets: they keep messages apart, and UDP may lose them. unix(7), udp(7).

Both sockets are bound and connected to each other before the fork, so the kernel delivers no other
sender's datagram to them. A datagram that arrived between bind and connect is discarded and
counted. The names of UNIX sockets, in the launch's private directory, are unlinked at once. A
message carries a sequence number in its first bytes. In a stream the receiver gives credit after
every half window, so that no more is in flight than its buffer holds; a message that is not the
next one ends the launch with the count.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial

from ipcbench.transports.base import (
    Endpoint,
    Link,
    Medium,
    Side,
    Traffic,
    Transport,
    Workspace,
    buffer_pair,
    known,
    one_way_only,
    owner_only,
)
from ipcbench.transports.parts.gate import STRANGERS
from ipcbench.transports.parts.options import BUFFERS, SocketOptions, receive_buffer_bytes
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.sockets import (
    SocketPath,
    bind_refused,
    ip_unavailable,
    unix_message_limit,
)
from ipcbench.transports.shapes import DatagramShape

_MOST_UDP_BYTES = {socket.AF_INET: 65_507, socket.AF_INET6: 65_527}
"""Longest UDP payload: the 16-bit length includes the headers (RFC 768; RFC 791 for IPv4)."""
_KERNEL_BYTES = 1280
"""Most bytes of a receive buffer that a datagram takes beside twice its length."""
_LONGEST_HALF_WINDOW = 32
_LOST_AFTER_S = 5
"""Seconds after which a datagram counts as lost: loopback never delays one that long."""
_NUMBER_BYTES = 8


class DatagramLink(Link):
    """Two datagram sockets, connected to each other."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        traffic: Traffic,
        options: SocketOptions,
    ) -> None:
        self._options = options
        self._ends = {"client": client, "server": server}
        self._size_bytes = traffic.message_size_bytes
        self._echoes, self._alternates = traffic.echoes, traffic.alternates
        strangers = sum(_thrown_away(end) for end in self._ends.values())
        self._strangers = {STRANGERS: strangers} if strangers else {}
        limit = struct.pack("@ll", _LOST_AFTER_S, 0)
        for end in self._ends.values():
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def client(self) -> Endpoint:
        return self._endpoint("client")

    def server(self) -> Endpoint:
        return self._endpoint("server")

    def keep_only(self, side: Side) -> None:
        self._ends["server" if side == "client" else "client"].close()

    def close(self) -> None:
        for end in self._ends.values():
            end.close()

    def _endpoint(self, side: Side) -> Endpoint:
        end, size = self._ends[side], self._size_bytes
        outgoing, incoming = buffer_pair(size, echoes=self._echoes and side == "server")
        room = end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        window = 0 if self._alternates else half_window(size, room)
        send: Callable[[], object] = partial(end.send, outgoing)
        if side == "client":
            send = _numbered(send, outgoing)
            if window:
                send = _credited(send, partial(end.recv, 1), window)
        receive = _checked(partial(end.recv_into, incoming, size, socket.MSG_TRUNC), incoming)
        if side == "server" and window:
            receive = _crediting(receive, partial(end.send, b"c"), window)
        return Endpoint(
            send=send,  # type: ignore[arg-type]  # the count of a datagram says nothing
            receive=receive,
            # A sender that needs credit receives nothing else.
            ready=one_way_only if side == "client" and window else readable(end.fileno()),
            outgoing=outgoing,
            incoming=incoming,
            facts={
                "so_sndbuf_bytes": end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
                "so_rcvbuf_bytes": room,
            }
            | ({"window_messages_count": 2 * window} if window else {})
            | (self._strangers if side == "server" else {}),
            effective=partial(self._options.in_force, end),
            close=end.close,
            shape=DatagramShape("datagram", end.fileno(), side == "client", window),
        )


class UnixDgram(Transport):
    """AF_UNIX, SOCK_DGRAM."""

    name = "unix-dgram"
    summary = "UNIX domain datagram sockets"
    waits = "blocks in recv"
    source = "unix(7)"
    groups = ("sockets",)
    mediums = ("unix-dgram", "socket-file")
    numbers_messages = True
    batches = ("native",)
    knobs = BUFFERS

    def rejects(self, traffic: Traffic) -> str | None:
        return super().rejects(traffic) or unix_message_limit(
            traffic.message_size_bytes, self.settings
        )

    def system_limits(self) -> Mapping[str, str]:
        return known(
            {
                "net.core.wmem_default": "bytes of send buffer, which a datagram must fit",
                "net.unix.max_dgram_qlen": "datagrams in a queue",
            }
        )

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = SocketOptions(self.settings)
        paths = [SocketPath(workspace.directory, name) for name in ("client", "server")]
        ends = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in paths]
        try:
            for end in ends:
                options.prepare(end)
            with owner_only():
                for end, path in zip(ends, paths, strict=True):
                    end.bind(path.address)
            for end, path in zip(ends, reversed(paths), strict=True):
                end.connect(path.address)
        except BaseException:
            for end in ends:
                end.close()
            raise
        finally:
            for path in paths:
                path.close()
        return DatagramLink(ends[0], ends[1], traffic, options)


class InetUdp(Transport):
    """UDP at 127.0.0.1."""

    name = "inet-udp"
    summary = "UDP over IPv4 loopback (127.0.0.1)"
    waits = "blocks in recv"
    source = "udp(7)"
    groups = ("sockets",)
    mediums: tuple[Medium, ...] = ("udp4",)
    numbers_messages = True
    batches = ("native",)
    knobs = BUFFERS
    family: int = socket.AF_INET
    host = "127.0.0.1"

    def unavailable(self) -> str | None:
        return ip_unavailable(self.family, self.host, socket.SOCK_DGRAM)

    def rejects(self, traffic: Traffic) -> str | None:
        most = _MOST_UDP_BYTES[socket.AddressFamily(self.family)]
        if traffic.message_size_bytes > most:
            return (
                f"a UDP datagram holds at most {most:,} bytes here (udp(7)); no setting raises that"
            )
        return super().rejects(traffic) or self._too_little_room(traffic.message_size_bytes)

    def _too_little_room(self, size_bytes: int) -> str | None:
        """The reason why every datagram would be dropped; None if one fits the buffer asked for."""
        room = receive_buffer_bytes(self.settings) if "rcvbuf" in self.settings else None
        needed = 2 * size_bytes + _KERNEL_BYTES
        if room is None or needed <= room:
            return None
        return (
            f"a receive buffer of {room:,} bytes drops every datagram of {size_bytes:,}; ask for"
            f" rcvbuf={-(-needed // 2)}, which net.core.rmem_max must allow"
        )

    def system_limits(self) -> Mapping[str, str]:
        most = _MOST_UDP_BYTES[socket.AddressFamily(self.family)]
        return {"datagram": f"{most:,} bytes"} | known(
            {"net.core.rmem_default": "bytes of receive buffer; what doesn't fit is dropped"}
        )

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = SocketOptions(self.settings)
        ends = [socket.socket(self.family, socket.SOCK_DGRAM) for _ in range(2)]
        try:
            for end in ends:
                options.prepare(end)
                end.bind((self.host, 0))
            ends[0].connect(ends[1].getsockname())
            ends[1].connect(ends[0].getsockname())
        except OSError as error:
            for end in ends:
                end.close()
            raise bind_refused(error) from error
        except BaseException:
            for end in ends:
                end.close()
            raise
        return DatagramLink(ends[0], ends[1], traffic, options)


class Inet6Udp(InetUdp):
    """UDP at ::1."""

    name = "inet6-udp"
    summary = "UDP over IPv6 loopback (::1)"
    mediums = ("udp6",)
    family = socket.AF_INET6
    host = "::1"


def _thrown_away(end: socket.socket) -> int:
    """Discards and counts the datagrams that a socket received before it was connected."""
    count = 0
    while True:
        try:
            end.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return count
        count += 1


def half_window(size_bytes: int, buffer_bytes: int) -> int:
    """Messages between two credits of the receiver; twice as many fit its buffer."""
    each = 2 * size_bytes + _KERNEL_BYTES
    usable = (
        buffer_bytes // 2
    )  # UDP gives room back late: up to a quarter is taken by what was read
    return max(1, min(_LONGEST_HALF_WINDOW, usable // (2 * each)))


def _number_view(message: memoryview) -> tuple[memoryview, int]:
    """The bytes of a message that hold its sequence number, and the mask for their width."""
    if len(message) < _NUMBER_BYTES:
        return message[:1], 0xFF
    return message[:_NUMBER_BYTES].cast("Q"), 2**64 - 1


def _numbered(send: Callable[[], object], message: memoryview) -> Callable[[], None]:
    numbers, mask = _number_view(message)
    sent = 0

    def send_numbered() -> None:
        nonlocal sent
        numbers[0] = sent & mask
        sent += 1
        send()

    return send_numbered


def _checked(receive: Callable[[], int], message: memoryview) -> Callable[[], None]:
    numbers, mask = _number_view(message)
    size, received = len(message), 0

    def receive_checked() -> None:
        nonlocal received
        try:
            got = receive()
        except BlockingIOError as error:
            raise OSError(
                f"message {received} is lost: it didn't come in {_LOST_AFTER_S} s"
            ) from error
        if got != size:
            raise OSError(f"a message of {got} bytes came in place of {size}")
        due = received & mask
        if numbers[0] != due:
            lost = numbers[0] - due
            raise OSError(f"message {numbers[0]} came where {due} was due: {lost} were lost")
        received += 1

    return receive_checked


def _credited(
    send: Callable[[], object], await_credit: Callable[[], bytes], window: int
) -> Callable[[], None]:
    credit = 2 * window

    def send_on_credit() -> None:
        nonlocal credit
        if not credit:
            try:
                await_credit()
            except BlockingIOError as error:
                raise OSError(
                    f"the receiver took no message in {_LOST_AFTER_S} s: no credit came"
                ) from error
            credit += window
        credit -= 1
        send()

    return send_on_credit


def _crediting(
    receive: Callable[[], None], give_credit: Callable[[], int], window: int
) -> Callable[[], None]:
    received = 0

    def receive_and_credit() -> None:
        nonlocal received
        receive()
        received += 1
        if received == window:
            received = 0
            give_credit()

    return receive_and_credit
