"""Two anonymous pipes, one each way. pipe(7).

A blocking write of more than PIPE_BUF bytes may be taken in pieces, and a read returns as soon
as there is anything: both ends go on until the message is whole.
"""

import fcntl
import io
import os

from ipcbench.transports.base import (
    Endpoint,
    Link,
    Side,
    StreamShape,
    Transport,
    Workload,
    Workspace,
    buffer_pair,
)
from ipcbench.transports.stream import whole_receiver, whole_sender


class PipeLink(Link):
    """Four descriptors, of which each side keeps two."""

    def __init__(self, size_bytes: int, workload: Workload) -> None:
        self._size_bytes = size_bytes
        self._echoes = workload == "latency"
        to_server_read, to_server_write = os.pipe()
        to_client_read, to_client_write = os.pipe()
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
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=echoes)
        return Endpoint(
            send=whole_sender(writer.write, outgoing),
            receive=whole_receiver(reader.readinto, incoming),
            outgoing=outgoing,
            incoming=incoming,
            facts=_pipe_size(writer),
            close=lambda: self._close_side(side),
            shape=StreamShape("stream", reader.fileno(), writer.fileno(), is_socket=False),
        )

    def _close_side(self, side: Side) -> None:
        for end in self._ends[side]:
            end.close()


class Pipe(Transport):
    """A pipe each way."""

    name = "pipe"
    summary = "two anonymous pipes, one each way"
    waits = "blocks in read"

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return PipeLink(message_size_bytes, workload)


def _pipe_size(pipe: io.FileIO) -> dict[str, int]:
    """The pipe's capacity, where the system tells it (Linux: fcntl(2), F_GETPIPE_SZ)."""
    if not hasattr(fcntl, "F_GETPIPE_SZ"):
        return {}
    return {"pipe_size_bytes": fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)}
