"""The loops of one writer that sends each message to many readers, a link each.

It sends a message to one reader after the other, and then the next one: a reader whose link is full
holds it up, and so all others. Nothing is lost, and the slowest reader sets the pace.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from time import perf_counter

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.drivers.base import Acknowledged, Client
from ipcbench.transports.base import Endpoint
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.registry import get_transport


def stream_to_all(
    sends: Sequence[Callable[[], None]], messages: int, acknowledged: Callable[[], object]
) -> float:
    """Sends so many messages by each of these calls; seconds until they are acknowledged."""
    began = perf_counter()
    for _ in repeat(None, messages):
        for send in sends:
            send()
    acknowledged()
    return perf_counter() - began


def _waiting(acknowledged: Sequence[Acknowledged]) -> Callable[[], None]:
    """A call that returns when all readers have acknowledged."""
    waits = [one.wait for one in acknowledged]

    def wait() -> None:
        for one in waits:
            one()

    return wait


class Writer:
    """The writer in Python, over ends whose calls block."""

    def __init__(self, endpoints: Sequence[Endpoint], case: Case) -> None:
        for endpoint in endpoints:
            if isinstance(endpoint, (CoroutineEndpoint, CallbackEndpoint)):
                raise LaunchFailed("an event loop can't be the writer of many readers")
        self._sends = [endpoint.send for endpoint in endpoints]
        self.ends: Sequence[Client] = [
            blocking.Client(endpoint, case.workload_name) for endpoint in endpoints
        ]

    def prepare(self, messages: int) -> None:
        """Does nothing: any number of messages can be sent."""

    def batch(self, messages: int, acknowledged: Sequence[Acknowledged]) -> float:
        """Times a batch; see `several`."""
        return stream_to_all(self._sends, messages, _waiting(acknowledged))


class NativeWriter(Writer):
    """The writer in C."""

    def __init__(self, endpoints: Sequence[native.NativeEndpoint], case: Case) -> None:
        super().__init__(endpoints, case)
        self._cores = [endpoint.core for endpoint in endpoints]

    def batch(self, messages: int, acknowledged: Sequence[Acknowledged]) -> float:
        """Times a batch; see `several`."""
        from ipcbench.measure import _native

        return _native.stream_to_all(self._cores, messages, _waiting(acknowledged))


def rejects(case: Case) -> str | None:
    """The reason why the case has no such writer; None if it has one, or needs none."""
    transport = get_transport(case.transport)
    if not case.clients.are_readers or transport.client_blocks:
        return None
    return (
        f"the client of {transport.name} is in an event loop, which would write to one reader at a"
        " time; write client=lean behind it"
    )
