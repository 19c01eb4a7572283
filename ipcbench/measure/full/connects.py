"""Connections that a listening socket takes while nobody accepts, and what the next one meets.

unix(7), listen(2), tcp(7). And datagrams in the queue of a UNIX socket that isn't connected to
their sender, which alone are bounded by net.unix.max_dgram_qlen.
"""

import errno
import os
import resource
import select
import socket
import struct
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ipcbench.measure.full.kernel import open_now, opened_since
from ipcbench.transports.base import Traffic, Transport, Workspace
from ipcbench.transports.parts.sockets import SocketPath

_PATIENCE_MS = 20
"""A connection over the loopback is made, or not, before connect(2) returns."""
_MOST = 8192
_SPARE_DESCRIPTORS = 64
_TCP_INFO_BYTES = 104
_RTO = struct.Struct("8xI")
"""Eight bytes of struct tcp_info, and tcpi_rto in microseconds (linux/tcp.h)."""
_MICROSECOND_S = 1e-6


class Connects(NamedTuple):
    """Connections that were made, and the next one's fate."""

    connections: int
    then: str
    """An errno's name; `waits` if it is tried again in silence; `not-full` at the bound."""
    retry_s: float | None = None
    """Seconds until the kernel tries again, where it does."""


def connects(transport: Transport, workspace: Workspace) -> Connects | None:
    """Connects to a link's listener until that fails; None if it has none."""
    before = open_now()
    link = transport.link(Traffic(transport.size_of("connect", 1), "connect"), workspace)
    made: list[socket.socket] = []
    try:
        listener = _listener(opened_since(before))
        if listener is None:
            return None
        with listener:
            return _connected(listener, made)
    finally:
        for connection in made:
            connection.close()
        link.close()


def unconnected_datagrams(directory: Path) -> int:
    """Datagrams that a UNIX socket holds of senders that it isn't connected to."""
    with (
        closing(SocketPath(directory, "queue")) as path,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as writer,
    ):
        reader.bind(path.address)
        writer.connect(path.address)
        for count in range(_MOST):
            try:
                writer.send(b"m", socket.MSG_DONTWAIT)
            except BlockingIOError:
                return count
    return _MOST


def _listener(descriptors: list[int]) -> socket.socket | None:
    for descriptor in descriptors:
        try:
            found = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return found
        found.close()
    return None


def _connected(listener: socket.socket, made: list[socket.socket]) -> Connects:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if soft == resource.RLIM_INFINITY else min(_MOST, soft - _SPARE_DESCRIPTORS)
    for count in range(most):
        one = socket.socket(listener.family, listener.type)
        made.append(one)
        one.setblocking(False)
        code = one.connect_ex(listener.getsockname())
        if code == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(one, select.POLLOUT)
            if not poll.poll(_PATIENCE_MS):
                return Connects(count, "waits", _retry_s(one))
            code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return Connects(count, errno.errorcode.get(code, str(code)))
    return Connects(most, "not-full")


def _retry_s(one: socket.socket) -> float:
    told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    (retry_us,) = _RTO.unpack_from(told)
    return float(retry_us * _MICROSECOND_S)
