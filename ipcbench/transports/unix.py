"""AF_UNIX stream sockets, met at a real socket file in the launch's private directory. unix(7)."""

import os
import socket

from ipcbench.transports.base import Link, Transport, Unavailable, Workload, Workspace
from ipcbench.transports.stream import Address, SocketLink

_SUN_PATH_BYTES = 108
"""Room for the path in sockaddr_un, its closing NUL included (unix(7))."""


class UnixLink(SocketLink):
    """A socket file, removed with the link."""

    def __init__(self, size_bytes: int, workload: Workload, workspace: Workspace) -> None:
        self._path = os.fspath(workspace.directory / "socket")
        length = len(os.fsencode(self._path)) + 1
        if length > _SUN_PATH_BYTES:
            raise Unavailable(
                f"the socket's path takes {length} bytes and sun_path holds {_SUN_PATH_BYTES};"
                " set TMPDIR to a shorter folder"
            )
        super().__init__(socket.AF_UNIX, size_bytes, workload)

    def bind(self, listener: socket.socket) -> Address:
        listener.bind(self._path)
        return self._path

    def close(self) -> None:
        super().close()
        if os.path.lexists(self._path):
            os.unlink(self._path)


class Unix(Transport):
    """AF_UNIX, SOCK_STREAM."""

    name = "unix"
    summary = "UNIX domain stream socket, met at a socket file"
    waits = "blocks in recv"

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return UnixLink(message_size_bytes, workload, workspace)
