"""HTTP/1.1 over a connected socket: http.client's end, which suits any server, and http.server's.

The client's first request has no body and authenticates the connection: its path is the token. Any
other is answered by 404. Imports http: only `ends` does import this module.
"""

import socket
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler

from ipcbench.rungs import BARE, CLIENT
from ipcbench.transports.base import Endpoint, Traffic, buffer_pair
from ipcbench.transports.parts.gate import new_token
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import Ends, socket_facts
from ipcbench.transports.stack.http_bare import bare_client_endpoint

OK, NOT_FOUND = 200, 404
_ADMITTED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""The answer to whoever doesn't know the path."""
BINARY = "application/octet-stream"


def secret_path() -> str:
    """A path that nobody can guess: a token."""
    return f"/{new_token().hex()}"


def opening_request(path: str, host: str) -> bytes:
    """The client's first request, by which a server knows it."""
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode("ascii")


def request_head(path: str, host: str, size_bytes: int) -> bytes:
    """The head of a request that posts so many bytes to the path."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {BINARY}\r\n"
        f"Content-Length: {size_bytes}\r\n\r\n"
    ).encode("ascii")


def client_connection(connection: socket.socket, host: str) -> HTTPConnection:
    """An http.client connection on a connected socket, of which the opening was sent.

    Waits for its answer. Once the connection is closed, it opens no other one. Raises OSError.
    """
    admitted = HTTPResponse(connection, method="POST")
    try:
        admitted.begin()
        admitted.read()
    finally:
        admitted.close()
    if admitted.status != OK:
        raise OSError(f"the server answered the first request with status {admitted.status}")
    http = HTTPConnection(host)
    http.sock, http.auto_open = connection, 0
    return http


def read_whole(response: HTTPResponse, incoming: memoryview) -> None:
    """Reads a response's body, of exactly this size. Raises OSError or EOFError."""
    size = len(incoming)
    if response.status != OK:
        raise OSError(f"the server answered with status {response.status} {response.reason}")
    if response.length != size:
        raise OSError(f"a body of {response.length} bytes came in place of {size:,}")
    moved = response.readinto(incoming)
    while moved != size:
        more = response.readinto(incoming[moved:])
        if not more:
            raise EOFError(f"the stream ended after {moved:,} of {size:,} bytes")
        moved += more


def http_client_endpoint(
    connection: socket.socket, size_bytes: int, path: str, host: str, options: SocketOptions
) -> Endpoint:
    """The lean client of any HTTP server, on a connected socket, which it then owns.

    `send` posts the message to the path, and `receive` reads the response. The opening was sent.
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=False)
    http = client_connection(connection, host)
    request, response_of = http.request, http.getresponse
    headers = {"Content-Type": BINARY}

    def send() -> None:
        request("POST", path, outgoing, headers)

    def receive() -> None:
        read_whole(response_of(), incoming)

    return Endpoint(
        send=send,
        receive=receive,
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=connection.close,
    )


class OneConnection(BaseHTTPRequestHandler):
    """A request handler whose connection is served by its owner, request by request."""

    protocol_version = "HTTP/1.1"  # with 1.0, its default, nothing is kept alive

    def __init__(self, connection: socket.socket, path: str) -> None:
        self.expected_path = path
        self.has_come = False
        """Whether the request of the last turn was a message."""
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]  # it has no server

    def handle(self) -> None:
        """Serves nothing yet: the base class calls this as it is made."""

    def finish(self) -> None:
        """Closes nothing yet."""

    def close(self) -> None:
        """Closes the files and the connection."""
        try:
            super().finish()
        except OSError:
            pass  # what is left to write has no reader any more
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Keeps no log."""

    def receive(self) -> None:
        """Reads requests up to a message. Raises EOFError at the end."""
        self.has_come = False
        while not self.has_come:
            self.handle_one_request()
            if self.close_connection and not self.has_come:
                raise EOFError("the client closed its connection")

    def is_known(self) -> bool:
        """Whether the request's path is the client's; any other is answered by 404."""
        if self.path == self.expected_path:
            return True
        self.send_error(NOT_FOUND)
        return False

    def body_bytes(self) -> int:
        """The length of the request's body. Raises OSError."""
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdigit()):
            raise OSError(f"a request with a Content-Length of {told!r}")
        return int(told)

    def begin_response(self, content_type: str, size_bytes: int) -> None:
        """Writes the headers of a response of status 200."""
        self.send_response(OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(size_bytes))
        self.end_headers()


