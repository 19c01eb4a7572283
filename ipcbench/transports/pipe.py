"""Pipes, one each way: anonymous or named. pipe(7), fifo(7).

A blocking write of more than PIPE_BUF bytes may be split, and a read returns as soon as there is
data: both ends go on until the message is whole.
"""

import fcntl
import io
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ipcbench.case import LOOPS
from ipcbench.terms import Knob, Size
from ipcbench.transports.base import (
    BY_READINESS,
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
    removed_file,
)
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.stream import whole_receiver, whole_sender
from ipcbench.transports.parts.traps import FILLS_PIPE
from ipcbench.transports.shapes import StreamShape
from ipcbench.units import format_size, parse_size
from ipcbench.workloads import ServerModel

_USUAL_LARGEST_BYTES = 1024 * 1024
"""The default of fs.pipe-max-size (pipe(7))."""


def largest_bytes() -> int:
    """The most bytes that an ordinary user's pipe may hold."""
    return kernel_setting("fs.pipe-max-size") or _USUAL_LARGEST_BYTES


class PipeEnds(NamedTuple):
    """One side's ends of two pipes: it reads from one and writes to the other."""

    reader: io.FileIO
    writer: io.FileIO

    def close(self) -> None:
        """Closes both. Allowed twice."""
        self.reader.close()
        self.writer.close()


def joined_pipes(traffic: Traffic, size: str | None = None) -> Link:
    """Makes two anonymous pipes, of this size or the usual one, and the link of their ends."""
    to_server_read, to_server_write = os.pipe()
    to_client_read, to_client_write = os.pipe()
    client = PipeEnds(io.FileIO(to_client_read, "rb"), io.FileIO(to_server_write, "wb"))
    server = PipeEnds(io.FileIO(to_server_read, "rb"), io.FileIO(to_client_write, "wb"))
    link = JoinedLink(traffic, client, server, pipe_endpoint)
    try:
        for ends in (client, server):
            _set_size(ends.writer, size)
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
        ready=readable(ends.reader.fileno()),
        outgoing=outgoing,
        incoming=incoming,
        facts=_pipe_size(ends.writer),
        effective=partial(_size_in_force, ends.writer),
        close=ends.close,
        shape=StreamShape("stream", ends.reader.fileno(), ends.writer.fileno(), is_socket=False),
    )


class FifoLink(Link):
    """Two named pipes in the launch's directory, removed with the link. fifo(7)."""

    def __init__(self, traffic: Traffic, workspace: Workspace, size: str | None) -> None:
        self._pipe_size = size
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        self._is_open = False
        self._paths = [workspace.directory / name for name in ("forth", "back")]
        for path in self._paths:
            os.mkfifo(path, 0o600)

    def client(self) -> Endpoint:
        to_server, to_client = self._paths
        writer = _writer(to_server)  # each open waits for the other end's
        try:
            ends = PipeEnds(io.FileIO(to_client, "rb"), writer)
        except BaseException:
            writer.close()
            raise
        self._is_open = True
        _set_size(writer, self._pipe_size)
        return pipe_endpoint(ends, self._size_bytes, echoes=False)

    def server(self) -> Endpoint:
        to_server, to_client = self._paths
        reader = io.FileIO(to_server, "rb")
        ends = PipeEnds(reader, _writer(to_client))
        _set_size(ends.writer, self._pipe_size)
        return pipe_endpoint(ends, self._size_bytes, echoes=self._echoes)

    def vanished(self) -> str | None:
        if self._is_open or all(path.exists() for path in self._paths):
            return None
        return removed_file("a named pipe")

    def close(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)


class Pipe(Transport):
    """An anonymous pipe in each direction."""

    name = "pipe"
    summary = "two anonymous pipes, one each way"
    waits = "blocks in read"
    source = "pipe(7)"
    groups: tuple[str, ...] = ("pipes", CORE)
    mediums: tuple[Medium, ...] = ("pipe",)
    overlaps = True
    server_models: tuple[ServerModel, ...] = BY_READINESS
    batches = LOOPS
    duplexes = True
    traps = (FILLS_PIPE,)
    knobs = (
        Knob("size", Size(1, largest_bytes, "sysctl fs.pipe-max-size"), None, "room in each pipe"),
    )

    def settle(self) -> None:
        size = self.setting("size")
        if size is not None and parse_size(size) == largest_bytes():
            self.mediums = (*self.mediums, "largest")

    def unavailable(self) -> str | None:
        size = self.setting("size")
        if size is None:
            return None
        if not hasattr(fcntl, "F_SETPIPE_SZ"):
            return "the size of a pipe can't be set on this system"
        most = largest_bytes()
        if parse_size(size) > most:
            return f"a pipe holds at most {most:,} bytes here; raise sysctl fs.pipe-max-size"
        return None

    def system_limits(self) -> Mapping[str, str]:
        return known({"fs.pipe-max-size": "bytes that an ordinary user's pipe may hold"})

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return joined_pipes(traffic, self.setting("size"))


class Fifo(Pipe):
    """A named pipe in each direction."""

    name = "fifo"
    summary = "two named pipes, one each way"
    source = "fifo(7)"
    groups = ("pipes",)
    mediums = ("fifo",)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return FifoLink(traffic, workspace, self.setting("size"))


def _writer(path: Path) -> io.FileIO:
    """Opens a named pipe for writing; where it is gone, FileIO alone would make a regular file."""
    return io.FileIO(os.open(path, os.O_WRONLY | os.O_CLOEXEC), "wb")


def _set_size(writer: io.FileIO, size: str | None) -> None:
    """Sets the room in a pipe, if a size is asked for. Raises Unavailable."""
    if size is None:
        return
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, parse_size(size))
    except PermissionError as error:
        raise Unavailable(
            f"no pipe of {parse_size(size):,} bytes: {error.strerror}; this user's pipes hold too"
            " much already (fs.pipe-user-pages-soft)"
        ) from error


def _pipe_size(pipe: io.FileIO) -> dict[str, int]:
    """The pipe's capacity, where the system tells it (Linux: fcntl(2), F_GETPIPE_SZ)."""
    if not hasattr(fcntl, "F_GETPIPE_SZ"):
        return {}
    return {"pipe_size_bytes": fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)}


def _size_in_force(pipe: io.FileIO) -> dict[str, str]:
    facts = _pipe_size(pipe)
    return {"size": format_size(facts["pipe_size_bytes"])} if facts else {}
