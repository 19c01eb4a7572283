"""Several result files read as one; each remains the run, or the runs, that it is.

A case that failed in one file may have a number in another: then it has one, and the failure is
told beside it. Within a file a case that failed has no number.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import pyperf

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results.launches import Launch
from ipcbench.results.machines import check_same_machine
from ipcbench.results.store import Results, Unmeasured


@dataclass(frozen=True, slots=True)
class Gap:
    """A file without a number for a case that another file measured."""

    file: str
    unmeasured: Unmeasured


@dataclass(frozen=True, slots=True)
class Collection:
    """Results by the name of their file."""

    files: Sequence[tuple[str, Results]]

    def launches(self) -> Iterator[Launch]:
        """Yields every launch, file by file."""
        return chain.from_iterable(results.launches() for _, results in self.files)

    def counted(self) -> Iterator[Launch]:
        """Yields the launches of cases that have a number in their file."""
        return chain.from_iterable(results.counted() for _, results in self.files)

    @property
    def unmeasured(self) -> dict[str, Unmeasured]:
        """Cases without a number in any file, by id, with the reason of the last one."""
        measured = {launch.case for launch in self.counted()}
        found: dict[str, Unmeasured] = {}
        for _, results in self.files:
            found |= results.unmeasured
        return {name: item for name, item in found.items() if item.case not in measured}

    @property
    def gaps(self) -> list[Gap]:
        """Gaps of single files in cases that others measured."""
        measured = {launch.case for launch in self.counted()}
        return [
            Gap(name, item)
            for name, results in self.files
            for item in results.unmeasured.values()
            if item.case in measured
        ]


def merge(files: Iterable[tuple[str, Results]]) -> Collection:
    """Puts the results of several files together, to be reported as one.

    Raises ResultsError if they are of different machines, if pyperf refuses to combine their
    launches (another Python or platform), or if two files hold the same run.
    """
    collection = Collection(list(files))
    origin: dict[str, str] = {}
    first: tuple[str, Launch] | None = None
    for name, results in collection.files:
        for run_id in {launch.run_id for launch in results.launches()}:
            if run_id in origin:
                raise ResultsError(f"{name} and {origin[run_id]} hold the same run; name it once")
            origin[run_id] = name
        launch = next(results.launches(), None)
        if launch is not None and first is not None:
            what = f"{first[0]} and {name} can't be reported in one table, being of two machines"
            check_same_machine(first[1].facts, launch.facts, what)
        elif launch is not None:
            first = name, launch
    _check_alike(collection)
    return collection


def _check_alike(collection: Collection) -> None:
    """Raises ResultsError if pyperf wouldn't have the launches of a case in one benchmark."""
    if len(collection.files) == 1:
        return
    runs: dict[Case, list[pyperf.Run]] = {}
    for _, results in collection.files:
        for bench in results.suite or ():
            runs.setdefault(Case.parse(bench.get_name()), []).extend(bench.get_runs())
    try:
        for same in runs.values():
            pyperf.Benchmark(same)
    except ValueError as error:
        raise ResultsError(f"these files can't be reported together: {error}") from error
