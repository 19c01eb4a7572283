"""A pair of sequenced-packet sockets: the transport that CONTRIBUTING.md adds. unix(7)."""

import socket

from ipcbench.transports.base import Link, Traffic, Transport, Workspace
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.sockets import socket_endpoint


class Seqpair(Transport):
    """socketpair(2), SOCK_SEQPACKET."""

    name = "seqpair"
    summary = "UNIX domain sequenced-packet sockets, made as a pair"
    waits = "blocks in recv"
    source = "socketpair(2), unix(7)"
    groups = ("sockets",)
    mediums = ("unix-seqpacket", "no-name")

    def rejects(self, traffic: Traffic) -> str | None:
        if traffic.message_size_bytes <= 200_000:
            return super().rejects(traffic)
        return "a record must fit the send buffer; raise it with sysctl net.core.wmem_default"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return JoinedLink(traffic, client, server, socket_endpoint)
