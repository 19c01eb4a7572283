"""The changes between two runs, as parts of the model. Pure."""

from collections.abc import Iterator
from typing import assert_never

from ipcbench.analysis.diff import Change, RunComparison
from ipcbench.reporters.model import Cell, Grid, GridColumn, GridRow, Line, Part
from ipcbench.reporters.tables.floors import floor_text
from ipcbench.text import counted
from ipcbench.units import display_change, display_time, format_size
from ipcbench.workloads import DEFAULT_WORKLOADS, DEFINITIONS, WORKLOADS, Quantity

_COLUMNS = (
    GridColumn("case", "case", is_number=False),
    GridColumn("old", "old_time_median_s"),
    GridColumn("new", "new_time_median_s"),
    GridColumn("change", "change_ratio"),
    GridColumn("95%", "change_low_ratio"),
    GridColumn("verdict", "verdict", is_number=False),
)


def diff_parts(comparison: RunComparison) -> Iterator[Part]:
    """Yields cautions, then a row a case, then the cases that only one of the files holds."""
    for caution in comparison.cautions:
        yield Line(f"caution: {caution}", "warning")
    for placement in dict.fromkeys(change.case.placement for change in comparison.changes):
        rows = [_row(one) for one in comparison.changes if one.case.placement == placement]
        yield Grid(f"NEW against OLD, {placement}", _COLUMNS, rows, {"placement": placement})
    yield Line(f"change: {_legend(comparison)}")
    decided = sum(change.verdict in {"faster", "slower"} for change in comparison.changes)
    if comparison.floor.ratio:
        floor = floor_text(comparison.floor)
        yield Line(f"~: within chance, or within this machine's noise floor between runs ({floor})")
    else:
        yield Line(
            "~: within chance; no noise floor between runs is known: ipcbench selftest finds it"
        )
    yield Line(f"{decided} of {counted(len(comparison.changes), 'case')} changed")
    for name, where in (("OLD", comparison.only_old), ("NEW", comparison.only_new)):
        for case in where:
            yield Line(f"only in {name}: {case}")


def _legend(comparison: RunComparison) -> str:
    """The numbers that changes are of, for the usual workloads and those that were compared."""
    shown = {*DEFAULT_WORKLOADS, *(change.case.workload for change in comparison.changes)}
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
        case "message":
            return "messages a second"
        case "connection":
            return "connections a second"
        case _:
            assert_never(quantity)


def gate_line(gate: str, change: Change) -> str:
    """The message of a tripped gate."""
    return f"{gate}: {change.case.id}: {display_change(change.moved)} (95%: {_interval(change)})"


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
            Cell(_interval(change), low, {"change_high_ratio": high}),
            Cell(change.verdict or "?", change.verdict),
        )
    )


def _interval(change: Change) -> str:
    if change.interval is None:
        return ""
    return f"{display_change(change.interval.low)} to {display_change(change.interval.high)}"
