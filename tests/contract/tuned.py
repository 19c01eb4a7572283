"""The transports that the contract tests run over: those that are listed, and some with knobs set.

A rung of the stack has a class for each family, alike but for the socket. By default each is tried
over AF_UNIX, and one of each kind of connection over TCP; with IPCBENCH_TEST_ALL=1 all are.
"""

import os

from ipcbench.transports.base import Transport
from ipcbench.transports.registry import STACK, get_transport, transports

OVER_TCP = {
    *("epoll-inet6", "asyncio-protocol-inet", "uvloop-streams-inet"),
    *("frame-json-inet6", "http-std-inet", "http-std-default-inet6", "rpc-zmq-inet"),
    *("http-uvicorn-inet", "http-aiohttp-inet6", "rpc-grpc-inet"),
}
"""Rungs over TCP that are tried by default."""

TERMS = (
    "sysv-shm:wait=adaptive",
    "sysv-shm:wait=spin:slots=2",
    "posix-shm:wait=adaptive",
    "posix-shm:wait=adaptive:spin=0",
    "mmap-file:wait=spin",
    "memfd-eventfd:wait=adaptive:slots=7",
    "shm-futex:wait=adaptive:spin=1us:slots=4",
    "mp-shared-memory:wait=adaptive",
    "asyncio-streams-unix:client=lean",
    "uvloop-protocol-inet:client=lean",
    "http-aiohttp-unix:client=lean",
    "http-aiohttp-inet:client=bare",
    "http-std-inet:client=bare",
    "http-uvicorn-unix:client=bare:loop=asyncio",
)


def all_transports() -> list[Transport]:
    """Every transport that is listed, but for some rungs, and those above."""
    return [*filter(is_tried, transports()), *map(get_transport, TERMS)]


def is_tried(transport: Transport) -> bool:
    """Whether the contract tests run over it now."""
    everything = "IPCBENCH_TEST_ALL" in os.environ or STACK not in transport.groups
    return everything or transport.name.endswith("-unix") or transport.name in OVER_TCP
