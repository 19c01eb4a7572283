"""The columns of tables for people: the key of each value, and how it is shown.

Every value comes from a row of `analysis.frame.cases`; a missing value shows as nothing, never
as zero. A title has the unit if the text doesn't.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, assert_never

import pandas as pd

from ipcbench import units
from ipcbench.reporters.model import Cell, GridColumn, Value
from ipcbench.results.metadata import Role
from ipcbench.workloads import Definition, Quantity, definition_of, rhythm_of, settings_of

Row = Mapping[Hashable, Any]

SAME_RATIO_TEXT = "1.00x"


def definition(workload: object) -> Definition:
    """The row of the table of workloads for a term in a frame."""
    return definition_of(str(workload))


def title_of(workload: object) -> str:
    """The title of a workload's tables, with its knobs."""
    return definition(workload).words.title + knobs_text(workload)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table for people."""

    title: str
    keys: tuple[str, ...]
    """Columns of the frame that `text` takes; without a value in the first, the cell is empty."""
    text: Callable[..., str]
    is_number: bool = True
    is_of_case: bool = False
    """Whether it tells cases apart, so that a case without a number has it, too."""

    @property
    def head(self) -> GridColumn:
        """The column of the model."""
        return GridColumn(self.title, self.keys[0], self.is_number)

    def cell(self, row: Row) -> Cell:
        """A row's cell; its text is empty if the value is missing."""
        found = [None if bool(pd.isna(row[key])) else row[key] for key in self.keys]
        text = "" if found[0] is None else self.text(*found)
        first, *others = map(value_of, found)
        return Cell(text, first, dict(zip(self.keys[1:], others, strict=True)))


def common(group: pd.DataFrame, keys: Sequence[str]) -> dict[str, Value]:
    """The values of these columns, in which all rows of a group are equal.

    The interpreter that runs ipcbench has no name, and is left out.
    """
    values = {key: value_of(group[key].iloc[0]) for key in keys}
    return {key: value for key, value in values.items() if key != "interpreter" or value}


def by_whom(group: pd.DataFrame) -> str:
    """The end of a title that names the interpreter of a group of rows: `, head`; or empty."""
    label = group["interpreter"].iloc[0]
    return f", {label}" if label else ""


def with_knobs(group: pd.DataFrame) -> str:
    """The part of a title that names the knobs of the rows' workload: `, gap=1ms`; or empty."""
    return knobs_text(group["workload"].iloc[0])


def knobs_text(workload: object) -> str:
    """The knobs that a workload's term sets, behind a comma each; empty if it sets none."""
    return "".join(f", {knob}={value}" for knob, value in settings_of(str(workload)).items())


def value_of(value: Any) -> Value:
    """A frame's value as one of the model, which knows no types of numpy."""
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def label(row: Row) -> str:
    """The name of a row: its transport, and for a control also the kind, like `null (floor)`."""
    role: Role = row["role"]
    match role:
        case "mechanism":
            return str(row["transport"])
        case "ceiling":
            kind = "top"
        case "floor" | "control":
            kind = role
        case _:
            assert_never(role)
    return f"{row['transport']} ({kind})"


def ratio_text(time_ratio: float, verdict: str | None = None) -> str:
    """A ratio of times in words that say which one is better.

    `1.36x faster` and `1.20x slower` are verdicts; `~ 1.02x slower` may be chance; `? 1.02x slower`
    has no verdict (too few launches).
    """
    faster = time_ratio < 1
    factor = f"{units.three_digits(1 / time_ratio if faster else time_ratio)}x"
    words = factor if factor == SAME_RATIO_TEXT else f"{factor} {'faster' if faster else 'slower'}"
    if verdict == "~":
        return f"~ {words}"
    return words if verdict is not None or time_ratio == 1 else f"? {words}"


def interval_text(low: float, high: float, time_ratio: float) -> str:
    """The interval of a ratio, as factors faster or slower, whichever `ratio_text` gives."""
    if time_ratio == low == high:
        return ""
    if time_ratio < 1:
        low, high = 1 / high, 1 / low
    return f"{units.three_digits(low)}-{units.three_digits(high)}"


def table_columns(workload: object, baseline: str | None) -> tuple[Column, ...]:
    """The columns of a workload's tables, left to right."""
    row = definition(workload)
    shown = [
        TRANSPORT_COLUMN,
        Column(row.words.column, ("time_median_s",), units.display_time),
        Column("spread", ("spread_ratio",), units.display_percent),
    ]
    if baseline is not None:
        ratio = "time_to_baseline_ratio"
        bounds = ("time_to_baseline_low_ratio", "time_to_baseline_high_ratio", ratio)
        shown += [
            Column(f"vs {baseline}", (ratio, "verdict"), ratio_text),
            Column("95%", bounds, interval_text),
        ]
    return (*shown, *_quantity_columns(row.quantity), *_rhythm_columns(str(workload)))


