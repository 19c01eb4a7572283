"""Result files: one pyperf suite a run, plus what pyperf has no place for.

A file is what `pyperf.BenchmarkSuite` writes, with one more top-level key, "ipcbench", which
pyperf ignores: the run's plan, to resume it, and the cases without a number, with reasons. pyperf
reads these files as they are; a file that pyperf has rewritten has lost that key and nothing else.

Host name, user paths and build paths, which pyperf records, are left out: results are published.
All text, measured or loaded, is sanitised; `checked` validates the rest of a file.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyperf

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import metadata, validation
from ipcbench.results.files import read_text, write_atomically
from ipcbench.results.intent import Intent
from ipcbench.results.launches import Launch, Measured, Scalar, by_case
from ipcbench.results.machines import check_same_machine, machine_key
from ipcbench.results.migration import FORMAT
from ipcbench.results.validation import OUR_KEY, Status
from ipcbench.text import printable

Metadata = dict[str, Scalar]

RETRIED_KEY = metadata.RETRIED_KEY
"""Metadata key of a retried launch, under this name for callers that add launches."""

_MOST_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A case without a number, and the reason: it is impossible (`n/a`), or its launch failed."""

    case: Case
    status: Status
    reason: str


@dataclass(slots=True)
class Results:
    """The launches of one machine's run, and the cases without a number.

    A file that pyperf put together may hold several runs; of two machines it is refused.
    """

    unmeasured: dict[str, Unmeasured] = field(default_factory=dict)
    intent: Intent | None = None
    """The plan of the run; None if the file has none."""
    suite: pyperf.BenchmarkSuite | None = None
    """The launches as pyperf has them, for the modules of this room alone."""

    def add_launch(self, case: Case, measured: Measured, facts: Metadata) -> None:
        """Adds one launch of a case with these facts, which must distinguish it from others."""
        own = {k: v for k, v in measured.facts.items() if k not in metadata.PRIVATE}
        fixed = {"name": case.id, "loops": measured.messages, metadata.FORMAT_KEY: FORMAT}
        known = own | facts | fixed
        run = pyperf.Run(
            measured.values_s,
            warmups=measured.warmups,
            metadata={k: printable(v) if isinstance(v, str) else v for k, v in known.items()},
            collect_metadata=False,
        )
        bench = pyperf.Benchmark([run])
        if self.suite is None:
            self.suite = pyperf.BenchmarkSuite([bench])
            return
        first = next(self.launches()).facts
        check_same_machine(first, known, "a launch is of another machine than those before")
        try:
            self.suite.add_runs(bench)
        except ValueError as error:
            raise ResultsError(f"a launch doesn't belong to those before: {error}") from error

    def launches(self) -> Iterator[Launch]:
        """Yields every launch in the order of the file: by case, then as they were made."""
        for bench in self.suite or ():
            case = Case.parse(bench.get_name())
            for run in bench.get_runs():
                facts = run.get_metadata()
                yield Launch(
                    machine_key(facts),
                    facts["run_id"],
                    case,
                    facts["round"],
                    run.values,
                    run.get_loops(),
                    facts,
                    is_counted=case.id not in self.unmeasured,
                )

    def counted(self) -> Iterator[Launch]:
        """Yields the launches of cases with a number: a case that failed has none."""
        return (launch for launch in self.launches() if launch.is_counted)

    def finished(self) -> dict[Case, dict[int, int]]:
        """The finished rounds of each case, with the number of messages a batch."""
        return {
            case: {launch.round_number: launch.messages for launch in launches}
            for case, launches in by_case(self.launches()).items()
        }

    def add_unmeasured(self, case: Case, status: Status, reason: str) -> None:
        """Records the reason why a case has no number."""
        self.unmeasured[case.id] = Unmeasured(case, status, printable(" ".join(reason.split())))

    @property
    def is_empty(self) -> bool:
        """Whether there are neither launches nor cases without a number."""
        return self.suite is None and not self.unmeasured


def dumps(results: Results) -> str:
    """Serialises results to the text of a file."""
    pyperfs = io.StringIO('{"benchmarks":[],"version":"1.0"}')
    if results.suite is not None:
        results.suite.dump(pyperfs)
    ours = {
        "format": FORMAT,
        "plan": None if results.intent is None else results.intent.as_json(),
        "unmeasured": [
            {"case": item.case.id, "status": item.status, "reason": item.reason}
            for item in results.unmeasured.values()
        ],
    }
    # Our key goes in front of pyperf's closing brace: to parse and write all of it again would
    # double what a save costs, and there is one after each launch.
    body = pyperfs.getvalue().rstrip().removesuffix("}")
    return f'{body},"{OUR_KEY}":{json.dumps(ours)}}}\n'


def loads(text: str, name: str) -> Results:
    """Parses the text of a results file called `name`. Raises ResultsError."""
    try:
        data = validation.parsed(text)
        results = Results(intent=validation.read_intent(data), suite=validation.read_suite(data))
        for case, status, reason in validation.read_unmeasured(data):
            results.add_unmeasured(case, status, reason)
    except ResultsError as error:
        raise ResultsError(f"{name} {error}") from error
    except MemoryError as error:
        raise ResultsError(f"{name} needs more memory than there is") from error
    if results.is_empty:
        raise ResultsError(f"{name} holds no results")
    _check_one_machine(results, name)
    return results


def _check_one_machine(results: Results, name: str) -> None:
    firsts = {launch.machine: launch.facts for launch in results.launches()}
    for facts in firsts.values():
        check_same_machine(next(iter(firsts.values())), facts, f"{name} is of two machines")


def load(path: Path) -> Results:
    """Reads a results file. Raises ResultsError that says what is wrong with it."""
    return loads(read_text(path, _MOST_BYTES), str(path))


def save(results: Results, path: Path) -> None:
    """Writes the results to a file, atomically. Raises ResultsError."""
    write_atomically(path, dumps(results))
