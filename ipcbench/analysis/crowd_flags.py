"""The flag of a server that gives some of its many clients far less than others."""

import pandas as pd

from ipcbench.analysis.crowds import (
    FAIR,
    JAIN_KEY,
    LEAST_CLIENT_KEY,
    LEAST_KEY,
    MOST_CLIENT_KEY,
    MOST_KEY,
    usual_client,
)

UNFAIR = "unfair"


def unfair(group: pd.DataFrame) -> str | None:
    """Flags a server that gives some of its clients far less than others."""
    if JAIN_KEY not in group or not (jain := group[JAIN_KEY].median()) < FAIR:
        return None
    least, most = (
        f"{group[ratio].median():.2f} times the mean{_named(group, client)}"
        for ratio, client in ((LEAST_KEY, LEAST_CLIENT_KEY), (MOST_KEY, MOST_CLIENT_KEY))
    )
    return (
        f"of its {group['clients_count'].iloc[0]:.0f} clients the one with the fewest messages had"
        f" {least}, and the one with the most {most}: Jain's index is {jain:.2f}, and its times are"
        " mostly those of clients with many messages; try another server="
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
