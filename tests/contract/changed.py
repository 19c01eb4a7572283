"""A transport of many links, some of whose servers' ends do what a test has them do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ipcbench.transports import registry
from ipcbench.transports.base import Endpoint, Link, Side, Traffic, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.transports.unix import Unix


class _Numbered(Link):
    """A link of `unix` that changes its server's end by the number of its client."""

    def __init__(self, link: Link, number: int, change: Callable[[int, Endpoint], None]) -> None:
        self._link = link
        self._number = number
        self._change = change

    def client(self) -> Endpoint:
        return self._link.client()

    def server(self) -> Endpoint:
        endpoint = self._link.server()
        self._change(self._number, endpoint)
        return endpoint

    def keep_only(self, side: Side) -> None:
        self._link.keep_only(side)

    def close(self) -> None:
        self._link.close()


class _Changed(Unix):
    """`unix`, whose servers are changed."""

    def __init__(self, change: Callable[[int, Endpoint], None]) -> None:
        self._change = change
        self._made = 0

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        self._made += 1
        return _Numbered(super().link(traffic, workspace), self._made, self._change)


@contextmanager
def unix_with(
    change: Callable[[int, Endpoint], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Has `change` called, in the block, with the number of each link and its server's end."""
    get_transport("unix")
    with monkeypatch.context() as patched:
        patched.setitem(registry.LOADED, "unix", _Changed(change))
        yield
