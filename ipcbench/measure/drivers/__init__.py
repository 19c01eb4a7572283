"""Drivers: how the messages of a case are run over a link, one a module; `base` is the contract.

The functions here are all that other rooms ask of a driver, each a `match` over the loops.
"""

from typing import assert_never

from ipcbench.case import Case, Loop
from ipcbench.measure.drivers import blocking, native, paced
from ipcbench.measure.drivers.base import Client, Server
from ipcbench.measure.peer import Peer
from ipcbench.transports.base import Link
from ipcbench.transports.registry import get_transport


def unavailable(loop: Loop) -> str | None:
    """The reason why this installation has no such loop, and the remedy; None if it has it."""
    match loop:
        case "python":
            return None
        case "native":
            return native.unavailable()
        case _:
            assert_never(loop)


def rejects(case: Case) -> str | None:
    """The reason why the case's driver can't run it over its transport; None if it can.

    Both sides are asked: the driver, and the transport.
    """
    match case.loop:
        case "python":
            reason = None
        case "native":
            reason = native.rejects(case.workload_name)
        case _:
            assert_never(case.loop)
    return reason or get_transport(case.transport).rejects_driver(case.loop)


def load(loop: Loop) -> None:
    """Imports what the driver needs: before the fork, so that both processes have it."""
    match loop:
        case "python":
            pass
        case "native":
            native.load()
        case _:
            assert_never(loop)


def client(case: Case, link: Link, peer: Peer) -> Client:  # noqa: ARG001  (no driver watches it yet)
    """Opens the client's side of the link, with the driver of the case. Raises LaunchFailed.

    `peer` is the process at the other end, for a driver that watches its descriptor.
    """
    match case.loop:
        case "python":
            if case.rhythm.gap_s:
                return paced.Client(link.client(), case.workload_name, case.rhythm)
            return blocking.Client(link.client(), case.workload_name)
        case "native":
            core = native.NativeEndpoint(link.client())
            if case.rhythm.gap_s:
                return paced.NativeClient(core, case.workload_name, case.rhythm)
            return native.Client(core, case.workload_name)
        case _:
            assert_never(case.loop)


def server(case: Case, link: Link) -> Server:
    """Opens the server's side of the link, with the driver of the case. Raises LaunchFailed."""
    match case.loop:
        case "python":
            if case.rhythm.work_s:
                return paced.Server(link.server(), case.workload_name, case.rhythm)
            return blocking.Server(link.server(), case.workload_name)
        case "native":
            core = native.NativeEndpoint(link.server())
            if case.rhythm.work_s:
                return paced.NativeServer(core, case.workload_name, case.rhythm)
            return native.Server(core, case.workload_name)
        case _:
            assert_never(case.loop)
