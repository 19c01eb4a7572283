"""The timed loops in Python over ends that an event loop drives: coroutines, and callbacks.

A whole batch goes in one run of the end's loop, and the clock is read inside it. The contract of
the ends is in `transports.ends`. Single messages, untimed, are the endpoint's `send` and `receive`,
which run the loop for each.

asyncio's and uvloop's own ends leave no cyclic garbage: after batches of 1000 messages, of 64 bytes
and of 300,000, the collector found nothing at either end. So it is off, as with blocking calls.
"""

from array import array
from itertools import repeat
from time import perf_counter, perf_counter_ns

from ipcbench.measure.drivers import blocking
from ipcbench.measure.drivers.base import Acknowledged, Samples, Watched
from ipcbench.transports.base import do_nothing
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.workloads import Workload


async def client_latency(endpoint: CoroutineEndpoint, messages: int, window: int = 1) -> float:
    """Seconds in which this many messages are sent, and as many replies received.

    All but one of a window are sent ahead, untimed, and so are the replies to them received in the
    end. In between it is one loop, whatever the window is.
    """
    send, receive = endpoint.sending, endpoint.receiving
    for _ in repeat(None, window - 1):
        await send()
    batch = repeat(None, messages)
    started = perf_counter()
    for _ in batch:
        await send()
        await receive()
    elapsed = perf_counter() - started
    for _ in repeat(None, window - 1):
        await receive()
    return elapsed


async def client_latency_sampled(endpoint: CoroutineEndpoint, samples_ns: Samples) -> int:
    """Fills the array with the times of single round trips: one clock read a message.

    Returns when the first began.
    """
    send, receive, clock = endpoint.sending, endpoint.receiving, perf_counter_ns
    began = before = clock()
    for index in range(len(samples_ns)):
        await send()
        await receive()
        now = clock()
        samples_ns[index] = now - before
        before = now
    return began


async def client_window_sampled(
    endpoint: CoroutineEndpoint, samples_ns: Samples, window: int
) -> Samples:
    """Fills the array with the times of round trips of which a window is under way.

    One clock read a message. Returns when each was sent, by the same clock.
    """
    send, receive, clock = endpoint.sending, endpoint.receiving, perf_counter_ns
    messages = len(samples_ns)
    sent_ns = array("q", bytes(8 * messages))
    ahead = min(window, messages) - 1
    now = clock()
    for index in range(ahead):
        sent_ns[index] = now
        await send()
        now = clock()
    for index in range(messages):
        if index + ahead < messages:
            sent_ns[index + ahead] = now
            await send()
        await receive()
        now = clock()
        samples_ns[index] = now - sent_ns[index]
    return sent_ns


async def server_latency(endpoint: CoroutineEndpoint, messages: int) -> None:
    """Echoes this many messages; the last reply has left then."""
    send, receive = endpoint.sending, endpoint.receiving
    for _ in repeat(None, messages):
        await receive()
        await send()
    await endpoint.flushing()


async def client_throughput(
    endpoint: CoroutineEndpoint, messages: int, acknowledged: Acknowledged
) -> float:
    """Seconds from the first message to the receiver's acknowledgement of the last.

    Once all have left there is nothing to do in the loop: the wait may block it.
    """
    send, flush, wait = endpoint.sending, endpoint.flushing, acknowledged.wait
    batch = repeat(None, messages)
    started = perf_counter()
    for _ in batch:
        await send()
    await flush()
    wait()
    return perf_counter() - started


async def server_throughput(endpoint: CoroutineEndpoint, messages: int) -> None:
    """Receives this many messages; the caller acknowledges the last."""
    receive = endpoint.receiving
    for _ in repeat(None, messages):
        await receive()


class CoroutineClient(blocking.Client):
    """The client over an end whose messages coroutines send and receive."""

    def __init__(
        self, endpoint: CoroutineEndpoint, workload: Workload, peer: Watched, window: int = 1
    ) -> None:
        super().__init__(endpoint, workload, window)
        self._loop, self._end = endpoint.loop, endpoint
        self.collects_garbage = endpoint.makes_garbage
        # Its signal may come just before the loop waits. Asked to watch, it raises what it raises.
        endpoint.loop.watch(peer.fileno(), peer.watch)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        if not self._takes_turns:
            return self._loop.complete(client_throughput(self._end, messages, acknowledged))
        elapsed = self._loop.complete(client_latency(self._end, messages, self._window))
        acknowledged.wait()
        return elapsed

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        if self._window > 1:
            burst = client_window_sampled(self._end, samples_ns, self._window)
            return self._loop.complete(burst)
        return array("q", [self._loop.complete(client_latency_sampled(self._end, samples_ns))])


