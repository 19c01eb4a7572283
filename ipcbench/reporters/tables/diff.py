"""The changes between two runs, as a table for people. Prints nothing."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ipcbench.analysis.diff import Change, RunComparison
from ipcbench.reporters.terminal import bare_table
from ipcbench.text import counted
from ipcbench.units import display_change, display_percent, display_time, format_size


def diff_parts(comparison: RunComparison) -> Iterator[RenderableType]:
    """Yields cautions, then a row a case, then the cases that only one of the files holds."""
    for caution in comparison.cautions:
        yield Text(f"caution: {caution}", style="yellow")
    for placement in dict.fromkeys(change.case.placement for change in comparison.changes):
        yield Text(f"NEW against OLD, {placement}", style="bold")
        yield _table([one for one in comparison.changes if one.case.placement == placement])
        yield Text()
    yield Text("change: of the round trip (latency), of messages a second (throughput)")
    decided = sum(change.verdict in {"faster", "slower"} for change in comparison.changes)
    if comparison.noise_floor:
        floor = display_percent(comparison.noise_floor)
        yield Text(f"~: within chance, or within this machine's noise floor between runs ({floor})")
    yield Text(f"{decided} of {counted(len(comparison.changes), 'case')} changed")
    for name, where in (("OLD", comparison.only_old), ("NEW", comparison.only_new)):
        for case in where:
            yield Text(f"only in {name}: {case}")


def _table(changes: Sequence[Change]) -> Table:
    table = bare_table()
    for title in ("case", "old", "new", "change", "95%", "verdict"):
        table.add_column(title, justify="left" if title in {"case", "verdict"} else "right")
    for change in changes:
        table.add_row(*map(escape, _cells(change)))
    return table


def gate_line(gate: str, change: Change) -> str:
    """The message of a tripped gate."""
    return f"{gate}: {change.case.id}: {display_change(change.moved)} (95%: {_interval(change)})"


def _cells(change: Change) -> tuple[str, ...]:
    case = change.case
    return (
        f"{case.workload} {case.transport} {format_size(case.message_size_bytes)}",
        display_time(change.old_s),
        display_time(change.new_s),
        display_change(change.moved),
        _interval(change),
        change.verdict or "?",
    )


def _interval(change: Change) -> str:
    if change.interval is None:
        return ""
    return f"{display_change(change.interval.low)} to {display_change(change.interval.high)}"
