"""Whether the servers of two cases with many clients were saturated: only then they are compared.

Where the clients run out of CPU before the server, a faster server has nothing more to do.
"""

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from ipcbench.analysis.bounds import FULL, Need
from ipcbench.analysis.comparisons import Comparison
from ipcbench.case import Case, is_on_one_cpu

Unsaturated = Literal["clients", "shared", "others", "neither", "unknown"]
"""Why it can't be said that a server was saturated.

Its clients ran out of CPU before it, or both have one CPU, or other programs had the server's, or
no end ran out, or that wasn't recorded."""


def unsaturated(comparison: Comparison, groups: Mapping[Case, pd.DataFrame]) -> Unsaturated | None:
    """The reason why a server of many clients wasn't saturated; None if both were, or of one."""
    for case in comparison.cases:
        if case.clients.number > 1:
            needs = (_need(groups[case], side) for side in ("client", "server"))
            lack = _lack(*needs, on_one_cpu=is_on_one_cpu(case.placement))
            if lack is not None:
                return lack
    return None


def server_busy(comparison: Comparison, groups: Mapping[Case, pd.DataFrame]) -> float | None:
    """The least share of a CPU that a server of many clients took; None if there is none."""
    many = [case for case in comparison.cases if case.clients.number > 1]
    found = [_median(groups[case], "cpu_busy_server_ratio") for case in many]
    return min((busy for busy in found if busy is not None), default=None)


def _lack(client: Need | None, server: Need | None, *, on_one_cpu: bool) -> Unsaturated | None:
    """The reason why a server wasn't saturated: it had less than all of a CPU; None if it was."""
    if server is None or client is None:
        return "unknown"
    if server.busy >= FULL:
        return None
    if on_one_cpu:
        return "shared"
    # While one client waits for their CPU, another one has it: that is the same time.
    if max(client) >= FULL:
        return "clients"
    return "others" if sum(server) >= FULL else "neither"


def _need(group: pd.DataFrame, side: str) -> Need | None:
    """How much of its CPU an end needed, all of its processes together, in the median launch."""
    busy = _median(group, f"cpu_busy_{side}_ratio")
    return None if busy is None else Need(busy, _median(group, f"cpu_queued_{side}_ratio") or 0.0)


def _median(group: pd.DataFrame, key: str) -> float | None:
    if key not in group or group[key].isna().all():
        return None
    return float(group[key].median())
