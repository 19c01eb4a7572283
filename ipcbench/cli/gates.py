"""Gates on the command line: what is asked, and how the answers are told."""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipcbench.cli.messages import say
from ipcbench.errors import (
    EXIT_GATE_TRIPPED,
    EXIT_NOT_JUDGED,
    EXIT_OK,
)

if TYPE_CHECKING:
    from ipcbench.analysis.diff import RunComparison
    from ipcbench.analysis.gates import Gate, GateResult
    from ipcbench.analysis.measures import Measure


@dataclass(frozen=True, slots=True)
class Asked:
    """The gates that are asked for."""

    gates: "Sequence[Gate]"

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
    """The gates of parsed arguments. Raises UsageError for one that can't be read."""
    gates = []
    if args.gates:
        from ipcbench.analysis.gates import parse_gate

        gates = [parse_gate(text) for text in args.gates]
    return Asked(gates)


def answer(asked: Asked, results: "Sequence[GateResult]") -> int:
    """Tells the answers, and returns the exit code that they make."""
    from ipcbench.reporters.tables.gates import gate_messages

    for result in results:
        for message in gate_messages(result):
            say(message)
    return _code(asked, results)


def _code(asked: Asked, results: "Sequence[GateResult]") -> int:
    outcomes = {result.outcome for result in results}
    if "tripped" in outcomes:
        return EXIT_GATE_TRIPPED
    if asked.gates and outcomes != {"passed"}:
        return EXIT_NOT_JUDGED
    return EXIT_OK
