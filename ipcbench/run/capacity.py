"""The stages of a load that search for the highest rate at which an objective holds.

Each stage tries the next rate of every mechanism at once, in the rounds of all. A rate is tried
again by as many launches as it had before, which are judged by themselves.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from ipcbench.analysis.capacity import Try, next_step
from ipcbench.analysis.launch_frame import launches
from ipcbench.analysis.objective import Objective
from ipcbench.analysis.searches import trials_of
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
        trials = [trial for case in cases for trial in trials_of(table, case, wanted, rounds)]
        step = next_step(peaks_per_s[key], trials)
        if isinstance(step, Try):
            yield key, round(step.rate_per_s)
