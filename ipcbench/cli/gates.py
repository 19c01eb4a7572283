"""Gates on the command line: what is asked, and how the answers are told."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench.cli.destinations import checked_output
from ipcbench.cli.messages import say
from ipcbench.errors import (
    EXIT_GATE_TRIPPED,
    EXIT_NOT_JUDGED,
    EXIT_OK,
    EXIT_USAGE,
    ResultsError,
    UsageError,
)
from ipcbench.reporters.documents import STDOUT
from ipcbench.results.files import write_atomically

if TYPE_CHECKING:
    from ipcbench.analysis.diff import RunComparison
    from ipcbench.analysis.gates import Gate, GateResult
    from ipcbench.analysis.measures import Measure
    from ipcbench.run.plan import Plan


@dataclass(frozen=True, slots=True)
class Asked:
    """The gates that are asked for, and for whom their answers are written."""

    gates: "Sequence[Gate]"
    junit: Path | None = None
    github: bool = False

    @property
    def measures(self) -> "frozenset[Measure]":
        """The measures that the gates judge."""
        return frozenset(gate.measure for gate in self.gates)

    def judge(self, comparisons: "Iterable[RunComparison]") -> "list[GateResult]":
        """The answers of all gates on all comparisons."""
        if not self.gates:
            return []
        from ipcbench.analysis.gates import judged_gates

        return [result for one in comparisons for result in judged_gates(self.gates, one)]


def checked(args: Namespace) -> Asked:
    """The gates of parsed arguments. Raises UsageError for what can't be judged or written."""
    gates = []
    if args.gates:
        from ipcbench.analysis.gates import parse_gate

        gates = [parse_gate(text) for text in args.gates]
    if args.junit is not None:
        if not gates:
            raise UsageError("--junit tells the answers of gates; add one with --fail-if")
        if str(args.junit) == STDOUT:
            raise UsageError("--junit takes a file; name one")
        checked_output(args.junit, force=args.force)
    return Asked(gates, args.junit, args.github)


def check_other(asked: Asked, args: Namespace) -> None:
    """Raises UsageError for gates on a run that is compared with nothing."""
    if asked.gates and args.against is None and len(args.pythons or ()) < 2:
        raise UsageError(
            "--fail-if needs something to compare with; add --against NAME, or --python with two"
            " interpreters"
        )


def check_about(asked: Asked, plan: "Plan", *, against: bool) -> None:
    """Raises UsageError for a gate that is about nothing that will be measured."""
    if not asked.gates:
        return
    from ipcbench.analysis.gates import check_about
    from ipcbench.case import Case

    cases = [Case.parse(case) for case in plan.intent.cases]
    if not against:
        first = next(iter(plan.interpreters), "")
        cases = [case for case in cases if case.interpreter != first]
    check_about(asked.gates, cases)


def answer(
    asked: Asked,
    results: "Sequence[GateResult]",
    comparisons: "Sequence[RunComparison]",
    tables: str,
) -> int:
    """Tells the answers to all that are to know, and returns the exit code that they make.

    `tables` are those of the report in Markdown, for the summary of a step.
    """
    from ipcbench.reporters.tables.gates import gate_messages

    for result in results:
        for message in gate_messages(result):
            say(message)
    if asked.gates and not results:
        say("gates not judged: no second interpreter was to measure anything")
    code = _code(asked, results)
    if asked.junit is not None:
        from ipcbench.reporters.junit import junit_text

        write_atomically(asked.junit, junit_text(results))
        say(f"written: {asked.junit}")
    if asked.github:
        _tell_github(results, [line for one in comparisons for line in one.cautions])
        try:
            _add_summary(results, tables)
        except ResultsError as error:
            say(str(error))
            code = code or EXIT_USAGE
    return code


def _code(asked: Asked, results: "Sequence[GateResult]") -> int:
    outcomes = {result.outcome for result in results}
    if "tripped" in outcomes:
        return EXIT_GATE_TRIPPED
    if asked.gates and outcomes != {"passed"}:
        return EXIT_NOT_JUDGED
    return EXIT_OK


def _tell_github(results: "Sequence[GateResult]", cautions: Sequence[str]) -> None:
    from ipcbench.reporters.github import annotations

    for line in annotations(results, cautions):
        print(line, file=sys.stderr, flush=True)


def _add_summary(results: "Sequence[GateResult]", tables: str) -> None:
    """Appends to the summary of the step that this runs in. Raises ResultsError."""
    from ipcbench.reporters.github import MOST_SUMMARY_BYTES, SUMMARY_VARIABLE, summary_text

    name = os.environ.get(SUMMARY_VARIABLE)
    if not name:
        say(f"no summary is written: {SUMMARY_VARIABLE} names no file, as it does on GitHub")
        return
    path = Path(name)
    try:
        there_bytes = path.stat().st_size if path.exists() else 0
        text = summary_text(results, tables, MOST_SUMMARY_BYTES - there_bytes)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ResultsError(f"{path} can't be written: {error.strerror}") from error
