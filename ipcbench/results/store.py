"""Result files: one pyperf suite a run, plus what pyperf has no place for.

A file is what `pyperf.BenchmarkSuite` writes, with one more top-level key, "ipcbench", which
pyperf ignores: the run's plan, to resume it, the cases without a number, with reasons, and while a
run saves there the token of its `journal`. pyperf reads these files as they are; a file that pyperf
has rewritten has lost that key and nothing else.

Host name, user paths and build paths, which pyperf records, are left out: results are published.
All text, measured or loaded, is sanitised; `validation` checks the rest of a file.
"""

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import pyperf

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import metadata, validation
from ipcbench.results.files import journal_path, read_text, write_atomically
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
_MOST_TRIES = 5
"""Tries to read a file and its journal between two folds; a run makes one in many launches."""


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A case without a number, and the reason: it is impossible (`n/a`), or its launch failed."""

    case: Case
    status: Status
    reason: str

    @property
    def has_failed(self) -> bool:
        """Whether it should have been measured."""
        match self.status:
            case "failed":
                return True
            case "n/a":
                return False
            case _:
                assert_never(self.status)


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
    added: list[pyperf.Run | Unmeasured] = field(default_factory=list, repr=False, compare=False)
    """All that was added since the results were made or read, in order, for the journal."""

    def add_launch(self, case: Case, measured: Measured, facts: Metadata) -> None:
        """Adds one launch of a case with these facts, which must distinguish it from others."""
        own = {k: v for k, v in measured.facts.items() if k not in metadata.PRIVATE}
        fixed = {"name": case.id, "loops": measured.messages, metadata.FORMAT_KEY: FORMAT}
        if case.interpreter:
            fixed["interpreter"] = case.interpreter
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
        else:
            first = next(self.launches()).facts
            check_same_machine(first, known, "a launch is of another machine than those before")
            try:
                self.suite.add_runs(bench)
            except ValueError as error:
                raise ResultsError(f"a launch doesn't belong to those before: {error}") from error
        self.added.append(run)

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
        item = Unmeasured(case, status, printable(" ".join(reason.split())))
        self.unmeasured[case.id] = item
        self.added.append(item)

    @property
    def is_empty(self) -> bool:
        """Whether there are neither launches nor cases without a number."""
        return self.suite is None and not self.unmeasured


def dumps(results: Results, token: str | None = None) -> str:
    """Serialises results to the text of a file; `token` is that of the journal beside it."""
    pyperfs = io.StringIO('{"benchmarks":[],"version":"1.0"}')
    if results.suite is not None:
        results.suite.dump(pyperfs)
    ours: dict[str, object] = {
        "format": FORMAT,
        "plan": None if results.intent is None else results.intent.as_json(),
        "unmeasured": [unmeasured_as_json(item) for item in results.unmeasured.values()],
    }
    if token is not None:
        ours["journal"] = token
    # Our key goes in front of pyperf's closing brace: to parse and write all of it again would
    # double what it costs.
    body = pyperfs.getvalue().rstrip().removesuffix("}")
    return f'{body},"{OUR_KEY}":{json.dumps(ours)}}}\n'


def unmeasured_as_json(item: Unmeasured) -> dict[str, str]:
    """A case without a number as data for JSON."""
    return {"case": item.case.id, "status": item.status, "reason": item.reason}


def loads(text: str, name: str, journal: str = "") -> Results:
    """Parses the text of a results file called `name`, and of its journal. Raises ResultsError.

    A journal that isn't this file's, by its token, is ignored.
    """
    try:
        data = validation.parsed(text)
        more = validation.read_journal(journal, validation.read_token(data))
        results = Results(
            intent=validation.read_intent(data), suite=validation.read_suite(data, more.launches)
        )
        for case, status, reason in validation.read_unmeasured(data, more.unmeasured):
            results.add_unmeasured(case, status, reason)
    except ResultsError as error:
        raise ResultsError(f"{name} {error}") from error
    except MemoryError as error:
        raise ResultsError(f"{name} needs more memory than there is") from error
    if results.is_empty:
        raise ResultsError(f"{name} holds no results")
    _check_one_machine(results, name)
    results.added.clear()
    return results


def load(path: Path) -> Results:
    """Reads a results file, and the journal beside it if a run is saving there or was killed.

    Raises ResultsError that says what is wrong with it.
    """
    text, journal = read_text(path, _MOST_BYTES), ""
    for _ in range(_MOST_TRIES):
        if not validation.may_have_journal(text):
            break
        journal = _journal_text(path)
        again = read_text(path, _MOST_BYTES)
        if again == text:
            break
        text = again  # the run folded its journal meanwhile: that one isn't this file's
    return loads(text, str(path), journal)


def _journal_text(path: Path) -> str:
    journal = journal_path(path)
    try:
        return read_text(journal, _MOST_BYTES) if os.path.lexists(journal) else ""
    except ResultsError:
        if os.path.lexists(journal):
            raise
        return ""  # the run folded it between the two looks


def _check_one_machine(results: Results, name: str) -> None:
    firsts = {launch.machine: launch.facts for launch in results.launches()}
    for facts in firsts.values():
        check_same_machine(next(iter(firsts.values())), facts, f"{name} is of two machines")


def save(results: Results, path: Path) -> None:
    """Writes the results to a file, atomically. Raises ResultsError."""
    write_atomically(path, dumps(results))
