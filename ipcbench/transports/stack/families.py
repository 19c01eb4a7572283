"""The families of sockets under each rung: what a rung is over AF_UNIX and over TCP.

A rung is a class that says how it makes an endpoint of a connected socket, and one class more for
each family, which has both as its bases: the rung first.
"""

from importlib.util import find_spec

from ipcbench.case import Loop
from ipcbench.transports.base import Link, Traffic, Transport, Workspace, no_native_loop
from ipcbench.transports.inet import Inet, Inet6
from ipcbench.transports.parts.options import SocketOptions, TcpOptions
from ipcbench.transports.parts.sockets import MakesSocketEndpoint, TcpLink
from ipcbench.transports.unix import Unix, UnixLink


def not_installed(module: str, extra: str) -> str | None:
    """The reason why a package can't be used, with the command that installs it; None if it can.

    It isn't imported.
    """
    if find_spec(module) is not None:
        return None
    return f"{module} isn't installed: pip install 'ipcbench[{extra}]'"


class SocketRung(Transport):
    """A rung whose ends share the connected socket of `unix`, `inet` or `inet6`."""

    groups: tuple[str, ...] = ("stack",)
    connects = False

    def endpoint(self) -> MakesSocketEndpoint:
        """Imports what the rung needs, and returns what makes its endpoints after the fork."""
        raise NotImplementedError

    def rejects_driver(self, driver: Loop) -> str | None:
        reason = no_native_loop(driver, "its library is called from Python only")
        return reason or super().rejects_driver(driver)


class OverUnix(SocketRung, Unix):
    """A rung over AF_UNIX."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = SocketOptions(self.settings)
        return UnixLink(traffic, workspace, options, endpoint=self.endpoint())


class OverInet(SocketRung, Inet):
    """A rung over TCP at 127.0.0.1."""

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = TcpOptions(self.settings, nodelay=self.setting("nodelay") == "on")
        return TcpLink(self.family, self.host, traffic, options, endpoint=self.endpoint())


class OverInet6(OverInet, Inet6):
    """A rung over TCP at ::1."""
