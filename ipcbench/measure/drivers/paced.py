"""The timed loops with something to do between messages.

A client that waits before each, a server that computes before each reply. They are loops of their
own, so that those of `blocking` and of `native` stay as they are. Where there are gaps, the clock
is read around each round trip, since what is between two of them is not a part of any: one more
clock read is in each time than in a batch without gaps, and the `null` transport shows it.
"""

from array import array
from collections.abc import Callable
from functools import partial
from itertools import repeat
from time import perf_counter_ns, sleep

from ipcbench.measure.drivers import base, blocking, event_loop, native
from ipcbench.measure.drivers.base import Acknowledged, Samples, Watched
from ipcbench.transports.base import Endpoint, do_nothing
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.parts.busy import busy_wait
from ipcbench.workloads import Rhythm, Workload

_PROBE_NS = 2_000
"""A short work, by which it is found what any overshoots by."""
_PROBES = 2_000

_NOT_TOLD: Samples = array("q")
"""When messages with gaps between them were sent, which nobody asks for."""

TOUCHED_AT_ONCE = 4096
"""Bytes that a working server reads between two looks at the clock, as in native.c."""


def client_latency_with_gaps(
    endpoint: Endpoint, messages: int, wait: Callable[[], object]
) -> float:
    """Seconds of this many full round trips together, each begun after a wait that isn't counted.

    A round trip begins with the call that sends, not with the timer that ended the wait.
    """
    send, receive, clock = endpoint.send, endpoint.receive, perf_counter_ns
    elapsed_ns = 0
    for _ in repeat(None, messages):
        wait()
        began = clock()
        send()
        receive()
        elapsed_ns += clock() - began
    return elapsed_ns * 1e-9


def client_latency_with_gaps_sampled(
    endpoint: Endpoint, samples_ns: Samples, wait: Callable[[], object]
) -> None:
    """Fills the array with the times of single round trips, each begun after a wait."""
    send, receive, clock = endpoint.send, endpoint.receive, perf_counter_ns
    for index in range(len(samples_ns)):
        wait()
        began = clock()
        send()
        receive()
        samples_ns[index] = clock() - began


def gap(rhythm: Rhythm) -> Callable[[], object]:
    """A call that waits as long as the rhythm's gap, and in its way."""
    if rhythm.spins:
        return busy_wait(round(rhythm.gap_s * 1e9))
    return partial(sleep, rhythm.gap_s)


def server_latency_with_work(endpoint: Endpoint, messages: int, work: Callable[[], object]) -> None:
    """Echoes this many messages, each after some work."""
    send, receive = endpoint.send, endpoint.receive
    for _ in repeat(None, messages):
        receive()
        work()
        send()


def work(rhythm: Rhythm) -> Callable[[], None]:
    """A call that computes for the rhythm's time, on average, and returns.

    It computes until the clock says so; what it overshoots by is measured here, on a short one, and
    taken off.
    """
    memory = touched_memory(rhythm)

    def lasting(duration_ns: int) -> Callable[[], None]:
        return busy_wait(duration_ns) if memory is None else _reading(duration_ns, memory)

    wanted_ns = round(rhythm.work_s * 1e9)
    probe_ns = min(wanted_ns, _PROBE_NS)
    overshot_ns = _typical_ns(lasting(probe_ns)) - _typical_ns(do_nothing) - probe_ns
    return lasting(max(0, round(wanted_ns - overshot_ns)))


