"""The end of a pair that ran out of CPU time while its batches ran. Pure.

A rate that one end bounds says little of the mechanism, and nothing of the other end: it may be
ranked beside rows that the same end bounds.
"""

from typing import Literal, NamedTuple

Bound = Literal["client-bound", "server-bound", "both", "neither"]
"""The end, or ends, that ran out. `neither`: they wait, for wake-ups, timers or each other."""

FULL = 0.9
"""Share of the time from which a CPU has run out: the rest are the ends of batches."""


class Need(NamedTuple):
    """An end's use of its CPU, as shares of the time that its batches took."""

    busy: float
    """CPU time of all its threads. One that spins while it waits is busy, too."""
    queued: float = 0.0
    """Time for which it could have run, and waited for a CPU (proc_pid_schedstat)."""


def bound(client: Need, server: Need, *, on_one_cpu: bool) -> Bound:
    """Tells which end ran out.

    An end that could have run and waited for its CPU has run out of it as well, whoever had it. On
    one CPU that may be the other end, and both ran out where together they need all of it.
    """
    client_is_out, server_is_out = (sum(need) >= FULL for need in (client, server))
    if client_is_out and server_is_out:
        return "both"
    if client_is_out:
        return "client-bound"
    if server_is_out:
        return "server-bound"
    return "both" if on_one_cpu and sum(client) + sum(server) >= FULL else "neither"
