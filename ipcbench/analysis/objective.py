"""An objective of response times, like `p99<200us`: its spelling, and whether a rate holds it."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, cast, get_args

import pandas as pd

from ipcbench.analysis.capacity import Outcome
from ipcbench.analysis.load import GENERATOR_LATE, STATE, State
from ipcbench.errors import UsageError
from ipcbench.results.load import OBJECTIVE_KEY
from ipcbench.units import format_duration, parse_duration, tick_time

Statistic = Literal["p50", "p90", "p99", "p99.9", "max", "mean"]
"""The number of a rate's response times that is bounded."""
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

_OK: State = "ok"
_TEXT = re.compile(
    rf"\s*({'|'.join(map(re.escape, sorted(STATISTICS, key=len, reverse=True)))})"
    r"\s*(<=?)\s*([0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|us|ms|s))\s*",
    re.ASCII,
)


class Objective(NamedTuple):
    """A bound of response times, counted from the intended time of sending."""

    statistic: Statistic
    sense: Literal["<", "<="]
    limit_s: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """The objective that is written so. Raises UsageError."""
        match = _TEXT.fullmatch(text)
        if match is None or float(match[3].rstrip("nums")) == 0:
            raise UsageError(
                f"objective {text!r} can't be read; write it like 'p99<200us': one of"
                f" {', '.join(STATISTICS)}, < or <=, and a time above 0 in ns, us, ms or s"
            )
        sense: Literal["<", "<="] = "<=" if match[2] == "<=" else "<"
        return cls(cast("Statistic", match[1]), sense, parse_duration(match[3]))

    def __str__(self) -> str:
        """The one spelling that `parse` reads back: `p99<200us`."""
        return f"{self.statistic}{self.sense}{format_duration(self.limit_s)}"

    @property
    def said(self) -> str:
        """The objective for people: `p99 < 200 µs`."""
        return f"{self.statistic} {self.sense} {tick_time(self.limit_s)}"

    @property
    def column(self) -> str:
        """The column of the frame of cases with the number that is bounded."""
        if self.statistic == "mean":
            return "time_median_s"  # of batches, each of which has the mean of its messages
        return f"response_{self.statistic.replace('.', '_')}_s"

    def holds(self, time_s: float) -> bool:
        """Whether a time is within the bound."""
        return time_s <= self.limit_s if self.sense == "<=" else time_s < self.limit_s

    def judge(self, row: Mapping[Any, Any]) -> Outcome:
        """Whether it held in a case of the open loop, by the columns of its row.

        A case that isn't steady fails every objective. One whose generator was late itself can show
        that an objective holds, and not that it fails. `unjudged`, too, where there were too few
        messages for the percentile, and where there is no number at all.
        """
        is_late = GENERATOR_LATE in _text(row.get("flags")).split(";")
        state, time_s = row.get(STATE), row.get(self.column)
        if state is None or bool(pd.isna(state)):
            return "unjudged"
        if state == _OK and (time_s is None or bool(pd.isna(time_s))):
            return "unjudged"
        if state == _OK and time_s is not None and self.holds(float(time_s)):
            return "held"
        return "unjudged" if is_late else "failed"


def objective_of(launches: pd.DataFrame) -> Objective | None:
    """The objective that the last of these runs was made for; None without one."""
    named = [] if OBJECTIVE_KEY not in launches else launches[OBJECTIVE_KEY].dropna().tolist()
    try:
        return Objective.parse(str(named[-1])) if named else None
    except UsageError:  # a file's: it has the form of one, and may be of no time at all
        return None


def _text(value: object) -> str:
    """A text of a frame; empty where it is missing."""
    return value if isinstance(value, str) else ""
