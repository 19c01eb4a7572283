"""The timed loops of both ends at once: `throughput:duplex=on`.

Each end sends its messages and receives the other's, by calls that don't wait, and waits (poll(2))
only when it can do neither. So no end waits for one direction while the other is full, and there is
nothing to deadlock. Over descriptors, by the shape of the endpoint.
"""

import io
import os
from collections.abc import Callable
from select import POLLIN, POLLOUT, poll
from time import perf_counter

from ipcbench.errors import LaunchFailed
from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.drivers.base import Acknowledged
from ipcbench.transports.base import Endpoint
from ipcbench.transports.shapes import StreamShape
from ipcbench.workloads import Workload


class Pump:
    """The descriptors of an end, which no longer block, and its two messages."""

    def __init__(self, endpoint: Endpoint) -> None:
        reader, writer = descriptors(endpoint)
        self._read = io.FileIO(reader, "rb", closefd=False).readinto
        self._write = io.FileIO(writer, "wb", closefd=False).write
        self._outgoing, self._incoming = endpoint.outgoing, endpoint.incoming
        self._waits = {
            (sends, receives): _waiting(reader, writer, sends=sends, receives=receives)
            for sends in (False, True)
            for receives in (False, True)
        }

    def run(self, messages: int) -> None:
        """Sends this many messages and receives as many. Raises EOFError at the stream's end."""
        read, write, outgoing, incoming = self._read, self._write, self._outgoing, self._incoming
        to_send = to_receive = messages
        leaving, coming = outgoing, incoming
        while to_send or to_receive:
            sent = write(leaving) if to_send else None
            got = read(coming) if to_receive else None
            if sent == len(leaving):
                leaving = outgoing
                to_send -= 1
            elif sent:
                leaving = leaving[sent:]
            if got == len(coming):
                coming = incoming
                to_receive -= 1
            elif got:
                coming = coming[got:]
            elif got == 0:
                raise EOFError(f"the stream ended with {to_receive} messages to come")
            elif not sent:
                self._waits[to_send > 0, to_receive > 0]()


def descriptors(endpoint: Endpoint) -> tuple[int, int]:
    """Those that an end reads and writes; from now on no call waits for them."""
    match endpoint.shape:
        case StreamShape(_, reader, writer):
            for one in {reader, writer}:
                os.set_blocking(one, False)
            return reader, writer
        case _:
            raise LaunchFailed("this transport can't wait for both directions at once")


def _waiting(reader: int, writer: int, *, sends: bool, receives: bool) -> Callable[[], object]:
    """A call that waits until an end can send or receive, as far as it has to."""
    wanted = {reader: 0, writer: 0}
    wanted[reader] |= POLLIN if receives else 0
    wanted[writer] |= POLLOUT if sends else 0
    waits = poll()
    for descriptor, events in wanted.items():
        if events:
            waits.register(descriptor, events)
    return waits.poll


class Client(blocking.Client):
    """The client of the loop in Python that sends and receives."""

    def __init__(self, endpoint: Endpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        self._pump = Pump(endpoint)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        run, wait = self._pump.run, acknowledged.wait
        started = perf_counter()
        run(messages)
        wait()
        return perf_counter() - started

    def exchange(self, look: Callable[[], None]) -> None:
        """Sends one message and receives one of the server's."""
        self._pump.run(1)
        look()


class Server(blocking.Server):
    """The server of the loop in Python that sends and receives."""

    def __init__(self, endpoint: Endpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        self._pump = Pump(endpoint)

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        self._pump.run(messages)

    def exchange(self, look: Callable[[], None]) -> None:
        """Sends one message, receives one, and calls `look`."""
        self._pump.run(1)
        look()


class NativeClient(native.Client):
    """The client of the loop in C that sends and receives."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        descriptors(endpoint)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        elapsed: float = self._core.client_duplex(messages, acknowledged.wait)
        return elapsed

    def exchange(self, look: Callable[[], None]) -> None:
        """Sends one message and receives one of the server's."""
        self._core.duplex(1)
        look()


class NativeServer(native.Server):
    """The server of the loop in C that sends and receives."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        descriptors(endpoint)

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        self._core.duplex(messages)

    def exchange(self, look: Callable[[], None]) -> None:
        """Sends one message, receives one, and calls `look`."""
        self._core.duplex(1)
        look()
