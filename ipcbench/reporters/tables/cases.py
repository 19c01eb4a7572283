"""Tables of cases, and the lines below them, as parts of the model. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from ipcbench import units
from ipcbench.analysis import load
from ipcbench.analysis.floors import within_run
from ipcbench.analysis.frame import MEASURED, baseline_of
from ipcbench.analysis.launch_frame import confirmed, interpreters_of
from ipcbench.case import Case
from ipcbench.reporters.model import Cell, Grid, GridColumn, GridRow, Line, RowKind
from ipcbench.reporters.tables import matrix
from ipcbench.reporters.tables.columns import (
    BOUND_COLUMN,
    COST_COLUMNS,
    EFFORT_COLUMNS,
    PERCENTILE_COLUMNS,
    PLACE_COLUMNS,
    SWITCH_COLUMNS,
    TAX_COLUMNS,
    WORKLOAD_COLUMN,
    Column,
    Row,
    by_whom,
    common,
    interpreter_columns,
    label,
    table_columns,
    title_of,
    with_knobs,
)
from ipcbench.reporters.tables.floors import floor_text
from ipcbench.reporters.tables.knobs import congestion_text
from ipcbench.results.metadata import MECHANISM, PACKAGE_KEY
from ipcbench.text import counted
from ipcbench.workloads import name_of


def ordinary(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases that stand in tables beside each other.

    Cells of a matrix have a table of their own, and so have the rates of an open loop.
    """
    return cases[~matrix.is_part(cases) & ~load.is_part(cases)]


TABLE_KEYS = ["workload", "message_size_bytes", "placement", "loop", "interpreter"]


