"""Rung `rpc-zmq`: ZeroMQ's PAIR sockets, with their own threads.

Context and sockets are made after the fork, each with an I/O thread and a reaper. The listening
socket is the link's, made before: libzmq takes it over (ZMQ_USE_FD), so the client knows the port,
and the file of an ipc:// address is removed with the link.

The client proves itself in ZMTP's handshake, with PLAIN: the token is its password. The server
looks at passwords in the thread that waits for the client, and once it is there nobody does: libzmq
then refuses every other one. The messages themselves are the same as without. Whoever fails is
closed and counted, and so is whoever says nothing; libzmq closes that one after 30 s. It listens
until the end: to stop would end the client's connection, too, which is the listener's in libzmq.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from ipcbench.terms import Knob
from ipcbench.transports.base import Endpoint, Link, Traffic, Trap, Workspace, buffer_pair
from ipcbench.transports.parts.gate import STRANGERS
from ipcbench.transports.parts.options import SocketOptions, TcpOptions
from ipcbench.transports.parts.sockets import Ends, SocketLink, TcpLink
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked
from ipcbench.transports.unix import UnixLink

_USER = b"ipcbench"
_ZAP = "inproc://zeromq.zap.01"
"""Where libzmq asks whether a password is right (ZeroMQ RFC 27)."""
_LOOK_UP_MS = 100
"""Longest wait in libzmq. A process that dies closes its connection just before the signal of its
end is sent: that finds libzmq awake, busy with the connection, and doesn't end the next wait."""
_MOST_QUEUED = 1000
"""ZeroMQ's own default for the messages that wait in each queue."""
_MOST_QUEUED_BYTES = 1024 * 1024


