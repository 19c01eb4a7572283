"""What is told of the clients of one server, beside how many messages they sent. Pure."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.analysis.bounds import Bound
from ipcbench.analysis.crowds import (
    FAILURES_KEY,
    IDLE_KEY,
    JAIN_KEY,
    LEAST_KEY,
    LIMIT_KEY,
    MEMORY_KEY,
    MODEL_KEY,
    MOST_KEY,
    OVERFLOWS_KEY,
    PRIVATE_KEY,
)


class Served(NamedTuple):
    """Facts about the clients of one server, beside how many messages they sent.

    Those that no launch recorded are None, and fairness is so of one client.
    """

    p50_s: float | None
    """The median of all single round trips; None of streams."""
    p99_s: float | None
    jain: float | None
    """Jain's index of the messages of each client."""
    least: float | None
    """The messages of the client that had the least, over the mean of all."""
    most: float | None
    ran_out: Bound | None
    waited: float | None
    """Share of the time that a client waited for a CPU, in the mean of all."""
    server_memory_bytes: float | None
    """Memory of the server, with pages that its processes share in each."""
    server_private_bytes: float | None = None
    """Memory of the server that no other process maps."""
    link_idle_bytes: float | None = None
    """Memory that the kernel has for a client's link while nothing is under way."""
    link_limit_bytes: float | None = None
    """The most that it may have, with full buffers."""
    failures: str | None = None
    """Connections that failed, by errno; only of connections."""
    overflows: float | None = None
    """Connections that a full queue dropped, of TCP."""
    server_cpu_s: float | None = None
    """CPU time of the server a message, where all of it has one CPU."""


def served_of(row: Mapping[Hashable, Any]) -> Served:
    """What a row of the frame of cases tells of the clients."""
    keys = ("round_trip_p50_s", "round_trip_p99_s", JAIN_KEY, LEAST_KEY, MOST_KEY, "ran_out")
    memory = (MEMORY_KEY, PRIVATE_KEY, IDLE_KEY, LIMIT_KEY, FAILURES_KEY, OVERFLOWS_KEY)
    found = (row[key] for key in (*keys, "cpu_queued_client_ratio", *memory))
    served = Served(*(None if bool(pd.isna(value)) else value for value in found))
    return served._replace(server_cpu_s=_service_s(row))


def _service_s(row: Mapping[Hashable, Any]) -> float | None:
    """The server's CPU time a message, if its threads and processes have no more than one CPU."""
    if row["placement"] == "free" and row[MODEL_KEY] != "epoll":
        return None
    each = [row[f"cpu_{what}_server_s_per_message"] for what in ("user", "system")]
    return None if any(bool(pd.isna(one)) for one in each) else float(sum(each))
