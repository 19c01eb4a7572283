"""The changes between two runs, as parts of the model. Pure."""

from collections.abc import Iterator
from typing import assert_never

from ipcbench.analysis.diff import Change, RunComparison
from ipcbench.analysis.floors import Floor
from ipcbench.analysis.measures import Measure
from ipcbench.reporters.model import Cell, Grid, GridColumn, GridRow, Line, Part
from ipcbench.reporters.tables.floors import floor_text
from ipcbench.text import counted
from ipcbench.units import display_change, display_time, format_size
from ipcbench.workloads import DEFAULT_WORKLOADS, DEFINITIONS, WORKLOADS, Quantity

_TITLES: dict[Measure, str] = {
    "time": "",
    "p99": "p99 of single round trips, ",
    "cpu": "CPU time of a message, ",
}
_KEYS: dict[Measure, str] = {
    "time": "time_median_s",
    "p99": "round_trip_p99_s",
    "cpu": "cpu_s_per_message",
}


def diff_parts(comparison: RunComparison) -> Iterator[Part]:
    """Yields cautions, then a row a case, then the cases that can't be compared."""
    for caution in comparison.cautions:
        yield Line(f"caution: {caution}", "warning")
    for measure in comparison.changes_of:
        yield from measure_grids(comparison, measure)
    yield Line(f"change: {_legend(comparison)}")
    decided = sum(change.verdict in {"faster", "slower"} for change in comparison.changes)
    if comparison.noise_floor:
        floor = floor_text(Floor(comparison.noise_floor, comparison.floor_found))
        yield Line(f"~: within chance, or within this machine's noise floor between runs ({floor})")
    else:
        yield Line(
            "~: within chance; no noise floor between runs is known: ipcbench selftest finds it"
        )
    yield Line(f"{decided} of {counted(len(comparison.changes), 'case')} changed")
    for one in comparison.uncompared:
        where, colon, reason = one.why.partition(": ")
        yield Line(f"{where}: {one.case.id}{colon}{reason}")


def measure_grids(comparison: RunComparison, measure: Measure) -> Iterator[Grid]:
    """Yields a table of the changes of a measure for each placement."""
    changes, key = comparison.changes_of[measure], _KEYS[measure]
    old, new = comparison.old, comparison.new
    columns = (
        GridColumn("case", "case", is_number=False),
        GridColumn(old.lower() if old == "OLD" else old, f"old_{key}"),
        GridColumn(new.lower() if new == "NEW" else new, f"new_{key}"),
        GridColumn("change", "change_ratio"),
        GridColumn("95%", "change_low_ratio"),
        GridColumn("verdict", "verdict", is_number=False),
    )
    for placement in dict.fromkeys(change.case.placement for change in changes):
        rows = [_row(one) for one in changes if one.case.placement == placement]
        title = f"{_TITLES[measure]}{new} against {old}, {placement}"
        about = {"placement": placement} | ({} if measure == "time" else {"measure": measure})
        yield Grid(title, columns, rows, about)


def _legend(comparison: RunComparison) -> str:
    """The numbers that changes are of, for the usual workloads and those that were compared."""
    shown = {*DEFAULT_WORKLOADS, *(change.case.workload_name for change in comparison.changes)}
    return ", ".join(
        f"of {_compared(DEFINITIONS[workload].quantity)} ({workload})"
        for workload in WORKLOADS
        if workload in shown
    )


def _compared(quantity: Quantity) -> str:
    """The number that people compare of a quantity, in words."""
    match quantity:
        case "round_trip":
            return "the round trip"
        case "response":
            return "the response at a rate"
        case "message":
            return "messages a second"
        case "connection":
            return "connections a second"
        case _:
            assert_never(quantity)


def _row(change: Change) -> GridRow:
    case, interval = change.case, change.interval
    low, high = (None, None) if interval is None else interval
    label = f" {case.interpreter}" if case.interpreter else ""
    name = f"{case.workload} {case.transport} {format_size(case.message_size_bytes)}{label}"
    return GridRow(
        (
            Cell(name, case.id),
            Cell(display_time(change.old_s), change.old_s),
            Cell(display_time(change.new_s), change.new_s),
            Cell(display_change(change.moved), change.moved),
            Cell(interval_text(change), low, {"change_high_ratio": high}),
            Cell(change.verdict or "?", change.verdict),
        )
    )


def interval_text(change: Change) -> str:
    """The interval of a change; empty where there is none."""
    if change.interval is None:
        return ""
    return f"{display_change(change.interval.low)} to {display_change(change.interval.high)}"