def tables(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields a table of `analysis.frame.cases` for all that is equal in TABLE_KEYS."""
    for _, group in cases.groupby(TABLE_KEYS, sort=False):
        workload = group["workload"].iloc[0]
        columns = _main_columns(workload, group)
        yield _table(title_of(workload), group, columns)


def _main_columns(workload: object, group: pd.DataFrame) -> list[Column]:
    """The columns of a workload's table, and the end that ran out where that was recorded."""
    bounds = [BOUND_COLUMN] if group["ran_out"].notna().any() else []
    return [*table_columns(workload, baseline_of(group)), *bounds]


def tax_tables(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields tables of the loop in Python against the loop in C, for cases measured with both."""
    both = cases[cases["time_to_native_ratio"].notna()]
    native = cases[cases["loop"] == "native"].set_index("case")["time_median_s"]
    for _, group in both.groupby(TABLE_KEYS, sort=False):
        ids = [Case.parse(name)._replace(loop="native").id for name in group["case"]]
        title = title_of(group["workload"].iloc[0]).lower()
        yield _table(
            f"Python tax, {title}",
            group.assign(native_median_s=native.reindex(ids).to_numpy()),
            TAX_COLUMNS,
            _without("loop"),
        )


def interpreter_tables(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields tables of each interpreter against the first one, for cases that both measured."""
    both = cases[cases["time_to_first_interpreter_ratio"].notna()]
    times_s = cases.set_index("case")["time_median_s"]
    for _, group in both.groupby(TABLE_KEYS, sort=False):
        first, later = str(group["first_interpreter"].iloc[0]), str(group["interpreter"].iloc[0])
        ids = [Case.parse(name)._replace(interpreter=first).id for name in group["case"]]
        title = title_of(group["workload"].iloc[0]).lower()
        grid = _table(
            f"Interpreters: {later} against {first}, {title}",
            group.assign(first_interpreter_median_s=times_s.reindex(ids).to_numpy()),
            interpreter_columns(first, later),
            _without("interpreter"),
        )
        about = {"interpreter": later, "first_interpreter": first}
        yield replace(grid, about={**grid.about, **about})


def _without(key: str) -> list[str]:
    return [name for name in TABLE_KEYS if name != key]


def percentile_tables(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields tables of the percentiles of single round trips, one for each table of latency."""
    sampled = cases[cases["round_trip_samples_count"].notna()]
    for _, group in sampled.groupby(TABLE_KEYS, sort=False):
        yield _table(f"Single round trips (sampled){with_knobs(group)}", group, PERCENTILE_COLUMNS)


def cost_tables(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields tables of CPU time and of context switches a message, both for each of `tables`."""
    for _, group in cases[cases["status"] == MEASURED].groupby(TABLE_KEYS, sort=False):
        workload = name_of(str(group["workload"].iloc[0])) + with_knobs(group)
        yield _table(f"Cost of a message, {workload}", group, COST_COLUMNS)
        yield _table(f"Switches a message and faults, {workload}", group, SWITCH_COLUMNS)


def joined_tables(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields a table for each workload, with all its sizes, placements, loops and interpreters."""
    for workload, group in cases.groupby("workload", sort=False):
        columns = [*_placed(_main_columns(workload, group), group), *EFFORT_COLUMNS]
        yield case_grid(title_of(workload), group, columns)


def joined_details(cases: pd.DataFrame) -> Iterator[Grid]:
    """Yields a table of percentiles and two of costs, each with all cases that have them."""
    measured = cases[cases["status"] == MEASURED]
    for title, columns in (
        ("Percentiles of single round trips", PERCENTILE_COLUMNS),
        ("CPU time of a message", COST_COLUMNS),
        ("Switches of a message, and page faults", SWITCH_COLUMNS),
    ):
        group = measured[measured[columns[1].keys[0]].notna()]
        if len(group):
            first, *others = _placed(columns, group)
            yield case_grid(title, group, [first, *_differing([WORKLOAD_COLUMN], group), *others])


def evidence_tables(launches: pd.DataFrame) -> Iterator[Grid]:
    """Yields a table with the evidence of each case, if launches recorded any."""
    if "evidence" not in launches or launches["evidence"].isna().all():
        return
    columns = (
        GridColumn("case", "case", is_number=False),
        GridColumn("proved", "launches_confirmed_count", is_number=False),
        GridColumn("what was seen in one of its launches", "evidence", is_number=False),
    )
    rows = [_evidence_row(str(case), group) for case, group in launches.groupby("case")]
    yield Grid("Evidence", columns, rows)


def _evidence_row(case: str, launches: pd.DataFrame) -> GridRow:
    """The row of a case: id, count of confirmed launches, and one evidence, the worst."""
    count, others = confirmed(launches)
    shown = str(launches["evidence"].iloc[0] if others.empty else others.iloc[0])
    of_all = Cell(f"{count} of {len(launches)}", count, {"launches_count": len(launches)})
    return GridRow((Cell(case, case), of_all, Cell(shown, shown)))


def reasons(cases: pd.DataFrame) -> Iterator[Line]:
    """Yields a line for each reason why a case has no number."""
    without = cases[cases["status"] != MEASURED]
    for (status, reason), group in without.groupby(["status", "reason"], sort=False):
        more = f" (and {counted(len(group) - 1, 'more case')})" if len(group) > 1 else ""
        yield Line(f"{status}: {group['case'].iloc[0]}: {reason}{more}")


def warnings(sentences: Iterable[str]) -> Iterator[Line]:
    """Yields a line for each warning."""
    for sentence in sentences:
        yield Line(f"warning: {sentence}", "warning")


def footer(launches: pd.DataFrame, cases: pd.DataFrame) -> Iterator[Line]:
    """Yields the lines on machine, effort, TCP, payload checks, evidence, and signs in tables."""
    if launches.empty:
        return
    facts = ["cpu_model", "cpu_count", "virtualisation", "kernel", "python"]
    labels = interpreters_of(launches)
    several = f"by {' and '.join(labels)}"
    grouped = launches.assign(
        python=launches["python"].mask(launches["interpreter"] != "", several)
    )
    for (model, count, virtualisation, kernel, python), group in grouped.groupby(facts, sort=False):
        yield Line(f"{model}, {count} CPUs, {virtualisation}; {kernel}; {python}")
        yield Line(_effort_line(group))
    for name, said in interpreter_facts(launches):
        yield Line(f"{name}: {said}")
    congestion = congestion_text(launches)
    if congestion is not None:
        yield Line(congestion)
    if PACKAGE_KEY in launches:
        for package, group in launches.groupby(PACKAGE_KEY):
            names = ", ".join(sorted(group["transport"].unique()))
            yield Line(f"of another package, {package}: {names}")
    yield Line(
        f"payload checks passed in all {counted(len(launches), 'launch', 'launches')}:"
        f" {int(launches['messages_checked'].sum()):,} messages compared at both ends"
    )
    if "evidence" in launches:
        yield Line(_evidence_line(launches))
    if cases["ran_out"].notna().any():
        yield Line(
            "ran out: the end that needs a CPU for 90% of the time or more; neither: they wait"
        )
    compared = cases["time_to_baseline_ratio"].notna() & (cases["time_to_baseline_ratio"] != 1)
    undecided = compared & cases["verdict"].isna()
    beside = cases["time_to_first_interpreter_ratio"].notna()
    undecided |= beside & cases["first_interpreter_verdict"].isna()
    if undecided.any():
        yield Line("?: too few launches for a verdict; it takes 6 (--rounds)")
    if ((cases["verdict"] == "~") | (cases["first_interpreter_verdict"] == "~")).any():
        noise_floor = within_run(launches)
        floor = f" (its noise floor: {floor_text(noise_floor)})" if noise_floor.ratio else ""
        yield Line(f"~: no difference that chance or this machine's noise{floor} can't explain")


def interpreter_facts(launches: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yields the label of each named interpreter, and a text on its Python and libraries."""
    for name in interpreters_of(launches):
        facts = launches[launches["interpreter"] == name].iloc[-1]
        gil = facts.get("python_gil")
        lock = "" if gil is None or pd.isna(gil) else f", GIL {gil}"
        code, libraries = facts.get("code_version"), facts.get("versions")
        of_code = "" if code is None or pd.isna(code) else f" ({code})"
        beside = "" if libraries is None or pd.isna(libraries) else f"; {libraries}"
        version = facts["ipcbench_version"]
        yield name, f"{facts['python']}{lock}, ipcbench {version}{of_code}{beside}"


def case_grid(title: str, group: pd.DataFrame, columns: Sequence[Column]) -> Grid:
    """The table of these cases, a row each."""
    rows = [_row(row, columns) for row in group.to_dict("records")]
    return Grid(title, [column.head for column in columns], rows)


def _row(row: Row, columns: Sequence[Column]) -> GridRow:
    """The row of a case: its label, then the columns; controls are marked.

    A case without a number has its status in the first cell that would have one.
    """
    is_measured = row["status"] == MEASURED
    cells = [replace(columns[0].cell(row), text=label(row))]
    has_status = is_measured
    for column in columns[1:]:
        cell = column.cell(row)
        if not has_status and not column.is_of_case:
            cell, has_status = replace(cell, text=str(row["status"])), True
        cells.append(cell)
    kind: RowKind = "normal" if row["role"] == MECHANISM else "control"
    return GridRow(cells, kind, str(row["status"]))


def _table(
    title: str, group: pd.DataFrame, columns: Sequence[Column], keys: Sequence[str] = TABLE_KEYS
) -> Grid:
    """The table of cases that are equal in these keys, with their values in its title."""
    first = group.iloc[0]
    size = units.display_size(first["message_size_bytes"])
    loop = f", {first['loop']} loop" if "loop" in keys else ""
    whom = by_whom(group) if "interpreter" in keys else ""
    grid = case_grid(f"{title}, {size}, {first['placement']}{loop}{whom}", group, columns)
    return replace(grid, about=common(group, keys))


def _placed(columns: Sequence[Column], group: pd.DataFrame) -> list[Column]:
    """Adds the columns of size, placement, loop and interpreter that vary in this table.

    Only the size stands before the numbers, so that some of them are visible on a phone.
    """
    size, *others = PLACE_COLUMNS
    first = [columns[0], *_differing([size], group)]
    return [*first, *columns[1:], *_differing(others, group)]


def _differing(columns: Iterable[Column], group: pd.DataFrame) -> list[Column]:
    return [column for column in columns if group[column.keys[0]].nunique() > 1]


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
