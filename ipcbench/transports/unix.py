"""UNIX domain sockets that connect: stream and seqpacket, by path, name or pair. unix(7)."""

import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from ipcbench.case import LOOPS, Loop
from ipcbench.terms import Knob
from ipcbench.transports.base import (
    BY_READINESS,
    CORE,
    Endpoint,
    Link,
    Traffic,
    Transport,
    Trap,
    Workspace,
    known,
)
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.options import BUFFERS, SocketOptions
from ipcbench.transports.parts.sockets import (
    SUN_PATH_BYTES,
    Address,
    Ends,
    SocketLink,
    SocketPath,
    socket_endpoint,
    unix_message_limit,
)
from ipcbench.transports.parts.traps import FILLS_SOCKET
from ipcbench.workloads import ServerModel


class UnixLink(SocketLink):
    """Sockets met at a socket file, which is removed with the link."""

    def __init__(
        self,
        traffic: Traffic,
        workspace: Workspace,
        options: SocketOptions,
        kind: int = socket.SOCK_STREAM,
        ends: Ends | None = None,
    ) -> None:
        self._path = SocketPath(workspace.directory, "socket")
        self._is_needed = True
        """Whether a client has still to connect to the file."""
        try:
            super().__init__(socket.AF_UNIX, traffic, options, kind, ends)
        except BaseException:
            self._path.close()
            raise

    def bind(self, listener: socket.socket) -> Address:
        listener.bind(self._path.address)
        return self._path.address

    def client(self) -> Endpoint:
        endpoint = super().client()
        self._is_needed = self._connects
        return endpoint

    def vanished(self) -> str | None:
        return self._path.vanished() if self._is_needed else None

    def close(self) -> None:
        super().close()
        self._path.close()


class AbstractLink(SocketLink):
    """Sockets met at a name in Linux's abstract namespace, which needs no file."""

    def __init__(self, traffic: Traffic, options: SocketOptions) -> None:
        super().__init__(socket.AF_UNIX, traffic, options)

    def bind(self, listener: socket.socket) -> Address:
        name = f"\0ipcbench-{os.urandom(16).hex()}"  # nobody can guess it and connect first
        listener.bind(name)
        return name


class Unix(Transport):
    """AF_UNIX, SOCK_STREAM."""

    name = "unix"
    summary = "UNIX domain stream socket, met at a socket file"
    waits = "blocks in recv"
    source = "unix(7)"
    groups: tuple[str, ...] = ("sockets", CORE)
    mediums = ("unix-stream", "socket-file")
    overlaps = True
    server_models: tuple[ServerModel, ...] = BY_READINESS
    batches: tuple[Loop, ...] = LOOPS
    duplexes = True
    knobs: ClassVar[tuple[Knob, ...]] = BUFFERS
    traps: tuple[Trap, ...] = (FILLS_SOCKET,)
    connects = admits_many = True

    def system_limits(self) -> Mapping[str, str]:
        return {"sun_path": f"{SUN_PATH_BYTES} bytes, the closing NUL included"} | known(
            {"net.core.wmem_default": "bytes of send buffer"}
        )

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return UnixLink(traffic, workspace, SocketOptions(self.settings))


class UnixSeqpacket(Transport):
    """AF_UNIX, SOCK_SEQPACKET."""

    name = "unix-seqpacket"
    summary = "UNIX domain sockets that keep records, in order"
    waits = "blocks in recv"
    source = "unix(7)"
    groups = ("sockets",)
    mediums = ("unix-seqpacket", "socket-file")
    overlaps = True
    server_models: tuple[ServerModel, ...] = BY_READINESS
    batches = ("native",)
    duplexes = True
    knobs = BUFFERS
    connects = admits_many = True

    def unavailable(self) -> str | None:
        return None if sys.platform == "linux" else "SOCK_SEQPACKET of AF_UNIX needs Linux"

    def rejects(self, traffic: Traffic) -> str | None:
        return super().rejects(traffic) or unix_message_limit(
            traffic.message_size_bytes, self.settings
        )

    def system_limits(self) -> Mapping[str, str]:
        return known({"net.core.wmem_default": "bytes of send buffer, which a record must fit"})

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return UnixLink(traffic, workspace, SocketOptions(self.settings), socket.SOCK_SEQPACKET)


class UnixAbstract(Transport):
    """AF_UNIX, SOCK_STREAM, an abstract name."""

    name = "unix-abstract"
    summary = "UNIX domain stream socket, met at an abstract name"
    waits = "blocks in recv"
    source = "unix(7)"
    groups = ("sockets",)
    mediums = ("unix-stream", "abstract-name")
    overlaps = True
    server_models: tuple[ServerModel, ...] = BY_READINESS
    batches = LOOPS
    duplexes = True
    knobs = BUFFERS
    traps = (FILLS_SOCKET,)
    connects = admits_many = True

    def unavailable(self) -> str | None:
        return None if sys.platform == "linux" else "abstract names need Linux"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return AbstractLink(traffic, SocketOptions(self.settings))


class Socketpair(Transport):
    """socketpair(2), SOCK_STREAM."""

    name = "socketpair"
    summary = "UNIX domain stream sockets, made as a pair"
    waits = "blocks in recv"
    source = "socketpair(2), unix(7)"
    groups = ("sockets",)
    mediums = ("unix-stream", "no-name")
    overlaps = True
    server_models: tuple[ServerModel, ...] = BY_READINESS
    batches = LOOPS
    duplexes = True
    knobs = BUFFERS
    traps = (FILLS_SOCKET,)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = SocketOptions(self.settings)
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        options.prepare(client)
        options.prepare(server)
        return JoinedLink(traffic, client, server, partial(socket_endpoint, options=options))
