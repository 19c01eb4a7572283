"""Round trips over every pair of CPUs, as a table whose cells are shaded by value."""

from collections.abc import Collection, Iterator

import pandas as pd
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.case import placement_of_cpus

_FAST, _SLOW = (247, 251, 255), (8, 81, 156)
"""Light to dark in one hue, which any eye can order (ColorBrewer's Blues)."""
_DARK = 0.5


def is_part(cases: pd.DataFrame) -> pd.Series:
    """Which cases are cells of a matrix: those whose placement names two CPUs."""
    return cases["placement"].map(lambda name: placement_of_cpus(name) is not None).astype(bool)


def matrices(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """A table for each transport, size and loop: the client's CPU down, the server's across."""
    keys = ["workload", "transport", "message_size_bytes", "loop"]
    for (_, transport, size, loop), group in cases[is_part(cases)].groupby(keys, sort=False):
        yield Text(
            f"Round trip by CPU, {transport}, {units.display_size(int(str(size)))}, {loop} loop",
            style="bold",
        )
        yield _matrix(group)
        yield Text()


def _matrix(group: pd.DataFrame) -> Table:
    times = {
        placement_of_cpus(row["placement"]): row["time_median_s"]
        for row in group.to_dict("records")
        if row["status"] == "measured"
    }
    pairs = [pair for pair in map(placement_of_cpus, group["placement"]) if pair]
    cpus = sorted({cpu for pair in pairs for cpu in pair})
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("CPU", justify="right")
    for cpu in cpus:
        table.add_column(str(cpu), justify="right")
    for client in cpus:
        cells = [times.get((client, server)) for server in cpus]
        table.add_row(str(client), *(_cell(time_s, times.values()) for time_s in cells))
    return table


def _cell(time_s: float | None, every: Collection[float]) -> Text:
    if time_s is None:
        return Text("")
    least, most = min(every), max(every)
    share = (time_s - least) / (most - least) if most > least else 0.0
    red, green, blue = (
        round(fast + share * (slow - fast)) for fast, slow in zip(_FAST, _SLOW, strict=True)
    )
    ink = "white" if share > _DARK else "black"
    return Text(f" {units.display_time(time_s)} ", style=f"{ink} on rgb({red},{green},{blue})")
