"""Bases of the rungs: a layer over a UNIX or a TCP stream, with that socket's knobs and limits.

A rung is a class for each family, of a layer and of one of the three bases here. This module and
those of the rungs import no library of the stack: `ends` does, in `link`, before the fork.
"""

from abc import abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import ClassVar

from ipcbench.case import Loop
from ipcbench.rungs import Family
from ipcbench.transports.base import BLOCKING, Link, Traffic, Transport, Workspace, no_native_loop
from ipcbench.transports.inet import Inet, Inet6
from ipcbench.transports.parts.options import SocketOptions, TcpOptions
from ipcbench.transports.parts.sockets import Ends, TcpLink
from ipcbench.transports.unix import Unix, UnixLink
from ipcbench.workloads import ServerModel

GROUP = "stack"
_TITLES: Mapping[Family, str] = {"unix": "AF_UNIX", "inet": "AF_INET", "inet6": "AF_INET6"}


class Stacked(Transport):
    """A rung of the stack over one family of sockets."""

    rung: ClassVar[str]
    """Its name in ipcbench.rungs."""
    layer: ClassVar[str]
    """Description of the layer, for the summary."""
    family_name: ClassVar[Family]
    package: ClassVar[str | None] = None
    """The module that an extra installs for it; None if Python has all it takes."""
    also_needs: ClassVar[tuple[str, ...]] = ()
    """Further modules that the extra installs."""
    extra: ClassVar[str] = GROUP
    host_header: ClassVar[str] = "localhost"
    """The server as an HTTP client names it."""
    groups: tuple[str, ...] = (GROUP,)
    connects = False
    server_models: tuple[ServerModel, ...] = BLOCKING
    batches: tuple[Loop, ...] = ()
    duplexes = False

    def __init__(self) -> None:
        self.name = f"{self.rung}-{self.family_name}"
        self.summary = f"{self.layer}, {_TITLES[self.family_name]}"

    def unavailable(self) -> str | None:
        needed = () if self.package is None else (self.package, *self.also_needs)
        for module in needed:
            if find_spec(module) is None:
                return f"{module} isn't installed: pip install 'ipcbench[{self.extra}]'"
        return super().unavailable()

    def rejects_driver(self, driver: Loop) -> str | None:
        return no_native_loop(driver, "its layer is Python's: there is no native loop")

    @abstractmethod
    def ends(self) -> Ends:
        """What a link makes of its two sockets. Imports what the layer needs."""


class OverUnix(Stacked, Unix):
    """A layer over AF_UNIX, SOCK_STREAM."""

    family_name = "unix"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return UnixLink(traffic, workspace, SocketOptions(self.settings), ends=self.ends())


class OverInet(Stacked, Inet):
    """A layer over TCP at 127.0.0.1."""

    family_name: ClassVar[Family] = "inet"
    host_header = "127.0.0.1"

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return TcpLink(self.family, self.host, traffic, self.tcp_options(), self.ends())

    def tcp_options(self) -> TcpOptions:
        """The options of the sockets of both ends."""
        return TcpOptions(self.settings, nodelay=self.setting("nodelay") == "on")


class OverInet6(OverInet, Inet6):
    """A layer over TCP at ::1."""

    family_name = "inet6"
    host_header = "[::1]"
