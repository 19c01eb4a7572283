"""Peers of UNIX sockets, which /proc/net/unix doesn't have. sock_diag(7)."""

import os
import socket
import struct
from typing import Self

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_UNIX_REQUEST = struct.Struct("=BBHIIIII")
_UNIX_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_UDIAG_SHOW_PEER = 4
_UNIX_DIAG_PEER = 2
_EVERY_STATE = _NO_COOKIE = 2**32 - 1
_PATIENCE_S = 1.0
_MOST_BYTES = 8192


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
        self._netlink.send(unix_request(inode))
        return unix_answer(self._netlink.recv(_MOST_BYTES))


def unix_request(inode: int) -> bytes:
    """Packs the request for the peer of the UNIX socket of this inode."""
    question = _UNIX_REQUEST.pack(
        socket.AF_UNIX, 0, 0, _EVERY_STATE, inode, _UDIAG_SHOW_PEER, _NO_COOKIE, _NO_COOKIE
    )
    size = _HEADER.size + len(question)
    return _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + question


def unix_answer(message: bytes) -> int | None:
    """Unpacks the peer's inode from the kernel's answer; None without a peer. Raises OSError."""
    size, kind, *_ = _HEADER.unpack_from(message)
    if kind == _NLMSG_ERROR:
        (negative,) = struct.unpack_from("=i", message, _HEADER.size)
        raise OSError(-negative, os.strerror(-negative))
    at = _HEADER.size + _UNIX_ANSWER.size
    while at + _ATTRIBUTE.size <= size:
        length, attribute = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size:
            break
        if attribute == _UNIX_DIAG_PEER:
            (peer,) = struct.unpack_from("=I", message, at + _ATTRIBUTE.size)
            return int(peer)
        at += -(-length // 4) * 4
    return None