class CoroutineServer(blocking.Server):
    """The server over an end whose messages coroutines send and receive."""

    def __init__(self, endpoint: CoroutineEndpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        self._loop, self._end = endpoint.loop, endpoint
        self.collects_garbage = endpoint.makes_garbage

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        serving = server_latency if self._takes_turns else server_throughput
        self._loop.complete(serving(self._end, messages))


def called_client_latency(endpoint: CallbackEndpoint, messages: int) -> float:
    """Times this many full round trips, in seconds."""
    post, stop = endpoint.post, endpoint.stop
    more = repeat(True, messages - 1)
    started = elapsed = 0.0

    def begin() -> None:
        nonlocal started
        started = perf_counter()
        post()

    def on_message() -> None:
        nonlocal elapsed
        if next(more, False):
            post()
        else:
            elapsed = perf_counter() - started
            stop()

    endpoint.deliver_to(on_message)
    endpoint.run(begin)
    return elapsed


def called_client_latency_sampled(endpoint: CallbackEndpoint, samples_ns: Samples) -> int:
    """Fills the array with the times of single round trips: one clock read a message.

    Returns when the first began.
    """
    post, stop, clock = endpoint.post, endpoint.stop, perf_counter_ns
    index, last, began, before = 0, len(samples_ns) - 1, 0, 0

    def begin() -> None:
        nonlocal began, before
        began = before = clock()
        post()

    def on_message() -> None:
        nonlocal before, index
        now = clock()
        samples_ns[index] = now - before
        before = now
        if index == last:
            stop()
        else:
            index += 1
            post()

    endpoint.deliver_to(on_message)
    endpoint.run(begin)
    return began


def called_server_latency(endpoint: CallbackEndpoint, messages: int) -> None:
    """Echoes this many messages; the last reply has left then."""
    post, stop = endpoint.post, endpoint.stop
    more = repeat(True, messages - 1)

    def on_message() -> None:
        post()
        if not next(more, False):
            stop()

    endpoint.deliver_to(on_message)
    endpoint.run(do_nothing)


def called_client_throughput(
    endpoint: CallbackEndpoint, messages: int, acknowledged: Acknowledged
) -> float:
    """Seconds from the first message to the receiver's acknowledgement of the last.

    It stops the loop before it waits: `run` returns when all have left.
    """
    post, stop, wait = endpoint.post, endpoint.stop, acknowledged.wait
    batch = repeat(None, messages)
    started = 0.0

    def begin() -> None:
        nonlocal started
        started = perf_counter()
        pour()

    def pour() -> None:
        for _ in batch:
            if not post():
                return
        stop()

    endpoint.on_room = pour
    endpoint.run(begin)
    wait()
    return perf_counter() - started


def called_server_throughput(endpoint: CallbackEndpoint, messages: int) -> None:
    """Receives this many messages; the caller acknowledges the last."""
    stop = endpoint.stop
    more = repeat(True, messages - 1)

    def on_message() -> None:
        if not next(more, False):
            stop()

    endpoint.deliver_to(on_message)
    endpoint.run(do_nothing)


class CallbackClient(blocking.Client):
    """The client over an end that calls back."""

    def __init__(self, endpoint: CallbackEndpoint, workload: Workload, peer: Watched) -> None:
        super().__init__(endpoint, workload)
        self._end = endpoint
        self.collects_garbage = endpoint.makes_garbage
        endpoint.watch(peer.fileno(), peer.watch)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        if not self._takes_turns:
            return called_client_throughput(self._end, messages, acknowledged)
        elapsed = called_client_latency(self._end, messages)
        acknowledged.wait()
        return elapsed

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        return array("q", [called_client_latency_sampled(self._end, samples_ns)])


class CallbackServer(blocking.Server):
    """The server over an end that calls back."""

    def __init__(self, endpoint: CallbackEndpoint, workload: Workload) -> None:
        super().__init__(endpoint, workload)
        self._end = endpoint
        self.collects_garbage = endpoint.makes_garbage

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        if self._takes_turns:
            called_server_latency(self._end, messages)
        else:
            called_server_throughput(self._end, messages)
