"""The overview table: a row a mechanism, a column a workload and size. Pure."""

from collections.abc import Iterator
from typing import NamedTuple, assert_never

import pandas as pd

from ipcbench import units
from ipcbench.analysis.frame import MEASURED
from ipcbench.reporters.model import EMPTY, Cell, Grid, GridColumn, GridRow
from ipcbench.reporters.tables.columns import (
    TRANSPORT_COLUMN,
    Column,
    Row,
    by_whom,
    common,
    definition,
    knobs_text,
)
from ipcbench.results.metadata import MECHANISM
from ipcbench.workloads import Quantity


class _Place(NamedTuple):
    """The workload and size that a column of the table is of."""

    workload: str
    """A term, with its knobs."""
    message_size_bytes: int

    @property
    def shown(self) -> Column:
        """The column of the frame that is shown."""
        return _main_column(definition(self.workload).quantity)

    @property
    def head(self) -> GridColumn:
        words = definition(self.workload).words
        size = units.display_size(self.message_size_bytes)
        key = f"{self.workload}_{self.message_size_bytes}_{self.shown.keys[0]}"
        knobs = knobs_text(self.workload).replace(", ", "\n")
        return GridColumn(f"{words.stacked}{knobs}\n{size}", key)


def overviews(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields a table for each placement, loop and interpreter, without messages of 0 bytes."""
    carrying = cases[(cases["message_size_bytes"] > 0) & (cases["role"] == MECHANISM)]
    for _, group in carrying.groupby(["placement", "loop", "interpreter"], sort=False):
        about = common(group, ["placement", "loop", "interpreter"])
        places = list(dict.fromkeys(map(_place_of, group.to_dict("records"))))
        columns = [TRANSPORT_COLUMN.head, *(place.head for place in places)]
        title = f"All mechanisms, {about['placement']}, {about['loop']} loop{by_whom(group)}"
        yield Grid(title, columns, list(_rows(group, places)), about)


def _rows(group: pd.DataFrame, places: list[_Place]) -> Iterator[GridRow]:
    cells = {
        (str(row["transport"]), _place_of(row)): _cell(row) for row in group.to_dict("records")
    }
    for name in dict.fromkeys(map(str, group["transport"])):
        yield GridRow([Cell(name, name), *(cells.get((name, place), EMPTY) for place in places)])


def _place_of(row: Row) -> _Place:
    return _Place(str(row["workload"]), int(row["message_size_bytes"]))


def _cell(row: Row) -> Cell:
    if row["status"] != MEASURED:
        return Cell(str(row["status"]))
    return _place_of(row).shown.cell(row)


def _main_column(quantity: Quantity) -> Column:
    """The number of a workload that people compare: bandwidth of a stream, otherwise a time."""
    match quantity:
        case "message":
            return Column("MiB/s", ("throughput_bytes_per_s",), units.display_bandwidth)
        case "round_trip" | "connection" | "response":
            return Column("time", ("time_median_s",), units.display_time)
        case _:
            assert_never(quantity)
