"""Peers and buffers of sockets, which the tables in /proc don't have. sock_diag(7)."""

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple, Self

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_UNIX_REQUEST = struct.Struct("=BBHIIIII")
_UNIX_ANSWER = struct.Struct("=BBBBIII")
_INET_REQUEST = struct.Struct("=BBBBI")
_INET_ID_BYTES = 48
"""Bytes of struct inet_diag_sockid (linux/inet_diag.h)."""
_INET_ANSWER_BYTES = 4 + _INET_ID_BYTES + 20
"""Bytes of struct inet_diag_msg."""
_ADDRESS_BYTES = 16
_ATTRIBUTE = struct.Struct("=HH")
_UDIAG_SHOW_PEER = 4
_UDIAG_SHOW_MEMINFO = 32
_UNIX_DIAG_PEER = 2
_UNIX_DIAG_MEMINFO = 5
_INET_DIAG_SKMEMINFO = 7
_MEMINFO = struct.Struct("=8I")
"""The first eight of the SK_MEMINFO_* (linux/sock_diag.h, Linux 3.6)."""
_EVERY_STATE = _NO_COOKIE = 2**32 - 1
_PATIENCE_S = 1.0
_MOST_BYTES = 8192

InetAddress = tuple[str, int]
"""Host and port."""


class Buffers(NamedTuple):
    """Memory that a socket is charged now, and its limits, in bytes; the kernel's SK_MEMINFO.

    What is charged are pieces with their overhead (truesize), and not only payload.
    """

    received: int
    receive_limit: int
    sending: int
    send_limit: int
    reserved: int
    """Memory that the protocol has set aside for the socket, and that nothing is in."""
    queued: int
    """Of TCP: what isn't acknowledged yet, in which `sending` is contained."""
    options: int
    backlog: int

    @property
    def waiting(self) -> int:
        """Bytes charged for data that somebody has still to take."""
        return self.received + max(self.sending, self.queued) + self.backlog

    @property
    def charged(self) -> int:
        """All bytes that are charged."""
        return self.waiting + self.reserved + self.options


class SocketDiagnosis:
    """Queries the kernel about single sockets, without privileges. Use as a context manager."""

    def __init__(self) -> None:
        """Opens the netlink socket. Raises OSError where this kernel has no sock_diag."""
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        self._netlink.settimeout(_PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._netlink.close()

    def unix_peer(self, inode: int) -> int | None:
        """The inode of the socket at the other end of this one; None if there is none.

        Raises OSError if the kernel doesn't know the socket, or has no such table.
        """
        return unix_answer(self._asked(unix_request(inode)))

    def unix_buffers(self, inode: int) -> Buffers | None:
        """The memory of the UNIX socket of this inode; None where it isn't told. Raises OSError."""
        answer = self._asked(unix_request(inode, _UDIAG_SHOW_MEMINFO))
        return buffers_in(answer, _UNIX_ANSWER.size, _UNIX_DIAG_MEMINFO)

    def inet_buffers(
        self, family: int, protocol: int, local: InetAddress, remote: InetAddress
    ) -> Buffers | None:
        """The memory of the socket with these addresses; None where it isn't told.

        Of UDP it may be that of the socket at the other end: the kernel takes the two addresses the
        other way round. Raises OSError if it doesn't know the socket, or has no such table.
        """
        answer = self._asked(inet_request(family, protocol, local, remote))
        return buffers_in(answer, _INET_ANSWER_BYTES, _INET_DIAG_SKMEMINFO)

    def _asked(self, request: bytes) -> bytes:
        self._netlink.send(request)
        return self._netlink.recv(_MOST_BYTES)


def unix_request(inode: int, shows: int = _UDIAG_SHOW_PEER) -> bytes:
    """Packs the request for the UNIX socket of this inode: for its peer, or what else it shows."""
    return _request(
        _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, _EVERY_STATE, inode, shows, _NO_COOKIE, _NO_COOKIE)
    )


def inet_request(family: int, protocol: int, local: InetAddress, remote: InetAddress) -> bytes:
    """Packs the request for the buffers of the TCP or UDP socket with these addresses."""
    ports = struct.pack("!HH", local[1], remote[1])
    hosts = b"".join(
        socket.inet_pton(family, host).ljust(_ADDRESS_BYTES, b"\0") for host, _ in (local, remote)
    )
    no_interface = struct.pack("=I", 0)
    asked = 1 << (_INET_DIAG_SKMEMINFO - 1)
    return _request(
        _INET_REQUEST.pack(family, protocol, asked, 0, _EVERY_STATE)
        + ports
        + hosts
        + no_interface
        + struct.pack("=II", _NO_COOKIE, _NO_COOKIE)
    )


def unix_answer(message: bytes) -> int | None:
    """Unpacks the peer's inode from the kernel's answer; None without a peer. Raises OSError."""
    for attribute, content in _attributes(message, _UNIX_ANSWER.size):
        if attribute == _UNIX_DIAG_PEER:
            (peer,) = struct.unpack_from("=I", content)
            return int(peer)
    return None


def buffers_in(message: bytes, answer_bytes: int, wanted: int) -> Buffers | None:
    """Unpacks a socket's memory from the kernel's answer; None without it. Raises OSError."""
    for attribute, content in _attributes(message, answer_bytes):
        if attribute == wanted:
            return Buffers(*_MEMINFO.unpack_from(content))
    return None


def _request(question: bytes) -> bytes:
    size = _HEADER.size + len(question)
    return _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + question


def _attributes(message: bytes, answer_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yields the attributes behind an answer of this size. Raises OSError if it is a refusal."""
    size, kind, *_ = _HEADER.unpack_from(message)
    if kind == _NLMSG_ERROR:
        (negative,) = struct.unpack_from("=i", message, _HEADER.size)
        raise OSError(-negative, os.strerror(-negative))
    at = _HEADER.size + answer_bytes
    while at + _ATTRIBUTE.size <= size:
        length, attribute = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            return
        yield attribute, message[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
