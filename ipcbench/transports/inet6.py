"""TCP over IPv6 loopback: `inet` at another address, in one implementation. ipv6(7)."""

import socket

from ipcbench.transports.base import Link, Transport, Workload, Workspace
from ipcbench.transports.stream import TcpLink, tcp_unavailable

_HOST = "::1"


class Inet6(Transport):
    """TCP at ::1."""

    name = "inet6"
    summary = "TCP over IPv6 loopback (::1), TCP_NODELAY"
    waits = "blocks in recv"

    def unavailable(self) -> str | None:
        if not socket.has_ipv6:
            return "this Python was built without IPv6; use a build that has it"
        reason = tcp_unavailable(socket.AF_INET6, _HOST)
        return (
            f"no IPv6 here: {reason}; try sysctl net.ipv6.conf.lo.disable_ipv6=0"
            if reason
            else None
        )

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return TcpLink(socket.AF_INET6, _HOST, message_size_bytes, workload)
