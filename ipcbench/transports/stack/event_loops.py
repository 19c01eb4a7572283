"""The rungs of event loops: epoll itself, asyncio's three interfaces, and uvloop's two.

This module imports neither asyncio nor uvloop: a rung does when its link is made, before the fork.
"""

import socket
from functools import partial
from typing import Protocol

from ipcbench.transports.base import Endpoint, Traffic
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import Ends
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked


class MakesEnd(Protocol):
    """Makes an endpoint of a connected socket, which the endpoint then owns."""

    def __call__(
        self, connection: socket.socket, size_bytes: int, /, *, echoes: bool, options: SocketOptions
    ) -> Endpoint: ...


class EqualEnds(Ends):
    """Two ends that are made in the same way."""

    def __init__(self, make: MakesEnd) -> None:
        super().__init__()
        self._make = make

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        return self._make(connection, traffic.message_size_bytes, echoes=False, options=options)

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        return self._make(
            connection, traffic.message_size_bytes, echoes=traffic.echoes, options=options
        )


class Epoll(Stacked):
    """Non-blocking sockets, and a selector that waits for them."""

    rung = "epoll"
    layer = "non-blocking, with a selector"
    waits = "blocks in epoll_wait, before each read"
    source = "epoll(7), Python's selectors"

    def ends(self) -> Ends:
        from ipcbench.transports.stack.epoll import epoll_endpoint

        return EqualEnds(epoll_endpoint)


class AsyncioSock(Stacked):
    """A task on asyncio's own loop that awaits sock_recv_into and sock_sendall."""

    rung = "asyncio-sock"
    layer = "asyncio's sock_recv_into, sock_sendall"
    waits = "blocks in epoll_wait, once a read found nothing"
    source = "Python's asyncio: event loop, working with socket objects directly"

    def ends(self) -> Ends:
        import asyncio

        from ipcbench.transports.stack.asynchronous import sock_endpoint

        return EqualEnds(partial(sock_endpoint, new_loop=asyncio.new_event_loop))


class OfProtocol(Stacked):
    """Callbacks of a BufferedProtocol."""

    waits = "blocks in epoll_wait, before each read"
    overlaps = False


class AsyncioProtocol(OfProtocol):
    """Callbacks of a BufferedProtocol, on asyncio's own loop."""

    rung = "asyncio-protocol"
    layer = "asyncio's BufferedProtocol"
    source = "Python's asyncio: transports and protocols"

    def ends(self) -> Ends:
        import asyncio

        from ipcbench.transports.stack.asynchronous import protocol_endpoint

        return EqualEnds(partial(protocol_endpoint, new_loop=asyncio.new_event_loop))


class UvloopProtocol(OfProtocol):
    """Callbacks of a BufferedProtocol, on uvloop.

    libuv reads until it finds nothing: two reads a message, where asyncio's own loop takes one.
    """

    rung = "uvloop-protocol"
    layer = "asyncio's BufferedProtocol on uvloop"
    package = "uvloop"
    source = "uvloop's documentation, libuv's uv_read_start"

    def ends(self) -> Ends:
        import uvloop

        from ipcbench.transports.stack.asynchronous import protocol_endpoint

        return EqualEnds(partial(protocol_endpoint, new_loop=uvloop.new_event_loop))


class OfStreams(Stacked):
    """A StreamReader and a StreamWriter."""

    waits = "blocks in epoll_wait, before each read"
    copies = "five times: into the kernel, out of it, to the reader, out of it, into the message"
    overlaps = False


class AsyncioStreams(OfStreams):
    """A StreamReader and a StreamWriter, on asyncio's own loop."""

    rung = "asyncio-streams"
    layer = "asyncio's streams"
    source = "Python's asyncio: streams"

    def ends(self) -> Ends:
        import asyncio

        from ipcbench.transports.stack.asynchronous import streams_endpoint

        return EqualEnds(partial(streams_endpoint, new_loop=asyncio.new_event_loop))


class UvloopStreams(OfStreams):
    """A StreamReader and a StreamWriter, on uvloop."""

    rung = "uvloop-streams"
    layer = "asyncio's streams on uvloop"
    package = "uvloop"
    source = "uvloop's documentation"

    def ends(self) -> Ends:
        import uvloop

        from ipcbench.transports.stack.asynchronous import streams_endpoint

        return EqualEnds(partial(streams_endpoint, new_loop=uvloop.new_event_loop))


class EpollUnix(Epoll, OverUnix):
    """AF_UNIX."""


class EpollInet(Epoll, OverInet):
    """TCP at 127.0.0.1."""


class EpollInet6(Epoll, OverInet6):
    """TCP at ::1."""


class AsyncioSockUnix(AsyncioSock, OverUnix):
    """AF_UNIX."""


class AsyncioSockInet(AsyncioSock, OverInet):
    """TCP at 127.0.0.1."""


class AsyncioSockInet6(AsyncioSock, OverInet6):
    """TCP at ::1."""


class AsyncioProtocolUnix(AsyncioProtocol, OverUnix):
    """AF_UNIX."""


class AsyncioProtocolInet(AsyncioProtocol, OverInet):
    """TCP at 127.0.0.1."""


class AsyncioProtocolInet6(AsyncioProtocol, OverInet6):
    """TCP at ::1."""


class AsyncioStreamsUnix(AsyncioStreams, OverUnix):
    """AF_UNIX."""


class AsyncioStreamsInet(AsyncioStreams, OverInet):
    """TCP at 127.0.0.1."""


class AsyncioStreamsInet6(AsyncioStreams, OverInet6):
    """TCP at ::1."""


class UvloopProtocolUnix(UvloopProtocol, OverUnix):
    """AF_UNIX."""


class UvloopProtocolInet(UvloopProtocol, OverInet):
    """TCP at 127.0.0.1."""


class UvloopProtocolInet6(UvloopProtocol, OverInet6):
    """TCP at ::1."""


class UvloopStreamsUnix(UvloopStreams, OverUnix):
    """AF_UNIX."""


class UvloopStreamsInet(UvloopStreams, OverInet):
    """TCP at 127.0.0.1."""


class UvloopStreamsInet6(UvloopStreams, OverInet6):
    """TCP at ::1."""
