"""The rungs of event loops: epoll itself, asyncio's three interfaces, and uvloop's two.

This module imports neither asyncio nor uvloop: a rung does when its link is made, before the fork.
"""

import socket
from abc import abstractmethod
from functools import partial
from typing import ClassVar, Protocol

from ipcbench import rungs
from ipcbench.terms import Knob, words
from ipcbench.transports.base import IN_ONE_LOOP, Endpoint, Traffic
from ipcbench.transports.parts.options import BUFFERS, SocketOptions, tcp_knobs
from ipcbench.transports.parts.sockets import Ends
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked

CLIENT = Knob(
    rungs.CLIENT, words("same", "lean"), "same", "that of its layer, or lean: blocking calls"
)


class MakesEnd(Protocol):
    """Makes an endpoint of a connected socket, which the endpoint then owns."""

    def __call__(
        self, connection: socket.socket, size_bytes: int, /, *, echoes: bool, options: SocketOptions
    ) -> Endpoint: ...


class LayeredEnds(Ends):
    """Two ends that are made in the same way, or the server alone."""

    def __init__(self, make: MakesEnd, *, has_lean_client: bool) -> None:
        super().__init__()
        self._make = make
        self._has_lean_client = has_lean_client

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        if self._has_lean_client:
            return self._telling(super().client(connection, traffic, options))
        size = traffic.message_size_bytes
        return self._telling(self._make(connection, size, echoes=False, options=options))

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        size = traffic.message_size_bytes
        return self._telling(self._make(connection, size, echoes=traffic.echoes, options=options))

    def _telling(self, end: Endpoint) -> Endpoint:
        """The endpoint, which tells of the client's kind, too."""
        of_socket, kind = end.effective, "lean" if self._has_lean_client else "same"
        end.effective = lambda: {"client": kind, **of_socket()}
        return end


class OnMessages(Stacked):
    """A layer on the messages of the bare socket, so that a client without it will do, too."""

    client_blocks = False

    def settle(self) -> None:
        super().settle()
        self.client_blocks = self.client_blocks or self.setting("client") == "lean"

    def ends(self) -> Ends:
        return LayeredEnds(self.layered(), has_lean_client=self.setting("client") == "lean")

    @abstractmethod
    def layered(self) -> MakesEnd:
        """Imports what the layer needs, and returns the function that makes an end of it."""


class Epoll(OnMessages):
    """Non-blocking sockets, and a selector that waits for them."""

    rung = "epoll"
    client_blocks = True
    layer = "non-blocking, with a selector"
    waits = "blocks in epoll_wait, before each read"
    source = "epoll(7), Python's selectors"

    def layered(self) -> MakesEnd:
        from ipcbench.transports.stack.epoll import epoll_endpoint

        return epoll_endpoint


class AsyncioSock(OnMessages):
    """A task on asyncio's own loop that awaits sock_recv_into and sock_sendall."""

    rung = "asyncio-sock"
    layer = "asyncio's sock_recv_into, sock_sendall"
    server_models = IN_ONE_LOOP
    waits = "blocks in epoll_wait, once a read found nothing"
    source = "Python's asyncio: event loop, working with socket objects directly"

    def layered(self) -> MakesEnd:
        import asyncio

        from ipcbench.transports.stack.asynchronous import sock_endpoint

        return partial(sock_endpoint, new_loop=asyncio.new_event_loop)


class OfProtocol(OnMessages):
    """Callbacks of a BufferedProtocol."""

    server_models = IN_ONE_LOOP
    waits = "blocks in epoll_wait, before each read"
    overlaps = False


class AsyncioProtocol(OfProtocol):
    """Callbacks of a BufferedProtocol, on asyncio's own loop."""

    rung = "asyncio-protocol"
    layer = "asyncio's BufferedProtocol"
    source = "Python's asyncio: transports and protocols"

    def layered(self) -> MakesEnd:
        import asyncio

        from ipcbench.transports.stack.asynchronous import protocol_endpoint

        return partial(protocol_endpoint, new_loop=asyncio.new_event_loop)


