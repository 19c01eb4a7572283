"""Reads back the knobs of a transport from a link that is made for that, and moves no message."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path

from ipcbench.errors import explain, explain_with_type
from ipcbench.transports.base import Endpoint, Traffic, Transport, Unavailable, Workspace
from ipcbench.transports.catalogue import InForce

_MESSAGE_BYTES = 64
_PATIENCE_S = 5.0
"""More than any link takes to be made: for one that waits for ever."""


def in_force(transport: Transport, directory: Path) -> InForce | str:
    """The knobs in force at both ends of a link in this process, or why they can't be known.

    The link is closed; what may outlive it is noted in `directory`, which the caller sweeps.
    """
    workload = transport.workloads[0]
    traffic = Traffic(transport.size_of(workload, _MESSAGE_BYTES), workload)
    reason = transport.unavailable() or transport.rejects(traffic)
    if reason is not None:
        return reason
    try:
        link = transport.link(traffic, Workspace(directory))
    except (Unavailable, OSError) as error:
        return explain(error)
    opening = [_in_thread(link.client), _in_thread(link.server)]
    try:
        if wait(opening, _PATIENCE_S).not_done:
            return f"its link wasn't made in {_PATIENCE_S:g} s"
        client, server = (end.result() for end in opening)
        return InForce(dict(client.effective()), dict(server.effective()))
    except Exception as error:  # whatever another package's transport raises
        return explain_with_type(error)
    finally:
        for end in opening:
            if end.done() and end.exception() is None:
                with suppress(OSError):
                    end.result().close()
        with suppress(OSError):
            link.close()


def _in_thread(opened: Callable[[], Endpoint]) -> "Future[Endpoint]":
    """Opens an end in a thread that can't keep this process alive."""
    end: Future[Endpoint] = Future()

    def run() -> None:
        try:
            end.set_result(opened())
        except BaseException as error:
            end.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return end
