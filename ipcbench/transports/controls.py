"""The floor of every mechanism, the loop alone, and the ceiling of its throughput, one copy.

Both run inside one process.
"""

from collections.abc import Callable

from ipcbench.transports.base import (
    WHOLE,
    Endpoint,
    Link,
    Traffic,
    Transport,
    Workspace,
    buffer_pair,
    do_nothing,
)
from ipcbench.transports.shapes import CopyShape, NothingShape


class ControlLink(Link):
    """A link that joins nothing: each end is alone with its two buffers."""

    def __init__(
        self, size_bytes: int, endpoint: Callable[[memoryview, memoryview], Endpoint]
    ) -> None:
        """`endpoint` makes an end of its outgoing and incoming buffers."""
        self._size_bytes = size_bytes
        self._endpoint = endpoint

    def client(self) -> Endpoint:
        return self._endpoint(*buffer_pair(self._size_bytes, echoes=False))

    def server(self) -> Endpoint:
        return self.client()

    def close(self) -> None:
        """Does nothing: no object was made."""


def always_ready() -> bool:
    """Whether `receive` would return at once: what receives nothing never waits."""
    return True


def copying_endpoint(outgoing: memoryview, incoming: memoryview) -> Endpoint:
    """An endpoint whose `send` copies the message into the other buffer of the same process."""

    def send() -> None:
        incoming[WHOLE] = outgoing

    return Endpoint(
        send=send,
        receive=do_nothing,
        ready=always_ready,
        outgoing=outgoing,
        incoming=incoming,
        shape=CopyShape("copy"),
    )


def idle_endpoint(outgoing: memoryview, incoming: memoryview) -> Endpoint:
    """An endpoint that moves nothing."""
    return Endpoint(
        send=do_nothing,
        receive=do_nothing,
        ready=always_ready,
        outgoing=outgoing,
        incoming=incoming,
        shape=NothingShape("nothing"),
    )


class Memcpy(Transport):
    """One copy of the payload and nothing else."""

    name = "memcpy"
    summary = "copies the payload once in one process: the ceiling"
    waits = "never waits"
    copies = "once, inside one process"
    source = "docs/methodology.md"
    groups = ("controls",)
    role = "ceiling"
    replies = False

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return ControlLink(traffic.message_size_bytes, copying_endpoint)


class Null(Transport):
    """The timed loop alone."""

    name = "null"
    summary = "moves nothing: the floor, the loop's own cost"
    waits = "never waits"
    copies = "never"
    source = "docs/methodology.md"
    groups = ("controls",)
    role = "floor"
    overlaps = True

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return ControlLink(traffic.message_size_bytes, idle_endpoint)
