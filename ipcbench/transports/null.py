"""The floor: the cost of the timed loop itself, shown as a row and never subtracted."""

from ipcbench.transports.base import (
    Endpoint,
    Link,
    NothingShape,
    Transport,
    Workload,
    Workspace,
    buffer_pair,
)


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

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return NullLink(message_size_bytes)


def _nothing() -> None:
    """No-op send, receive and close: one Python call, as at every endpoint."""
