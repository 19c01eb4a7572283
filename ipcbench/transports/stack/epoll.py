"""A non-blocking socket that is read and written when a selector says so: a loop without a library.

As in any event loop, `receive` waits first and reads then, and `send` writes first and waits only
for what didn't fit.
"""

import selectors
import socket
from functools import partial

from ipcbench.transports.base import Endpoint, buffer_pair
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.sockets import socket_facts
from ipcbench.transports.parts.stream import Tails


def epoll_endpoint(
    connection: socket.socket, size_bytes: int, /, *, echoes: bool, options: SocketOptions
) -> Endpoint:
    """An endpoint whose calls wait in epoll_wait."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    connection.setblocking(False)
    selector = selectors.EpollSelector()
    selector.register(connection, selectors.EVENT_READ)
    select, write, read_into = selector.select, connection.send, connection.recv_into
    after_out, after_in = Tails(outgoing).after, Tails(incoming).after

    def send() -> None:
        moved = written(outgoing)
        while moved != size_bytes:
            selector.modify(connection, selectors.EVENT_WRITE)
            select()
            selector.modify(connection, selectors.EVENT_READ)
            moved += written(after_out(moved))

    def written(rest: memoryview) -> int:
        try:
            return write(rest)
        except BlockingIOError:
            return 0

    def receive() -> None:
        select()
        moved = read_into(incoming)
        while moved != size_bytes:
            if not moved:
                raise EOFError(f"the stream ended after {moved} of {size_bytes} bytes")
            select()
            more = read_into(after_in(moved))
            if not more:
                raise EOFError(f"the stream ended after {moved} of {size_bytes} bytes")
            moved += more

    def close() -> None:
        selector.close()
        connection.close()

    return Endpoint(
        send=send,
        receive=receive,
        ready=readable(connection.fileno()),
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=close,
    )
