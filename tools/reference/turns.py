"""Alternates the reference program in C with ipcbench's pairs; shared by the scripts here."""

import io
import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self, TypeAlias, cast

from rich import box
from rich.console import Console
from rich.table import Table

from ipcbench.case import Case
from ipcbench.cli.destinations import new_output
from ipcbench.measure.pair import Pair
from ipcbench.system import machine
from ipcbench.system.cpus import Cpus
from ipcbench.system.scratch import Scratch, scratch
from ipcbench.transports.base import Workspace

TURNS = 9
BATCH_S = 0.02
PROBE_MESSAGES = 500
WIDTH = 100
NAMES = {"sysv-shm-spin": "shm-spin"}
"""Names of mechanisms in pingpong.c where they differ: it has one ring in shared memory."""

Run: TypeAlias = Callable[[int], float]
"""Runs a batch of so many messages; returns the seconds it took."""

Batches: TypeAlias = dict[int, list[float]]
"""For each round, seconds a message of its batches, turn by turn."""


class Reference:
    """The reference program in C, which runs a batch on request."""

    def __init__(self, program: Path, case: Case, cpus: Cpus, lines: int = 0) -> None:
        """`lines`: how many cache lines of its own each end reads before a call."""
        name = NAMES.get(case.transport, case.transport)
        words = [name, case.workload, *map(str, (case.message_size_bytes, *cpus, lines))]
        self._process = subprocess.Popen(
            [program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def run(self, messages: int) -> float:
        """Runs a batch; returns the seconds it took."""
        requests = cast("IO[str]", self._process.stdin)
        requests.write(f"{messages}\n")
        requests.flush()
        return float(cast("IO[str]", self._process.stdout).readline())


class Round:
    """One round: starts the processes that alternate."""

    def __init__(self, cpus: Cpus, private: Scratch, stack: ExitStack) -> None:
        """Everything started ends with the stack."""
        self._cpus = cpus
        self._private = private
        self._stack = stack

    def reference(self, program: Path, case: Case, lines: int = 0) -> Run:
        """Starts the reference program; returns the function that runs its batches."""
        return self._stack.enter_context(Reference(program, case, self._cpus, lines)).run

    def pair(self, case: Case) -> Pair:
        """Starts a pair of ipcbench's own, in the case's loop."""
        directory = self._stack.enter_context(self._private.launch())
        return self._stack.enter_context(Pair(case, self._cpus, Workspace(directory)))


def in_turns(
    cpus: Cpus, rounds: int, contenders: Callable[[Round], dict[str, Run]]
) -> dict[str, Batches]:
    """The batches of each contender, by its name; all are started anew in each round."""
    batches: dict[str, Batches] = {}
    for round_number in range(rounds):
        with scratch() as private, ExitStack() as stack:
            runs = contenders(Round(cpus, private, stack))
            messages = round(BATCH_S / min(_probed(run) for run in runs.values()))
            for run in runs.values():
                run(messages)  # warm-up
            for _ in range(TURNS):
                for name, run in runs.items():
                    of_round = batches.setdefault(name, {}).setdefault(round_number, [])
                    of_round.append(run(messages) / messages)
    return batches


def _probed(run: Run) -> float:
    return min(run(PROBE_MESSAGES) for _ in range(3)) / PROBE_MESSAGES


def parser(doc: str | None, question: str) -> ArgumentParser:
    """The parser of a reference script; `question` names the file that a run writes."""
    made = ArgumentParser(description=(doc or "").partition("\n")[0])
    file = f"{question}.json"
    made.add_argument("program", type=Path, help=f"pingpong, built; with --show, a {file}")
    made.add_argument("--show", action="store_true", help="the table of an earlier run")
    made.add_argument("--rounds", type=int, default=10, help="of each case; default 10")
    return made


def this_machine() -> str:
    """The facts of this machine that numbers depend on, in one line."""
    facts = machine.this_machine()
    return (
        f"{facts.cpu_model}, {facts.cpu_count} CPUs, {facts.virtualisation};"
        f" {facts.kernel}; {facts.python}"
    )


def rested_on(about: str, rounds: int) -> list[str]:
    """The lines below a table: its machine, rounds and batches."""
    return [about, f"{rounds} rounds of {TURNS} turns of about {BATCH_S * 1e3:.0f} ms"]


def plain_table() -> Table:
    """An empty table in the style of the reference scripts."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def plain_text(table: Table, below: Iterable[str]) -> str:
    """The table as text, with lines below it, 100 columns wide."""
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(table)
    console.print()
    for line in below:
        console.print(line, highlight=False)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def save(question: str, about: str, rounds: int, cases: list[dict[str, Any]]) -> None:
    """Writes the cases as JSON beside the other results, and prints the path."""
    path = new_output(machine.this_machine().slug, question)
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {"machine": about, "rounds": rounds, "cases": cases}
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(f"saved: {path}", file=sys.stderr)
