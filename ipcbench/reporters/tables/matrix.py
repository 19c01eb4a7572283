"""Round trips over pairs of CPUs, as a table whose cells are shaded by value."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.case import placement_of_cpus
from ipcbench.reporters.terminal import bare_table

_FAST, _SLOW = (247, 251, 255), (8, 81, 156)
"""Ends of the shades, light to dark in one hue, which any eye can order (ColorBrewer's Blues)."""
_DARK = 0.5


@dataclass(frozen=True, slots=True)
class Grid:
    """The round trips of one transport, size and loop over pairs of CPUs."""

    title: str
    cpus: Sequence[int]
    """CPUs of either end, in order."""
    times_s: Mapping[tuple[int, int], float]
    """Times by the CPUs of client and server; without cases that have no number."""


def is_part(cases: pd.DataFrame) -> pd.Series:
    """Marks the cases that are cells of a matrix: round trips whose placement names two CPUs."""
    named = cases["placement"].map(lambda name: placement_of_cpus(name) is not None)
    return named.astype(bool) & (cases["workload"] == "latency").astype(bool)


def grids(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields a grid for each transport, size and loop that has cells."""
    keys = ["transport", "message_size_bytes", "loop"]
    for (transport, size, loop), group in cases[is_part(cases)].groupby(keys, sort=False):
        where = f"{transport}, {units.display_size(int(str(size)))}, {loop} loop"
        cells = zip(map(placement_of_cpus, group["placement"]), group["time_median_s"], strict=True)
        times_s = {
            pair: None if pd.isna(time_s) else float(time_s) for pair, time_s in cells if pair
        }
        yield Grid(
            f"Round trip by CPU, {where}",
            sorted({cpu for pair in times_s for cpu in pair}),
            {pair: time_s for pair, time_s in times_s.items() if time_s is not None},
        )


def matrices(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """Yields a table for each grid: the client's CPU down, the server's across."""
    for grid in grids(cases):
        yield Text(grid.title, style="bold")
        yield _matrix(grid)
        yield Text()


def _matrix(grid: Grid) -> Table:
    table = bare_table()
    table.add_column("CPU", justify="right")
    for cpu in grid.cpus:
        table.add_column(str(cpu), justify="right")
    for client in grid.cpus:
        cells = [grid.times_s.get((client, server)) for server in grid.cpus]
        table.add_row(str(client), *(_cell(time_s, grid.times_s.values()) for time_s in cells))
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
