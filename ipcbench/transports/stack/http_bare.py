"""An HTTP client without a library: prepared bytes out, and of each response the head's end.

It takes a fraction of the CPU time of http.client, so that many of them keep a server busy from one
CPU. It suits servers that answer with a Content-Length, and no more than is asked for.
"""

import socket
from functools import partial

from ipcbench.transports.base import Endpoint, buffer_pair
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import socket_facts
from ipcbench.transports.parts.stream import Tails
from ipcbench.transports.stack.framed import send_rest

_HEAD_BYTES = 4096
"""Room for the head of a response, and what comes with it of the body."""
_END = b"\r\n\r\n"
_STATUS = b"HTTP/1.1 200 "


def bare_client_endpoint(
    connection: socket.socket, head: bytes, size_bytes: int, options: SocketOptions
) -> Endpoint:
    """A client on a connected socket, which it then owns; its first request was answered.

    `send` sends the head of a request and the message after it in one call. `receive` reads a
    response, and looks closer at a head that differs from the one before.
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=False)
    parts, whole, sendmsg = (head, outgoing), len(head) + size_bytes, connection.sendmsg
    room = bytearray(_HEAD_BYTES)
    view, find, recv_into = memoryview(room), room.find, connection.recv_into
    after_head, after = Tails(view).after, Tails(incoming).after
    known = bytearray()

    def send() -> None:
        sent = sendmsg(parts)
        if sent != whole:
            send_rest(connection, head, outgoing, sent)

    def receive() -> None:
        nonlocal known
        moved = recv_into(room)
        while (end := find(_END, 0, moved)) < 0:
            if moved == _HEAD_BYTES:
                raise OSError(f"the head of a response has more than {_HEAD_BYTES:,} bytes")
            more = recv_into(after_head(moved)) if moved else 0
            if not more:
                raise EOFError(f"the stream ended after {moved:,} bytes of a response's head")
            moved += more
        head_of_response = room[:end]
        if head_of_response != known:
            _check(bytes(head_of_response), size_bytes)
            known = head_of_response
        got = moved - end - len(_END)
        if got > size_bytes:
            raise OSError(f"{got:,} bytes came after a head that told of {size_bytes:,}")
        incoming[:got] = view[end + len(_END) : moved]
        while got != size_bytes:
            more = recv_into(after(got) if got else incoming)
            if not more:
                raise EOFError(f"the stream ended after {got:,} of {size_bytes:,} bytes")
            got += more

    return Endpoint(
        send=send,
        receive=receive,
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=connection.close,
    )


def _check(head: bytes, size_bytes: int) -> None:
    """Raises OSError for the head of a response that isn't one with a body of this size."""
    status, *lines = head.split(b"\r\n")
    if not status.startswith(_STATUS):
        raise OSError(f"the server answered with {status.decode('latin-1')!r}")
    fields = (line.partition(b":") for line in lines)
    told = [value.strip() for name, _, value in fields if name.lower() == b"content-length"]
    if told != [b"%d" % size_bytes]:
        said = ", ".join(value.decode("latin-1") for value in told) or "no number of"
        raise OSError(f"a body of {said} bytes came in place of {size_bytes:,}")
