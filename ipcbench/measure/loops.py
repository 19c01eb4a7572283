"""The timed loops in Python, and the server's half of each. The only timed Python.

Nothing stands between the two clock reads but the work: the endpoint's calls are bound outside,
`repeat` counts without making an object, and there is no error handling. What `send` and
`receive` promise is in `transports.base`.
"""

from collections.abc import Callable
from itertools import repeat
from time import perf_counter

from ipcbench.transports.base import Endpoint


def client_latency(endpoint: Endpoint, messages: int) -> float:
    """Seconds that this many full round trips took."""
    send, receive = endpoint.send, endpoint.receive
    batch = repeat(None, messages)
    started = perf_counter()
    for _ in batch:
        send()
        receive()
    return perf_counter() - started


def server_latency(endpoint: Endpoint, messages: int) -> None:
    """Sends back what it receives, this many times."""
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