class MessageHandler(OneConnection):
    """A request handler that reads the body of each POST into a buffer, and answers later."""

    def __init__(self, connection: socket.socket, path: str, incoming: memoryview) -> None:
        self._incoming = incoming
        super().__init__(connection, path)

    def do_POST(self) -> None:
        """Receives a message."""
        if not self.is_known():
            return
        size, told = len(self._incoming), self.body_bytes()
        if told != size:
            raise OSError(f"a body of {told:,} bytes came in place of {size:,}")
        got = self.rfile.readinto(self._incoming)
        if got != size:
            raise EOFError(f"the stream ended after {got:,} of {size:,} bytes")
        self.has_come = True

    def reply(self, outgoing: memoryview) -> None:
        """Answers the message."""
        self.begin_response(BINARY, len(outgoing))
        self.wfile.write(outgoing)
        self.wfile.flush()


class BufferedHandler(MessageHandler):
    """A message handler that writes a response at once."""

    wbufsize = -1


def http_server_endpoint(
    connection: socket.socket,
    size_bytes: int,
    handler: Callable[[socket.socket, memoryview], MessageHandler],
    *,
    echoes: bool,
    options: SocketOptions,
) -> Endpoint:
    """The server's endpoint by http.server, on a connected socket, which it then owns.

    `receive` reads a request, and `send` answers it. No thread, and no loop that accepts.
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    handles = handler(connection, incoming)
    return Endpoint(
        send=partial(handles.reply, outgoing),
        receive=handles.receive,
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=handles.close,
    )


class ByPath(Ends):
    """Ends of HTTP whose path is the token."""

    refusal = REFUSAL

    def __init__(self, host: str, client: str | None = None) -> None:
        """`client` is the kind of its client; None where there is one kind alone."""
        self.host, self.path = host, secret_path()
        self.opening = opening_request(self.path, host)
        self._client = client

    def blocking_client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        """The client by http.client, or the bare one. The opening was sent."""
        size = traffic.message_size_bytes
        if self._client != BARE:
            end = http_client_endpoint(connection, size, self.path, self.host, options)
            return self.telling(end)
        client_connection(connection, self.host)
        head = request_head(self.path, self.host, size)
        return self.telling(bare_client_endpoint(connection, head, size, options))

    def telling(self, end: Endpoint) -> Endpoint:
        """The endpoint, which tells of the client's kind, too."""
        kind, of_socket = self._client, end.effective
        if kind is not None:
            end.effective = lambda: {CLIENT: kind, **of_socket()}
        return end

    @staticmethod
    def admit(connection: socket.socket) -> None:
        """Answers the first request, which has been received."""
        connection.sendall(_ADMITTED)


class HttpEnds(ByPath):
    """Ends by http.client and http.server."""

    def __init__(self, host: str, client: str | None, *, buffers_response: bool) -> None:
        super().__init__(host, client)
        self._handler = BufferedHandler if buffers_response else MessageHandler

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        return self.blocking_client(connection, traffic, options)

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        self.admit(connection)
        size, echoes = traffic.message_size_bytes, traffic.echoes

        def handler(of: socket.socket, incoming: memoryview) -> MessageHandler:
            return self._handler(of, self.path, incoming)

        return self.telling(
            http_server_endpoint(connection, size, handler, echoes=echoes, options=options)
        )
