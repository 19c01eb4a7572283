"""The rungs of event loops: epoll itself, asyncio's three interfaces, and uvloop's two.

No module here imports asyncio: a rung does so when its link is made.
"""

from functools import partial

from ipcbench.transports.parts.sockets import MakesSocketEndpoint
from ipcbench.transports.stack.families import (
    OverInet,
    OverInet6,
    OverUnix,
    SocketRung,
    not_installed,
)


class Epoll(SocketRung):
    """Non-blocking sockets, and a selector that waits for them."""

    waits = "in epoll_wait, before each read"
    source = "epoll(7), Python's selectors"

    def endpoint(self) -> MakesSocketEndpoint:
        from ipcbench.transports.stack.epoll import epoll_endpoint

        return epoll_endpoint


class AsyncioSock(SocketRung):
    """A task on asyncio's own loop that awaits sock_recv_into and sock_sendall."""

    waits = "in epoll_wait, once a read found nothing"
    source = "Python's asyncio: Working with socket objects directly"

    def endpoint(self) -> MakesSocketEndpoint:
        import asyncio

        from ipcbench.transports.stack.asynchronous import sock_endpoint

        return partial(sock_endpoint, new_loop=asyncio.new_event_loop)


class AsyncioProtocol(SocketRung):
    """Callbacks of a BufferedProtocol on asyncio's own loop."""

    waits = "in epoll_wait"
    source = "Python's asyncio: Transports and Protocols"
    overlaps = False

    def endpoint(self) -> MakesSocketEndpoint:
        import asyncio

        from ipcbench.transports.stack.asynchronous import protocol_endpoint

        return partial(protocol_endpoint, new_loop=asyncio.new_event_loop)


class AsyncioStreams(SocketRung):
    """A StreamReader and a StreamWriter on asyncio's own loop."""

    waits = "in epoll_wait"
    copies = "four times: into the kernel, out of it, out of the reader's buffer, into the message"
    source = "Python's asyncio: Streams"
    overlaps = False

    def endpoint(self) -> MakesSocketEndpoint:
        import asyncio

        from ipcbench.transports.stack.asynchronous import streams_endpoint

        return partial(streams_endpoint, new_loop=asyncio.new_event_loop)


class UvloopProtocol(SocketRung):
    """Callbacks of a BufferedProtocol on uvloop.

    libuv reads until nothing is there, so each message takes one read more than on asyncio's loop.
    """

    waits = "in epoll_wait"
    source = "uvloop's documentation"
    overlaps = False

    def unavailable(self) -> str | None:
        return not_installed("uvloop", "stack") or super().unavailable()

    def endpoint(self) -> MakesSocketEndpoint:
        import uvloop

        from ipcbench.transports.stack.asynchronous import protocol_endpoint

        return partial(protocol_endpoint, new_loop=uvloop.new_event_loop)


class UvloopStreams(SocketRung):
    """A StreamReader and a StreamWriter on uvloop."""

    waits = "in epoll_wait"
    copies = AsyncioStreams.copies
    source = "uvloop's documentation"
    overlaps = False

    def unavailable(self) -> str | None:
        return not_installed("uvloop", "stack") or super().unavailable()

    def endpoint(self) -> MakesSocketEndpoint:
        import uvloop

        from ipcbench.transports.stack.asynchronous import streams_endpoint

        return partial(streams_endpoint, new_loop=uvloop.new_event_loop)


class EpollUnix(Epoll, OverUnix):
    """AF_UNIX."""

    name = "epoll-unix"
    summary = "epoll, over a UNIX socket"


class EpollInet(Epoll, OverInet):
    """TCP at 127.0.0.1."""

    name = "epoll-inet"
    summary = "epoll, over TCP, IPv4"


class EpollInet6(Epoll, OverInet6):
    """TCP at ::1."""

    name = "epoll-inet6"
    summary = "epoll, over TCP, IPv6"


class AsyncioSockUnix(AsyncioSock, OverUnix):
    """AF_UNIX."""

    name = "asyncio-sock-unix"
    summary = "asyncio's sock_* coroutines, over a UNIX socket"


class AsyncioSockInet(AsyncioSock, OverInet):
    """TCP at 127.0.0.1."""

    name = "asyncio-sock-inet"
    summary = "asyncio's sock_* coroutines, over TCP, IPv4"


class AsyncioSockInet6(AsyncioSock, OverInet6):
    """TCP at ::1."""

    name = "asyncio-sock-inet6"
    summary = "asyncio's sock_* coroutines, over TCP, IPv6"


class AsyncioProtocolUnix(AsyncioProtocol, OverUnix):
    """AF_UNIX."""

    name = "asyncio-protocol-unix"
    summary = "asyncio, a BufferedProtocol, over a UNIX socket"


class AsyncioProtocolInet(AsyncioProtocol, OverInet):
    """TCP at 127.0.0.1."""

    name = "asyncio-protocol-inet"
    summary = "asyncio, a BufferedProtocol, over TCP, IPv4"


class AsyncioProtocolInet6(AsyncioProtocol, OverInet6):
    """TCP at ::1."""

    name = "asyncio-protocol-inet6"
    summary = "asyncio, a BufferedProtocol, over TCP, IPv6"


class AsyncioStreamsUnix(AsyncioStreams, OverUnix):
    """AF_UNIX."""

    name = "asyncio-streams-unix"
    summary = "asyncio's streams, over a UNIX socket"


class AsyncioStreamsInet(AsyncioStreams, OverInet):
    """TCP at 127.0.0.1."""

    name = "asyncio-streams-inet"
    summary = "asyncio's streams, over TCP, IPv4"


class AsyncioStreamsInet6(AsyncioStreams, OverInet6):
    """TCP at ::1."""

    name = "asyncio-streams-inet6"
    summary = "asyncio's streams, over TCP, IPv6"


class UvloopProtocolUnix(UvloopProtocol, OverUnix):
    """AF_UNIX."""

    name = "uvloop-protocol-unix"
    summary = "uvloop, a BufferedProtocol, over a UNIX socket"


class UvloopProtocolInet(UvloopProtocol, OverInet):
    """TCP at 127.0.0.1."""

    name = "uvloop-protocol-inet"
    summary = "uvloop, a BufferedProtocol, over TCP, IPv4"


class UvloopProtocolInet6(UvloopProtocol, OverInet6):
    """TCP at ::1."""

    name = "uvloop-protocol-inet6"
    summary = "uvloop, a BufferedProtocol, over TCP, IPv6"


class UvloopStreamsUnix(UvloopStreams, OverUnix):
    """AF_UNIX."""

    name = "uvloop-streams-unix"
    summary = "asyncio's streams on uvloop, over a UNIX socket"


class UvloopStreamsInet(UvloopStreams, OverInet):
    """TCP at 127.0.0.1."""

    name = "uvloop-streams-inet"
    summary = "asyncio's streams on uvloop, over TCP, IPv4"


class UvloopStreamsInet6(UvloopStreams, OverInet6):
    """TCP at ::1."""

    name = "uvloop-streams-inet6"
    summary = "asyncio's streams on uvloop, over TCP, IPv6"
