"""Tables for people, as rich renderables. Prints nothing."""

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.analysis.frame import baseline_of, confirmed, noise_floor_of
from ipcbench.reporters.tables.columns import (
    COST_COLUMNS,
    PERCENTILE_COLUMNS,
    SWITCH_COLUMNS,
    TAX_COLUMNS,
    WORDS,
    Column,
    label,
    table_columns,
)
from ipcbench.reporters.terminal import bare_table
from ipcbench.text import counted

TABLE_KEYS = ["workload", "message_size_bytes", "placement", "loop"]


def tables(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """Yields a table for each workload, size, placement and loop of `analysis.frame.cases`."""
    for _, group in cases.groupby(TABLE_KEYS, sort=False):
        workload = str(group["workload"].iloc[0])
        columns = table_columns(workload, baseline_of(group))
        yield from _titled(WORDS[workload].title, group, columns)


def tax_tables(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """Yields tables of the loop in Python against the loop in C, for cases measured with both."""
    both = cases[cases["time_to_native_ratio"].notna()]
    native = cases[cases["loop"] == "native"].set_index("case")["time_median_s"]
    for _, group in both.groupby(TABLE_KEYS, sort=False):
        ids = group["case"].str.replace("/python/", "/native/")
        workload = group["workload"].iloc[0]
        yield from _titled(
            f"Python tax, {WORDS[workload].title.lower()}",
            group.assign(native_median_s=native.reindex(ids).to_numpy()),
            TAX_COLUMNS,
        )


def percentile_tables(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """Yields tables of the percentiles of single round trips, one for each table of latency."""
    sampled = cases[cases["round_trip_samples_count"].notna()]
    for _, group in sampled.groupby(TABLE_KEYS, sort=False):
        yield from _titled("Single round trips (sampled)", group, PERCENTILE_COLUMNS)


def cost_tables(cases: pd.DataFrame) -> Iterator[RenderableType]:
    """Yields tables of CPU time and of context switches a message, both for each of `tables`."""
    for _, group in cases[cases["status"] == "measured"].groupby(TABLE_KEYS, sort=False):
        workload = group["workload"].iloc[0]
        yield from _titled(f"Cost of a message, {workload}", group, COST_COLUMNS)
        yield from _titled(f"Switches a message and faults, {workload}", group, SWITCH_COLUMNS)


def reasons(cases: pd.DataFrame) -> Iterator[Text]:
    """Yields a line for each reason why a case has no number."""
    without = cases[cases["status"] != "measured"]
    for (status, reason), group in without.groupby(["status", "reason"], sort=False):
        more = f" (and {counted(len(group) - 1, 'more case')})" if len(group) > 1 else ""
        yield Text(f"{status}: {group['case'].iloc[0]}: {reason}{more}")


def warnings(sentences: Iterable[str]) -> Iterator[RenderableType]:
    """Yields a line for each warning."""
    for sentence in sentences:
        yield Text(f"warning: {sentence}", style="yellow")


def footer(launches: pd.DataFrame, cases: pd.DataFrame) -> Iterator[Text]:
    """Yields the lines on machine, effort, payload checks and evidence, and on signs in tables."""
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
    if "evidence" in launches:
        yield Text(_evidence_line(launches))
    compared = cases["time_to_baseline_ratio"].notna() & (cases["time_to_baseline_ratio"] != 1)
    if (compared & cases["verdict"].isna()).any():
        yield Text("?: too few launches for a verdict; it takes 6 (--rounds)")
    if (cases["verdict"] == "~").any():
        noise_floor = noise_floor_of(launches)
        floor = f" (its noise floor: {units.display_percent(noise_floor)})" if noise_floor else ""
        yield Text(f"~: no difference that chance or this machine's noise{floor} can't explain")


def _titled(title: str, group: pd.DataFrame, columns: Sequence[Column]) -> Iterator[RenderableType]:
    first = group.iloc[0]
    size = units.display_size(first["message_size_bytes"])
    loop = "" if columns is TAX_COLUMNS else f", {first['loop']} loop"
    yield Text(f"{title}, {size}, {first['placement']}{loop}", style="bold")
    yield _table(group, columns)
    yield Text()


def _table(group: pd.DataFrame, columns: Sequence[Column]) -> Table:
    table = bare_table()
    for column in columns:
        table.add_column(escape(column.title), justify="right" if column.is_number else "left")
    for row in group.to_dict("records"):
        if row["status"] == "measured":
            shown = [label(row), *(column.show(row) for column in columns[1:])]
            is_control = row["role"] != "mechanism"
            table.add_row(*map(escape, shown), style="dim" if is_control else None)
        else:
            table.add_row(escape(row["transport"]), row["status"], *[""] * (len(columns) - 2))
    return table


def _evidence_line(launches: pd.DataFrame) -> str:
    """The count of launches confirmed in the kernel's tables; for the others, a reason."""
    count, others = confirmed(launches)
    line = f"witnessed by the kernel: {count} of {counted(len(launches), 'launch', 'launches')}"
    return line if others.empty else f"{line}; the others: {others.mode().iloc[0]}"


def _effort_line(group: pd.DataFrame) -> str:
    rounds = int(group["round"].max())
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(group["seed"]))
    wall_s = group.groupby("run_id")["run_elapsed_s"].max().sum()
    return (
        f"{counted(rounds, 'round')}, {counted(len(group), 'launch', 'launches')}, seed {seeds};"
        f" timed {group['timed_s'].sum():.1f} s of {wall_s:.1f} s"
    )
