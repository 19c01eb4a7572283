"""A pair of sequenced-packet sockets, for ipcbench. unix(7)."""

import socket
from functools import partial

from ipcbench.transports.base import Link, Traffic, Transport, Workspace
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.options import BUFFERS, SocketOptions
from ipcbench.transports.parts.sockets import socket_endpoint, unix_message_limit


class Seqpair(Transport):
    """socketpair(2), SOCK_SEQPACKET."""

    name = "seqpair"
    summary = "UNIX domain sequenced-packet sockets, made as a pair"
    waits = "blocks in recv"
    source = "socketpair(2), unix(7)"
    groups = ("pairs",)
    mediums = ("unix-seqpacket", "no-name")
    knobs = BUFFERS

    def rejects(self, traffic: Traffic) -> str | None:
        limit = unix_message_limit(traffic.message_size_bytes, self.settings)
        return super().rejects(traffic) or limit

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = SocketOptions(self.settings)
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (client, server):
            options.prepare(end)
        return JoinedLink(traffic, client, server, partial(socket_endpoint, options=options))
