"""The loop of a server that serves its many clients in turn, the first one several times a turn.

Unlike a server that waits for all of them it has no choice, so that what each client gets is known
beforehand, whatever the machine does: for the selftest. `TURNS` is the knob that asks for it.
"""

from array import array
from collections.abc import Sequence
from time import perf_counter_ns

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.drivers.many import Acknowledge, BlockingServer, mark_numbers, model_of
from ipcbench.transports.base import TURNS, Link
from ipcbench.transports.registry import get_transport


def turns_of(case: Case) -> int | None:
    """Messages of the first client in each turn; None where clients aren't served in turn."""
    asked = get_transport(case.transport).settings.get(TURNS.name)
    return None if asked is None else int(asked)


def rejects(case: Case) -> str | None:
    """The reason why the case's server can't serve in turn, as it is asked to; None if it can."""
    if turns_of(case) is None:
        return None
    if case.clients.number == 1:
        return f"{TURNS.name} is of a server with many clients; use it with clients=2 or more"
    if model_of(case) != "epoll":
        return f"{TURNS.name} is of a server with one thread for all clients; use server=epoll"
    if case.loop != "python":
        return f"{TURNS.name} is a knob of the loop in Python only; use --loop python"
    return None


class Server(BlockingServer):
    """The server of the loop in Python, which waits for one client after the other."""

    def __init__(self, links: Sequence[Link], case: Case, turns: int) -> None:
        super().__init__([link.server() for link in links], case)
        self._order = (*(0 for _ in range(turns)), *range(1, len(links)))
        """Numbers of the clients whose messages make a turn."""

    def serve(self, messages: int, marks: int, acknowledge: Acknowledge) -> Sequence[Samples]:
        """Serves a batch of all clients; see `many.Server`."""
        noted = frozenset(messages - mark for mark in mark_numbers(messages, marks))
        calls = [
            (endpoint.receive, reply)
            for endpoint, reply in zip(self._endpoints, self._reply, strict=True)
        ]
        left = [messages] * len(calls)
        marks_ns = [array("q") for _ in calls]
        while any(left):
            for number in self._order:
                if not left[number]:
                    continue
                receive, answer = calls[number]
                receive()
                answer()
                left[number] = rest = left[number] - 1
                if rest in noted:
                    marks_ns[number].append(perf_counter_ns())
                if not rest:
                    acknowledge(number)
        return marks_ns


def server(links: Sequence[Link], case: Case) -> Server:
    """Opens the server's sides of links for a server in turn. Raises LaunchFailed."""
    turns = turns_of(case)
    if turns is None:
        raise LaunchFailed(f"{case.id} doesn't ask for a server in turn")
    return Server(links, case, turns)
