"""Pipes, one each way: anonymous, of the largest size, or named. pipe(7), fifo(7).

A blocking write of more than PIPE_BUF bytes may be split, and a read returns as soon as there is
data: both ends go on until the message is whole.
"""

import fcntl
import io
import os
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from ipcbench.transports.base import (
    CORE,
    Endpoint,
    Link,
    Medium,
    Traffic,
    Transport,
    Unavailable,
    Workspace,
    buffer_pair,
    kernel_setting,
    known,
)
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.stream import whole_receiver, whole_sender
from ipcbench.transports.shapes import StreamShape

_USUAL_LARGEST_BYTES = 1024 * 1024
"""The default of fs.pipe-max-size (pipe(7))."""


class PipeEnds(NamedTuple):
    """One side's ends of two pipes: it reads from one and writes to the other."""

    reader: io.FileIO
    writer: io.FileIO

    def close(self) -> None:
        """Closes both. Allowed twice."""
        self.reader.close()
        self.writer.close()


def joined_pipes(traffic: Traffic, capacity_bytes: int | None = None) -> Link:
    """Makes two anonymous pipes, of this capacity or the usual one, and the link of their ends."""
    to_server_read, to_server_write = os.pipe()
    to_client_read, to_client_write = os.pipe()
    client = PipeEnds(io.FileIO(to_client_read, "rb"), io.FileIO(to_server_write, "wb"))
    server = PipeEnds(io.FileIO(to_server_read, "rb"), io.FileIO(to_client_write, "wb"))
    link = JoinedLink(traffic, client, server, pipe_endpoint)
    try:
        if capacity_bytes is not None:
            for ends in (client, server):
                fcntl.fcntl(ends.writer, fcntl.F_SETPIPE_SZ, capacity_bytes)
    except BaseException:
        link.close()
        raise
    return link


def pipe_endpoint(ends: PipeEnds, size_bytes: int, *, echoes: bool) -> Endpoint:
    """An endpoint on the ends of two pipes, which it then owns."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    return Endpoint(
        send=whole_sender(ends.writer.write, outgoing),
        receive=whole_receiver(ends.reader.readinto, incoming),
        outgoing=outgoing,
        incoming=incoming,
        facts=_pipe_size(ends.writer),
        close=ends.close,
        shape=StreamShape("stream", ends.reader.fileno(), ends.writer.fileno(), is_socket=False),
    )


class FifoLink(Link):
    """Two named pipes in the launch's directory, removed with the link. fifo(7)."""

    def __init__(self, traffic: Traffic, workspace: Workspace) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        self._paths = [workspace.directory / name for name in ("forth", "back")]
        for path in self._paths:
            os.mkfifo(path, 0o600)

    def client(self) -> Endpoint:
        to_server, to_client = self._paths
        writer = io.FileIO(to_server, "wb")  # each open waits for the other end's
        ends = PipeEnds(io.FileIO(to_client, "rb"), writer)
        return pipe_endpoint(ends, self._size_bytes, echoes=False)

    def server(self) -> Endpoint:
        to_server, to_client = self._paths
        reader = io.FileIO(to_server, "rb")
        ends = PipeEnds(reader, io.FileIO(to_client, "wb"))
        return pipe_endpoint(ends, self._size_bytes, echoes=self._echoes)

    def close(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)


class Pipe(Transport):
    """An anonymous pipe in each direction."""

    name = "pipe"
    summary = "two anonymous pipes, one each way"
    waits = "blocks in read"
    source = "pipe(7)"
    groups: ClassVar[tuple[str, ...]] = ("pipes", CORE)
    mediums: tuple[Medium, ...] = ("pipe",)
    overlaps = True

    def system_limits(self) -> Mapping[str, str]:
        return known({"fs.pipe-max-size": "bytes that an ordinary user's pipe may hold"})

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return joined_pipes(traffic)


class PipeLargest(Pipe):
    """A pipe in each direction, as large as an ordinary user may make it."""

    name = "pipe-1m"
    summary = "two anonymous pipes of the largest size (1 MiB)"
    groups = ("pipes",)
    mediums = ("pipe", "largest")

    def unavailable(self) -> str | None:
        if not hasattr(fcntl, "F_SETPIPE_SZ"):
            return "the size of a pipe can't be set on this system"
        return None

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        largest = kernel_setting("fs.pipe-max-size") or _USUAL_LARGEST_BYTES
        try:
            return joined_pipes(traffic, largest)
        except PermissionError as error:
            raise Unavailable(
                f"no pipe of {largest:,} bytes: {error.strerror}; this user's pipes hold too much"
                " already (fs.pipe-user-pages-soft)"
            ) from error


class Fifo(Pipe):
    """A named pipe in each direction."""

    name = "fifo"
    summary = "two named pipes, one each way"
    source = "fifo(7)"
    groups = ("pipes",)
    mediums = ("fifo",)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return FifoLink(traffic, workspace)


def _pipe_size(pipe: io.FileIO) -> dict[str, int]:
    """The pipe's capacity, where the system tells it (Linux: fcntl(2), F_GETPIPE_SZ)."""
    if not hasattr(fcntl, "F_GETPIPE_SZ"):
        return {}
    return {"pipe_size_bytes": fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)}
