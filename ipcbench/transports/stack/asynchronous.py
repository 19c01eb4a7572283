"""Rungs of asyncio's interfaces, over its own loop and over uvloop's: coroutines and callbacks.

All end at the same sockets as `unix`, `inet` and `inet6`, and send the same bytes.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import cast

from ipcbench.transports.base import Endpoint, buffer_pair
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint, loop_of
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import socket_facts
from ipcbench.transports.parts.stream import Tails
from ipcbench.transports.stack.loops import NewLoop, OwnLoop, let_go


def ended(moved: int, size_bytes: int) -> EOFError:
    """The error of a stream that ended in a message."""
    return EOFError(f"the stream ended after {moved} of {size_bytes} bytes")


def sock_endpoint(
    connection: socket.socket,
    size_bytes: int,
    *,
    echoes: bool,
    options: SocketOptions,
    new_loop: NewLoop,
) -> Endpoint:
    """An end of a task that awaits `sock_sendall` and `sock_recv_into`."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    with ExitStack() as opened:
        opened.callback(let_go, connection)
        loop = loop_of(partial(OwnLoop, new_loop))
        opened.callback(loop.close)
        connection.setblocking(False)
        after, receive_into = Tails(incoming).after, loop.asyncio.sock_recv_into

        async def receiving() -> None:
            moved = await receive_into(connection, incoming)
            while moved != size_bytes:
                more = await receive_into(connection, after(moved)) if moved else 0
                if not more:
                    raise ended(moved, size_bytes)
                moved += more

        return CoroutineEndpoint(
            loop=loop,
            sending=partial(loop.asyncio.sock_sendall, connection, outgoing),
            receiving=receiving,
            outgoing=outgoing,
            incoming=incoming,
            facts=socket_facts(connection),
            effective=partial(options.in_force, connection),
            close=opened.pop_all().close,
        )


def streams_endpoint(
    connection: socket.socket,
    size_bytes: int,
    *,
    echoes: bool,
    options: SocketOptions,
    new_loop: NewLoop,
) -> Endpoint:
    """An end of a StreamReader and a StreamWriter, with the limits that they come with.

    `readexactly` makes a new object of each message, which is copied once more, into `incoming`.
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    with ExitStack() as opened:
        opened.callback(let_go, connection)
        loop = loop_of(partial(OwnLoop, new_loop))
        opened.callback(loop.close)
        reader, writer = loop.complete(_opened(connection))
        transport = writer.transport
        opened.callback(transport.abort)
        options.tune_handed_over(connection)
        write, drain, read_exactly = writer.write, writer.drain, reader.readexactly

        async def sending() -> None:
            write(outgoing)
            await drain()

        async def receiving() -> None:
            incoming[:] = await read_exactly(size_bytes)

        async def flushing() -> None:
            if transport.get_write_buffer_size():
                transport.set_write_buffer_limits(high=0)
                await drain()
                transport.set_write_buffer_limits()

        return CoroutineEndpoint(
            loop=loop,
            sending=sending,
            receiving=receiving,
            flushing=flushing,
            outgoing=outgoing,
            incoming=incoming,
            facts=socket_facts(connection),
            effective=partial(options.in_force, connection),
            close=opened.pop_all().close,
        )


async def _opened(
    connection: socket.socket,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Opens streams on a connected socket."""
    if connection.family == socket.AF_UNIX:
        return await asyncio.open_unix_connection(sock=connection)
    return await asyncio.open_connection(sock=connection)


class _Protocol(asyncio.BufferedProtocol):
    """Reads messages of a fixed size into one buffer, and calls the endpoint for each."""

    transport: asyncio.Transport
    endpoint: CallbackEndpoint

    def __init__(self, loop: OwnLoop, incoming: memoryview) -> None:
        self._loop = loop
        self._incoming = incoming
        self._after = Tails(incoming).after
        self._size_bytes = len(incoming)
        self._moved = 0
        self.has_room = True
        """Whether the transport asks for no pause."""
        self.is_stopping = False
        self._is_connected = False
        self.came_early = False
        """Whether a message came before the first run, while the transport was made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._is_connected = True

    def get_buffer(self, sizehint: int) -> memoryview:
        moved = self._moved
        return self._after(moved) if moved else self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        moved = self._moved + nbytes
        if moved == self._size_bytes:
            self._moved = 0
            self.endpoint.on_message()
        else:
            self._moved = moved

    def pause_writing(self) -> None:
        self.has_room = False

    def resume_writing(self) -> None:
        self.has_room = True
        if self.is_stopping:
            self._loop.stop()
        else:
            self.endpoint.on_room()

    def eof_received(self) -> None:
        self._loop.fail(ended(self._moved, self._size_bytes))

    def connection_lost(self, exc: Exception | None) -> None:
        self._loop.fail(exc or ended(self._moved, self._size_bytes))

    def keep_early(self) -> None:
        """Leaves a message in its buffer until the first run, and reads no other."""
        self.came_early = True
        self.transport.pause_reading()

    def resume(self, begin: Callable[[], None]) -> Callable[[], None]:
        """Prepares a run; returns the call that begins it."""
        self.is_stopping = False
        self.transport.set_write_buffer_limits()
        self.transport.resume_reading()
        return partial(self._begin_late, begin) if self.came_early else begin

    def stop(self) -> None:
        """Delivers nothing from now on, and stops the loop once all has left."""
        self.is_stopping = True
        if self.transport.is_closing():
            self._loop.stop()
            return
        self.transport.pause_reading()
        if self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(high=0)  # it resumes when nothing is left
        else:
            self._loop.stop()

    def abort(self) -> None:
        """Gives the connection up, if it was made."""
        if self._is_connected:
            self.transport.abort()

    def _begin_late(self, begin: Callable[[], None]) -> None:
        begin()
        if not self.is_stopping:
            self.came_early = False
            self.endpoint.on_message()


async def _connected(protocol: _Protocol, connection: socket.socket) -> None:
    """Hands a connected socket over to the running loop."""
    loop = asyncio.get_running_loop()
    if connection.family == socket.AF_UNIX:
        await loop.create_unix_connection(lambda: protocol, sock=connection)
    else:
        await loop.create_connection(lambda: protocol, sock=connection)


def protocol_endpoint(
    connection: socket.socket,
    size_bytes: int,
    *,
    echoes: bool,
    options: SocketOptions,
    new_loop: NewLoop,
) -> Endpoint:
    """An end of a BufferedProtocol, which reads straight into `incoming`."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    owned = ExitStack()
    owned.callback(let_go, connection)
    loop = loop_of(partial(OwnLoop, new_loop))
    owned.callback(loop.close)
    protocol = _Protocol(loop, incoming)
    owned.callback(protocol.abort)

    def post() -> bool:
        write(outgoing)
        # To a connection that is lost it writes nothing and says nothing: only the loop tells.
        return protocol.has_room and not is_closing()

    def run(begin: Callable[[], None]) -> None:
        loop.check()
        loop.run(protocol.resume(begin))

    endpoint = CallbackEndpoint(
        post=post,
        run=run,
        stop=protocol.stop,
        watch=loop.watch,
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=owned.close,
    )
    protocol.endpoint = endpoint
    endpoint.deliver_to(protocol.keep_early)
    try:
        loop.complete(_connected(protocol, connection))
        options.tune_handed_over(connection)
        transport = protocol.transport
        write, is_closing = transport.write, transport.is_closing
        if not protocol.came_early:
            transport.pause_reading()
    except BaseException:
        owned.close()
        raise
    return endpoint
