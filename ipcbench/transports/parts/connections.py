"""Links made of multiprocessing's Connection objects."""

import os
import socket
import struct
from functools import partial
from typing import Any

from ipcbench.transports.base import (
    Endpoint,
    Link,
    Side,
    Traffic,
    buffer_pair,
    owner_only,
)
from ipcbench.transports.parts.gate import BACKLOG, Gate, Watch, new_token
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.sockets import (
    DEFAULTS,
    NO_LINGER,
    SocketPath,
    accepting_endpoint,
    bind_refused,
    connecting_endpoint,
    opening_message,
)


class ListenerLink(Link):
    """A Listener that one Client connects to, or in the connect workload many, one by one.

    The client authenticates itself with a token, see `gate`. multiprocessing's own `authkey` takes
    four more messages, which would dominate the connect workload. There the token travels with the
    byte, in one message.
    """

    def __init__(
        self,
        family: str,
        address: Any,
        traffic: Traffic,
        options: SocketOptions,
        path: SocketPath | None = None,
    ) -> None:
        """Takes the path over whose file the listener makes; it is removed with the link."""
        from multiprocessing import connection

        self._connect = connection.Client
        self._wrap = connection.Connection
        self._family = family
        self._options = options
        self._size_bytes = traffic.message_size_bytes
        self._echoes, self._connects = traffic.echoes, traffic.connects
        self._token = new_token()
        self._path = path
        self._is_needed = True
        """Whether a client has still to connect to the file."""
        try:
            with owner_only():
                self._listener = connection.Listener(address, family, BACKLOG)
        except OSError as error:
            self._remove_file()
            raise bind_refused(error) from error
        # It has no public way to its socket, and its own `accept` lets everybody in.
        inner = self._listener._listener  # type: ignore[attr-defined]  # noqa: SLF001
        self._socket: socket.socket = inner._socket  # noqa: SLF001
        header = struct.pack("!i", len(self._token) + 1) if self._connects else b""
        self._gate = Gate(self._socket, header + self._token, 1 if self._connects else 0)
        self._watch = Watch()

    def client(self) -> Endpoint:
        if self._connects:
            return connecting_endpoint(self._connect_once, self._token)
        end = self._connect(self._listener.address, self._family)
        set_options(end, self._options)
        os.write(end.fileno(), self._token)
        self._is_needed = False
        return connection_endpoint(end, self._size_bytes, echoes=False, options=self._options)

    def server(self) -> Endpoint:
        if self._connects:
            return self._answering()
        connection, _ = self._gate.admit()
        self._socket.close()
        end = self._wrap(connection.detach())
        set_options(end, self._options)
        endpoint = connection_endpoint(
            end, self._size_bytes, echoes=self._echoes, options=self._options
        )
        endpoint.facts = self._gate.facts
        return endpoint

    def keep_only(self, side: Side) -> None:
        if side == "client":
            self._socket.close()

    def close(self) -> None:
        try:
            self._listener.close()
        except FileNotFoundError:
            pass  # somebody removed its file; its socket is closed by then
        self._remove_file()

    def vanished(self) -> str | None:
        return self._path.vanished() if self._path and self._is_needed else None

    def _remove_file(self) -> None:
        if self._path is not None:
            self._path.close()

    def _connect_once(self, outgoing: memoryview, incoming: memoryview) -> None:
        with self._connect(self._listener.address, self._family) as end:
            set_options(end, self._options)
            end.send_bytes(outgoing)
            end.recv_bytes_into(incoming)
            if self._family == "AF_INET":
                _reset_on_close(end)

    def _answering(self) -> Endpoint:
        """The server of the connect workload. `answer` is timed as a whole: it looks nothing up."""
        gate, watch, token = self._gate, self._watch, self._token
        accept, same, whole_bytes = self._listener.accept, gate.same, len(token) + 1
        message = opening_message(token)[len(token) :]
        options = self._options

        def answer() -> None:
            with accept() as end:
                watch.connection = end
                set_options(end, options)
                try:
                    came = end.recv_bytes(whole_bytes)
                except (OSError, EOFError):
                    came = b""
                if same(came[:-1], token):
                    message[0] = came[-1]
                    end.send_bytes(message)
                    return
            gate.count_stranger()
            connection, message[:] = gate.admit()
            with self._wrap(connection.detach()) as end:
                end.send_bytes(message)

        watch.start()
        return accepting_endpoint(answer, message, gate, watch)


def connection_endpoint(
    end: Any, size_bytes: int, *, echoes: bool, options: SocketOptions = DEFAULTS
) -> Endpoint:
    """An endpoint on a Connection over a socket, which it then owns."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    receive_into = end.recv_bytes_into

    def receive() -> None:
        got = receive_into(incoming)
        if got != size_bytes:
            raise OSError(f"a message of {got} bytes came in place of {size_bytes}")

    return Endpoint(
        send=partial(end.send_bytes, outgoing),
        receive=receive,
        ready=readable(end.fileno()),  # its own `poll` makes a selector each time
        outgoing=outgoing,
        incoming=incoming,
        effective=partial(_in_force, end, options),
        close=end.close,
    )


def set_options(end: Any, options: SocketOptions) -> None:
    """Sets the options of a Connection's socket, which is connected already."""
    if options.any_asked:
        with _socket_of(end) as same:
            options.prepare(same)
            options.tune(same)


def _in_force(end: Any, options: SocketOptions) -> dict[str, str]:
    with _socket_of(end) as same:
        return options.in_force(same)


def _reset_on_close(end: Any) -> None:
    """Sets a TCP connection to end without TIME_WAIT; see `stream.SocketLink`."""
    with _socket_of(end) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


def _socket_of(end: Any) -> socket.socket:
    """The socket of a Connection once more, to be closed by the caller."""
    return socket.socket(fileno=os.dup(end.fileno()))
