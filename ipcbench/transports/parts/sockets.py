"""Whole messages over a byte stream, and the stream sockets; shared by unix, inet, inet6, pipe.

A stream may take or return fewer bytes than asked for: a 1 MiB message crosses a 64 KiB pipe in
many pieces. The first call gets the whole buffer, and its count is the only check if all went at
once. The rest of a message goes through views that were made beforehand.
"""

import errno
import fcntl
import io
import mmap
import os
import socket
import struct
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from ipcbench.transports.base import (
    Endpoint,
    Link,
    Side,
    Traffic,
    Unavailable,
    buffer_pair,
    do_nothing,
    message_buffer,
    nothing_set,
    owner_only,
    removed_file,
)
from ipcbench.transports.parts.gate import BACKLOG, Gate, Watch, new_token
from ipcbench.transports.parts.options import SocketOptions, send_buffer_bytes
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.rush import LOOK_EVERY_S, connected, count_failure, was_dropped
from ipcbench.transports.parts.stream import whole_receiver, whole_sender
from ipcbench.transports.shapes import StreamShape

DEFAULTS = SocketOptions({})
"""Options of which none is asked for."""

Address = str | tuple[Any, ...]
"""Address that a socket connects to: a path, or getsockname() of the listener."""

SUN_PATH_BYTES = 108
"""Room for the path in sockaddr_un, its closing NUL included (unix(7))."""
_DESCRIPTORS = "/proc/self/fd"
_NO_PORT = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
"""Errors of bind(2) and connect(2) if the range of local ports is used up (ip(7))."""
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
NO_LINGER = struct.pack("@ii", 1, 0)
"""struct linger of socket(7): on, with a timeout of 0."""
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 0x1
"""Request for an interface's flags, and that of one that is up (linux/sockios.h, net/if.h)."""
_UNIX_OVERHEAD_BYTES = 32
"""Overhead of a UNIX datagram or record: its length is at most the send buffer less this."""


def socket_endpoint(
    connection: socket.socket,
    size_bytes: int,
    *,
    echoes: bool,
    options: SocketOptions = DEFAULTS,
) -> Endpoint:
    """An endpoint on a connected, blocking stream socket, which it then owns.

    `options` are what its knobs are read back by.

    FileIO calls read(2) and write(2) with less of the interpreter in between than the socket's own
    methods: on one core a round trip takes 2 to 3 % less (the commit that chose it says more). Of a
    message that comes in pieces MSG_WAITALL gets the rest in one call; it still returns early at
    the end of the stream and when a signal arrives (recv(2)).
    """
    outgoing, incoming = buffer_pair(size_bytes, echoes=echoes)
    recv_into, wait_all = connection.recv_into, socket.MSG_WAITALL
    ends = io.FileIO(connection.fileno(), "r+b", closefd=False)

    def read_rest(rest: memoryview) -> int:
        return recv_into(rest, 0, wait_all)

    return Endpoint(
        send=whole_sender(ends.write, outgoing),
        receive=whole_receiver(ends.readinto, incoming, read_rest),
        ready=readable(connection.fileno()),
        outgoing=outgoing,
        incoming=incoming,
        facts=socket_facts(connection),
        effective=partial(options.in_force, connection),
        close=connection.close,
        shape=StreamShape(
            "stream",
            connection.fileno(),
            connection.fileno(),
            is_socket=True,
            records=connection.type == socket.SOCK_SEQPACKET,
        ),
    )


