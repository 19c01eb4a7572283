"""gRPC's two ends. Imports grpc: only a link of the rung, when it is made, does import this module.

The server's handler runs in the one thread of its pool, and there calls the driver back for each
message; the thread that opened the end waits in `run`.

The client blocks in each call, where gRPC lets signal handlers run every 0.2 s. One that raises
breaks the call off. gRPC never takes such a call back, and is at work in the process until its end:
a fork of that couldn't use it. A worker doesn't fork again, and after a pair that ended as usual
any process may.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from traceback import clear_frames
from typing import Any

import grpc

from ipcbench.transports.base import WHOLE, Endpoint, Traffic, buffer_pair
from ipcbench.transports.ends import CallbackEndpoint
from ipcbench.transports.parts.gate import STRANGERS

_USUAL_MOST_BYTES = 4 * 1024 * 1024
"""gRPC's own limit of a message."""
_PATIENCE_S = 0.5
"""Most seconds that gRPC gets to close its descriptors; it takes a millisecond."""
_LOOK_EVERY_S = 0.001
_MOST = 2**31 - 1
"""The greatest number that an option of gRPC takes."""


def options(size_bytes: int) -> list[tuple[str, int]]:
    """The options of both ends that a benchmark needs; all others are as they come."""
    most_bytes = max(size_bytes, _USUAL_MOST_BYTES)
    return [
        ("grpc.so_reuseport", 0),  # else another server's clients may reach this one
        ("grpc.enable_http_proxy", 0),  # else the environment may put a proxy in between
        ("grpc.max_receive_message_length", most_bytes),
        ("grpc.max_send_message_length", most_bytes),
        ("grpc.client_idle_timeout_ms", _MOST),  # other cases have turns of any length
        ("grpc.use_local_subchannel_pool", 1),  # no connection of an earlier channel is taken
    ]


def client_endpoint(target: str, prefix: str, traffic: Traffic) -> Endpoint:
    """The client's endpoint. Returns once it is connected and known to the server.

    `send` is the whole call, as gRPC's blocking stub has it; `receive` takes the reply out of it.
    """
    size = traffic.message_size_bytes
    outgoing, incoming = buffer_pair(size, echoes=False)
    others = open_descriptors()
    channel = grpc.insecure_channel(target, options=options(size))
    echo = channel.unary_unary(f"{prefix}/echo")
    reply = b""

    def send() -> None:
        nonlocal reply
        try:
            reply = echo(bytes(outgoing))
        except grpc.RpcError as error:
            raise _failed(error) from error

    def receive() -> None:
        if len(reply) != size:
            raise OSError(f"a reply of {len(reply):,} bytes came in place of {size:,}")
        incoming[WHOLE] = reply

    def close() -> None:
        nonlocal channel, echo
        channel.close()
        del channel, echo
        await_close(own)

    try:
        channel.unary_unary(f"{prefix}/greet")(b"")
    except grpc.RpcError as error:
        channel.close()
        raise _failed(error) from error
    except BaseException:
        channel.close()
        raise
    own = open_descriptors() - others
    return Endpoint(send=send, receive=receive, outgoing=outgoing, incoming=incoming, close=close)


def open_descriptors() -> set[int]:
    """The descriptors of this process; that of the listing is closed again."""
    return set(filter(_is_open, map(int, os.listdir("/proc/self/fd"))))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def await_close(descriptors: set[int]) -> None:
    """Waits a moment until gRPC has closed these: its threads do, after the last channel is gone.

    A process that makes the next pair forks, and would take them for what the next server inherits.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while any(map(_is_open, descriptors)) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)


def _failed(error: grpc.RpcError) -> OSError:
    """The error of a call, as a transport tells it; it holds the channel no more."""
    clear_frames(error.__traceback__)
    code = error.code() if isinstance(error, grpc.Call) else None
    return OSError(f"the call ended with {'an unknown status' if code is None else code.name}")


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # it has no types
    """The methods of the server, whose names begin with the token."""

    def __init__(self, prefix: str, echo: Callable[[bytes, Any], bytes]) -> None:
        self._handlers = {
            f"{prefix}/greet": grpc.unary_unary_rpc_method_handler(_greet),
            f"{prefix}/echo": grpc.unary_unary_rpc_method_handler(echo),
        }
        self._refusing = grpc.unary_unary_rpc_method_handler(_refuse)
        self.facts: dict[str, int] = {}
        """The count of unauthenticated calls, once there is one."""

    def service(self, details: Any) -> Any:
        """The handler of a call."""
        handler = self._handlers.get(details.method)
        if handler is None:
            self.facts[STRANGERS] = self.facts.get(STRANGERS, 0) + 1
            return self._refusing
        return handler


def _greet(_request: bytes, _context: Any) -> bytes:
    """Answers the client's first call, which connects it."""
    return b""


