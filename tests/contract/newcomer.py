"""A pair of sequenced-packet sockets: the transport that CONTRIBUTING.md adds. unix(7)."""

import socket

from ipcbench.transports.base import Endpoint, Link, Side, Traffic, Transport, Workspace
from ipcbench.transports.parts.sockets import socket_endpoint


class SeqpairLink(Link):
    """Two sockets that were joined when they were made."""

    def __init__(self, traffic: Traffic) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ends = {"client": client, "server": server}

    def client(self) -> Endpoint:
        return socket_endpoint(self._ends["client"], self._size_bytes, echoes=False)

    def server(self) -> Endpoint:
        return socket_endpoint(self._ends["server"], self._size_bytes, echoes=self._echoes)

    def keep_only(self, side: Side) -> None:
        self._ends["server" if side == "client" else "client"].close()

    def close(self) -> None:
        for end in self._ends.values():
            end.close()


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
        return SeqpairLink(traffic)
