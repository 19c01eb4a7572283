"""How near is the loop in C to the least that C needs, and the loop in Python to the loop in C?

`make bench-reference` builds pingpong.c and runs this: the reference program and both of ipcbench's
loops take turns, a batch each, on the same CPUs, so that all three meet the same moments of the
machine. Every round starts all processes anew. Needs two CPUs for the cases on two cores.

More rounds of some cases narrow their intervals:
`make bench-reference ROUNDS=60 CASES=latency/pipe/64/`.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import cast

import turns
from rich.table import Table
from turns import Batches, Round, Run

from ipcbench.analysis.stats import Interval, Ratio, alternating_ratio
from ipcbench.case import Case
from ipcbench.measure.pair import Pair
from ipcbench.system.cpus import Cpus, placement_cpus
from ipcbench.units import display_time, three_digits

_EARLY_ROUNDS = 10
"""Rounds of early files, which don't state them."""

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


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one case: medians in seconds, ratios of times."""

    case: str
    reference_s: float
    native_s: float
    python_s: float
    native_to_reference: Ratio
    python_to_native: Ratio
    sampled_to_native: Ratio | None
    """Cost of a clock read a message, in the sampled burst; latency only."""


def measured(case: Case, program: Path, cpus: Cpus, rounds: int) -> Found:
    """Measures all loops of a case, alternating."""

    def contenders(round_: Round) -> dict[str, Run]:
        native = round_.pair(case)
        runs = {
            "reference": round_.reference(program, case),
            "native": native.run,
            "python": round_.pair(case._replace(loop="python")).run,
        }
        if case.workload == "latency":
            runs["sampled"] = _sampling(native)
        return runs

    return _found(case, turns.in_turns(cpus, rounds, contenders))


def _sampling(pair: Pair) -> Run:
    return lambda messages: sum(pair.sample(messages)) * 1e-9


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
        alternating_ratio(batches.get("sampled", {}), native),
    )


def _table(found: list[Found]) -> Table:
    table = turns.plain_table()
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
    """A case's id without the parts that all have in common."""
    return case.replace("/native", "").replace("throughput", "thr.").replace("latency", "lat.")


def _shown(ratio: Ratio) -> tuple[str, str]:
    low, high = ratio.interval or (ratio.estimate, ratio.estimate)
    return f"{three_digits(ratio.estimate)}x", f"{three_digits(low)}-{three_digits(high)}"


def _text(found: list[Found], machine: str, rounds: int) -> str:
    """The table with its machine, rounds and batches below, 100 columns wide."""
    lines = []
    sampled = found[0].sampled_to_native
    if sampled is not None:
        added = f"{sampled.estimate:.3f}x"
        if sampled.interval:
            added += f" ({sampled.interval.low:.3f}-{sampled.interval.high:.3f})"
        lines.append(f"{found[0].case}: {added} with a clock read a message")
    return turns.plain_text(_table(found), [*lines, *turns.rested_on(machine, rounds)])


def _stored(path: Path) -> tuple[list[Found], str, int]:
    """The cases, machine and rounds that an earlier run wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for one in stored["cases"]:
        ratios = {
            key: Ratio(value[0], value[1] and Interval(*value[1]), value[2])
            for key, value in one.items()
            if isinstance(value, list)
        }
        found.append(Found(**(one | ratios)))
    return found, stored["machine"], stored.get("rounds", _EARLY_ROUNDS)


def main() -> int:
    """Measures, prints the table, and writes reference.json beside the other results."""
    parser = turns.parser(__doc__, "reference")
    parser.add_argument("--cases", default="", help="those whose ids begin so, with commas between")
    args = parser.parse_args()
    if args.show:
        print(_text(*_stored(args.program)))
        return 0
    cases = [case for case in CASES if case.id.startswith(tuple(args.cases.split(",")))]
    if not cases or args.rounds < 1:
        parser.error("at least one round of one case; cases are " + ", ".join(c.id for c in CASES))
    # Looked up before the first pair, whose start pins this process as its client.
    placements = {case.placement: placement_cpus(case.placement) for case in CASES}
    found = []
    for case in cases:
        print(case.id, file=sys.stderr, flush=True)
        cpus = placements[case.placement] or (0, 0)
        found.append(measured(case, args.program, cpus, args.rounds))
    machine = turns.this_machine()
    print(_text(found, machine, args.rounds))
    turns.save("reference", machine, args.rounds, [asdict(one) for one in found])
    return 0


if __name__ == "__main__":
    sys.exit(main())