class UvloopProtocol(OfProtocol):
    """Callbacks of a BufferedProtocol, on uvloop.

    libuv reads until it finds nothing: two reads a message, where asyncio's own loop takes one.
    """

    rung = "uvloop-protocol"
    layer = "asyncio's BufferedProtocol on uvloop"
    package = "uvloop"
    source = "uvloop's documentation, libuv's uv_read_start"

    def layered(self) -> MakesEnd:
        import uvloop

        from ipcbench.transports.stack.asynchronous import protocol_endpoint

        return partial(protocol_endpoint, new_loop=uvloop.new_event_loop)


class OfStreams(OnMessages):
    """A StreamReader and a StreamWriter."""

    server_models = IN_ONE_LOOP
    waits = "blocks in epoll_wait, before each read"
    copies = "five times: into the kernel, out of it, to the reader, out of it, into the message"


class AsyncioStreams(OfStreams):
    """A StreamReader and a StreamWriter, on asyncio's own loop."""

    rung = "asyncio-streams"
    layer = "asyncio's streams"
    source = "Python's asyncio: streams"

    def layered(self) -> MakesEnd:
        import asyncio

        from ipcbench.transports.stack.asynchronous import streams_endpoint

        return partial(streams_endpoint, new_loop=asyncio.new_event_loop)


class UvloopStreams(OfStreams):
    """A StreamReader and a StreamWriter, on uvloop."""

    rung = "uvloop-streams"
    layer = "asyncio's streams on uvloop"
    package = "uvloop"
    source = "uvloop's documentation"

    def layered(self) -> MakesEnd:
        import uvloop

        from ipcbench.transports.stack.asynchronous import streams_endpoint

        return partial(streams_endpoint, new_loop=uvloop.new_event_loop)


class OnUnix(OverUnix):
    """AF_UNIX, and the knob of the client."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *BUFFERS)


class OnInet(OverInet):
    """TCP at 127.0.0.1, and the knob of the client."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *tcp_knobs(nodelay="on"))


class OnInet6(OverInet6):
    """TCP at ::1, and the knob of the client."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *tcp_knobs(nodelay="on"))


class EpollUnix(Epoll, OnUnix):
    """AF_UNIX."""


class EpollInet(Epoll, OnInet):
    """TCP at 127.0.0.1."""


class EpollInet6(Epoll, OnInet6):
    """TCP at ::1."""


class AsyncioSockUnix(AsyncioSock, OnUnix):
    """AF_UNIX."""


class AsyncioSockInet(AsyncioSock, OnInet):
    """TCP at 127.0.0.1."""


class AsyncioSockInet6(AsyncioSock, OnInet6):
    """TCP at ::1."""


class AsyncioProtocolUnix(AsyncioProtocol, OnUnix):
    """AF_UNIX."""


class AsyncioProtocolInet(AsyncioProtocol, OnInet):
    """TCP at 127.0.0.1."""


class AsyncioProtocolInet6(AsyncioProtocol, OnInet6):
    """TCP at ::1."""


class AsyncioStreamsUnix(AsyncioStreams, OnUnix):
    """AF_UNIX."""


class AsyncioStreamsInet(AsyncioStreams, OnInet):
    """TCP at 127.0.0.1."""


class AsyncioStreamsInet6(AsyncioStreams, OnInet6):
    """TCP at ::1."""


class UvloopProtocolUnix(UvloopProtocol, OnUnix):
    """AF_UNIX."""


class UvloopProtocolInet(UvloopProtocol, OnInet):
    """TCP at 127.0.0.1."""


class UvloopProtocolInet6(UvloopProtocol, OnInet6):
    """TCP at ::1."""


class UvloopStreamsUnix(UvloopStreams, OnUnix):
    """AF_UNIX."""


class UvloopStreamsInet(UvloopStreams, OnInet):
    """TCP at 127.0.0.1."""


class UvloopStreamsInet6(UvloopStreams, OnInet6):
    """TCP at ::1."""
