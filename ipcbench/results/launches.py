"""Launches as data: the outcome of one worker, and the launch as a file holds it.

pyperf's classes end here and in `store`: nothing above this room sees a benchmark or a run.
"""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyperf

from ipcbench.case import Case
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.results.metadata import MECHANISM

Scalar = int | float | str
"""A value of metadata."""
LaunchKey = tuple[str, int]
"""A run's id and the number of one of its rounds: what the launches of a round have in common."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The outcome of one launch, before it belongs to a run."""

    values_s: tuple[float, ...]
    """Seconds a message (a round trip, a connection), a value a batch."""
    messages: int
    """Messages in each batch."""
    warmups: tuple[tuple[int, float], ...] = ()
    """The batches before the first value: number of messages and seconds a message."""
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    """Metadata that the worker recorded."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One measured launch of a case in a run."""

    machine: str
    """The key of the machine; see `machines.machine_key`."""
    run_id: str
    case: Case
    round_number: int
    values_s: tuple[float, ...]
    """Seconds a message (a round trip, a connection), a value a batch."""
    messages: int
    """Messages in each batch."""
    facts: Mapping[str, Scalar]
    """All metadata of the launch, under the names that the file has."""
    is_counted: bool = True
    """Whether its case has a number in its file: a case that failed later has none."""

    @property
    def key(self) -> LaunchKey:
        """The launch's place among those of its case: launches of one round are compared."""
        return self.run_id, self.round_number

    @property
    def time_s(self) -> float:
        """The median of the values, by which the launch counts."""
        return statistics.median(self.values_s)

    @property
    def is_mechanism(self) -> bool:
        """Whether the transport is one to compare, and not a control."""
        return self.facts["role"] == MECHANISM

    @property
    def histograms(self) -> Mapping[str, Histogram]:
        """Histograms of single messages by metadata key, parsed anew at each call."""
        text = self.facts.get(HISTOGRAM_KEY)
        return {} if text is None else {HISTOGRAM_KEY: Histogram.parse(str(text))}


def read_measured(path: Path) -> Measured:
    """Reads the file that a worker wrote. Raises OSError, ValueError or KeyError."""
    bench = pyperf.Benchmark.load(str(path))
    runs = bench.get_runs()
    if len(runs) != 1:
        raise ValueError(f"it holds {len(runs)} launches instead of one")
    (run,) = runs
    return Measured(run.values, run.get_loops(), run.warmups, run.get_metadata())


def by_case(launches: Iterable[Launch]) -> dict[Case, list[Launch]]:
    """Groups launches by case, in the order in which they come."""
    groups: dict[Case, list[Launch]] = {}
    for launch in launches:
        groups.setdefault(launch.case, []).append(launch)
    return groups


def mechanisms(launches: Iterable[Launch]) -> dict[Case, list[Launch]]:
    """Groups the launches of mechanisms by case, without those of controls."""
    return by_case(launch for launch in launches if launch.is_mechanism)
