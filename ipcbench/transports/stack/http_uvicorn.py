"""Rung `http-uvicorn`: HTTP/1.1 by http.client and uvicorn, with httptools and uvloop.

The messages are those of `http-std`, and so is the client. uvicorn runs a small ASGI app: what a
framework adds to it isn't measured. It writes headers and body by themselves; with TCP_NODELAY that
costs a segment, and without it 40 ms (see docs/traps.md).
"""

from collections.abc import Mapping
from typing import ClassVar

from ipcbench.terms import Knob, words
from ipcbench.transports.base import IN_ONE_LOOP
from ipcbench.transports.parts.options import BUFFERS, tcp_knobs
from ipcbench.transports.parts.sockets import Ends
from ipcbench.transports.stack.http_std import CLIENT
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked

LOOP = Knob("loop", words("uvloop", "asyncio"), "uvloop", "the event loop of uvicorn")


class HttpUvicorn(Stacked):
    """Rung `http-uvicorn`."""

    rung = "http-uvicorn"
    layer = "HTTP/1.1: http.client, uvicorn on uvloop"
    waits = "blocks in recv at the client, in epoll_wait at the server"
    copies = "six times: into the kernel, out of it, to the parser, a body, an event, the message"
    source = "uvicorn's documentation, the ASGI specification"
    package = "uvicorn"
    also_needs = ("httptools", "uvloop")
    streams = False
    overlaps = False
    server_models = IN_ONE_LOOP

    def ends(self) -> Ends:
        from ipcbench.transports.stack.uvicorn_ends import UvicornEnds

        client, is_on_asyncio = self.setting(CLIENT.name), self.setting(LOOP.name) == "asyncio"
        return UvicornEnds(self.host_header, client, is_on_asyncio=is_on_asyncio)

    def system_limits(self) -> Mapping[str, str]:
        return {"body": "no limit at either end", **super().system_limits()}


class HttpUvicornUnix(HttpUvicorn, OverUnix):
    """Rung `http-uvicorn` over AF_UNIX."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, LOOP, *BUFFERS)


class HttpUvicornInet(HttpUvicorn, OverInet):
    """Rung `http-uvicorn` over AF_INET."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, LOOP, *tcp_knobs(nodelay="on"))


class HttpUvicornInet6(HttpUvicorn, OverInet6):
    """Rung `http-uvicorn` over AF_INET6."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, LOOP, *tcp_knobs(nodelay="on"))
