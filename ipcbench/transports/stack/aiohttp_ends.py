"""aiohttp's client and server, on asyncio's own loop. Imports both: only `ends` does import this.

The client's connection is made and authenticated as that of every HTTP rung, and aiohttp gets it
connected. The server accepts at the link's listener, and listens no more once the client is there.
"""

import asyncio
import socket
from contextlib import ExitStack
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

from ipcbench.rungs import BARE, LEAN
from ipcbench.transports.base import Endpoint, Traffic, buffer_pair
from ipcbench.transports.ends import CoroutineEndpoint
from ipcbench.transports.parts.gate import Gate
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import socket_facts
from ipcbench.transports.stack.http import (
    BINARY,
    NOT_FOUND,
    OK,
    ByPath,
    client_connection,
)
from ipcbench.transports.stack.loops import OwnLoop, let_go
from ipcbench.transports.stack.turns import NEVER_S, Turns, duplicate

_USUAL_MOST_BYTES = 1024 * 1024
"""aiohttp's own limit of a request's body."""
_PATIENCE_S = 0.1
"""Seconds for a handler that is in the way of the server's end; none should be."""


class OneConnector(aiohttp.BaseConnector):
    """A connector that has one connection, made already."""

    def __init__(self) -> None:
        super().__init__(limit=1, keepalive_timeout=NEVER_S)
        self._protocol: Any = None

    async def take(self, connection: socket.socket) -> asyncio.Transport:
        """Puts the connection into the running loop; returns its transport."""
        made = await self._loop.create_connection(self._factory, sock=connection)
        transport, self._protocol = made
        return transport

    async def _create_connection(self, *_: object) -> Any:
        """The one connection, when it is asked for first."""
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            raise aiohttp.ServerDisconnectedError
        return protocol


async def _session(connection: socket.socket) -> tuple[aiohttp.ClientSession, asyncio.Transport]:
    """A session on the one connection, and its transport; needs the running loop."""
    connector = OneConnector()
    transport = await connector.take(connection)
    return aiohttp.ClientSession(connector=connector, trust_env=False), transport


def aiohttp_client_endpoint(
    connection: socket.socket, size_bytes: int, url: str, options: SocketOptions
) -> Endpoint:
    """The client's endpoint on a connected socket, which it then owns; the opening was answered.

    `sending` ends when the headers of the response have come, and `receiving` reads its body.
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=False)
    loop = OwnLoop(asyncio.new_event_loop)
    with ExitStack() as opened:
        opened.callback(let_go, connection)
        without_session = opened.enter_context(ExitStack())
        without_session.callback(loop.close)
        session, transport = loop.complete(_session(connection))
        without_session.pop_all()
        opened.callback(lambda: loop.close(session.close()))
        opened.callback(transport.abort)
        options.tune_handed_over(connection)
        owned = opened.pop_all()
    post, headers = session.post, {"Content-Type": BINARY}
    response: aiohttp.ClientResponse

    async def sending() -> None:
        nonlocal response
        try:
            response = await post(url, data=outgoing, headers=headers)
        except aiohttp.ClientError as error:
            raise OSError(f"the request failed: {error}") from error

    async def receiving() -> None:
        if response.status != OK:
            raise OSError(f"the server answered with status {response.status} {response.reason}")
        try:
            body = await response.read()
        except aiohttp.ClientError as error:
            raise OSError(f"the response failed: {error}") from error
        if len(body) != size_bytes:
            raise OSError(f"a body of {len(body):,} bytes came in place of {size_bytes:,}")
        incoming[:] = body

    return CoroutineEndpoint(
        loop=loop,
        sending=sending,
        receiving=receiving,
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=owned.close,
    )


class Reply(web.Response):
    """A response that tells when it is written."""

    def __init__(self, turns: Turns, request: web.Request) -> None:
        super().__init__(body=turns.outgoing, content_type=BINARY)
        self._turns = turns
        self._request = request

    async def write_eof(self, data: bytes = b"") -> None:
        """Writes the body, and so the headers, which aiohttp has kept until now."""
        await super().write_eof(data)
        request = self._request
        if request.transport is not None:
            await self._turns.replied(request.transport, request.writer.drain)


class Handlers:
    """The request handlers."""

    def __init__(self, turns: Turns, path: str) -> None:
        self._turns = turns
        self.application = web.Application(
            client_max_size=max(len(turns.incoming), _USUAL_MOST_BYTES)
        )
        self.application.router.add_post(path, self._known)
        self.application.router.add_route("*", "/{path:.*}", self._unknown)

    async def _known(self, request: web.Request) -> web.StreamResponse:
        """Answers a request to the secret path."""
        turns = self._turns
        try:
            if turns.client.done():
                await self._receive(request)
                await turns.reply()
                return Reply(turns, request)
            answer = web.Response()
            await answer.prepare(request)
            await answer.write_eof()
            if request.transport is not None:
                await turns.admitted(request.transport, request.writer.drain)
        except Exception as error:
            turns.loop.fail(error)
            raise
        return answer

    async def _receive(self, request: web.Request) -> None:
        body = await request.read()
        incoming = self._turns.incoming
        if len(body) != len(incoming):
            raise OSError(f"a body of {len(body):,} bytes came in place of {len(incoming):,}")
        await self._turns.turn()
        incoming[:] = body

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        """Answers whoever doesn't know the path."""
        if request.transport is not None:
            self._turns.refuse(request.transport)
        answer = web.Response(status=NOT_FOUND)
        answer.force_close()
        return answer


async def _started(application: web.Application, listener: socket.socket) -> web.AppRunner:
    """Has a server accept at the listener."""
    runner = web.AppRunner(
        application,
        access_log=None,
        handle_signals=False,
        keepalive_timeout=NEVER_S,
        shutdown_timeout=_PATIENCE_S,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner


class AiohttpEnds(ByPath):
    """Ends by aiohttp, or with a blocking client by http.client or without a library."""

    def __init__(self, host: str, client: str | None) -> None:
        super().__init__(host, client)
        self._client_blocks = client in (LEAN, BARE)

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        size = traffic.message_size_bytes
        if self._client_blocks:
            return self.blocking_client(connection, traffic, options)
        client_connection(connection, self.host)
        url = f"http://{self.host}{self.path}"
        return self.telling(aiohttp_client_endpoint(connection, size, url, options))

    def accept(
        self, listener: socket.socket, gate: Gate, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        turns = Turns(asyncio.new_event_loop, traffic, gate)
        runner = turns.loop.complete(_started(Handlers(turns, self.path).application, listener))

        def connections() -> list[asyncio.Transport]:
            server = runner.server
            known = [] if server is None else [one.transport for one in server.connections]
            return [one for one in known if one is not None]

        def close() -> None:
            for connection in connections():
                connection.abort()
            turns.close(runner.cleanup())

        try:
            client = turns.admit()
            for site in runner.sites:
                turns.loop.complete(site.stop())
            listener.close()
            turns.refuse_all_but_the_client(connections())
            return self.telling(turns.open(duplicate(client), options, close))
        except BaseException:
            close()
            raise
