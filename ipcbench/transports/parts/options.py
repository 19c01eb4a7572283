"""Knobs of sockets: set as a socket is made, and read back from what the kernel made of it.

SO_SNDBUF and SO_RCVBUF read back doubled, and are cut, without an error, to net.core.wmem_max and
rmem_max (socket(7)). Setting one turns TCP's own tuning of that buffer off (tcp(7)).
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from ipcbench.terms import Choice, Knob, Size, words
from ipcbench.transports.base import Unavailable, kernel_setting
from ipcbench.units import format_size, parse_size

_MOST_BUFFER_BYTES = 2**30 - 1
"""Half of what an int holds: the kernel doubles it."""
_IPV4 = Path("/proc/sys/net/ipv4")
_NAME_BYTES = 16
"""Room for the name of a congestion control (TCP_CA_NAME_MAX in include/net/tcp.h)."""
SNDBUF_LEAST_BYTES = 4608
"""SOCK_MIN_SNDBUF of include/net/sock.h, on 64 bits: no send buffer is smaller."""
RCVBUF_LEAST_BYTES = 2304
"""SOCK_MIN_RCVBUF of include/net/sock.h, on 64 bits: no receive buffer is smaller."""


def _most_buffer() -> int:
    return _MOST_BUFFER_BYTES


_ON_OFF = words("on", "off")
BUFFERS = (
    Knob(
        "sndbuf",
        Size(1, _most_buffer, "an int"),
        None,
        "SO_SNDBUF at both ends; cut to wmem_max, told doubled",
    ),
    Knob(
        "rcvbuf",
        Size(1, _most_buffer, "an int"),
        None,
        "SO_RCVBUF at both ends; cut to rmem_max, told doubled",
    ),
)
"""Knobs of every socket."""


def congestion_controls() -> tuple[str, ...]:
    """TCP's congestion controls that this user may choose here. tcp(7)."""
    for name in ("available", "allowed"):
        if name == "available" and os.geteuid() != 0:
            continue
        try:
            return tuple((_IPV4 / f"tcp_{name}_congestion_control").read_text().split())
        except OSError:
            pass
    return ()


def congestion_control() -> str | None:
    """TCP's congestion control of a socket that asks for none; None where it isn't told."""
    try:
        return (_IPV4 / "tcp_congestion_control").read_text().strip()
    except OSError:
        return None


def tcp_knobs(nodelay: str) -> tuple[Knob, ...]:
    """Knobs of a TCP socket, with TCP_NODELAY on or off where it isn't asked for."""
    return (
        *BUFFERS,
        Knob("nodelay", _ON_OFF, nodelay, "TCP_NODELAY at both ends: Nagle's algorithm off"),
        Knob("congestion", Choice(congestion_controls), None, "TCP_CONGESTION at both ends"),
        Knob("quickack", _ON_OFF, None, "TCP_QUICKACK, set once; the kernel may leave it"),
    )


class SocketOptions:
    """The options that a transport's knobs ask of its sockets."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._buffers = {
            option: parse_size(settings[knob])
            for knob, option in (("sndbuf", socket.SO_SNDBUF), ("rcvbuf", socket.SO_RCVBUF))
            if knob in settings
        }

    @property
    def any_asked(self) -> bool:
        """Whether any is to be set."""
        return bool(self._buffers)

    def prepare(self, end: socket.socket) -> None:
        """Sets what is to be set before a socket connects or listens. Raises OSError."""
        for option, size_bytes in self._buffers.items():
            end.setsockopt(socket.SOL_SOCKET, option, size_bytes)

    def tune(self, connection: socket.socket) -> None:
        """Sets what can only be set on a connection. Raises OSError."""

    def tune_accepted(self, connection: socket.socket) -> None:
        """Sets what an accepted connection doesn't have from its listener. Raises OSError.

        A UNIX socket has nothing of it: unix_stream_connect of net/unix/af_unix.c makes it anew.
        """
        self.prepare(connection)

    def tune_handed_over(self, connection: socket.socket) -> None:
        """Sets again what a library may have set otherwise once it got the connection."""

    def in_force(self, end: socket.socket) -> dict[str, str]:
        """The values of the knobs that a socket has now."""
        return {
            "sndbuf": format_size(end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)),
            "rcvbuf": format_size(end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)),
        }


class TcpOptions(SocketOptions):
    """The same for TCP."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        nodelay: bool,
        nodelay_when_accepted: bool | None = None,
    ) -> None:
        """`nodelay_when_accepted` is for a server's end that differs from the client's."""
        super().__init__(settings)
        self._nodelay = nodelay
        self._nodelay_when_accepted = (
            nodelay if nodelay_when_accepted is None else nodelay_when_accepted
        )
        self._congestion = settings.get("congestion")
        quickack = settings.get("quickack")
        self._quickack = None if quickack is None else quickack == "on"

    @property
    def any_asked(self) -> bool:
        asked = self._nodelay or self._congestion is not None or self._quickack is not None
        return asked or super().any_asked

    def prepare(self, end: socket.socket) -> None:
        super().prepare(end)
        if self._congestion is not None:
            try:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._congestion.encode())
            except (PermissionError, FileNotFoundError) as error:
                raise Unavailable(
                    f"no congestion control {self._congestion}: {error.strerror}; those that may be"
                    f" chosen here are {', '.join(congestion_controls())}"
                ) from error

    def tune(self, connection: socket.socket) -> None:
        self._tune(connection, nodelay=self._nodelay)

    def tune_accepted(self, connection: socket.socket) -> None:
        self._tune(connection, nodelay=self._nodelay_when_accepted)

    def _tune(self, connection: socket.socket, *, nodelay: bool) -> None:
        if nodelay:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._quickack is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, self._quickack)

    def tune_handed_over(self, connection: socket.socket) -> None:
        # asyncio and uvloop set it on all TCP sockets that they are given.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self._nodelay)

    def in_force(self, end: socket.socket) -> dict[str, str]:
        name = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _NAME_BYTES)
        flags = {
            knob: "on" if end.getsockopt(socket.IPPROTO_TCP, option) else "off"
            for knob, option in (
                ("nodelay", socket.TCP_NODELAY),
                ("quickack", socket.TCP_QUICKACK),
            )
        }
        return super().in_force(end) | flags | {"congestion": name.rstrip(b"\0").decode()}


def send_buffer_bytes(settings: Mapping[str, str]) -> int | None:
    """The send buffer that a socket with these knobs will have; None where it isn't told."""
    return _buffer_bytes(settings.get("sndbuf"), "wmem", SNDBUF_LEAST_BYTES)


def receive_buffer_bytes(settings: Mapping[str, str]) -> int | None:
    """The receive buffer that a socket with these knobs will have; None where it isn't told."""
    return _buffer_bytes(settings.get("rcvbuf"), "rmem", RCVBUF_LEAST_BYTES)


def _buffer_bytes(asked: str | None, what: str, least_bytes: int) -> int | None:
    if asked is None:
        return kernel_setting(f"net.core.{what}_default")
    most = kernel_setting(f"net.core.{what}_max")
    return None if most is None else max(least_bytes, 2 * min(parse_size(asked), most))
