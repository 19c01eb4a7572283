"""An ASGI app under uvicorn, on uvloop or asyncio's own loop.

Imports uvicorn and uvloop: only `ends` does import this module.

The app reads the body of each POST to the secret path, and answers with the payload. Any other path
is answered by 404. Once the client is there uvicorn listens no more.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ipcbench.transports.base import Endpoint, Traffic
from ipcbench.transports.parts.gate import Gate
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.stack.asynchronous import ended
from ipcbench.transports.stack.http import BINARY, NOT_FOUND, OK, ByPath
from ipcbench.transports.stack.turns import NEVER_S, Turns, duplicate

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class Server(uvicorn.Server):
    """uvicorn without signal handlers: a server of ours ends as other processes do."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Captures none."""
        return nullcontext()


class App:
    """The ASGI app."""

    def __init__(self, turns: Turns, path: str) -> None:
        self.connections: set[HttpToolsProtocol] = set()
        """The server's, once there is one."""
        self._turns = turns
        self._path = path
        self._client: HttpToolsProtocol
        size = len(turns.incoming)
        headers = [(b"content-type", BINARY.encode()), (b"content-length", b"%d" % size)]
        self._start = {"type": "http.response.start", "status": OK, "headers": headers}

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answers a request."""
        try:
            if scope["path"] != self._path:
                self._turns.refuse(self._connection_of(scope).transport)
                await _answer(send, NOT_FOUND, [(b"connection", b"close")])
            elif self._turns.client.done():
                await self._echo(receive, send)
            else:
                await _answer(send, OK, [])
                self._client = self._connection_of(scope)
                await self._turns.admitted(self._client.transport, self._client.flow.drain)
        except Exception as error:
            self._turns.loop.fail(error)
            raise

    async def _echo(self, receive: Receive, send: Send) -> None:
        turns, client = self._turns, self._client
        await self._receive(receive)
        await turns.reply()
        await send(self._start)
        await send({"type": "http.response.body", "body": turns.outgoing})
        await turns.replied(client.transport, client.flow.drain)

    async def _receive(self, receive: Receive) -> None:
        """Reads a body into `incoming`, part by part."""
        turns = self._turns
        incoming = turns.incoming
        size, moved, is_whole = len(incoming), 0, False
        while not is_whole:
            event = await receive()
            if event["type"] != "http.request":
                raise ended(moved, size)
            await turns.turn()
            part = event["body"]
            end = moved + len(part)
            if end > size:
                raise OSError(f"a body of {end:,} bytes or more came in place of {size:,}")
            incoming[moved:end] = part
            moved, is_whole = end, not event["more_body"]
        if moved != size:
            raise OSError(f"a body of {moved:,} bytes came in place of {size:,}")

    def _connection_of(self, scope: Event) -> HttpToolsProtocol:
        """The connection that a request came by, which ASGI doesn't tell."""
        return next(one for one in self.connections if one.scope is scope)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    """Sends a response without a body."""
    headers = [(b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


class UvicornEnds(ByPath):
    """Ends by http.client, or without a library, and uvicorn."""

    def __init__(self, host: str, client: str | None, *, is_on_asyncio: bool) -> None:
        super().__init__(host, client)
        self._is_on_asyncio = is_on_asyncio
        self._new_loop = asyncio.new_event_loop if is_on_asyncio else uvloop.new_event_loop

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        return self.blocking_client(connection, traffic, options)

    def telling(self, end: Endpoint) -> Endpoint:
        """The endpoint, which tells of the server's loop, too."""
        of_rest = super().telling(end).effective
        loop = "asyncio" if self._is_on_asyncio else "uvloop"
        end.effective = lambda: {**of_rest(), "loop": loop}
        return end

    def accept(
        self, listener: socket.socket, gate: Gate, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        turns = Turns(self._new_loop, traffic, gate)
        app = App(turns, self.path)
        server = Server(configured(app))
        app.connections = server.server_state.connections  # type: ignore[assignment]
        serving = turns.loop.asyncio.create_task(server.serve(sockets=[listener]))

        def close() -> None:
            server.should_exit = server.force_exit = True
            for connection in connections():
                connection.abort()
            turns.close(serving)

        def connections() -> list[asyncio.Transport]:
            return [one.transport for one in app.connections]

        def tell_an_end(_serving: object) -> None:
            turns.loop.fail(OSError("uvicorn ended by itself"))

        serving.add_done_callback(tell_an_end)
        try:
            client = turns.admit()
            for listening in server.servers:
                listening.close()
            listener.close()
            turns.refuse_all_but_the_client(connections())
            return self.telling(turns.open(duplicate(client), options, close))
        except BaseException:
            close()
            raise


def configured(app: App) -> uvicorn.Config:
    """The usual configuration, but for what isn't the answer: logs, headers, limits of time."""
    return uvicorn.Config(
        app,
        http=HttpToolsProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=NEVER_S,
    )