def _typical_ns(call: Callable[[], object]) -> float:
    """Nanoseconds of a call and a clock read: a median, which is no longer on a busy machine."""
    times_ns = []
    for _ in repeat(None, _PROBES):
        began = perf_counter_ns()
        call()
        times_ns.append(perf_counter_ns() - began)
    return sorted(times_ns)[_PROBES // 2]


def touched_memory(rhythm: Rhythm) -> bytearray | None:
    """The memory that is read while the server works; None for none.

    Each page is its own: pages that nobody wrote to would all be the one page of zeros.
    """
    return bytearray(b"\1") * rhythm.touched_bytes if rhythm.touched_bytes else None


def _reading(duration_ns: int, memory: bytearray) -> Callable[[], None]:
    """Makes a call that reads on in this memory until its time is up, and looks now and then."""
    find, size, at = memory.find, len(memory), 0

    def read() -> None:
        nonlocal at
        end = perf_counter_ns() + duration_ns
        while True:
            find(0, at, at + TOUCHED_AT_ONCE)  # which isn't there: every byte is looked at
            at += TOUCHED_AT_ONCE
            if at >= size:
                at = 0
            if perf_counter_ns() >= end:
                return

    return read


class Client(blocking.Client):
    """The client of the loop in Python that waits before each message."""

    def __init__(self, endpoint: Endpoint, workload: Workload, rhythm: Rhythm) -> None:
        super().__init__(endpoint, workload)
        self._wait = gap(rhythm)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        elapsed = client_latency_with_gaps(self._endpoint, messages, self._wait)
        acknowledged.wait()
        return elapsed

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        client_latency_with_gaps_sampled(self._endpoint, samples_ns, self._wait)
        return _NOT_TOLD


async def awaited_client_latency_with_gaps(
    endpoint: CoroutineEndpoint, took_ns: Samples, wait: Callable[[], object]
) -> None:
    """Fills the array with the times of single round trips, each begun after a wait.

    The wait blocks the loop, in which nothing else runs.
    """
    send, receive, clock = endpoint.sending, endpoint.receiving, perf_counter_ns
    for index in range(len(took_ns)):
        wait()
        began = clock()
        await send()
        await receive()
        took_ns[index] = clock() - began


def called_client_latency_with_gaps(
    endpoint: CallbackEndpoint, took_ns: Samples, wait: Callable[[], object]
) -> None:
    """Fills the array with the times of single round trips, each begun after a wait."""
    post, stop, clock = endpoint.post, endpoint.stop, perf_counter_ns
    index, last, began = 0, len(took_ns) - 1, 0

    def begin() -> None:
        nonlocal began
        wait()
        began = clock()
        post()

    def on_message() -> None:
        nonlocal index
        took_ns[index] = clock() - began
        if index == last:
            stop()
        else:
            index += 1
            begin()

    endpoint.deliver_to(on_message)
    endpoint.run(begin)


class CoroutineClient(event_loop.CoroutineClient):
    """The client over an end of coroutines that waits before each message."""

    def __init__(
        self, endpoint: CoroutineEndpoint, workload: Workload, rhythm: Rhythm, peer: Watched
    ) -> None:
        super().__init__(endpoint, workload, peer)
        self._wait = gap(rhythm)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        return _summed(self, messages, acknowledged)

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        timing = awaited_client_latency_with_gaps(self._end, samples_ns, self._wait)
        self._loop.complete(timing)
        return _NOT_TOLD


class CallbackClient(event_loop.CallbackClient):
    """The client over an end that calls back, which waits before each message."""

    def __init__(
        self, endpoint: CallbackEndpoint, workload: Workload, rhythm: Rhythm, peer: Watched
    ) -> None:
        super().__init__(endpoint, workload, peer)
        self._wait = gap(rhythm)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        return _summed(self, messages, acknowledged)

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        called_client_latency_with_gaps(self._end, samples_ns, self._wait)
        return _NOT_TOLD


def _summed(
    client: CoroutineClient | CallbackClient, messages: int, acknowledged: Acknowledged
) -> float:
    """Seconds of a batch's round trips together, each of which has been timed."""
    took_ns = array("q", bytes(8 * messages))
    client.sample(took_ns)
    acknowledged.wait()
    return sum(took_ns) * 1e-9


def client(endpoint: Endpoint, workload: Workload, rhythm: Rhythm, peer: Watched) -> base.Client:
    """The client in Python with gaps that this kind of end takes."""
    match endpoint:
        case CoroutineEndpoint():
            return CoroutineClient(endpoint, workload, rhythm, peer)
        case CallbackEndpoint():
            return CallbackClient(endpoint, workload, rhythm, peer)
        case _:
            return Client(endpoint, workload, rhythm)


def server(endpoint: Endpoint, workload: Workload, rhythm: Rhythm) -> base.Server:
    """The server in Python with work that this kind of end takes.

    In an event loop the work is part of receiving: the loop does nothing else meanwhile.
    """
    match endpoint:
        case CoroutineEndpoint():
            endpoint.lengthen(work(rhythm))
            return event_loop.CoroutineServer(endpoint, workload)
        case CallbackEndpoint():
            endpoint.lengthen(work(rhythm))
            return event_loop.CallbackServer(endpoint, workload)
        case _:
            return Server(endpoint, workload, rhythm)


class NativeClient(native.Client):
    """The client of the loop in C that waits before each message."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload, rhythm: Rhythm) -> None:
        super().__init__(endpoint, workload)
        self._gap = round(rhythm.gap_s * 1e9), rhythm.spins

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        elapsed: float = self._core.client_latency_with_gaps(messages, *self._gap)
        acknowledged.wait()
        return elapsed

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        self._core.client_latency_with_gaps_sampled(samples_ns, *self._gap)
        return _NOT_TOLD


class Server(blocking.Server):
    """The server of the loop in Python that computes before each reply."""

    def __init__(self, endpoint: Endpoint, workload: Workload, rhythm: Rhythm) -> None:
        super().__init__(endpoint, workload)
        self._work = work(rhythm)

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        server_latency_with_work(self._endpoint, messages, self._work)


class NativeServer(native.Server):
    """The server of the loop in C that computes before each reply."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload, rhythm: Rhythm) -> None:
        super().__init__(endpoint, workload)
        self._work = round(rhythm.work_s * 1e9), touched_memory(rhythm)

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        self._core.server_latency_with_work(messages, *self._work)
