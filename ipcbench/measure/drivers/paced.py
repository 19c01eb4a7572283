"""The timed loops with something to do between messages: a client that waits before each.

They are loops of their own, so that those of `blocking` and of `native` stay as they are. The clock
is read around each round trip, since what is between two of them is not a part of any: one more
clock read is in each time than in a batch without gaps, and the `null` transport shows it.
"""

from collections.abc import Callable
from functools import partial
from itertools import repeat
from time import perf_counter_ns, sleep

from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.drivers.base import Acknowledged, Samples
from ipcbench.transports.base import Endpoint
from ipcbench.transports.delayed import busy_wait
from ipcbench.workloads import Rhythm, Workload


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

    def sample(self, samples_ns: Samples) -> None:
        """Times single round trips."""
        client_latency_with_gaps_sampled(self._endpoint, samples_ns, self._wait)


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

    def sample(self, samples_ns: Samples) -> None:
        """Times single round trips."""
        self._core.client_latency_with_gaps_sampled(samples_ns, *self._gap)
