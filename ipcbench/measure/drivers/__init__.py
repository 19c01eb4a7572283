"""Drivers: how the messages of a case are run over a link, one a module; `base` is the contract."""

from typing import assert_never

from ipcbench.case import Case
from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.drivers.base import Client, Server
from ipcbench.transports.base import Link
from ipcbench.workloads import DEFINITIONS


def client(case: Case, link: Link) -> Client:
    """Opens the client's side of the link, with the driver of the case. Raises LaunchFailed."""
    replies = DEFINITIONS[case.workload].replies
    match case.loop:
        case "python":
            return blocking.Client(link.client(), replies=replies)
        case "native":
            return native.Client(native.NativeEndpoint(link.client()), replies=replies)
        case _:
            assert_never(case.loop)


def server(case: Case, link: Link) -> Server:
    """Opens the server's side of the link, with the driver of the case. Raises LaunchFailed."""
    replies = DEFINITIONS[case.workload].replies
    match case.loop:
        case "python":
            return blocking.Server(link.server(), replies=replies)
        case "native":
            return native.Server(native.NativeEndpoint(link.server()), replies=replies)
        case _:
            assert_never(case.loop)