class Ends:
    """What a link makes of its two connected sockets: here endpoints of the bare stream.

    Each endpoint owns its socket. A subclass puts a layer on the stream. One link has them alone.
    """

    refusal: ClassVar[bytes] = b""
    """What an unauthenticated connection is told before it is closed."""

    def __init__(self) -> None:
        self.opening = new_token()
        """What the client says first: a token, or more around it."""

    def accept(
        self, listener: socket.socket, gate: Gate, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        """Waits at the listener for the authenticated client, and makes the server's endpoint.

        The listener is closed then, and all other connections are closed and counted.
        """
        connection, _ = gate.admit()
        listener.close()
        options.tune_accepted(connection)
        endpoint = self.server(connection, traffic, options)
        endpoint.facts = {**endpoint.facts, **gate.facts}
        return endpoint

    def client(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        """The client's endpoint; the opening has been sent."""
        return socket_endpoint(
            connection, traffic.message_size_bytes, echoes=False, options=options
        )

    def server(
        self, connection: socket.socket, traffic: Traffic, options: SocketOptions
    ) -> Endpoint:
        """The server's endpoint; the opening has been received."""
        return socket_endpoint(
            connection, traffic.message_size_bytes, echoes=traffic.echoes, options=options
        )


def socket_facts(connection: socket.socket) -> dict[str, int]:
    """The sizes of a socket's buffers, as the kernel has them."""
    return {
        "so_sndbuf_bytes": connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
        "so_rcvbuf_bytes": connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
    }


def opening_message(opening: bytes) -> memoryview:
    """Makes the only message of a new connection: the opening, and a byte that begins a page."""
    whole = message_buffer(mmap.PAGESIZE + 1)[mmap.PAGESIZE - len(opening) :]
    whole[: len(opening)] = opening
    return whole


def connecting_endpoint(
    exchange: Callable[[memoryview, memoryview], None],
    opening: bytes,
    effective: Callable[[], Mapping[str, str]] = nothing_set,
    facts: Mapping[str, int] = MappingProxyType({}),
) -> Endpoint:
    """The client of the connect workload: `send` makes a connection, exchanges a byte, ends it.

    `exchange` gets the message to send, the opening and the byte, and the buffer for the answer.
    """
    whole, incoming = opening_message(opening), message_buffer(1)
    return Endpoint(
        send=partial(exchange, whole, incoming),
        receive=do_nothing,
        outgoing=whole[len(opening) :],
        incoming=incoming,
        facts=facts,
        effective=effective,
    )


def accepting_endpoint(
    answer: Callable[[], None],
    message: memoryview,
    gate: Gate,
    watch: Watch,
    effective: Callable[[], Mapping[str, str]] = nothing_set,
) -> Endpoint:
    """The server of the connect workload: `receive` takes, answers and ends a connection."""
    return Endpoint(
        send=do_nothing,
        receive=answer,
        outgoing=message,
        incoming=message,
        facts=gate.facts,
        effective=effective,
        close=watch.stop,
    )


class SocketPath:
    """The path of a socket file, usable however long the folder's path is.

    A path too long for sockaddr_un goes through the folder's descriptor, which both processes have
    after the fork (proc_pid_fd(5)).
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.address = os.fspath(directory / name)
        self._folder: int | None = None
        length = len(os.fsencode(self.address)) + 1
        if length <= SUN_PATH_BYTES:
            return
        if not os.path.isdir(_DESCRIPTORS):
            raise Unavailable(
                f"the socket's path takes {length} bytes and sun_path holds {SUN_PATH_BYTES};"
                " set TMPDIR to a shorter folder"
            )
        self._folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.address = f"{_DESCRIPTORS}/{self._folder}/{name}"

    def vanished(self) -> str | None:
        """Tells that somebody removed the file; None if it is there."""
        return None if os.path.lexists(self.address) else removed_file("the socket file")

    def close(self) -> None:
        """Removes the file, if it is there. Allowed twice."""
        if os.path.lexists(self.address):
            os.unlink(self.address)
        folder, self._folder = self._folder, None
        if folder is not None:
            os.close(folder)


class SocketLink(Link):
    """A listening socket that one client connects to, at an address chosen by the subclass.

    The client authenticates itself with a token, see `gate`. Then the listening socket is closed.

    In the connect workload it connects over and over. The token then travels with the byte, in one
    send and one recv: the message is the byte, and the token costs no system call. The client ends
    each connection with a reset (SO_LINGER of 0), the one way that leaves no port waiting in
    TIME_WAIT: a port for each connection would end a run after some 28,000 of them, and a table of
    waiting ports slows the next batch down. Both ends have all of their bytes by then; the time
    holds no orderly end of a TCP connection.

    Many clients may connect to it so, at once; see `rush`.
    """

    _protocol: ClassVar[int] = 0
    """The protocol of its sockets, as Python's objects tell it."""

    def __init__(
        self,
        family: int,
        traffic: Traffic,
        options: SocketOptions,
        kind: int = socket.SOCK_STREAM,
        ends: Ends | None = None,
    ) -> None:
        self._options = options
        self._family = family
        self._kind = kind
        self._ends = ends = ends or Ends()
        self._traffic = traffic
        self._connects = traffic.connects
        self._token = ends.opening
        self._listener = socket.socket(family, kind, self._protocol)
        more_bytes = 1 if self._connects else 0
        self._gate = Gate(self._listener, self._token, more_bytes, ends.refusal)
        self._watch = Watch(LOOK_EVERY_S) if traffic.clients > 1 else Watch()
        self._failures: dict[str, int] = {}
        try:
            options.prepare(self._listener)  # what it accepts inherits it
            with owner_only():
                self._address = self.bind(self._listener)
            self._listener.listen(traffic.backlog or BACKLOG)
        except OSError as error:
            self._listener.close()
            raise bind_refused(error) from error
        except BaseException:
            self._listener.close()
            raise

    @abstractmethod
    def bind(self, listener: socket.socket) -> Address:
        """Binds the listener and returns the address that the client connects to."""

    def client(self) -> Endpoint:
        if not self._connects:
            return self._connected()
        once = self._connect_once if self._traffic.clients == 1 else self._connect_among_many
        return connecting_endpoint(once, self._token, self._in_force, self._failures)

    def server(self) -> Endpoint:
        return self._answering() if self._connects else self._accepted()

    def keep_only(self, side: Side) -> None:
        if side == "client":
            self._listener.close()

    def close(self) -> None:
        self._listener.close()

    def _connected(self) -> Endpoint:
        """Connects to the server, authenticates itself, and makes the endpoint."""
        connection = socket.socket(self._family, self._kind, self._protocol)
        try:
            self._options.prepare(connection)
            connection.connect(self._address)
            self._options.tune(connection)
            connection.sendall(self._token)
            return self._ends.client(connection, self._traffic, self._options)
        except OSError as error:
            connection.close()
            raise bind_refused(error) from error
        except BaseException:
            connection.close()
            raise

    def _accepted(self) -> Endpoint:
        """Accepts the one client that is authenticated, and makes the endpoint."""
        return self._ends.accept(self._listener, self._gate, self._traffic, self._options)

    def _in_force(self) -> Mapping[str, str]:
        """The knobs of a socket like those of the connect workload, which come and go."""
        with socket.socket(self._family, self._kind, self._protocol) as like_them:
            self._options.prepare(like_them)
            self._options.tune(like_them)
            return self._options.in_force(like_them)

    def _connect_once(self, outgoing: memoryview, incoming: memoryview) -> None:
        with socket.socket(self._family, self._kind, self._protocol) as connection:
            self._options.prepare(connection)
            connection.connect(self._address)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self._options.tune(connection)
            connection.send(outgoing)
            if connection.recv_into(incoming) != 1:
                raise EOFError("a new connection ended before its byte came back")

    def _exchange(
        self, connection: socket.socket, outgoing: memoryview, incoming: memoryview
    ) -> None:
        """Does on a connection of one of many clients what `_connect_once` does on its own."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._options.tune(connection)
        connection.send(outgoing)
        if connection.recv_into(incoming) != 1:
            raise EOFError("a new connection ended before its byte came back")

    def _connect_among_many(self, outgoing: memoryview, incoming: memoryview) -> None:
        is_answered = False
        while not is_answered:
            with connected(self._prepared, self._address, self._failures) as connection:
                try:
                    self._exchange(connection, outgoing, incoming)
                    is_answered = True
                except OSError as error:
                    if not was_dropped(connection, error):
                        raise
                    count_failure(self._failures, error.errno or 0)

    def _prepared(self) -> socket.socket:
        connection = socket.socket(self._family, self._kind, self._protocol)
        self._options.prepare(connection)
        return connection

    def _answering(self) -> Endpoint:
        """The server of the connect workload. `answer` is timed as a whole: it looks nothing up."""
        gate, watch, token, tune = self._gate, self._watch, self._token, self._options.tune_accepted
        accept, same, wait_all = self._listener.accept, gate.same, int(socket.MSG_WAITALL)
        whole = opening_message(bytes(len(token)))
        claimed, message = whole[: len(token)], whole[len(token) :]
        whole_bytes = len(whole)
        is_alone = self._traffic.clients == 1

        def answer() -> None:
            while True:
                connection, _ = accept()
                watch.connection = connection
                with connection:
                    tune(connection)
                    try:
                        came = connection.recv_into(whole, whole_bytes, wait_all)
                    except OSError:
                        came = 0
                    if came == whole_bytes and same(claimed, token):
                        connection.send(message)
                        return
                gate.count_stranger()
                if is_alone:  # else the next one may be another client's, which the gate closes
                    break
            # Where there is one there may be more: now all are listened to at once.
            connection, message[:] = gate.admit()
            with connection:
                tune(connection)
                connection.send(message)

        watch.start()
        return accepting_endpoint(answer, message, gate, watch, self._in_force)


class TcpLink(SocketLink):
    """TCP over a loopback address, at a port the kernel chose."""

    _protocol = socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY on no other sockets

    def __init__(
        self,
        family: int,
        host: str,
        traffic: Traffic,
        options: SocketOptions,
        ends: Ends | None = None,
    ) -> None:
        self._host = host
        super().__init__(family, traffic, options, ends=ends)

    def bind(self, listener: socket.socket) -> Address:
        listener.bind((self._host, 0))
        address: Address = listener.getsockname()
        return address


def is_loopback_down() -> bool:
    """Whether the loopback interface of this network namespace is down, as it is in a new one.

    An address of it can be bound even then, and only a connection fails. netdevice(7).
    """
    request = struct.pack("16s24x", b"lo")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, request)
    except OSError:
        return False  # none of that name, or another system: what uses it will tell
    (flags,) = struct.unpack_from("h", answer, 16)
    return not flags & _IFF_UP


def ip_unavailable(family: int, host: str, kind: int = socket.SOCK_STREAM) -> str | None:
    """The reason why this loopback address has no such socket; None where it has."""
    if sys.platform == "linux" and is_loopback_down():
        return "the loopback interface is down: ip link set lo up (as root)"
    try:
        with socket.socket(family, kind) as probe:
            probe.bind((host, 0))
    except OSError as error:
        if family == socket.AF_INET6 and error.errno in _NO_IPV6:
            return (
                f"no IPv6 here: {host} can't be bound: {error.strerror};"
                " try sysctl net.ipv6.conf.lo.disable_ipv6=0 (as root)"
            )
        return f"{host} can't be bound: {_bind_reason(error)}"
    return None


def bind_refused(error: OSError) -> OSError | Unavailable:
    """Turns an OSError of a socket without a free port into Unavailable with the remedy."""
    return Unavailable(_bind_reason(error)) if error.errno in _NO_PORT else error


def _bind_reason(error: OSError) -> str:
    if error.errno in _NO_PORT:
        return (
            f"no port is free ({error.strerror}): end what uses them, or widen"
            " sysctl net.ipv4.ip_local_port_range"
        )
    return error.strerror or str(error)


def unix_message_limit(message_size_bytes: int, settings: Mapping[str, str]) -> str | None:
    """The reason why one UNIX datagram or record can't be this long; None if it can."""
    room = send_buffer_bytes(settings)
    if room is None or message_size_bytes <= room - _UNIX_OVERHEAD_BYTES:
        return None
    needed = message_size_bytes + _UNIX_OVERHEAD_BYTES
    remedy = f"raise it with sysctl net.core.wmem_default={needed}"
    if "sndbuf" in settings:
        remedy = f"ask for sndbuf={-(-needed // 2)}, which net.core.wmem_max must allow"
    return (
        f"a message must fit the send buffer, which holds {room - _UNIX_OVERHEAD_BYTES:,} bytes;"
        f" {remedy}"
    )
