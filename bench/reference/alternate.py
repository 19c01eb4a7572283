"""How near is the loop in C to the least that C needs, and the loop in Python to the loop in C?

`make bench-reference` builds pingpong.c and runs this: the reference program and both of ipcbench's
loops take turns, a batch each, on the same CPUs, so that all three meet the same moments of the
machine. Every round starts all processes anew. Needs two CPUs for the cases on two cores.

More rounds of some cases narrow their intervals:
`make bench-reference ROUNDS=60 CASES=latency/pipe/64/`.
"""

import io
import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO, Self, cast

from rich import box
from rich.console import Console
from rich.table import Table

from ipcbench import host, outputs
from ipcbench.analysis.stats import Interval, Ratio, alternating_ratio
from ipcbench.case import Case
from ipcbench.measure.pair import Pair
from ipcbench.measure.scratch import scratch
from ipcbench.transports.base import Workspace
from ipcbench.units import display_time, three_digits

TURNS = 9
BATCH_S = 0.02
_EARLY_ROUNDS = 10
"""Of files that don't say how many."""
PROBE_MESSAGES = 500
NAMES = {"sysv-shm-spin": "shm-spin"}
"""What pingpong.c calls a mechanism where it differs: a ring in shared memory is one to it."""

CASES = tuple(
    map(
        Case.parse,
        (
            *(
                f"latency/{name}/{size}/native/same-core"
                for size in ("64", "1k", "64k")
                for name in ("pipe", "unix", "inet")
            ),
            "latency/sysv-shm-spin/64/native/cross-core",
            *(
                f"throughput/{name}/64k/native/cross-core"
                for name in ("pipe", "unix", "inet", "sysv-shm-spin")
            ),
        ),
    )
)

Batches = dict[int, list[float]]
"""For each round, seconds a message of its batches."""


