"""The overview table: a row a mechanism, a column a workload and size. Prints nothing."""

from collections.abc import Iterator

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.reporters.tables.columns import WORDS, Row
from ipcbench.reporters.terminal import bare_table


def overviews(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """Yields a table for each loop and placement, without messages of 0 bytes (mere signals)."""
    carrying = cases[(cases["message_size_bytes"] > 0) & (cases["role"] == "mechanism")]
    for (placement, loop), group in carrying.groupby(["placement", "loop"], sort=False):
        yield Text(f"All mechanisms, {placement}, {loop} loop", style="bold")
        yield _table(group)
        yield Text()


def _table(group: pd.DataFrame) -> Table:
    columns = list(dict.fromkeys(zip(group["workload"], group["message_size_bytes"], strict=True)))
    table = bare_table()
    table.add_column("transport", no_wrap=True)
    for workload, size in columns:
        table.add_column(f"{WORDS[workload].stacked}\n{units.display_size(size)}", justify="right")
    cells = {
        (row["transport"], row["workload"], row["message_size_bytes"]): _cell(row)
        for row in group.to_dict("records")
    }
    for name in dict.fromkeys(group["transport"]):
        table.add_row(escape(str(name)), *(cells.get((name, *column), "") for column in columns))
    return table


def _cell(row: Row) -> str:
    """The main number of the workload: the bandwidth of a stream with payload, otherwise a time."""
    if row["status"] != "measured":
        return str(row["status"])
    rate = row["throughput_bytes_per_s"]
    if row["workload"] == "throughput" and not pd.isna(rate):
        return units.display_bandwidth(float(rate))
    return units.display_time(float(row["time_median_s"]))
