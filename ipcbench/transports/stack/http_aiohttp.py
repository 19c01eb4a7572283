"""Rung `http-aiohttp`: HTTP/1.1 by aiohttp's client and server, on asyncio's own loop.

The messages are those of `http-std`. With `client=lean` the client is that of `http-std`, too: what
is left of the difference is the server's.
"""

from collections.abc import Mapping
from typing import ClassVar

from ipcbench import rungs
from ipcbench.terms import Knob, words
from ipcbench.transports.base import IN_ONE_LOOP
from ipcbench.transports.parts.options import BUFFERS, tcp_knobs
from ipcbench.transports.parts.sockets import Ends
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked

CLIENT = Knob(
    rungs.CLIENT,
    words("same", rungs.LEAN, rungs.BARE),
    "same",
    "aiohttp's, or lean: http.client, or bare: bytes without a library",
)


class HttpAiohttp(Stacked):
    """Rung `http-aiohttp`."""

    rung = "http-aiohttp"
    layer = "HTTP/1.1: aiohttp's client and server"
    waits = "blocks in epoll_wait, before each read"
    copies = "six times: into the kernel, out of it, to the parser, a body, its bytes, the message"
    source = "aiohttp's documentation"
    package = "aiohttp"
    streams = False
    overlaps = False
    server_models = IN_ONE_LOOP
    client_blocks = False

    def settle(self) -> None:
        super().settle()
        self.client_blocks = self.setting(CLIENT.name) != CLIENT.default

    def ends(self) -> Ends:
        from ipcbench.transports.stack.aiohttp_ends import AiohttpEnds

        return AiohttpEnds(self.host_header, self.setting(CLIENT.name))

    def system_limits(self) -> Mapping[str, str]:
        raised = "1 MiB by default, raised to the size of the message"
        return {"client_max_size": raised, **super().system_limits()}


class HttpAiohttpUnix(HttpAiohttp, OverUnix):
    """Rung `http-aiohttp` over AF_UNIX."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *BUFFERS)


class HttpAiohttpInet(HttpAiohttp, OverInet):
    """Rung `http-aiohttp` over AF_INET."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *tcp_knobs(nodelay="on"))


class HttpAiohttpInet6(HttpAiohttp, OverInet6):
    """Rung `http-aiohttp` over AF_INET6."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *tcp_knobs(nodelay="on"))
