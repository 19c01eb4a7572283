"""The turns of a server that a library runs: its request handlers, and the driver.

The library accepts, reads, parses and writes. A handler is a coroutine on the end's loop: it hands
the message over to the driver, awaits its reply, and writes that through the library. One message
is on its way at a time.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from ipcbench.transports.base import Traffic, buffer_pair
from ipcbench.transports.ends import CallbackEndpoint, loop_of
from ipcbench.transports.parts.gate import Gate
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import socket_facts
from ipcbench.transports.stack.loops import NewLoop, OwnLoop

Step: TypeAlias = Callable[[], Awaitable[object]]
"""A coroutine function without arguments."""

NEVER_S = 365 * 24 * 3600
"""A time limit that no launch reaches, for libraries that close a connection which is idle: it is
between batches, while other cases have their turns."""


class Turns:
    """The server's end that handlers and driver share, with its event loop.

    A message that comes while nothing runs, or after `stop`, waits in the library for the next run.
    """

    endpoint: CallbackEndpoint

    def __init__(self, new_loop: NewLoop, traffic: Traffic, gate: Gate) -> None:
        self.loop = loop_of(partial(OwnLoop, new_loop))
        self.outgoing, self.incoming = buffer_pair(
            traffic.message_size_bytes, echoes=traffic.echoes
        )
        self.client: asyncio.Future[asyncio.Transport] = self.loop.asyncio.create_future()
        """The connection of the client, once its first request is answered."""
        self._gate = gate
        self._refused: set[asyncio.BaseTransport] = set()
        self._delivers = False
        self._is_posted = False
        self._waiter: asyncio.Future[None] | None = None

    def admit(self) -> asyncio.Transport:
        """Runs the server until the client is admitted, and returns its connection."""
        return self.loop.complete(self._admitted())

    def open(
        self,
        connection: socket.socket,
        options: SocketOptions,
        close: Callable[[], None],
        *,
        makes_garbage: bool = False,
    ) -> CallbackEndpoint:
        """The endpoint; `connection` is the library's, as a descriptor of our own."""
        options.tune_accepted(connection)
        options.tune_handed_over(connection)

        def close_all() -> None:
            connection.close()
            close()

        self.endpoint = CallbackEndpoint(
            post=self._post,
            run=self._run,
            stop=self._stop,
            outgoing=self.outgoing,
            incoming=self.incoming,
            facts={**socket_facts(connection), **self._gate.facts},
            effective=partial(options.in_force, connection),
            makes_garbage=makes_garbage,
            close=close_all,
        )
        return self.endpoint

    def refuse(self, connection: asyncio.BaseTransport) -> None:
        """Counts an unauthenticated connection, once."""
        if connection not in self._refused:
            self._refused.add(connection)
            self._gate.count_stranger()

    def refuse_all_but_the_client(self, connections: list[asyncio.Transport]) -> None:
        """Closes the other connections: whoever hasn't said its token by now is no client."""
        client = self.client.result()
        for connection in connections:
            if connection is not client:
                self.refuse(connection)
                connection.abort()
        self.loop.complete(asyncio.sleep(0))  # they are closed as the loop runs

    async def admitted(self, connection: asyncio.Transport, drain: Step) -> None:
        """Called by the handler of the client's first request, once its answer is written."""
        await left(connection, drain)
        if not self.client.done():
            self.client.set_result(connection)

    async def turn(self) -> None:
        """Returns when `incoming` may be written to: while the driver runs."""
        while not self._delivers:
            await self._change()

    async def reply(self) -> None:
        """Hands the message in `incoming` over, and returns when `outgoing` is to be sent."""
        self.endpoint.on_message()
        while not self._is_posted:
            await self._change()
        self._is_posted = False

    async def replied(self, connection: asyncio.Transport, drain: Step) -> None:
        """Called by a handler once the reply is written: the last of a run ends it, once it left.

        `drain` waits while the library may write nothing more.
        """
        if not self._delivers:
            await left(connection, drain)
            self.loop.stop()

    def close(self, last: Awaitable[object]) -> None:
        """Ends a handler that waits, then the server by awaiting `last`, and the loop."""
        if self._waiter is not None:
            self._waiter.cancel()
        self.client.cancel()
        self.loop.close(last)

    async def _admitted(self) -> asyncio.Transport:
        return await self.client

    async def _change(self) -> None:
        """Waits for the next run to begin."""
        self._waiter = self.loop.asyncio.create_future()
        await self._waiter

    def _post(self) -> bool:
        self._is_posted = True
        return True

    def _run(self, begin: Callable[[], None]) -> None:
        self.loop.check()
        self._delivers = True
        self.loop.run(partial(self._begin, begin))

    def _begin(self, begin: Callable[[], None]) -> None:
        begin()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set_result(None)

    def _stop(self) -> None:
        self._delivers = False
        if not self._is_posted:
            self.loop.stop()


async def left(connection: asyncio.Transport, drain: Step) -> None:
    """Returns when all that was written to the connection has left this process."""
    if connection.get_write_buffer_size():
        connection.set_write_buffer_limits(high=0)  # from now on it drains down to nothing
        await drain()
        connection.set_write_buffer_limits()


def duplicate(connection: asyncio.BaseTransport) -> socket.socket:
    """The socket of a transport, by a descriptor of its own."""
    return socket.socket(fileno=os.dup(connection.get_extra_info("socket").fileno()))
