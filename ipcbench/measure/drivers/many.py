"""The loops of a server that has many clients and one thread: it waits for all of them at once.

It receives one message of each end that is ready, replies if the workload has replies, and waits
again (epoll(7), level-triggered): no client is served twice while another one waits. Ends that an
event loop drives are in one loop, which has its own order. Where each message takes a connection of
its own, they are accepted one after the other, in the order of the listener's queue.
"""

import select
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from time import perf_counter_ns
from types import MappingProxyType
from typing import Protocol

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure.drivers import base, blocking, event_loop, native, paced
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.payload import digest
from ipcbench.transports.base import Endpoint, Link, do_nothing
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint, SharedLoop, one_loop
from ipcbench.transports.registry import get_transport
from ipcbench.transports.shapes import DatagramShape, Shape, StreamShape
from ipcbench.workloads import ServerModel

_BYTES = 256
"""Values of the one byte of a connection."""

Acknowledge = Callable[[int], object]
"""Called with the number of a client all of whose messages have been received."""


class Server(Protocol):
    """The server's ends of many links, driven by one thread."""

    @property
    def ends(self) -> Sequence[base.Server]:
        """The ends, for what is asked of them one by one."""

    @property
    def received(self) -> Mapping[str, int]:
        """Messages of the last batch by digest, where nothing else tells whose they are."""

    def serve(self, messages: int, marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves so many messages of each client.

        Returns when each of `marks` equal shares of them had been received, of each client.
        """


def model_of(case: Case) -> ServerModel:
    """The way in which the case's server serves its clients: as asked for, or the usual one.

    One listener has one thread that accepts.
    """
    if case.definition.connects:
        return "epoll"
    return case.clients.asked_server or get_transport(case.transport).server_models[0]


def rejects(case: Case) -> str | None:
    """The reason why the case's transport can't have so many clients; None if it can."""
    return get_transport(case.transport).rejects_clients(case.clients)


def descriptor_of(shape: Shape | None) -> int:
    """The descriptor that gets readable with a message. Raises LaunchFailed if there is none."""
    match shape:
        case StreamShape(reader=reader):
            return reader
        case DatagramShape(descriptor=descriptor):
            return descriptor
        case _:
            raise LaunchFailed("these ends have no descriptor to wait for; use server=threads")


def mark_numbers(messages: int, marks: int) -> list[int]:
    """Numbers of the messages that end equal shares of a batch; no share is empty."""
    return sorted({messages * mark // marks for mark in range(1, marks + 1)} - {0}) if marks else []


def serve_ready(
    endpoints: Sequence[Endpoint],
    descriptors: Sequence[int],
    messages: int,
    marks: Sequence[int],
    reply: Sequence[Callable[[], None]],
    acknowledge: Acknowledge,
) -> Sequence[Samples]:
    """Serves so many messages of each end, whichever is ready; see the module."""
    left = dict.fromkeys(descriptors, messages)
    numbers = {descriptor: number for number, descriptor in enumerate(descriptors)}
    calls = {
        descriptor: (endpoint.receive, reply[number])
        for number, (descriptor, endpoint) in enumerate(zip(descriptors, endpoints, strict=True))
    }
    noted = frozenset(messages - mark for mark in marks)
    marks_ns = [array("q") for _ in endpoints]
    with select.epoll() as waiting:
        for descriptor in descriptors:
            waiting.register(descriptor, select.EPOLLIN)
        wait = waiting.poll
        while left:
            for descriptor, _ in wait():
                receive, answer = calls[descriptor]
                receive()
                answer()
                left[descriptor] = rest = left[descriptor] - 1
                if rest in noted:
                    marks_ns[numbers[descriptor]].append(perf_counter_ns())
                if not rest:
                    waiting.unregister(descriptor)
                    del left[descriptor]
                    acknowledge(numbers[descriptor])
    return marks_ns


class AcceptingServer:
    """The server of the loop in Python that takes a connection for each message.

    It can't tell whose a connection is: the payloads of clients differ, and are counted.
    """

    def __init__(self, endpoint: Endpoint, case: Case, clients: int) -> None:
        self._endpoint = endpoint
        self.ends = [blocking.Server(endpoint, case.workload_name)] * clients
        self._counts = [0] * _BYTES

    @property
    def received(self) -> Mapping[str, int]:
        """Messages of the last batch by digest."""
        return {
            digest(memoryview(bytes((byte,)))): count
            for byte, count in enumerate(self._counts)
            if count
        }

    def serve(self, messages: int, _marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves a batch of all clients; see `Server`."""
        self._counts = counts = [0] * _BYTES
        receive, message = self._endpoint.receive, self._endpoint.incoming
        for _ in repeat(None, messages * len(self.ends)):
            receive()
            counts[message[0]] += 1
        for number in range(len(self.ends)):
            acknowledge(number)
        return [array("q") for _ in self.ends]


class BlockingServer:
    """The server of the loop in Python over ends whose calls block, and have descriptors."""

    received: Mapping[str, int] = MappingProxyType({})

    def __init__(self, endpoints: Sequence[Endpoint], case: Case) -> None:
        self._endpoints = endpoints
        self._descriptors = [descriptor_of(endpoint.shape) for endpoint in endpoints]
        self.ends = [blocking.Server(endpoint, case.workload_name) for endpoint in endpoints]
        work = paced.work(case.rhythm) if case.rhythm.work_s else None
        replies = blocking.takes_turns(case.workload_name)
        self._reply = [_reply(endpoint, work) if replies else do_nothing for endpoint in endpoints]

    def serve(self, messages: int, marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves a batch of all clients; see `Server`."""
        return serve_ready(
            self._endpoints,
            self._descriptors,
            messages,
            mark_numbers(messages, marks),
            self._reply,
            acknowledge,
        )


def _reply(endpoint: Endpoint, work: Callable[[], None] | None) -> Callable[[], None]:
    """What a server does with a message that it has received: works, and sends it back."""
    send = endpoint.send
    if work is None:
        return send

    def reply() -> None:
        work()
        send()

    return reply


class _Counted:
    """A batch of one client, whose messages are counted as they come."""

    def __init__(self, number: int, messages: int, marks: int, acknowledge: Acknowledge) -> None:
        self.left = messages
        self.marks_ns: Samples = array("q")
        self._noted = frozenset(messages - mark for mark in mark_numbers(messages, marks))
        self._acknowledge = partial(acknowledge, number)

    def count(self) -> bool:
        """Counts a message; returns whether another one is to come."""
        self.left = left = self.left - 1
        if left in self._noted:
            self.marks_ns.append(perf_counter_ns())
        return left > 0

    def end(self) -> None:
        """Acknowledges the batch."""
        self._acknowledge()


class CoroutineServer:
    """The server over ends of coroutines, one task each in one loop."""

    received: Mapping[str, int] = MappingProxyType({})

    def __init__(self, endpoints: Sequence[CoroutineEndpoint], case: Case) -> None:
        self._endpoints = endpoints
        self.ends = [_of_loop(endpoint, case) for endpoint in endpoints]
        self._replies = blocking.takes_turns(case.workload_name)

    def serve(self, messages: int, marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves a batch of all clients; see `Server`."""
        batches = [
            _Counted(number, messages, marks, acknowledge) for number in range(len(self._endpoints))
        ]
        self._endpoints[0].loop.complete(self._serve_all(batches))
        return [batch.marks_ns for batch in batches]

    async def _serve_all(self, batches: Sequence[_Counted]) -> None:
        from asyncio import gather  # imported by the transport: only ends in a loop come here

        serve = _echo if self._replies else _receive
        await gather(*map(serve, self._endpoints, batches))


async def _echo(endpoint: CoroutineEndpoint, batch: _Counted) -> None:
    """Echoes a batch of one client; the last reply has left then."""
    send, receive, count = endpoint.sending, endpoint.receiving, batch.count
    more = True
    while more:
        await receive()
        await send()
        more = count()
    await endpoint.flushing()
    batch.end()


async def _receive(endpoint: CoroutineEndpoint, batch: _Counted) -> None:
    """Receives a batch of one client."""
    receive, count = endpoint.receiving, batch.count
    more = True
    while more:
        await receive()
        more = count()
    batch.end()


class CallbackServer:
    """The server over ends that call back, all of one loop."""

    received: Mapping[str, int] = MappingProxyType({})

    def __init__(
        self, endpoints: Sequence[CallbackEndpoint], shared: SharedLoop, case: Case
    ) -> None:
        self._endpoints = endpoints
        self._shared = shared
        self.ends = [_of_loop(endpoint, case) for endpoint in endpoints]
        self._replies = blocking.takes_turns(case.workload_name)

    def serve(self, messages: int, marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves a batch of all clients; see `Server`."""
        batches = []
        with self._shared.loop.together():
            for number, endpoint in enumerate(self._endpoints):
                batch = _Counted(number, messages, marks, acknowledge)
                batches.append(batch)
                endpoint.deliver_to(_called(endpoint, batch, replies=self._replies))
                endpoint.run(do_nothing)
        if self._replies:  # a reply has left only now
            for batch in batches:
                batch.end()
        return [batch.marks_ns for batch in batches]


def _called(endpoint: CallbackEndpoint, batch: _Counted, *, replies: bool) -> Callable[[], None]:
    """What is called with each message of a client."""
    post, stop, count = endpoint.post, endpoint.stop, batch.count

    def echo() -> None:
        post()
        if not count():
            stop()

    def receive() -> None:
        if not count():
            stop()
            batch.end()

    return echo if replies else receive


def _of_loop(endpoint: Endpoint, case: Case) -> base.Server:
    """The server of one such end alone, which works, too."""
    if case.rhythm.work_s:
        return paced.server(endpoint, case.workload_name, case.rhythm)
    match endpoint:
        case CoroutineEndpoint():
            return event_loop.CoroutineServer(endpoint, case.workload_name)
        case CallbackEndpoint():
            return event_loop.CallbackServer(endpoint, case.workload_name)
        case _:
            raise LaunchFailed("an end of these is in no event loop")


def in_python(links: Sequence[Link], case: Case) -> Server:
    """Opens the server's sides of links, for the loop in Python that fits them.

    Of connections it is the one link that all clients have.
    """
    if case.definition.connects:
        return AcceptingServer(links[0].server(), case, len(links))
    with one_loop() as shared:
        endpoints = [link.server() for link in links]
    coroutines = [one for one in endpoints if isinstance(one, CoroutineEndpoint)]
    callbacks = [one for one in endpoints if isinstance(one, CallbackEndpoint)]
    if len(coroutines) == len(links):
        return CoroutineServer(coroutines, case)
    if len(callbacks) == len(links):
        return CallbackServer(callbacks, shared, case)
    return BlockingServer(endpoints, case)


class NativeServer:
    """The server of the loop in C, over byte streams."""

    received: Mapping[str, int] = MappingProxyType({})

    def __init__(self, endpoints: Sequence[native.NativeEndpoint], case: Case) -> None:
        for endpoint in endpoints:
            descriptor_of(endpoint.shape)
        self.ends = [native.Server(endpoint, case.workload_name) for endpoint in endpoints]
        self._cores = [endpoint.core for endpoint in endpoints]
        self._replies = blocking.takes_turns(case.workload_name)
        self._work = round(case.rhythm.work_s * 1e9), paced.touched_memory(case.rhythm)

    def serve(self, messages: int, marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves a batch of all clients; see `Server`."""
        from ipcbench.measure import _native

        numbers = array("q", mark_numbers(messages, marks))
        noted_ns = array("q", bytes(8 * len(numbers) * len(self._cores)))
        _native.serve_ready(
            self._cores, messages, self._replies, *self._work, numbers, noted_ns, acknowledge
        )
        starts = range(0, len(numbers) * len(self._cores), len(numbers) or 1)
        each = [noted_ns[start : start + len(numbers)] for start in starts]
        return each or [array("q") for _ in self._cores]
