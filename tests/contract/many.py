"""Launches with many links, of which a test has one changed, or a process killed."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from ipcbench.measure.many_links import ManyLinks
from ipcbench.system.scratch import sweep
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


def spoil_link(at: int) -> Callable[[int, Endpoint], None]:
    """Has the server's end of this link, from 1, change a byte of each message that it receives."""

    def change(number: int, endpoint: Endpoint) -> None:
        def spoil() -> None:
            endpoint.incoming[0] ^= 1

        if number == at:
            endpoint.lengthen(spoil)

    return change


def fail_link(at: int, reason: str) -> Callable[[int, Endpoint], None]:
    """Has the server's end of this link, from 1, fail with an OSError as it receives."""

    def change(number: int, endpoint: Endpoint) -> None:
        def fail() -> None:
            raise OSError(reason)

        if number == at:
            endpoint.lengthen(fail)

    return change


_Links = TypeVar("_Links", bound=ManyLinks)


def killing(
    pid_of: Callable[[_Links], int | None],
) -> tuple[list[_Links], Callable[[str], None]]:
    """Kills a process of the launch that is put into the list, once it is in its timed batch."""
    running: list[_Links] = []

    def note(phase: str) -> None:
        pid = pid_of(running[0]) if phase == "timed batch" else None
        if pid is not None:
            threading.Thread(target=os.kill, args=(pid, signal.SIGKILL)).start()

    return running, note


_GONE_S = 20.0
"""Most seconds that a process may take to end, on a busy machine."""
_DRIVEN = """
import pathlib, sys
from ipcbench.case import Case
from ipcbench.measure.{module} import {kind}
from ipcbench.transports.base import Workspace
with {kind}(Case.parse(sys.argv[1]), None, Workspace(pathlib.Path(sys.argv[2]))) as links:
    print(*(peer.pid for peer in [*links._servers, *links._others]), flush=True)
    links.run(1_000_000)
"""


def processes_left_by(kind: type[ManyLinks], case: str, directory: Path) -> int:
    """Runs a case in a process of its own, and kills it in a batch.

    Returns how many processes it had forked, all of which have ended by then.
    """
    program = _DRIVEN.format(module=kind.__module__.rpartition(".")[2], kind=kind.__name__)
    first = subprocess.Popen(
        [sys.executable, "-c", program, case, str(directory)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None
        ends = [os.pidfd_open(int(pid)) for pid in first.stdout.readline().split()]
    finally:
        first.kill()
        first.communicate()
    try:
        for end in ends:
            assert select.select([end], [], [], _GONE_S)[0]
    finally:
        for end in ends:
            os.close(end)
        sweep(directory)
    return len(ends)
