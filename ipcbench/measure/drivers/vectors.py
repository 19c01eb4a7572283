"""The timed loops that move several messages by one system call: `throughput:batch=16`.

Over descriptors, by the shape of the endpoint: a byte stream takes a vector of messages (writev(2),
readv(2), recvmsg(2)). What keeps messages apart takes several of them (sendmmsg(2), recvmmsg(2)),
which Python doesn't have: native.c alone does that. Every message of a vector is the one in
`outgoing`, and is received into `incoming`, as in any other batch.
"""

import os
import socket
from collections.abc import Callable
from time import perf_counter
from typing import assert_never

from ipcbench.case import Case, Loop
from ipcbench.errors import LaunchFailed
from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.drivers.base import Acknowledged
from ipcbench.transports.base import Endpoint
from ipcbench.transports.registry import get_transport
from ipcbench.transports.shapes import StreamShape
from ipcbench.workloads import Workload

Vector = list[memoryview]
Move = Callable[[Vector], int]
"""A `writev` or `readv` of a vector; returns the bytes moved, 0 at the end of the stream."""


def rejects(case: Case) -> str | None:
    """The reason why the case's loop can't move its batches; None if it can, or has none."""
    loop: Loop = case.loop
    if case.flow.batch == 1 or loop in get_transport(case.transport).batches:
        return None
    match loop:
        case "python":
            return "Python has no call that moves several records (sendmmsg); use --loop native"
        case "native":
            return "the loop in C moves one of its messages a call; leave batch out"
        case _:
            assert_never(loop)


def moved_in_batches(move: Move, message: memoryview, messages: int, batch: int) -> None:
    """Moves this many whole messages, up to `batch` of them a call.

    Raises EOFError at the end of the stream.
    """
    size, whole = len(message), [message] * batch
    while messages:
        vector = whole if messages >= batch else [message] * messages
        messages -= len(vector)
        left = len(vector) * size - move(vector)
        while left:
            vector = [message] * -(-left // size)
            vector[0] = message[len(vector) * size - left :]
            more = move(vector)
            if not more:
                raise EOFError(f"the stream ended {left} bytes before the end of a batch")
            left -= more


class _Borrowed(socket.socket):
    """A socket over an endpoint's descriptor, which the endpoint alone closes."""

    def __del__(self) -> None:
        self.detach()


class _Vectors:
    """The calls of an end that move vectors."""

    def __init__(self, endpoint: Endpoint, batch: int) -> None:
        match endpoint.shape:
            case StreamShape(_, reader, writer, is_socket, records) if not records:
                self._reader, self._writer = reader, writer
            case _:
                raise LaunchFailed("this transport moves one message a call")
        self._socket = _Borrowed(fileno=reader) if is_socket else None
        self.batch = batch

    def write(self, vector: Vector) -> int:
        """Writes a vector; returns the bytes taken."""
        return os.writev(self._writer, vector)

    def read(self, vector: Vector) -> int:
        """Fills a vector, if signals and the end of the stream let it; returns the bytes."""
        if self._socket is None:
            return os.readv(self._reader, vector)
        return self._socket.recvmsg_into(vector, 0, socket.MSG_WAITALL)[0]


class Client(blocking.Client):
    """The client of the loop in Python that sends vectors."""

    def __init__(self, endpoint: Endpoint, workload: Workload, batch: int) -> None:
        super().__init__(endpoint, workload)
        self._vectors = _Vectors(endpoint, batch)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        vectors, wait = self._vectors, acknowledged.wait
        started = perf_counter()
        moved_in_batches(vectors.write, self.outgoing, messages, vectors.batch)
        wait()
        return perf_counter() - started


class Server(blocking.Server):
    """The server of the loop in Python that receives vectors."""

    def __init__(self, endpoint: Endpoint, workload: Workload, batch: int) -> None:
        super().__init__(endpoint, workload)
        self._vectors = _Vectors(endpoint, batch)

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        moved_in_batches(self._vectors.read, self.incoming, messages, self._vectors.batch)


class NativeClient(native.Client):
    """The client of the loop in C that sends several messages a call."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload, batch: int) -> None:
        super().__init__(endpoint, workload)
        self._batch = batch

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        elapsed: float = self._core.client_batches(messages, self._batch, acknowledged.wait)
        return elapsed


class NativeServer(native.Server):
    """The server of the loop in C that receives several messages a call."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload, batch: int) -> None:
        super().__init__(endpoint, workload)
        self._batch = batch

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        self._core.server_batches(messages, self._batch)
