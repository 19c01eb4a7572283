"""TCP over loopback, IPv4 and IPv6: one implementation at two addresses. tcp(7), ip(7), ipv6(7)."""

import socket
from collections.abc import Mapping
from typing import ClassVar

from ipcbench.case import LOOPS, Loop
from ipcbench.terms import Knob
from ipcbench.transports.base import (
    BY_READINESS,
    CORE,
    Link,
    Medium,
    Traffic,
    Transport,
    Workspace,
    known,
)
from ipcbench.transports.parts.options import TcpOptions, congestion_control, tcp_knobs
from ipcbench.transports.parts.sockets import TcpLink, ip_unavailable
from ipcbench.transports.parts.traps import tcp_traps
from ipcbench.workloads import ServerModel


class Inet(Transport):
    """TCP at 127.0.0.1."""

    name = "inet"
    summary = "TCP over IPv4 loopback (127.0.0.1), TCP_NODELAY"
    waits = "blocks in recv"
    source = "tcp(7), ip(7)"
    groups: tuple[str, ...] = ("sockets", CORE)
    mediums: tuple[Medium, ...] = ("tcp4", "nodelay")
    overlaps = True
    server_models: tuple[ServerModel, ...] = BY_READINESS
    batches: tuple[Loop, ...] = LOOPS
    duplexes = True
    connects = admits_many = True
    family: int = socket.AF_INET
    host = "127.0.0.1"
    knobs: ClassVar[tuple[Knob, ...]] = tcp_knobs(nodelay="on")

    def settle(self) -> None:
        trait: Medium = "nodelay" if self.setting("nodelay") == "on" else "nagle"
        self.mediums = (self.mediums[0], trait)
        self.traps = tcp_traps(nodelay=trait == "nodelay")

    def is_redundant(self) -> bool:
        return dict(self.settings) == {"congestion": congestion_control()}

    def unavailable(self) -> str | None:
        return ip_unavailable(self.family, self.host)

    def system_limits(self) -> Mapping[str, str]:
        return known(
            {
                "net.ipv4.tcp_wmem": "bytes of send buffer at the least",
                "net.ipv4.tcp_rmem": "bytes of receive buffer at the least",
                "net.core.somaxconn": "connections that wait to be accepted",
            }
        )

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = TcpOptions(self.settings, nodelay=self.setting("nodelay") == "on")
        return TcpLink(self.family, self.host, traffic, options)


class Inet6(Inet):
    """TCP at ::1."""

    name = "inet6"
    summary = "TCP over IPv6 loopback (::1), TCP_NODELAY"
    source = "tcp(7), ipv6(7)"
    mediums: tuple[Medium, ...] = ("tcp6", "nodelay")
    family = socket.AF_INET6
    host = "::1"

    def unavailable(self) -> str | None:
        if not socket.has_ipv6:
            return "this Python was built without IPv6; use a build that has it"
        return super().unavailable()
