"""The tables that a person reads, as rich renderables. Prints nothing."""

from collections.abc import Iterator

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.reporters.columns import table_columns
from ipcbench.units import counted

_TITLES = {"latency": "Latency (round trip)", "throughput": "Throughput (one way, delivered)"}
_FLOOR_NOTE = "floor"


def tables(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """A table for each workload, size, placement and loop of `analysis.frame.cases`."""
    keys = ["workload", "message_size_bytes", "placement", "loop"]
    for _, group in cases.groupby(keys, sort=False):
        first = group.iloc[0]
        size = units.display_size(first["message_size_bytes"])
        title = f"{_TITLES[first['workload']]}, {size}, {first['placement']}, {first['loop']} loop"
        yield Text(title, style="bold")
        yield _table(first["workload"], group)
        yield Text()


def _table(workload: str, group: pd.DataFrame) -> Table:
    baselines = group["baseline"].dropna()
    columns = table_columns(workload, None if baselines.empty else str(baselines.iloc[0]))
    table = Table()
    for column in columns:
        table.add_column(column.title, justify="right" if column.is_number else "left")
    for row in group.to_dict("records"):
        if row["status"] == "measured":
            name, *rest = (column.show(row) for column in columns)
            control = row["role"] == "control"
            label = f"{name} ({_FLOOR_NOTE})" if control else name
            table.add_row(escape(label), *map(escape, rest), style="dim" if control else None)
        else:
            table.add_row(escape(row["transport"]), row["status"], *[""] * (len(columns) - 2))
    return table


def reasons(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """A line for each case that has no number."""
    for row in cases[cases["status"] != "measured"].to_dict("records"):
        yield Text(f"{row['status']}: {row['case']}: {row['reason']}")


def footer(launches: pd.DataFrame) -> Iterator[RenderableType]:
    """The lines that say what the numbers above rest on."""
    if launches.empty:
        return
    facts = ["cpu_model", "cpu_count", "virtualisation", "kernel", "python"]
    for (model, count, virtualisation, kernel, python), group in launches.groupby(
        facts, sort=False
    ):
        yield Text(f"{model}, {count} CPUs, {virtualisation}; {kernel}; {python}")
        yield Text(_effort_line(group))
    yield Text(
        f"payload checks passed in all {counted(len(launches), 'launch', 'launches')}:"
        f" {int(launches['messages_checked'].sum()):,} messages compared at both ends"
    )


def _effort_line(group: pd.DataFrame) -> str:
    rounds = int(group["round"].max())
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(group["seed"]))
    wall_s = group.groupby("run_id")["run_elapsed_s"].max().sum()
    return (
        f"{counted(rounds, 'round')}, {counted(len(group), 'launch', 'launches')}, seed {seeds};"
        f" timed {group['timed_s'].sum():.1f} s of {wall_s:.1f} s"
    )
