"""One definition of each column that a person reads: where its value is, and how it is shown.

Every value comes from a row of `analysis.frame.cases`; a missing value shows as nothing, never
as zero. Titles say the unit where the text doesn't.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ipcbench import units

Row = Mapping[Hashable, Any]

SAME_RATIO_TEXT = "1.00x"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    key: str
    """The column of the frame that the value is taken from."""
    title: str
    text: Callable[[Any], str]
    is_number: bool = True

    def show(self, row: Row) -> str:
        """The text for one case; empty where it has no such value."""
        value = row[self.key]
        return "" if bool(pd.isna(value)) else self.text(value)


def ratio_text(time_ratio: float) -> str:
    """A ratio of times in words, so that nobody must know which way is better: `1.36x faster`."""
    faster = time_ratio < 1
    factor = f"{units.three_digits(1 / time_ratio if faster else time_ratio)}x"
    if factor == SAME_RATIO_TEXT:
        return factor
    return f"{factor} {'faster' if faster else 'slower'}"


_TRANSPORT = Column("transport", "transport", str, is_number=False)
_SPREAD = Column("spread_ratio", "spread", units.display_percent)


def table_columns(workload: str, baseline: str | None) -> tuple[Column, ...]:
    """The columns of a workload's tables, left to right."""
    versus = Column("time_to_baseline_ratio", f"vs {baseline}", ratio_text)
    if workload == "latency":
        shown = (_TRANSPORT, Column("time_median_s", "round trip", units.display_time), _SPREAD)
        return (*shown, versus) if baseline else shown
    shown = (_TRANSPORT, Column("time_median_s", "per message", units.display_time), _SPREAD)
    rates = (
        Column("throughput_messages_per_s", "messages", units.display_rate),
        Column("throughput_bytes_per_s", "MiB/s", units.display_bandwidth),
    )
    return (*shown, *((versus,) if baseline else ()), *rates)
