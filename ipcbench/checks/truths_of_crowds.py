"""Bounds of many clients that are known beforehand, beside what was measured.

A server that works for S on each message answers one client after the other: no number of clients
gets more out of it, and few of them no more than so many alone.
"""

import statistics
from collections.abc import Mapping, Sequence

from ipcbench.analysis.crowds import RATE_KEY
from ipcbench.case import Case
from ipcbench.checks.truths import TOLERANCE, Truth, measured
from ipcbench.results.launches import by_case
from ipcbench.results.store import Results
from ipcbench.run.request import Effort
from ipcbench.system.cpus import default_placement
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_time, format_duration

SERVICE_NS = 500_000
"""The server's work on each message: to move one takes little beside it."""
CLIENTS = (2, 4)
_TRANSPORT = "unix"
_SIZE_BYTES = 64
_ALONE = f"latency:work={format_duration(SERVICE_NS / 1e9)}"
EFFORT = Effort(values=3, warmups=1, min_time_s=0.05, samples=0)


def cases() -> list[Case]:
    """The cases to measure: one client, and more; empty where the transport isn't there."""
    if get_transport(_TRANSPORT).unavailable() is not None:
        return []
    placement = default_placement()
    workloads = [_ALONE, *map(_of, CLIENTS)]
    return [Case(one, _TRANSPORT, _SIZE_BYTES, placement=placement) for one in workloads]


def _of(clients: int) -> str:
    """The canonical term of so many clients of the server that works."""
    return f"latency:work={format_duration(SERVICE_NS / 1e9)}:clients={clients}"


def truths(results: Results) -> list[Truth]:
    """What is known of these cases, beside what was measured."""
    launches = {case.workload: found for case, found in by_case(results.launches()).items()}
    alone = [one.time_s for one in launches[_ALONE]]
    between = {
        clients: [1 / float(one.facts[RATE_KEY]) for one in launches[_of(clients)]]
        for clients in CLIENTS
    }
    return of_clients(alone, between)


def of_clients(alone_s: Sequence[float], between_s: Mapping[int, Sequence[float]]) -> list[Truth]:
    """What is known of N clients, by the launches' seconds from one message to the next of all.

    `alone_s` are the round trips of one client, R, with the server's work S in them. N clients
    can't have more than N/R messages answered a second, nor the server answer more than 1/S (the
    bounds of operational analysis: Denning & Buzen 1978). With the most of them the server never
    waits, and takes for each message little more than its work.
    """
    service_s, at_a_time_s = SERVICE_NS * 1e-9, statistics.median(alone_s)
    work = f"work of {display_time(service_s)}"
    found = []
    for clients, each_s in between_s.items():
        least_s = max(service_s, at_a_time_s / clients)
        what = f"from a message to the next, {clients} clients, {work}"
        found.append(Truth(what, least_s, *measured(each_s), TOLERANCE * least_s, is_bound=True))
    most = max(between_s)
    what = f"what the server takes for a message, {most} clients, {work}"
    found.append(Truth(what, service_s, *measured(between_s[most]), TOLERANCE * service_s))
    return found
