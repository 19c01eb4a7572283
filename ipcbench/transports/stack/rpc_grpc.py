"""Rung `rpc-grpc`: gRPC's unary calls over HTTP/2, of bytes, without protobuf.

gRPC can't be given a socket, so the server binds one itself, after the fork, and tells its port
through a pipe that is closed then. It listens until the end. The token is in the methods' names;
a call of any other method is answered by UNAUTHENTICATED, and counted.

Where the machine has IPv6, gRPC's sockets are of AF_INET6 at 127.0.0.1, too: by the address
::ffff:127.0.0.1 (RFC 4291, 2.5.5.2), and what they send is IPv4.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import ClassVar

from ipcbench.terms import Knob
from ipcbench.transports.base import Endpoint, Link, Side, Traffic, Trap, Workspace, owner_only
from ipcbench.transports.parts.gate import new_token
from ipcbench.transports.parts.sockets import Ends, SocketPath
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked

_MOST_DIGITS = 16
"""More than a port and its line end have."""


class GrpcLink(Link):
    """A server that binds itself after the fork, at a target of which only the port is open."""

    def __init__(self, target: Callable[[int], str], traffic: Traffic) -> None:
        from ipcbench.transports.stack import grpc_ends

        self._ends = grpc_ends
        self._target = target
        self._traffic = traffic
        self._prefix = f"/{new_token().hex()}"
        reader, writer = os.pipe()
        self._told, self._tell = os.fdopen(reader), os.fdopen(writer, "w")

    def client(self) -> Endpoint:
        line = self._told.readline(_MOST_DIGITS)
        self._told.close()
        if not line:
            raise EOFError("the server ended before it told its port")
        return self._ends.client_endpoint(self._target(int(line)), self._prefix, self._traffic)

    def server(self) -> Endpoint:
        return self._ends.server_endpoint(self._bind, self._prefix, self._traffic)

    def keep_only(self, side: Side) -> None:
        (self._tell if side == "client" else self._told).close()

    def close(self) -> None:
        self._told.close()
        self._tell.close()

    def _bind(self, bind: Callable[[str], int]) -> None:
        target = self._target(0)
        with owner_only():
            port = bind(target)
        if not port:
            raise OSError(f"gRPC can't bind to {target}")
        with self._tell as tell:
            tell.write(f"{port}\n")


class GrpcUnixLink(GrpcLink):
    """gRPC at a socket file."""

    def __init__(self, traffic: Traffic, workspace: Workspace) -> None:
        self._path = SocketPath(workspace.directory, "socket")
        self._is_needed = False
        """Whether the file is there and a client has still to connect to it."""
        try:
            super().__init__(lambda _port: f"unix:{self._path.address}", traffic)
        except BaseException:
            self._path.close()
            raise

    def close(self) -> None:
        super().close()
        self._path.close()


class Grpc(Stacked):
    """Rung `rpc-grpc`."""

    rung = "rpc-grpc"
    layer = "gRPC: unary calls of bytes"
    waits = "sleeps in a condition variable; threads of gRPC sleep in epoll and receive"
    copies = "six times: into bytes, a slice and the kernel, and out of each"
    source = "grpc.io; gRPC over HTTP/2 (PROTOCOL-HTTP2)"
    package = "grpc"
    extra = "grpc"
    streams = False
    overlaps = False
    knobs: ClassVar[tuple[Knob, ...]] = ()
    traps: tuple[Trap, ...] = ()

    def settle(self) -> None:
        """Leaves all as it is: gRPC sets its sockets' options itself, TCP_NODELAY too."""

    def is_redundant(self) -> bool:
        return False

    def system_limits(self) -> Mapping[str, str]:
        raised = "4 MiB by default, raised to the size of the message"
        return {"max_receive_message_length": raised, **super().system_limits()}

    def ends(self) -> Ends:
        raise NotImplementedError("gRPC makes its sockets itself")


class GrpcUnix(Grpc, OverUnix):
    """Rung `rpc-grpc` over AF_UNIX."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return GrpcUnixLink(traffic, workspace)


class GrpcInet(Grpc, OverInet):
    """Rung `rpc-grpc` over AF_INET."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return GrpcLink(self._target, traffic)

    def _target(self, port: int) -> str:
        host = f"[{self.host}]" if self.family == socket.AF_INET6 else self.host
        return f"{host}:{port}"


class GrpcInet6(GrpcInet, OverInet6):
    """Rung `rpc-grpc` over AF_INET6."""
