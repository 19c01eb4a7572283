"""The timed loops in Python, over calls that block. No other Python is timed.

Only the work is between the two clock reads: the endpoint's calls are bound outside, `repeat`
counts without making an object, and there is no error handling. The contract of `send` and
`receive` is in `transports.base`.
"""

from array import array
from collections.abc import Callable, Mapping
from itertools import repeat
from time import perf_counter, perf_counter_ns
from typing import assert_never

from ipcbench.measure.drivers.base import Acknowledged, Samples
from ipcbench.transports.base import Endpoint
from ipcbench.workloads import Workload


def client_latency(endpoint: Endpoint, messages: int, window: int = 1) -> float:
    """Seconds in which this many messages are sent, and as many replies received.

    All but one of a window are sent ahead, untimed, and so are the replies to them received in the
    end. In between it is one loop, whatever the window is.
    """
    send, receive = endpoint.send, endpoint.receive
    for _ in repeat(None, window - 1):
        send()
    batch = repeat(None, messages)
    started = perf_counter()
    for _ in batch:
        send()
        receive()
    elapsed = perf_counter() - started
    for _ in repeat(None, window - 1):
        receive()
    return elapsed


def client_latency_sampled(endpoint: Endpoint, samples_ns: Samples) -> int:
    """Fills the array with the times of single round trips: one clock read a message.

    A round trip ends where the next begins, so the clock's own cost is in each of them; the
    `null` transport's samples are that cost and nothing else. Returns when the first began.
    """
    send, receive, clock = endpoint.send, endpoint.receive, perf_counter_ns
    began = before = clock()
    for index in range(len(samples_ns)):
        send()
        receive()
        now = clock()
        samples_ns[index] = now - before
        before = now
    return began


def client_window_sampled(endpoint: Endpoint, samples_ns: Samples, window: int) -> Samples:
    """Fills the array with the times of round trips of which a window is under way.

    One clock read a message: the next one is sent when a reply has come, so the time of the one is
    that of the other. Returns when each was sent, by the same clock.
    """
    send, receive, clock = endpoint.send, endpoint.receive, perf_counter_ns
    messages = len(samples_ns)
    sent_ns = array("q", bytes(8 * messages))
    ahead = min(window, messages) - 1
    now = clock()
    for index in range(ahead):
        sent_ns[index] = now
        send()
        now = clock()
    for index in range(messages - ahead):
        sent_ns[index + ahead] = now
        send()
        receive()
        now = clock()
        samples_ns[index] = now - sent_ns[index]
    for index in range(messages - ahead, messages):
        receive()
        now = clock()
        samples_ns[index] = now - sent_ns[index]
    return sent_ns


def server_latency(endpoint: Endpoint, messages: int) -> None:
    """Echoes this many messages."""
    send, receive = endpoint.send, endpoint.receive
    for _ in repeat(None, messages):
        receive()
        send()


def client_throughput(
    endpoint: Endpoint, messages: int, acknowledged: Callable[[], object]
) -> float:
    """Seconds from the first message to the receiver's acknowledgement of the last."""
    send = endpoint.send
    batch = repeat(None, messages)
    started = perf_counter()
    for _ in batch:
        send()
    acknowledged()
    return perf_counter() - started


def server_throughput(endpoint: Endpoint, messages: int) -> None:
    """Receives this many messages; the caller acknowledges the last."""
    receive = endpoint.receive
    for _ in repeat(None, messages):
        receive()


def takes_turns(workload: Workload) -> bool:
    """Whether the loops run the workload as round trips; else as a stream. They know no other."""
    match workload:
        case "latency" | "connect" | "load":
            return True
        case "throughput":
            return False
        case _:
            assert_never(workload)


class End:
    """One end over an endpoint whose calls block."""

    collects_garbage: bool = False

    def __init__(self, endpoint: Endpoint, workload: Workload) -> None:
        self._endpoint = endpoint
        self._takes_turns = takes_turns(workload)
        self.outgoing = endpoint.outgoing
        self.incoming = endpoint.incoming

    @property
    def facts(self) -> Mapping[str, int]:
        """The facts of the endpoint."""
        return self._endpoint.facts

    @property
    def effective(self) -> Mapping[str, str]:
        """What the endpoint reads back."""
        return self._endpoint.effective()

    def close(self) -> None:
        """Closes the endpoint."""
        self._endpoint.close()


class Client(End):
    """The client of the loop in Python."""

    def __init__(self, endpoint: Endpoint, workload: Workload, window: int = 1) -> None:
        super().__init__(endpoint, workload)
        self._window = window
        self._unanswered = 0

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times a batch; see `drivers.base`."""
        if not self._takes_turns:
            return client_throughput(self._endpoint, messages, acknowledged.wait)
        elapsed = client_latency(self._endpoint, messages, self._window)
        acknowledged.wait()
        return elapsed

    def sample(self, samples_ns: Samples) -> Samples:
        """Times single round trips."""
        if self._window > 1:
            return client_window_sampled(self._endpoint, samples_ns, self._window)
        return array("q", [client_latency_sampled(self._endpoint, samples_ns)])

    def exchange(self, look: Callable[[], None]) -> None:
        """Sends one message, and receives the replies once a window of messages waits for them."""
        self._endpoint.send()
        self._unanswered += self._takes_turns
        if self._unanswered == self._window:
            for _ in range(self._unanswered):
                self._endpoint.receive()
                look()
            self._unanswered = 0


class Server(End):
    """The server of the loop in Python."""

    def serve(self, messages: int) -> None:
        """Serves a batch; see `drivers.base`."""
        if self._takes_turns:
            server_latency(self._endpoint, messages)
        else:
            server_throughput(self._endpoint, messages)

    def exchange(self, look: Callable[[], None]) -> None:
        """Receives one message, calls `look`, and in turns replies."""
        self._endpoint.receive()
        look()
        if self._takes_turns:
            self._endpoint.send()
