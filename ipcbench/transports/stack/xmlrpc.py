"""XML-RPC over a connected socket. Imports xmlrpc: only `ends` does import this module."""

import socket
from functools import partial
from http.client import HTTPConnection
from xmlrpc.client import Binary, Transport, dumps, loads
from xmlrpc.server import SimpleXMLRPCDispatcher

from ipcbench.transports.base import WHOLE, Endpoint, Traffic, buffer_pair
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.parts.sockets import socket_facts
from ipcbench.transports.stack.http import OK, ByPath, OneConnection, client_connection

METHOD = "echo"
_ENCODING = "utf-8"


class OneTransport(Transport):
    """The transport of xmlrpc.client over a connection that is there already."""

    accept_gzip_encoding = False

    def __init__(self, connection: HTTPConnection) -> None:
        super().__init__()
        self._http = connection
        self.verbose = False  # `request`, which nobody calls here, would set it

    def make_connection(self, host: object) -> HTTPConnection:
        """The one connection, whatever the host."""
        return self._http


class CallHandler(OneConnection):
    """A request handler that dispatches each call, and answers later.

    SimpleXMLRPCRequestHandler does both in one method. This does what it does, in two.
    """

    wbufsize = -1  # as there

    def __init__(
        self, connection: socket.socket, path: str, dispatcher: SimpleXMLRPCDispatcher
    ) -> None:
        self._dispatch = dispatcher._dispatch  # noqa: SLF001  (documented for subclasses)
        super().__init__(connection, path)

    def do_POST(self) -> None:  # noqa: N802  (http.server calls it so)
        """Receives a call, and dispatches it."""
        if not self.is_known():
            return
        told = self.body_bytes()
        body = self.rfile.read(told)
        if len(body) != told:
            raise EOFError(f"the stream ended after {len(body):,} of {told:,} bytes")
        arguments, method = loads(body)
        self._dispatch(str(method), arguments)
        self.has_come = True

    def reply(self, outgoing: memoryview) -> None:
        """Answers the call."""
        made = dumps((Binary(bytes(outgoing)),), methodresponse=True, encoding=_ENCODING)
        body = made.encode(_ENCODING, "xmlcharrefreplace")
        self.begin_response("text/xml", len(body))
        self.wfile.write(body)
        self.wfile.flush()


class XmlrpcEnds(ByPath):
    """Ends by xmlrpc.client and xmlrpc.server."""

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        outgoing, incoming = buffer_pair(traffic.message_size_bytes, echoes=False)
        http = client_connection(connection, self.host)
        transport = OneTransport(http)
        send_request, parse, response_of = (
            transport.send_request,
            transport.parse_response,
            http.getresponse,
        )
        host, path = self.host, self.path

        def send() -> None:
            call = dumps((Binary(bytes(outgoing)),), METHOD, encoding=_ENCODING)
            send_request(host, path, call.encode(_ENCODING, "xmlcharrefreplace"), False)

        def receive() -> None:
            response = response_of()
            if response.status != OK:
                raise OSError(f"the server answered with status {response.status}")
            (answer,) = parse(response)
            incoming[WHOLE] = answer.data  # type: ignore[union-attr]  # else it fails, and tells

        return Endpoint(
            send=send,
            receive=receive,
            outgoing=outgoing,
            incoming=incoming,
            facts=socket_facts(connection),
            effective=partial(options.in_force, connection),
            close=connection.close,
        )

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        self.admit(connection)
        outgoing, incoming = buffer_pair(traffic.message_size_bytes, echoes=traffic.echoes)

        def echo(message: Binary) -> None:
            incoming[WHOLE] = message.data

        dispatcher = SimpleXMLRPCDispatcher()
        dispatcher.register_function(echo, METHOD)  # type: ignore[arg-type]
        handles = CallHandler(connection, self.path, dispatcher)
        return Endpoint(
            send=partial(handles.reply, outgoing),
            receive=handles.receive,
            outgoing=outgoing,
            incoming=incoming,
            facts=socket_facts(connection),
            effective=partial(options.in_force, connection),
            close=handles.close,
        )
