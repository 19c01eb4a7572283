"""Pipes, one each way: anonymous, of the largest size, or named. pipe(7), fifo(7).

A blocking write of more than PIPE_BUF bytes may be split, and a read returns as soon as there is
data: both ends go on until the message is whole.
"""

import fcntl
import io
import os
from collections.abc import Mapping
from typing import ClassVar

from ipcbench.transports.base import (
    CORE,
    Endpoint,
    Link,
    Medium,
    Side,
    Traffic,
    Transport,
    Unavailable,
    Workspace,
    buffer_pair,
    kernel_setting,
    known,
)
from ipcbench.transports.parts.stream import whole_receiver, whole_sender
from ipcbench.transports.shapes import StreamShape

_USUAL_LARGEST_BYTES = 1024 * 1024
"""The default of fs.pipe-max-size (pipe(7))."""


class PipePairLink(Link):
    """Two anonymous pipes; each side keeps one end of both."""

    def __init__(self, traffic: Traffic, capacity_bytes: int | None = None) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        to_server_read, to_server_write = os.pipe()
        to_client_read, to_client_write = os.pipe()
        if capacity_bytes is not None:
            for end in (to_server_write, to_client_write):
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, capacity_bytes)
        self._ends = {
            "client": (io.FileIO(to_client_read, "rb"), io.FileIO(to_server_write, "wb")),
            "server": (io.FileIO(to_server_read, "rb"), io.FileIO(to_client_write, "wb")),
        }

    def client(self) -> Endpoint:
        return self._endpoint("client", echoes=False)

    def server(self) -> Endpoint:
        return self._endpoint("server", echoes=self._echoes)

    def keep_only(self, side: Side) -> None:
        self._close_side("server" if side == "client" else "client")

    def close(self) -> None:
        self._close_side("client")
        self._close_side("server")

    def _endpoint(self, side: Side, *, echoes: bool) -> Endpoint:
        reader, writer = self._ends[side]
        return pipe_endpoint(reader, writer, self._size_bytes, echoes=echoes)

    def _close_side(self, side: Side) -> None:
        for end in self._ends[side]:
            end.close()


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
        return pipe_endpoint(io.FileIO(to_client, "rb"), writer, self._size_bytes, echoes=False)

    def server(self) -> Endpoint:
        to_server, to_client = self._paths
        reader = io.FileIO(to_server, "rb")
        return pipe_endpoint(
            reader, io.FileIO(to_client, "wb"), self._size_bytes, echoes=self._echoes
        )

    def close(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)


def pipe_endpoint(
    reader: io.FileIO, writer: io.FileIO, size_bytes: int, *, echoes: bool
) -> Endpoint:
    """An endpoint on two ends of pipes, which it then owns."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)

    def close() -> None:
        reader.close()
        writer.close()

    return Endpoint(
        send=whole_sender(writer.write, outgoing),
        receive=whole_receiver(reader.readinto, incoming),
        outgoing=outgoing,
        incoming=incoming,
        facts=_pipe_size(writer),
        close=close,
        shape=StreamShape("stream", reader.fileno(), writer.fileno(), is_socket=False),
    )


class Pipe(Transport):
    """An anonymous pipe in each direction."""

    name = "pipe"
    summary = "two anonymous pipes, one each way"
    waits = "blocks in read"
    source = "pipe(7)"
    groups: ClassVar[tuple[str, ...]] = ("pipes", CORE)
    mediums: tuple[Medium, ...] = ("pipe",)

    def system_limits(self) -> Mapping[str, str]:
        return known({"fs.pipe-max-size": "bytes that an ordinary user's pipe may hold"})

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return PipePairLink(traffic)


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
            return PipePairLink(traffic, largest)
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
