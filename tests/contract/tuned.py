"""The transports that the contract tests run over: those listed, and some with knobs set.

The rungs of the stack are tried over AF_UNIX and a few over TCP, since the families differ in what
`unix`, `inet` and `inet6` share with them; all with IPCBENCH_TEST_ALL=1.
"""

import os

from ipcbench.transports.base import Transport
from ipcbench.transports.registry import get_transport, transports

TERMS = (
    "sysv-shm:wait=adaptive",
    "sysv-shm:wait=spin:slots=2",
    "posix-shm:wait=adaptive",
    "posix-shm:wait=adaptive:spin=0",
    "mmap-file:wait=spin",
    "memfd-eventfd:wait=adaptive:slots=7",
    "shm-futex:wait=adaptive:spin=1us:slots=4",
    "mp-shared-memory:wait=adaptive",
)


RUNGS_OVER_TCP = ("epoll-inet6", "asyncio-protocol-inet", "uvloop-streams-inet")
"""Rungs of the stack that are always tried over TCP, too."""


def all_transports() -> list[Transport]:
    """The transports that are listed, and those above."""
    return [*filter(_is_tried, transports()), *map(get_transport, TERMS)]


def _is_tried(transport: Transport) -> bool:
    """Whether a listed transport is tried here and now."""
    if "stack" not in transport.groups or "IPCBENCH_TEST_ALL" in os.environ:
        return True
    return transport.name.endswith("-unix") or transport.name in RUNGS_OVER_TCP
