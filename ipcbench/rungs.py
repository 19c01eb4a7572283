"""The ladder: the one table of the layers that programs put on a socket, a rung each.

Each rung differs from the one below it by one thing, and exists over several families of sockets,
each a transport of its own. The rungs make a tree: serialising, an event loop and HTTP are all
added to messages with a length in front, and none of them to another one of these.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Family = Literal["unix", "inet", "inet6"]
"""A family of sockets: AF_UNIX, or TCP over the loopback address of IPv4 or of IPv6."""

FAMILIES: tuple[Family, ...] = get_args(Family)


class Rung(NamedTuple):
    """One row of the table."""

    name: str
    """Its name, and the start of the names of its transports."""
    below: str | None
    """The rung that it adds to; None for the socket itself."""
    adds: str
    """The one thing in which it differs from the rung below, in a few words."""
    transports: Mapping[Family, str]
    """The transport of each family that it exists over."""


def _rung(name: str, below: str, adds: str) -> Rung:
    return Rung(name, below, adds, {family: f"{name}-{family}" for family in FAMILIES})


RUNGS: tuple[Rung, ...] = (
    Rung(
        "raw",
        None,
        "the socket: messages of a size that both ends know, blocking calls",
        {"unix": "unix", "inet": "inet", "inet6": "inet6"},
    ),
    _rung("framed", "raw", "a length in front of each message: two reads"),
    _rung("epoll", "raw", "a non-blocking socket, and selectors to wait for it"),
    _rung("asyncio-sock", "epoll", "asyncio: a task that awaits sock_recv_into and sock_sendall"),
    _rung("asyncio-protocol", "epoll", "asyncio: callbacks of a BufferedProtocol"),
    _rung("asyncio-streams", "asyncio-protocol", "StreamReader and StreamWriter"),
    _rung("uvloop-protocol", "asyncio-protocol", "uvloop in place of asyncio's own loop"),
    _rung("uvloop-streams", "asyncio-streams", "uvloop in place of asyncio's own loop"),
    _rung("frame-pickle", "framed", "pickle: each message is an object"),
    _rung("frame-json", "framed", "JSON, with base64: each message is an object"),
    _rung("frame-msgspec", "framed", "msgspec's MessagePack: each message is an object"),
    Rung(
        "mp-connection",
        "framed",
        "multiprocessing.connection's send_bytes and recv_bytes",
        {"unix": "mp-connection", "inet": "mp-connection-inet"},
    ),
    _rung("http-std", "framed", "HTTP/1.1: http.client and http.server, kept alive"),
    _rung("http-std-default", "http-std", "http.server as it comes: two writes, Nagle's algorithm"),
    _rung("http-uvicorn", "http-std", "uvicorn (httptools, uvloop) as the server, an ASGI app"),
    _rung("http-aiohttp", "asyncio-streams", "HTTP/1.1: aiohttp's client and server"),
    _rung("rpc-zmq", "framed", "ZeroMQ: PAIR sockets, an I/O thread at each end"),
    _rung("rpc-xmlrpc", "http-std", "XML-RPC: xmlrpc.client and xmlrpc.server, base64 in XML"),
    _rung("rpc-grpc", "framed", "gRPC: unary calls over HTTP/2"),
)
"""Every rung, in the order of every list and table: each after the rung below it."""

BY_NAME: Mapping[str, Rung] = {rung.name: rung for rung in RUNGS}

CLIENT = "client"
"""The knob of a rung whose client may be another one than its layer's."""
LEAN, BARE = "lean", "bare"
"""Values of it: a client without the layer, and one of HTTP without any library."""