def high_water_mark(size_bytes: int) -> int:
    """Messages that may wait at each end: as many as by default, or 1 MiB, but two at least."""
    return max(2, min(_MOST_QUEUED, _MOST_QUEUED_BYTES // max(1, size_bytes)))


class ZmqLink(SocketLink):
    """A link whose connection libzmq makes; mixed into the one of a family."""

    def zmq_address(self) -> str:
        """The address as ZeroMQ spells it."""
        if self._family == socket.AF_UNIX:
            return f"ipc://{self._address}"
        host, port, *_ = tuple(self._address)
        return f"tcp://[{host}]:{port}" if ":" in str(host) else f"tcp://{host}:{port}"

    def _connected(self) -> Endpoint:
        with ExitStack() as made:
            pair, close = self._socket(made)
            pair.plain_username, pair.plain_password = _USER, self._token.hex().encode()
            pair.reconnect_ivl = -1  # a connection that ends is the end
            pair.connect(self.zmq_address())
            made.pop_all()
        return zmq_endpoint(pair, self._traffic.message_size_bytes, echoes=False, close=close)

    def _accepted(self) -> Endpoint:
        with ExitStack() as made:
            pair, close = self._socket(made)
            pair.plain_server = True
            pair.use_fd = os.dup(self._listener.fileno())  # libzmq closes it
            strangers = self._await_client(pair)
            self._listener.close()
            made.pop_all()
        endpoint = zmq_endpoint(
            pair, self._traffic.message_size_bytes, echoes=self._traffic.echoes, close=close
        )
        endpoint.facts = strangers
        return endpoint

    def _socket(self, made: ExitStack) -> tuple[Any, Callable[[], None]]:
        """A PAIR socket in a context of its own, and how to close both."""
        import zmq

        context = zmq.Context()
        made.callback(context.destroy, linger=0)
        pair: Any = context.socket(zmq.PAIR)

        def close() -> None:
            pair.close(linger=0)  # the last who knows it
            context.destroy(linger=0)

        pair.linger = 0
        pair.rcvtimeo = pair.sndtimeo = _LOOK_UP_MS
        pair.ipv6 = self._family == socket.AF_INET6
        pair.set_hwm(high_water_mark(self._traffic.message_size_bytes))
        return pair, close

    def _await_client(self, pair: Any) -> "Strangers":
        """Listens until the client is authenticated; returns the count of others."""
        import zmq

        password, same = self._token.hex().encode(), self._gate.same
        with pair.context.socket(zmq.REP) as asked:
            asked.bind(_ZAP)
            strangers = Strangers(pair)
            pair.bind(self.zmq_address())
            poller = zmq.Poller()
            poller.register(asked, zmq.POLLIN)
            poller.register(strangers.monitor, zmq.POLLIN)
            while not strangers.has_client:
                if asked in dict(poller.poll()):
                    version, request, *_, given = asked.recv_multipart()
                    status = b"200" if same(given, password) else b"400"
                    asked.send_multipart([version, request, status, b"", b"", b""])
                strangers.look()
        return strangers


class Strangers(Mapping[str, int]):
    """Facts of the server: the count of unauthenticated connections, once there is one.

    libzmq tells of connections by messages, which are read when somebody asks for the facts.
    """

    def __init__(self, pair: Any) -> None:
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        self._read, self._none = recv_monitor_message, zmq.Again
        self._flag = zmq.NOBLOCK
        self._accepted, self._proved = zmq.EVENT_ACCEPTED, zmq.EVENT_HANDSHAKE_SUCCEEDED
        self.monitor = pair.get_monitor_socket(self._accepted | self._proved)
        self._connections = 0
        self.has_client = False
        """Whether the client has proved itself."""

    def look(self) -> None:
        """Reads what there is to read."""
        try:
            while True:
                event = self._read(self.monitor, self._flag)["event"]
                self._connections += event == self._accepted
                self.has_client = self.has_client or event == self._proved
        except self._none:
            pass

    def _counted(self) -> dict[str, int]:
        self.look()
        count = self._connections - self.has_client
        return {STRANGERS: count} if count else {}

    def __getitem__(self, name: str) -> int:
        return self._counted()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counted())

    def __len__(self) -> int:
        return len(self._counted())


def zmq_endpoint(
    pair: Any, size_bytes: int, *, echoes: bool, close: Callable[[], None]
) -> Endpoint:
    """An endpoint on a PAIR socket, which it then owns."""
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    put, receive_into = pair.send, pair.recv_into
    from zmq import EVENTS, POLLIN, Again

    look = pair.get

    def send() -> None:
        while True:
            try:
                put(outgoing)
            except Again:
                continue
            return

    def receive() -> None:
        while True:
            try:
                got = receive_into(incoming)
            except Again:
                continue
            break
        if got != size_bytes:
            raise OSError(f"a message of {got:,} bytes came in place of {size_bytes:,}")

    def ready() -> bool:
        return bool(look(EVENTS) & POLLIN)

    return Endpoint(
        send=send,
        receive=receive,
        ready=ready,
        outgoing=outgoing,
        incoming=incoming,
        close=close,
    )


class ZmqUnixLink(ZmqLink, UnixLink):
    """ZeroMQ over ipc://."""


class ZmqTcpLink(ZmqLink, TcpLink):
    """ZeroMQ over tcp://."""


class Zmq(Stacked):
    """Rung `rpc-zmq`."""

    rung = "rpc-zmq"
    layer = "ZeroMQ: PAIR sockets, I/O threads"
    waits = "sleeps in poll of an eventfd; an I/O thread sleeps in epoll and receives"
    copies = "four times: into a message and the kernel, and out of both"
    source = "zmq_socket(3), zmq_ipc(7), zmq_tcp(7)"
    package = "zmq"
    knobs: ClassVar[tuple[Knob, ...]] = ()
    traps: tuple[Trap, ...] = ()

    def settle(self) -> None:
        """Leaves all as it is: libzmq has its own options, and sets TCP_NODELAY."""

    def is_redundant(self) -> bool:
        return False

    def ends(self) -> Ends:
        import zmq.utils.monitor  # noqa: F401  (before the fork, for both ends)

        return Ends()


class ZmqUnix(Zmq, OverUnix):
    """Rung `rpc-zmq` over AF_UNIX."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return ZmqUnixLink(traffic, workspace, SocketOptions({}), ends=self.ends())


class ZmqInet(Zmq, OverInet):
    """Rung `rpc-zmq` over AF_INET."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = TcpOptions({}, nodelay=True)
        return ZmqTcpLink(self.family, self.host, traffic, options, self.ends())


class ZmqInet6(ZmqInet, OverInet6):
    """Rung `rpc-zmq` over AF_INET6."""
