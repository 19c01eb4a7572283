"""The noise floor that results were made with: how large, how old, and found on which kernel."""

from math import nan
from typing import NamedTuple

import pandas as pd

from ipcbench.results.launches import Launch
from ipcbench.results.store import Results

_BETWEEN_RUNS = "noise_floor_between_runs_ratio"
_WITHIN_RUN = "noise_floor_ratio"
_AGE = "noise_floor_age_s"
_KERNEL = "noise_floor_kernel"


class Found(NamedTuple):
    """Where a noise floor comes from."""

    age_s: float
    """Seconds from its selftest to the run that was made with it."""
    kernel: str


class Floor(NamedTuple):
    """A noise floor, as a share; 0 if it is unknown."""

    ratio: float = 0.0
    found: Found | None = None
    """None for a floor of an early file, which doesn't tell."""


UNKNOWN = Floor()


def within_run(launches: pd.DataFrame) -> Floor:
    """The largest noise floor within a run that these launches were made with."""
    if _WITHIN_RUN not in launches or launches.empty:
        return UNKNOWN
    ratios = launches[_WITHIN_RUN].fillna(0.0)
    row = launches.iloc[int(ratios.to_numpy().argmax())].to_dict()
    age_s, kernel = row.get(_AGE, nan), row.get(_KERNEL, nan)
    known = pd.notna(age_s) and pd.notna(kernel)
    return Floor(float(ratios.max()), Found(float(age_s), str(kernel)) if known else None)


def between_runs(*runs: Results) -> Floor:
    """The largest noise floor between runs that any of these was made with."""
    floors = [_between(launch) for results in runs for launch in results.launches()]
    return max(floors, key=lambda floor: floor.ratio, default=UNKNOWN)


def _between(launch: Launch) -> Floor:
    facts = launch.facts
    known = _AGE in facts and _KERNEL in facts
    found = Found(float(facts[_AGE]), str(facts[_KERNEL])) if known else None
    return Floor(float(facts.get(_BETWEEN_RUNS, 0.0)), found)
