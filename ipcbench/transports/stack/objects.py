"""Rungs `frame-*`: each message is a serialised object, `{"n": number, "data": bytes}`.

Both ends make and take apart the object for each message, and touch its data: a message arrives by
a copy out of the decoded object, and its number has to be the next one. So these ends allocate,
which a program with objects can't avoid.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ipcbench.transports.base import WHOLE, Endpoint, Traffic, buffer_pair
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.sockets import Ends, socket_facts
from ipcbench.transports.stack.framed import (
    LENGTH,
    Prefixed,
    length_reader,
    send_rest,
    whole_reader,
)
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix

_LARGEST_NUMBER = 2**63 - 1
"""Larger than that of any message: its object is the longest."""
_OVERHEAD_BYTES = 1024
"""More than any of these formats adds to the data, but for base64's third."""


class Codec(NamedTuple):
    """A way to write the object of a message as bytes."""

    encode: Callable[[int, memoryview], bytes]
    """The bytes of an object with this number and data."""
    decode: Callable[[memoryview], tuple[int, bytes]]
    """Number and data of the object that is written so."""


def pickle_codec() -> Codec:
    """The codec of pickle, in its latest protocol."""
    import pickle

    dumps, loads, latest = pickle.dumps, pickle.loads, pickle.HIGHEST_PROTOCOL

    def encode(number: int, data: memoryview) -> bytes:
        return dumps({"n": number, "data": bytes(data)}, latest)

    def decode(body: memoryview) -> tuple[int, bytes]:
        made = loads(body)  # the sender has proved that it is this launch's client or server
        return made["n"], made["data"]

    return Codec(encode, decode)


def json_codec() -> Codec:
    """The codec of json, which has no bytes: they travel as base64."""
    import json
    from base64 import b64decode, b64encode

    dumps, loads = json.dumps, json.loads

    def encode(number: int, data: memoryview) -> bytes:
        made = {"n": number, "data": b64encode(data).decode("ascii")}
        return dumps(made).encode("ascii")

    def decode(body: memoryview) -> tuple[int, bytes]:
        made = loads(str(body, "ascii"))
        return made["n"], b64decode(made["data"])

    return Codec(encode, decode)


def msgspec_codec() -> Codec:
    """The codec of msgspec's MessagePack."""
    from msgspec import msgpack

    write, read = msgpack.Encoder().encode, msgpack.Decoder().decode

    def encode(number: int, data: memoryview) -> bytes:
        return write({"n": number, "data": data})

    def decode(body: memoryview) -> tuple[int, bytes]:
        made: dict[str, Any] = read(body)
        return made["n"], made["data"]

    return Codec(encode, decode)


def object_endpoint(
    connection: socket.socket,
    size_bytes: int,
    codec: Codec,
    *,
    echoes: bool,
    options: SocketOptions,
) -> Endpoint:
    """An endpoint on a connected stream socket, which it then owns; each message is an object."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    encode, decode = codec
    pack, sendmsg, prefix_bytes = LENGTH.pack, connection.sendmsg, LENGTH.size
    read_length, read = length_reader(connection), whole_reader(connection)
    room = memoryview(bytearray(len(encode(_LARGEST_NUMBER, outgoing))))
    sent, received = 0, 0

    def send() -> None:
        nonlocal sent
        body = encode(sent, outgoing)
        prefix, sent = pack(len(body)), sent + 1
        written = sendmsg((prefix, body))
        if written != prefix_bytes + len(body):
            send_rest(connection, prefix, body, written)

    def receive() -> None:
        nonlocal received
        length = read_length()
        if length > len(room):
            raise OSError(f"an object of {length:,} bytes came; the longest has {len(room):,}")
        body = room[:length]
        moved = read(body)
        while moved != length:  # a signal came, or the end
            more = read(body[moved:]) if moved else 0
            if not more:
                raise EOFError(f"the stream ended in an object of {length:,} bytes")
            moved += more
        number, data = decode(body)
        if number != received:
            raise OSError(f"message {number} came where {received} was due")
        received += 1
        incoming[WHOLE] = data  # another length than the message's is a ValueError

    return Endpoint(
        send=send,
        receive=receive,
        ready=readable(connection.fileno()),
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=connection.close,
    )


class ObjectEnds(Ends):
    """Ends whose messages are objects."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self._codec = codec

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        size = traffic.message_size_bytes
        return object_endpoint(connection, size, self._codec, echoes=False, options=options)

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        size, echoes = traffic.message_size_bytes, traffic.echoes
        return object_endpoint(connection, size, self._codec, echoes=echoes, options=options)


class Objects(Prefixed):
    """A layer whose messages are objects."""

    waits = "blocks in recv, twice a message"

    def longest(self, message_size_bytes: int) -> int:
        return message_size_bytes + _OVERHEAD_BYTES


class Pickle(Objects):
    """Rung `frame-pickle`."""

    rung = "frame-pickle"
    layer = "an object a message, by pickle"
    copies = "six times: into bytes, a pickle and the kernel, and out of each"
    source = "Python's library reference: pickle"

    def ends(self) -> Ends:
        return ObjectEnds(pickle_codec())


class PickleUnix(Pickle, OverUnix):
    """Rung `frame-pickle` over AF_UNIX."""


class PickleInet(Pickle, OverInet):
    """Rung `frame-pickle` over AF_INET."""


class PickleInet6(Pickle, OverInet6):
    """Rung `frame-pickle` over AF_INET6."""


class Json(Objects):
    """Rung `frame-json`."""

    rung = "frame-json"
    layer = "an object a message, by json (base64)"
    copies = "11 times: base64, text, JSON and bytes at both ends, and the kernel"
    source = "Python's library reference: json, base64"

    def ends(self) -> Ends:
        return ObjectEnds(json_codec())

    def longest(self, message_size_bytes: int) -> int:
        return super().longest(4 * -(-message_size_bytes // 3))


class JsonUnix(Json, OverUnix):
    """Rung `frame-json` over AF_UNIX."""


class JsonInet(Json, OverInet):
    """Rung `frame-json` over AF_INET."""


class JsonInet6(Json, OverInet6):
    """Rung `frame-json` over AF_INET6."""


class Msgspec(Objects):
    """Rung `frame-msgspec`."""

    rung = "frame-msgspec"
    layer = "an object a message, by msgspec"
    package = "msgspec"
    copies = "five times: into a packed object and the kernel, out of both, and to its place"
    source = "the MessagePack specification; msgspec"

    def ends(self) -> Ends:
        return ObjectEnds(msgspec_codec())


class MsgspecUnix(Msgspec, OverUnix):
    """Rung `frame-msgspec` over AF_UNIX."""


class MsgspecInet(Msgspec, OverInet):
    """Rung `frame-msgspec` over AF_INET."""


class MsgspecInet6(Msgspec, OverInet6):
    """Rung `frame-msgspec` over AF_INET6."""
