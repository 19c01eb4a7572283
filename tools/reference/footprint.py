"""What does it cost a process that it touches memory of its own between two calls, as Python does?

`make bench-footprint` builds pingpong.c and runs this. The program reads some cache lines before
each call, more from row to row; that and both of ipcbench's loops take turns, a batch each, on one
CPU. So one sees what any program pays for such a footprint, beside a small message and a large one,
and how that compares with what Python adds.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import turns
from rich.table import Table
from turns import Batches, Round, Run

from ipcbench.analysis.stats import Interval, median_interval
from ipcbench.case import Case
from ipcbench.system.cpus import Cpus, placement_cpus
from ipcbench.units import display_amount, display_size

LINES = (100, 200, 400, 800)
LINE_BYTES = 64
MECHANISMS = ("pipe", "unix", "inet")
SIZES = (64, 64 * 1024)
BARE = "0"
PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Added:
    """Time added to a round trip, in seconds."""

    estimate_s: float
    interval_s: Interval | None


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one case."""

    case: str
    bare_s: float
    """The program's round trip without a footprint."""
    added: dict[str, Added]
    """Added by a number of cache lines to the program in C; by `python` to the loop in C."""


def measured(case: Case, program: Path, cpus: Cpus, rounds: int) -> Found:
    """Measures all footprints and both loops of a case, alternating."""

    def contenders(round_: Round) -> dict[str, Run]:
        reference = {
            str(lines): round_.reference(program, case, lines) for lines in (int(BARE), *LINES)
        }
        python = case._replace(loop="python")
        return reference | {"native": round_.pair(case).run, PYTHON: round_.pair(python).run}

    batches = turns.in_turns(cpus, rounds, contenders)
    bare = batches[BARE]
    added = {str(lines): _added(batches[str(lines)], bare) for lines in LINES}
    added[PYTHON] = _added(batches[PYTHON], batches["native"])
    return Found(case.id, median(median(batch) for batch in bare.values()), added)


def _added(to: Batches, bare: Batches) -> Added:
    """The median over rounds of the median over turns of the difference within one turn."""
    differences = [
        median(one - other for one, other in zip(batch, bare[number], strict=True))
        for number, batch in to.items()
    ]
    return Added(median(differences), median_interval(differences))


def _table(found: list[Found]) -> Table:
    table = turns.plain_table()
    table.add_column("µs a round trip")
    for size in SIZES:
        table.add_column(display_size(size), justify="right")
        table.add_column("95%", justify="right")
    by_case = {one.case: one for one in found}
    for mechanism in MECHANISMS:
        cases = [by_case[_case(mechanism, size).id] for size in SIZES]
        bare = [cell for one in cases for cell in (f"{one.bare_s * 1e6:.2f}", "")]
        table.add_row(f"{mechanism}, in C", *bare)
        for lines in LINES:
            label = f"  and {lines} cache lines ({display_amount(lines * LINE_BYTES)})"
            table.add_row(label, *_cells(cases, str(lines)))
        table.add_row("  Python over native", *_cells(cases, PYTHON), end_section=True)
    return table


def _cells(cases: list[Found], by: str) -> list[str]:
    cells = []
    for added in (one.added[by] for one in cases):
        bounds = " to ".join(f"{bound * 1e6:.2f}" for bound in added.interval_s or ())
        cells += [f"{added.estimate_s * 1e6:+.2f}", bounds]
    return cells


def _case(mechanism: str, size_bytes: int) -> Case:
    return Case.parse(f"latency/{mechanism}/{size_bytes}/native/same-core")


def _text(found: list[Found], machine: str, rounds: int) -> str:
    return turns.plain_text(_table(found), turns.rested_on(machine, rounds))


def _stored(path: Path) -> tuple[list[Found], str, int]:
    """The cases, machine and rounds that an earlier run wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for case in stored["cases"]:
        added = {
            by: Added(one["estimate_s"], one["interval_s"] and Interval(*one["interval_s"]))
            for by, one in case["added"].items()
        }
        found.append(Found(case["case"], case["bare_s"], added))
    return found, stored["machine"], stored["rounds"]


def main() -> int:
    """Measures, prints the table, and writes footprint.json beside the other results."""
    parser = turns.parser(__doc__, "footprint")
    args = parser.parse_args()
    if args.show:
        print(_text(*_stored(args.program)))
        return 0
    if args.rounds < 1:
        parser.error("at least one round")
    cpus = placement_cpus("same-core") or (0, 0)
    found = []
    for case in (_case(mechanism, size) for mechanism in MECHANISMS for size in SIZES):
        print(case.id, file=sys.stderr, flush=True)
        found.append(measured(case, args.program, cpus, args.rounds))
    machine = turns.this_machine()
    print(_text(found, machine, args.rounds))
    turns.save("footprint", machine, args.rounds, [asdict(one) for one in found])
    return 0


if __name__ == "__main__":
    sys.exit(main())
