"""The stages of a load that search for the highest rate at which an objective holds.

Each stage tries the next rate of every mechanism at once, in the rounds of all. A rate is tried
again by as many launches as it had before, which are judged by themselves.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from ipcbench.analysis.capacity import Trial, Try, next_step
from ipcbench.analysis.launch_frame import launches
from ipcbench.analysis.load import GENERATOR_LATE, judged, load_columns
from ipcbench.analysis.objective import Objective
from ipcbench.case import Case
from ipcbench.results.store import Results

_Key = TypeVar("_Key", bound=Hashable)


def next_tries(
    groups: Mapping[_Key, Sequence[Case]],
    peaks_per_s: Mapping[_Key, float],
    objective: str,
    rounds: int,
    results: Results,
) -> Iterator[tuple[_Key, int]]:
    """Yields the next rate of each search that isn't at its end.

    `groups` has the cases at all rates that a search has tried; each try is of so many rounds.
    """
    table, wanted = launches(results), Objective.parse(objective)
    for key, cases in groups.items():
        trials = [trial for case in cases for trial in _trials(table, case, wanted, rounds)]
        step = next_step(peaks_per_s[key], trials)
        if isinstance(step, Try):
            yield key, round(step.rate_per_s)


def _trials(table: pd.DataFrame, case: Case, objective: Objective, rounds: int) -> Iterator[Trial]:
    """Yields the tries of a rate, each of so many rounds, with what came of it."""
    own = table[(table["case"] == case.id) & table["is_counted"]]
    arrivals = case.arrivals
    if arrivals is None:
        return
    for first in range(1, int(own["round"].max() if len(own) else 0) + 1, rounds):
        block = own[own["round"].between(first, first + rounds - 1)]
        if len(block):
            yield Trial(arrivals.rate_per_s, objective.judge(_row(block)))


def _row(block: pd.DataFrame) -> dict[str, object]:
    """The columns that an objective is judged by, of these launches of a case."""
    found = judged(block)
    is_late = found is not None and found.is_generator_late
    row: dict[str, object] = {"time_median_s": float(block["time_s"].median())}
    return row | load_columns(block) | {"flags": GENERATOR_LATE if is_late else ""}
