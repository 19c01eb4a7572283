"""Round trips over pairs of CPUs, as tables whose cells are shaded by value. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import pandas as pd

from ipcbench import units
from ipcbench.case import placement_of_cpus
from ipcbench.reporters.model import EMPTY, Cell, Grid, GridColumn, GridRow
from ipcbench.reporters.tables.columns import by_whom, common, definition, with_knobs

_KEYS = ["workload", "transport", "message_size_bytes", "loop", "interpreter"]

_Times = Mapping[tuple[int, int], float]
"""Times in seconds by the CPUs of client and server; without cases that have no number."""


def is_part(cases: pd.DataFrame) -> pd.Series:
    """Marks the cases that are cells of a matrix: round trips whose placement names two CPUs."""
    named = cases["placement"].map(lambda name: placement_of_cpus(name) is not None)
    trips = cases["workload"].map(lambda name: definition(name).quantity == "round_trip")
    return named.astype(bool) & trips.astype(bool)


def matrices(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields a table for each transport, size, loop and interpreter.

    The client's CPU goes down, the server's across. All pairs of CPUs have a cell; it is empty
    where the case has no number.
    """
    for _, group in cases[is_part(cases)].groupby(_KEYS, sort=False):
        first = group.iloc[0]
        size, loop = units.display_size(first["message_size_bytes"]), first["loop"]
        where = f"{first['transport']}, {size}, {loop} loop{with_knobs(group)}{by_whom(group)}"
        pairs = zip(map(placement_of_cpus, group["placement"]), group["time_median_s"], strict=True)
        found = {pair: time_s for pair, time_s in pairs if pair}
        cpus = sorted({cpu for pair in found for cpu in pair})
        times_s = {pair: float(time_s) for pair, time_s in found.items() if not pd.isna(time_s)}
        rows = list(_rows(cpus, times_s))
        about = common(group, _KEYS)
        yield Grid(f"Round trip by CPU, {where}", _columns(cpus), rows, about)


def _columns(cpus: Sequence[int]) -> list[GridColumn]:
    servers = (GridColumn(str(cpu), f"server_cpu_{cpu}_time_median_s") for cpu in cpus)
    return [GridColumn("CPU", "client_cpu"), *servers]


def _rows(cpus: Sequence[int], times_s: _Times) -> Iterator[GridRow]:
    for client in cpus:
        cells = (_cell(times_s.get((client, server)), times_s.values()) for server in cpus)
        yield GridRow([Cell(str(client), client), *cells])


def _cell(time_s: float | None, every: Collection[float]) -> Cell:
    if time_s is None:
        return EMPTY
    least, most = min(every), max(every)
    shade = (time_s - least) / (most - least) if most > least else 0.0
    return Cell(units.display_time(time_s), time_s, shade=shade)
