"""The open loop as parts of the model: a table with a row a transport and rate, and sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ipcbench import units
from ipcbench.analysis.capacity import Outcome
from ipcbench.analysis.frame import MEASURED
from ipcbench.analysis.load import GENERATOR_LATE
from ipcbench.analysis.load_lines import Load
from ipcbench.analysis.objective import Objective
from ipcbench.reporters.model import (
    Blank,
    Cell,
    Grid,
    GridColumn,
    GridRow,
    Heading,
    Line,
    Part,
    RowKind,
    Value,
)
from ipcbench.reporters.tables.columns import BOUND_COLUMN, Column, Row, label
from ipcbench.reporters.tables.load_words import sentences, table_title
from ipcbench.results.metadata import MECHANISM

LEGEND = (
    "of peak: of the most that a closed loop answered; p99 from send: from the actual time of"
    " sending, as a closed loop counts; late: the sender itself; CPU: of a message; ran out: the"
    " server if it needs a CPU for 90% of the time or more, the client if it was late"
)
_SAID: dict[Outcome, str] = {"held": "holds", "failed": "doesn't", "unjudged": "?"}


def _cpu(user_s: float, system_s: float | None) -> str:
    return units.display_time(user_s + (system_s or 0.0))


def _cpu_column(side: str) -> Column:
    keys = (f"cpu_user_{side}_s_per_message", f"cpu_system_{side}_s_per_message")
    return Column(f"{side} CPU", keys, _cpu)


def _state(state: str, slope: float | None, flags: str | None) -> str:
    """The state of a case in words: with what its delay gains, and whether the generator was late.

    Where the generator was late, a case that isn't steady says nothing of the mechanism.
    """
    is_late = GENERATOR_LATE in (flags or "").split(";")
    words = [state if state != "ok" or not is_late else ""]
    words += [GENERATOR_LATE] if is_late else []
    growth = units.display_growth(slope or 0.0) if state != "ok" else ""
    said = ", ".join(filter(None, words))
    return f"{said}: {growth}" if growth else said


def _range(low: float, high: float | None) -> str:
    return f"{units.display_time(low)} to {units.display_time(low if high is None else high)}"


def _time(title: str, key: str) -> Column:
    return Column(title, (key,), units.display_time)


def _interval(name: str) -> Column:
    return Column("95%", (f"{name}_low_s", f"{name}_high_s"), _range)


_RATE = Column("rate", ("rate_per_s",), units.tick_rate, is_of_case=True)
_OF_PEAK = Column("of peak", ("rate_to_peak_ratio",), units.display_percent)
_ACHIEVED = Column("achieved", ("achieved_per_s",), units.display_rate)
_STATE = Column("state", ("load_state", "delay_slope_ratio", "flags"), _state, is_number=False)

_SHORT = (
    _OF_PEAK,
    _ACHIEVED,
    _time("p50", "response_p50_s"),
    _time("p99", "response_p99_s"),
    _time("p99.9", "response_p99_9_s"),
    _time("max", "response_max_s"),
    _time("p99 from send", "from_send_p99_s"),
    _time("late p99", "lateness_p99_s"),
    _cpu_column("client"),
    _cpu_column("server"),
    BOUND_COLUMN,
    _STATE,
)
"""The columns of the table for a terminal, behind transport and rate."""

_FULL = (
    _RATE,
    _OF_PEAK,
    _ACHIEVED,
    _time("p50", "response_p50_s"),
    _interval("response_p50"),
    _time("p90", "response_p90_s"),
    _time("p99", "response_p99_s"),
    _interval("response_p99"),
    _time("p99.9", "response_p99_9_s"),
    _time("max", "response_max_s"),
    _STATE,
    Column("offered", ("offered_per_s",), units.display_rate),
    _time("p50 from send", "from_send_p50_s"),
    _time("p99 from send", "from_send_p99_s"),
    _time("late p50", "lateness_p50_s"),
    _time("late p99", "lateness_p99_s"),
    _time("late max", "lateness_max_s"),
    _cpu_column("client"),
    _cpu_column("server"),
    Column("server busy", ("cpu_busy_server_ratio",), units.display_percent),
    BOUND_COLUMN,
    Column("messages", ("load_offered_count",), lambda count: f"{count:,}"),
    Column("launches", ("launches_count",), lambda count: f"{count:,}"),
)
"""The columns of the page's table, behind the transport."""


def load_parts(found: Sequence[Load], objective: Objective | None = None) -> Iterator[Part]:
    """Yields, for each load, a table with a row a case, and the sentences on it; a legend."""
    for load in found:
        yield _grid(load, _SHORT, objective, is_short=True)
        if said := list(sentences(load, objective)):
            yield from map(Line, said)
            yield Blank()
    if found:
        yield Line(LEGEND)
        yield Blank()


def section_parts(found: Sequence[Load], objective: Objective | None = None) -> Iterator[Part]:
    """Yields, for each load, its title, the sentences on it, and a table of all its numbers."""
    for load in found:
        yield Heading(table_title(load.place))
        yield from map(Line, sentences(load, objective))
        yield _grid(load, _FULL, objective, is_short=False)
    if found:
        yield Line(LEGEND)


def _grid(
    load: Load, columns: Sequence[Column], objective: Objective | None, *, is_short: bool
) -> Grid:
    """The table of a load.

    A short one has the rate beside the transport, since a narrow terminal repeats the first column.
    """
    title = "transport, rate" if is_short else "transport"
    heads = [GridColumn(title, "transport", is_number=False), *(one.head for one in columns)]
    if objective is not None:
        heads.append(GridColumn(objective.said, "objective_outcome", is_number=False))
    rows = [
        _row(row, columns, objective, is_short=is_short) for row in load.rows.to_dict("records")
    ]
    return Grid(table_title(load.place), heads, rows, _about(load, objective))


def _row(
    row: Row, columns: Sequence[Column], objective: Objective | None, *, is_short: bool
) -> GridRow:
    """The row of a case; one without a number has its status where the state would be."""
    is_measured = row["status"] == MEASURED
    name = label(row)
    also: dict[str, Value] = {"rate_per_s": float(row["rate_per_s"])} if is_short else {}
    text = f"{name} {units.tick_rate(row['rate_per_s'])}" if is_short else name
    cells = [Cell(text, str(row["transport"]), also)]
    for column in columns:
        cell = column.cell(row)
        has_status = column is _STATE and not is_measured
        cells.append(replace(cell, text=str(row["status"])) if has_status else cell)
    if objective is not None:
        outcome = objective.judge(row)
        cells.append(Cell(_SAID[outcome] if is_measured else "", outcome))
    kind: RowKind = "normal" if row["role"] == MECHANISM else "control"
    return GridRow(cells, kind, str(row["status"]))


def _about(load: Load, objective: Objective | None) -> dict[str, Value]:
    """Values that all rows of a load's table have in common, by name."""
    place = load.place
    about: dict[str, Value] = {
        "workload": place.workload,
        "message_size_bytes": place.message_size_bytes,
        "placement": place.placement,
        "loop": place.loop,
    }
    about |= {"interpreter": place.interpreter} if place.interpreter else {}
    return about | ({"objective": str(objective)} if objective is not None else {})