class Reference:
    """The program in C, which runs a batch when it is told to."""

    def __init__(self, program: Path, case: Case, cpus: host.Cpus) -> None:
        name = NAMES.get(case.transport, case.transport)
        words = [name, case.workload, str(case.message_size_bytes), *map(str, cpus)]
        self._process = subprocess.Popen(
            [program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def run(self, messages: int) -> float:
        """Seconds that a batch took."""
        told = cast("IO[str]", self._process.stdin)
        told.write(f"{messages}\n")
        told.flush()
        return float(cast("IO[str]", self._process.stdout).readline())


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a case: medians in seconds, ratios of times."""

    case: str
    reference_s: float
    native_s: float
    python_s: float
    native_to_reference: Ratio
    python_to_native: Ratio
    sampled_to_native: Ratio | None
    """What a clock read a message adds, in the sampled burst; latency only."""


def measured(case: Case, program: Path, cpus: host.Cpus, rounds: int) -> Found:
    """All loops of a case, alternating."""
    batches: dict[str, Batches] = {"reference": {}, "native": {}, "python": {}, "sampled": {}}
    for round_number in range(rounds):
        with scratch() as private, ExitStack() as stack:
            runs: dict[str, Callable[[int], float]] = {
                "reference": stack.enter_context(Reference(program, case, cpus)).run
            }
            for loop in ("native", "python"):
                directory = stack.enter_context(private.launch())
                pair = Pair(case._replace(loop=loop), cpus, Workspace(directory))
                runs[loop] = stack.enter_context(pair).run
                if loop == "native" and case.workload == "latency":
                    runs["sampled"] = _sampling(pair)
            messages = round(BATCH_S / min(_probed(run) for run in runs.values()))
            for run in runs.values():
                run(messages)  # warm-up
            for _ in range(TURNS):
                for name, run in runs.items():
                    batches[name].setdefault(round_number, []).append(run(messages) / messages)
    return _found(case, batches)


def _sampling(pair: Pair) -> Callable[[int], float]:
    return lambda messages: sum(pair.sample(messages)) * 1e-9


def _probed(run: Callable[[int], float]) -> float:
    return min(run(PROBE_MESSAGES) for _ in range(3)) / PROBE_MESSAGES


def _found(case: Case, batches: dict[str, Batches]) -> Found:
    times = {
        name: median(median(batch) for batch in rounds.values()) if rounds else 0.0
        for name, rounds in batches.items()
    }
    native = batches["native"]
    return Found(
        case.id,
        times["reference"],
        times["native"],
        times["python"],
        cast("Ratio", alternating_ratio(native, batches["reference"])),
        cast("Ratio", alternating_ratio(batches["python"], native)),
        alternating_ratio(batches["sampled"], native),
    )


def _table(found: list[Found]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("case")
    for title in ("C", "native", "native/C", "95%", "python", "python/native", "95%"):
        table.add_column(title, justify="right")
    for one in found:
        table.add_row(
            _short(one.case),
            display_time(one.reference_s),
            display_time(one.native_s),
            *_shown(one.native_to_reference),
            display_time(one.python_s),
            *_shown(one.python_to_native),
        )
    return table


def _short(case: str) -> str:
    """A case's id without what all have in common, as narrow as it can be."""
    return case.replace("/native", "").replace("throughput", "thr.").replace("latency", "lat.")


def _shown(ratio: Ratio) -> tuple[str, str]:
    low, high = ratio.interval or (ratio.estimate, ratio.estimate)
    return f"{three_digits(ratio.estimate)}x", f"{three_digits(low)}-{three_digits(high)}"


def _text(found: list[Found], machine: str, rounds: int) -> str:
    """The table and what it rests on, 100 columns wide."""
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(_table(found))
    sampled = found[0].sampled_to_native
    if sampled is not None:
        added = f"{sampled.estimate:.3f}x"
        if sampled.interval:
            added += f" ({sampled.interval.low:.3f}-{sampled.interval.high:.3f})"
        console.print(f"\n{found[0].case}: {added} with a clock read a message")
    console.print(
        f"{machine}\n{rounds} rounds of {TURNS} turns of about {BATCH_S * 1e3:.0f} ms",
        highlight=False,
    )
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def _stored(path: Path) -> tuple[list[Found], str, int]:
    """What an earlier run wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for one in stored["cases"]:
        ratios = {
            key: Ratio(value[0], Interval(*value[1]), value[2])
            for key, value in one.items()
            if isinstance(value, list)
        }
        found.append(Found(**(one | ratios)))
    return found, stored["machine"], stored.get("rounds", _EARLY_ROUNDS)


def main() -> int:
    """Measures, prints the table, and writes reference.json beside the other results."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("program", type=Path, help="pingpong, built; with --show, a reference.json")
    parser.add_argument("--show", action="store_true", help="the table of an earlier run")
    parser.add_argument("--rounds", type=int, default=10, help="of each case; default 10")
    parser.add_argument("--cases", default="", help="those whose ids begin so, with commas between")
    args = parser.parse_args()
    if args.show:
        print(_text(*_stored(args.program)))
        return 0
    cases = [case for case in CASES if case.id.startswith(tuple(args.cases.split(",")))]
    if not cases or args.rounds < 1:
        parser.error("at least one round of one case; cases are " + ", ".join(c.id for c in CASES))
    # Before the first pair: this process is a client then, and pinned.
    placements = {case.placement: host.placement_cpus(case.placement) for case in CASES}
    found = []
    for case in cases:
        print(case.id, file=sys.stderr, flush=True)
        cpus = placements[case.placement] or (0, 0)
        found.append(measured(case, args.program, cpus, args.rounds))
    facts = host.machine()
    machine = (
        f"{facts.cpu_model}, {facts.cpu_count} CPUs, {facts.virtualisation};"
        f" {facts.kernel}; {facts.python}"
    )
    print(_text(found, machine, args.rounds))
    path = outputs.default_output(facts.slug, "reference")
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {"machine": machine, "rounds": args.rounds, "cases": [asdict(one) for one in found]}
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(f"saved: {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
