"""Flags of many clients: of an unfair server, and of one that has no room for them."""

import pandas as pd

from ipcbench.analysis.crowds import (
    FAILED_KEY,
    FAILURES_KEY,
    FAIR,
    JAIN_KEY,
    LEAST_CLIENT_KEY,
    LEAST_KEY,
    MODEL_KEY,
    MOST_CLIENT_KEY,
    MOST_KEY,
    OVERFLOWS_KEY,
    failures_text,
    times_by_errno,
    usual_client,
)

UNFAIR = "unfair"
FULL_QUEUE = "full-queue"

_FEW_FAILURES = 0.01
"""Share of the connections of a case up to which those that failed are no matter."""


def unfair(group: pd.DataFrame) -> str | None:
    """Flags a server that gives some of its clients far less than others."""
    if JAIN_KEY not in group or not (jain := group[JAIN_KEY].median()) < FAIR:
        return None
    least, most = (
        f"{group[ratio].median():.2f} times the mean{_named(group, client)}"
        for ratio, client in ((LEAST_KEY, LEAST_CLIENT_KEY), (MOST_KEY, MOST_CLIENT_KEY))
    )
    has_models = MODEL_KEY in group and group[MODEL_KEY].count()
    remedy = "; try another server=" if has_models else ""
    return (
        f"of its {group['clients_count'].iloc[0]:.0f} clients the one with the fewest messages had"
        f" {least}, and the one with the most {most}: Jain's index is {jain:.2f}, and its times are"
        f" mostly those of clients with many messages{remedy}"
    )


def full_queue(group: pd.DataFrame) -> str | None:
    """The sentence on clients that met a full queue of connections; None where that was rare."""
    if FAILED_KEY not in group:
        return None
    overflows = group[OVERFLOWS_KEY].sum() if OVERFLOWS_KEY in group else 0
    met = int(group[FAILED_KEY].sum() + overflows)
    if met <= _FEW_FAILURES * group["messages_count"].sum():
        return None
    failures = failures_text(group[FAILURES_KEY].dropna())
    said = [f"connect(2) failed {times_by_errno(failures)}"] if failures != "none" else []
    said += [f"{overflows:,.0f} connections were dropped"] if overflows else []
    return (
        f"its clients met a full queue of connections: {' and '.join(said)}; its times tell of"
        " tries again: ask for a longer backlog=, or fewer clients"
    )


def _named(group: pd.DataFrame, key: str) -> str:
    """The client that most launches name, in brackets; empty in files of before."""
    found = usual_client(group, key)
    if found is None:
        return ""
    if found.of_launches == 1:
        return f" (client {found.number})"
    which = f"{found.launches} of" if found.launches < found.of_launches else "each of"
    return f" (client {found.number}, in {which} {found.of_launches} launches)"
