"""Rungs `http-std` and `http-std-default`: HTTP/1.1 by http.client and http.server, kept alive.

A message is `POST /token` with the payload as its body, and its reply a response of status 200 with
the payload back. There is no one-way message in HTTP: every request has its response.

`http-std` sets up both ends as one should: TCP_NODELAY at both, and a server that writes a response
at once. In `http-std-default` http.server is as it comes: it writes the headers and the body by
themselves, and leaves Nagle's algorithm on, while http.client sets TCP_NODELAY. Over TCP each
response then waits for a delayed ACK (CPython issue 108736).
"""

from collections.abc import Mapping
from typing import ClassVar

from ipcbench import rungs
from ipcbench.terms import Knob, words
from ipcbench.transports.base import Medium
from ipcbench.transports.parts.options import BUFFERS, TcpOptions, tcp_knobs
from ipcbench.transports.parts.sockets import Ends
from ipcbench.transports.parts.traps import tcp_traps
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked

CLIENT = Knob(
    rungs.CLIENT, words("same", rungs.BARE), "same", "http.client, or bare: bytes without a library"
)


class HttpStd(Stacked):
    """Rung `http-std`."""

    rung = "http-std"
    layer = "HTTP/1.1: http.client and http.server"
    waits = "blocks in recv, through a buffered reader"
    copies = "four times: into the kernel, out of it to a buffer, and out of that, mostly"
    source = "RFC 9112; Python's library reference: http.client, http.server"
    streams = False
    overlaps = False
    buffers_response: ClassVar[bool] = True
    """Whether the server writes headers and body at once, as far as its buffer holds them."""

    def ends(self) -> Ends:
        from ipcbench.transports.stack.http import HttpEnds

        client = self.setting(CLIENT.name)
        return HttpEnds(self.host_header, client, buffers_response=self.buffers_response)

    def system_limits(self) -> Mapping[str, str]:
        return {"body": "no limit at either end", **super().system_limits()}


class HttpStdUnix(HttpStd, OverUnix):
    """Rung `http-std` over AF_UNIX."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *BUFFERS)


class HttpStdInet(HttpStd, OverInet):
    """Rung `http-std` over AF_INET."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *tcp_knobs(nodelay="on"))


class HttpStdInet6(HttpStd, OverInet6):
    """Rung `http-std` over AF_INET6."""

    knobs: ClassVar[tuple[Knob, ...]] = (CLIENT, *tcp_knobs(nodelay="on"))


class HttpStdDefault(HttpStd):
    """Rung `http-std-default`."""

    rung = "http-std-default"
    layer = "http.server as it comes: two writes"
    buffers_response = False


class HttpStdDefaultUnix(HttpStdDefault, OverUnix):
    """Rung `http-std-default` over AF_UNIX."""


def _left_as_it_comes(knob: Knob) -> Knob:
    """The knob without a default: each library has its own."""
    return knob._replace(default=None) if knob.name == "nodelay" else knob


class _DefaultOverTcp(HttpStdDefault, OverInet):
    """The options and traits of a TCP connection whose ends differ."""

    knobs = tuple(map(_left_as_it_comes, tcp_knobs(nodelay="off")))

    def settle(self) -> None:
        asked = self.setting("nodelay")
        traits: dict[str | None, Medium] = {
            "on": "nodelay",
            "off": "nagle",
            None: "nagle-at-server",
        }
        self.mediums = (self.mediums[0], traits[asked])
        self.traps = tcp_traps(nodelay=asked == "on")

    def tcp_options(self) -> TcpOptions:
        asked = self.setting("nodelay")
        return TcpOptions(
            self.settings, nodelay=asked != "off", nodelay_when_accepted=asked == "on"
        )


class HttpStdDefaultInet(_DefaultOverTcp):
    """Rung `http-std-default` over AF_INET."""

    mediums: tuple[Medium, ...] = ("tcp4", "nagle-at-server")


class HttpStdDefaultInet6(_DefaultOverTcp, OverInet6):
    """Rung `http-std-default` over AF_INET6."""

    mediums: tuple[Medium, ...] = ("tcp6", "nagle-at-server")