def _rhythm_columns(workload: str) -> tuple[Column, ...]:
    """The columns of what the ends do between messages, where they do anything."""
    rhythm = rhythm_of(workload)
    found: list[Column] = []
    if rhythm.gap_s:
        found.append(Column("gap", ("gap_in_force_s",), units.display_time))
    if rhythm.work_s:
        share = ("mechanism_share_ratio",)
        found.append(Column("share of the request", share, units.display_percent))
    return tuple(found)


def _quantity_columns(quantity: Quantity) -> tuple[Column, ...]:
    """The last columns of a table: other numbers than the time that tell of a quantity."""
    match quantity:
        case "round_trip":
            return (Column("p99", ("round_trip_p99_s",), units.display_time),)
        case "response":  # whose tables are `loads`
            return ()
        case "message":
            return (
                Column("messages", ("throughput_messages_per_s",), units.display_rate),
                Column("MiB/s", ("throughput_bytes_per_s",), units.display_bandwidth),
            )
        case "connection":
            return (Column("connections", ("connections_per_s",), units.display_rate),)
        case _:
            assert_never(quantity)


def interpreter_columns(first: str, label: str) -> tuple[Column, ...]:
    """The columns of a table that compares an interpreter with the first one."""
    ratio, verdict = "time_to_first_interpreter_ratio", "first_interpreter_verdict"
    bounds = ("time_to_first_interpreter_low_ratio", "time_to_first_interpreter_high_ratio", ratio)
    return (
        TRANSPORT_COLUMN,
        Column(first, ("first_interpreter_median_s",), units.display_time),
        Column(label, ("time_median_s",), units.display_time),
        Column(f"{label} is", (ratio, verdict), ratio_text),
        Column("95%", bounds, interval_text),
        Column("verdict", (verdict,), str, is_number=False),
    )


TRANSPORT_COLUMN = Column("transport", ("transport",), str, is_number=False, is_of_case=True)
"""The first column of every table of cases; its text is the row's label."""

WORKLOAD_COLUMN = Column("workload", ("workload",), str, is_number=False, is_of_case=True)
"""A column for a table that joins workloads."""

PLACE_COLUMNS = (
    Column("size", ("message_size_bytes",), units.display_size, is_of_case=True),
    Column("placement", ("placement",), str, is_number=False, is_of_case=True),
    Column("loop", ("loop",), str, is_number=False, is_of_case=True),
    Column("interpreter", ("interpreter",), str, is_number=False, is_of_case=True),
)
"""Columns for a table that joins several sizes, placements, loops or interpreters."""

BOUND_COLUMN = Column(
    "ran out", ("ran_out",), lambda who: who.removesuffix("-bound"), is_number=False
)
"""The end that ran out of CPU time, for tables of launches that recorded it."""

EFFORT_COLUMNS = (
    Column("launches", ("launches_count",), lambda count: f"{count:,}"),
    Column("warnings", ("flags",), lambda flags: flags.replace(";", ", "), is_number=False),
)
"""The number of launches behind a row, and its warnings."""

PERCENTILE_COLUMNS = (
    TRANSPORT_COLUMN,
    Column("n", ("round_trip_samples_count",), lambda count: f"{count:,}"),
    *(
        Column(title, (f"round_trip_{key}_s",), units.display_time)
        for title, key in (
            ("min", "min"),
            ("p50", "p50"),
            ("p90", "p90"),
            ("p99", "p99"),
            ("p99.9", "p99_9"),
            ("max", "max"),
        )
    ),
)
"""The columns of the tables of single round trips."""

COST_COLUMNS = (
    TRANSPORT_COLUMN,
    *(
        Column(f"{side} {title}", (f"cpu_{title}_{side}_s_per_message",), units.display_time)
        for side in ("client", "server")
        for title in ("user", "system")
    ),
)
"""The columns of the tables of the CPU time of a message."""

SWITCH_COLUMNS = (
    TRANSPORT_COLUMN,
    *(
        Column(f"{side} {title}", (f"{key}_{side}_{unit}",), text)
        for side in ("client", "server")
        for title, key, unit, text in (
            ("slept", "voluntary_switches", "per_message", units.three_digits),
            ("pushed", "involuntary_switches", "per_message", units.three_digits),
            ("faults", "page_faults", "count", lambda count: f"{count:,.0f}"),
        )
    ),
)
"""The columns of context switches a message, and of page faults in the batches of a launch."""

TAX_COLUMNS = (
    TRANSPORT_COLUMN,
    Column("native", ("native_median_s",), units.display_time),
    Column("python", ("time_median_s",), units.display_time),
    Column("Python tax", ("time_over_native_s",), lambda tax: f"{tax * 1e9:+,.0f} ns"),
    Column("ratio", ("time_to_native_ratio",), lambda ratio: f"{units.three_digits(ratio)}x"),
    Column(
        "95%",
        ("time_to_native_low_ratio", "time_to_native_high_ratio"),
        lambda low, high: f"{units.three_digits(low)}-{units.three_digits(high)}",
    ),
)
"""The columns of the tables that compare the loop in Python with the loop in C."""
