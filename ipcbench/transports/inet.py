"""TCP over IPv4 loopback, TCP_NODELAY on both ends. tcp(7), ip(7)."""

import socket

from ipcbench.transports.base import Link, Transport, Workload, Workspace
from ipcbench.transports.stream import TcpLink, tcp_unavailable

_HOST = "127.0.0.1"


class Inet(Transport):
    """TCP at 127.0.0.1."""

    name = "inet"
    summary = "TCP over IPv4 loopback (127.0.0.1), TCP_NODELAY"
    waits = "blocks in recv"

    def unavailable(self) -> str | None:
        return tcp_unavailable(socket.AF_INET, _HOST)

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return TcpLink(socket.AF_INET, _HOST, message_size_bytes, workload)
