"""Searches for the highest rate at which an objective holds, as far as the launches of a run go.

Pure: launches in. A search is a row of tries, each of as many launches of a rate as the run has
rounds, judged by themselves; `capacity` says what follows from them.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from ipcbench.analysis.capacity import Step, Trial, next_step
from ipcbench.analysis.launch_frame import Measurements
from ipcbench.analysis.load import GENERATOR_LATE, PEAK, is_open_loop, judged, load_columns
from ipcbench.analysis.objective import Objective, objective_of
from ipcbench.case import Case
from ipcbench.results.intent import Intent
from ipcbench.results.store import Results
from ipcbench.workloads import RATE, without


def trials_of(
    launches: pd.DataFrame, case: Case, objective: Objective, rounds: int, *, whole: bool = False
) -> Iterator[Trial]:
    """Yields the tries of a rate, each of so many rounds, with what came of it.

    `whole` leaves a try out that lacks launches.
    """
    own = launches[(launches["case"] == case.id) & launches["is_counted"]]
    arrivals = case.arrivals
    if arrivals is None:
        return
    for first in range(1, int(own["round"].max() if len(own) else 0) + 1, rounds):
        block = own[own["round"].between(first, first + rounds - 1)]
        if len(block) >= (rounds if whole else 1):
            yield Trial(arrivals.rate_per_s, objective.judge(_row(block)))


def _row(block: pd.DataFrame) -> dict[str, object]:
    """The columns that an objective is judged by, of these launches of a case."""
    found = judged(block)
    is_late = found is not None and found.is_generator_late
    row: dict[str, object] = {"time_median_s": float(block["time_s"].median())}
    return row | load_columns(block) | {"flags": GENERATOR_LATE if is_late else ""}


def steps(
    results: Measurements, launches: pd.DataFrame, cases: pd.DataFrame, objective: Objective | None
) -> dict[str, Step]:
    """What each search for this objective has found, or tries next, by the ids of its cases.

    Empty for results that weren't made by a search for it, and for those of several runs.
    """
    if objective is None or objective != objective_of(launches):
        return {}
    intent = _intent(results)
    if intent is None:
        return {}
    searches: dict[Case, list[Case]] = {}
    peaks = _peaks(cases)
    for name in intent.cases:
        if name in peaks:
            case = Case.parse(name)
            line = case._replace(workload=without(case.workload, {RATE.name}))
            searches.setdefault(line, []).append(case)
    found: dict[str, Step] = {}
    for group in searches.values():
        tries = [
            trial
            for case in group
            for trial in trials_of(launches, case, objective, intent.rounds, whole=True)
        ]
        step = next_step(peaks[group[0].id], tries)
        found |= {case.id: step for case in group}
    return found


def _intent(results: Measurements) -> Intent | None:
    """The plan of a single run; None of several, and of files of before there was one."""
    single = [results] if isinstance(results, Results) else [one for _, one in results.files]
    return single[0].intent if len(single) == 1 else None


def _peaks(cases: pd.DataFrame) -> Mapping[str, float]:
    """The peak of each case of the open loop that has a number, by its id."""
    if cases.empty:
        return {}
    loads = cases[cases["workload"].map(is_open_loop).astype(bool) & cases[PEAK].notna()]
    return dict(zip(loads["case"].astype(str), loads[PEAK].astype(float), strict=True))
