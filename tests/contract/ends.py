"""Endpoints as each loop drives them, for tests that send and receive one message at a time."""

from typing import assert_never

from ipcbench.case import Loop
from ipcbench.measure.drivers.native import NativeEndpoint
from ipcbench.measure.pair import Pair
from ipcbench.measure.peer import ForkedPeer
from ipcbench.transports.base import Endpoint


def driven_by(loop: Loop, endpoint: Endpoint) -> Endpoint:
    """The endpoint, with the calls of this loop."""
    match loop:
        case "python":
            return endpoint
        case "native":
            return NativeEndpoint(endpoint)
        case _:
            assert_never(loop)


def server_pid(pair: Pair) -> int:
    """The process id of a pair's server."""
    assert isinstance(pair._peer, ForkedPeer)
    assert pair._peer.pid is not None
    return pair._peer.pid
