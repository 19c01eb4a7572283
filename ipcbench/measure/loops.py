"""The timed loops in Python, and the server's half of each. No other Python is timed.

Only the work is between the two clock reads: the endpoint's calls are bound outside, `repeat`
counts without making an object, and there is no error handling. The contract of `send` and
`receive` is in `transports.base`.
"""

from array import array
from collections.abc import Callable
from itertools import repeat
from time import perf_counter, perf_counter_ns
from typing import NamedTuple, TypeAlias

from ipcbench.transports.base import Endpoint

Samples: TypeAlias = "array[int]"
"""Array of type `q`: nanoseconds."""

Acknowledged = Callable[[], object]
"""Call that returns when the receiver confirms the last message."""


class Loops(NamedTuple):
    """The five loops in one language; the functions of this module document them."""

    client_latency: Callable[[Endpoint, int], float]
    client_latency_sampled: Callable[[Endpoint, Samples], None]
    server_latency: Callable[[Endpoint, int], None]
    client_throughput: Callable[[Endpoint, int, Acknowledged], float]
    server_throughput: Callable[[Endpoint, int], None]


def client_latency(endpoint: Endpoint, messages: int) -> float:
    """Times this many full round trips, in seconds."""
    send, receive = endpoint.send, endpoint.receive
    batch = repeat(None, messages)
    started = perf_counter()
    for _ in batch:
        send()
        receive()
    return perf_counter() - started


def client_latency_sampled(endpoint: Endpoint, samples_ns: Samples) -> None:
    """Fills the array with the times of single round trips: one clock read a message.

    A round trip ends where the next begins, so the clock's own cost is in each of them; the
    `null` transport's samples are that cost and nothing else.
    """
    send, receive, clock = endpoint.send, endpoint.receive, perf_counter_ns
    before = clock()
    for index in range(len(samples_ns)):
        send()
        receive()
        now = clock()
        samples_ns[index] = now - before
        before = now


def server_latency(endpoint: Endpoint, messages: int) -> None:
    """Echoes this many messages."""
    send, receive = endpoint.send, endpoint.receive
    for _ in repeat(None, messages):
        receive()
        send()


def client_throughput(endpoint: Endpoint, messages: int, acknowledged: Acknowledged) -> float:
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


PYTHON = Loops(
    client_latency,
    client_latency_sampled,
    server_latency,
    client_throughput,
    server_throughput,
)