def _refuse(_request: bytes, context: Any) -> None:
    """Answers whoever doesn't know the token."""
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown")


class CalledServer:
    """The turns of the handler's thread, and of the thread that runs the endpoint.

    A message that comes while nothing runs, or after `stop`, waits in its handler.
    """

    endpoint: CallbackEndpoint

    def __init__(self, traffic: Traffic) -> None:
        size = traffic.message_size_bytes
        self._outgoing, self._incoming = buffer_pair(size, echoes=traffic.echoes)
        self._turn = threading.Condition()
        self._delivers = False
        self._is_posted = False
        self._is_done = True
        self._is_closed = False
        self._error: Exception | None = None

    def echo(self, request: bytes, context: Any) -> bytes:
        """Handles a call; in the pool's thread."""
        with self._turn:
            try:
                self._await(lambda: self._delivers, context)
                self._receive(request)
                self.endpoint.on_message()
                self._await(lambda: self._is_posted, context)
            except OSError as error:
                self._error, self._is_done = error, True
                self._turn.notify_all()
                raise
            self._is_posted = False
            # Called back when the call is over: the reply has been written to the connection then.
            if not self._delivers and not context.add_callback(self._end):
                self._end()
            return bytes(self._outgoing)

    def open(self, close: Callable[[], None], facts: dict[str, int]) -> CallbackEndpoint:
        """The endpoint."""

        def close_all() -> None:
            with self._turn:
                self._is_closed = True
                self._turn.notify_all()
            close()

        self.endpoint = CallbackEndpoint(
            post=self._post,
            run=self._run,
            stop=self._stop,
            outgoing=self._outgoing,
            incoming=self._incoming,
            facts=facts,
            close=close_all,
        )
        return self.endpoint

    def _await(self, has_come: Callable[[], bool], context: Any) -> None:
        while not has_come():
            if self._is_closed:
                context.abort(grpc.StatusCode.CANCELLED, "the server ends")
            self._turn.wait()

    def _receive(self, request: bytes) -> None:
        size = len(self._incoming)
        if len(request) != size:
            raise OSError(f"a message of {len(request):,} bytes came in place of {size:,}")
        self._incoming[WHOLE] = request

    def _run(self, begin: Callable[[], None]) -> None:
        with self._turn:
            self._check()
            self._delivers, self._is_done = True, False
            begin()
            self._turn.notify_all()
            while not self._is_done:
                self._turn.wait()
            self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _post(self) -> bool:
        self._is_posted = True
        return True

    def _stop(self) -> None:
        """Lets no other message be delivered; the run is done once what is posted has left."""
        self._delivers = False
        if not self._is_posted:
            self._is_done = True
            self._turn.notify_all()

    def _end(self) -> None:
        with self._turn:
            self._is_done = True
            self._turn.notify_all()


def server_endpoint(
    bind: Callable[[Callable[[str], int]], None], prefix: str, traffic: Traffic
) -> Endpoint:
    """The server's endpoint. `bind` gets what binds to a target, and tells its port.

    Returns before the client has come: gRPC accepts in threads of its own.
    """
    called = CalledServer(traffic)
    service = Service(prefix, called.echo)
    pool = ThreadPoolExecutor(1)
    handlers: Sequence[grpc.GenericRpcHandler] = (service,)
    server = grpc.server(pool, handlers=handlers, options=options(traffic.message_size_bytes))

    def close() -> None:
        server.stop(None).wait()
        pool.shutdown()

    try:
        bind(server.add_insecure_port)
        server.start()
    except BaseException:
        close()
        raise
    return called.open(close, service.facts)
