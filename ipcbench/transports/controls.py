"""The ceiling of every mechanism's throughput: one copy of the payload inside one process."""

from ipcbench.transports.base import Endpoint, Link, Traffic, Transport, Workspace, buffer_pair
from ipcbench.transports.shapes import CopyShape, NothingShape

_WHOLE = slice(None)


class MemcpyLink(Link):
    """Joins two buffers of one process."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes

    def client(self) -> Endpoint:
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=False)

        def send() -> None:
            incoming[_WHOLE] = outgoing

        return Endpoint(
            send=send,
            receive=_nothing,
            outgoing=outgoing,
            incoming=incoming,
            facts={},
            close=_nothing,
            shape=CopyShape("copy"),
        )

    def server(self) -> Endpoint:
        return self.client()

    def close(self) -> None:
        _nothing()


class Memcpy(Transport):
    """One copy of the payload and nothing else."""

    name = "memcpy"
    summary = "copies the payload once in one process: the ceiling"
    waits = "never waits"
    copies = "once, inside one process"
    source = "docs/methodology.md"
    groups = ("controls",)
    role = "ceiling"
    workloads = ("throughput",)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return MemcpyLink(traffic.message_size_bytes)


def _nothing() -> None:
    """No-op receive and close."""


class NullLink(Link):
    """A link that joins nothing."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes

    def client(self) -> Endpoint:
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=False)
        return Endpoint(
            send=_nothing,
            receive=_nothing,
            outgoing=outgoing,
            incoming=incoming,
            facts={},
            close=_nothing,
            shape=NothingShape("nothing"),
        )

    def server(self) -> Endpoint:
        return self.client()

    def close(self) -> None:
        _nothing()


class Null(Transport):
    """The timed loop alone."""

    name = "null"
    summary = "moves nothing: the floor, the loop's own cost"
    waits = "never waits"
    copies = "never"
    source = "docs/methodology.md"
    groups = ("controls",)
    role = "floor"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return NullLink(traffic.message_size_bytes)
