"""Compares knobs of workloads, set to their defaults, with the workloads alone.

Run it by `python -m tools.defaults`. `latency:gap=0` is another spelling of `latency`, and so is
measured by the same loop. Each spelling is read and compared through the whole pipeline (driver,
workers, result file, verdicts), with a dummy knob of the transport, which makes it a case of its
own. Things that are equal are compared, so every verdict other than `~` is false; at most 5 % of
them may be. A spelling that isn't the workload itself is named, and compared all the same.

Beside that, and not counted: the shortest gap and the shortest work that can be asked for, which
run the loops that have gaps and work. They do more than the plain loops (a gap reads the clock for
each message), and the ratio tells how much more.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from ipcbench.analysis import launch_frame
from ipcbench.analysis.launch_frame import by_round
from ipcbench.analysis.stats import Ratio, alternating_ratio, fewest_launches, verdicts
from ipcbench.case import Case, Placement
from ipcbench.checks.selftest import Bench
from ipcbench.cli.console import progress
from ipcbench.cli.destinations import checked_new
from ipcbench.errors import IpcbenchError, UsageError, explain_with_type
from ipcbench.results.files import write_atomically
from ipcbench.results.store import Results
from ipcbench.run.request import Effort
from ipcbench.system import machine
from ipcbench.system.cpus import default_placement
from ipcbench.system.lock import machine_lock
from ipcbench.system.scratch import scratch
from ipcbench.system.signals import Interrupts
from ipcbench.transports.base import DUMMY
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_percent
from ipcbench.workloads import DEFINITIONS, WORKLOADS

MOST_FALSE = 0.05
COMPARISONS_A_TABLE = 10
ROUNDS = fewest_launches(COMPARISONS_A_TABLE) + 1
"""Launches of each case: with fewer no single difference in a table could get a verdict."""
BASES = ("unix", "inet", "inet6", "pipe", "sysv-shm")
NEAREST = ("latency:gap=1ns:gap-by=spin", "latency:work=1ns")
"""Terms that run the loops with gaps and with work, with as little of either as can be written."""
_NEAREST_BASE = "pipe"
_SIZE = "64"
_EFFORT = Effort(values=5, warmups=1, min_time_s=0.01, samples=0)


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that is compared with another, and the term that it was read from."""

    term: str
    """The workload as it was written: `latency:gap=0`."""
    subject: Case
    other: Case

    @property
    def is_same(self) -> bool:
        """Whether the term is another spelling of the other case's workload."""
        return self.subject.workload == self.other.workload


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured comparison."""

    term: str
    case: str
    other: str
    is_same: bool
    ratio: float
    low_ratio: float | None
    high_ratio: float | None
    verdict: str
    """`faster`, `slower`, or `~`."""


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all comparisons."""

    machine: str
    seed: int
    rounds: int
    compared: Sequence[Compared]
    nearest: Sequence[Compared]
    """Comparisons with the loops that do more; they aren't counted."""

    @property
    def false_count(self) -> int:
        """The number of comparisons of equal things that were told apart."""
        return sum(one.verdict != "~" for one in self.compared)

    @property
    def beside_one_count(self) -> int:
        """The number of comparisons whose 95 % interval leaves 1 out, most of them by chance."""
        bounds = [(one.low_ratio, one.high_ratio) for one in self.compared]
        return sum(
            low is not None and high is not None and not low <= 1 <= high for low, high in bounds
        )

    @property
    def holds(self) -> bool:
        """Whether every default is the workload itself, and few enough are told apart."""
        are_same = all(one.is_same for one in self.compared)
        return are_same and self.false_count <= MOST_FALSE * len(self.compared)


def default_terms() -> dict[str, list[str]]:
    """By workload, its terms with one knob each, set to the default where it has one."""
    return {
        workload: [
            f"{workload}:{knob.name}={knob.default}"
            for knob in DEFINITIONS[workload].knobs
            if knob.default is not None
        ]
        for workload in WORKLOADS
    }


def tables(comparisons: int, bases: Sequence[str] = BASES) -> Iterator[list[Pair]]:
    """Yields tables of pairs, so many pairs in all; each is of one workload, base and placement."""
    terms_of = {workload: terms for workload, terms in default_terms().items() if terms}
    placements: Sequence[Placement] = list(dict.fromkeys(("same-core", default_placement())))
    every = [
        (workload, base, placement)
        for base in bases
        for placement in placements
        for workload in terms_of
        if get_transport(base).unavailable() is None
    ]
    left = comparisons
    numbers = {workload: cycle(terms) for workload, terms in terms_of.items()}
    for workload, base, placement in cycle(every):
        if not left:
            return
        count = min(left, COMPARISONS_A_TABLE)
        yield [
            _pair(term, f"{base}:{DUMMY.name}={number}", workload, base, placement)
            for number, term in enumerate(islice(numbers[workload], count), 1)
        ]
        left -= count


def nearest_table(placement: Placement) -> list[Pair]:
    """Pairs of the loops with the least gap and the least work, beside the plain one."""
    return [_pair(term, _NEAREST_BASE, "latency", _NEAREST_BASE, placement) for term in NEAREST]


def _pair(term: str, transport: str, workload: str, base: str, placement: Placement) -> Pair:
    subject, other = (
        Case.parse(f"{written}/{name}/{_SIZE}/python/{placement}")
        for written, name in ((term, transport), (workload, base))
    )
    return Pair(term, subject, other)


def judged(table: Sequence[Pair], results: Results) -> list[Compared]:
    """The comparisons of a table, with their verdicts as `compare` gives them, and no floor."""
    launches = launch_frame.launches(results)
    times = {name: by_round(own) for name, own in launches.groupby("case")}
    ratios = [alternating_ratio(times[pair.subject.id], times[pair.other.id]) for pair in table]
    told = verdicts(ratios)
    return [
        _compared(pair, ratio, verdict or "~")
        for pair, ratio, verdict in zip(table, ratios, told, strict=True)
        if ratio is not None
    ]


def _compared(pair: Pair, ratio: Ratio, verdict: str) -> Compared:
    low, high = ratio.interval or (None, None)
    names = (pair.term, pair.subject.id, pair.other.id)
    return Compared(*names, pair.is_same, ratio.estimate, low, high, verdict)


def measured(comparisons: int, rounds: int, seed: int) -> Report:
    """Measures this many comparisons. Raises UsageError if this machine can't."""
    with (
        machine_lock(),
        Interrupts() as signals,
        scratch() as private,
        progress() as observer,
    ):
        bench = Bench(private, observer, seed, signals.check)

        def run(table: Sequence[Pair]) -> list[Compared]:
            cases = dict.fromkeys(case for pair in table for case in (pair.other, pair.subject))
            return judged(table, bench.run(list(cases), rounds, _EFFORT))

        compared = [one for table in tables(comparisons) for one in run(table)]
        placements = dict.fromkeys(("same-core", default_placement()))
        nearest = [one for placement in placements for one in run(nearest_table(placement))]
    return Report(machine.this_machine().slug, seed, rounds, compared, nearest)


def rendered(report: Report) -> list[str]:
    """The report as lines of text."""
    count, false = len(report.compared), report.false_count
    share, most = display_percent(false / count), display_percent(MOST_FALSE)
    lines = [
        f"{report.machine}, seed {report.seed}, {report.rounds} launches of each case",
        "",
        _line(
            false <= MOST_FALSE * count,
            f"defaults beside none: {false} of {count} told apart ({share}, at most {most})",
        ),
    ]
    lines.append(
        f"{'':5} intervals that leave 1 out: {report.beside_one_count} of {count} (5 % by chance)"
    )
    for term in dict.fromkeys(one.term for one in report.compared):
        own = [one for one in report.compared if one.term == term]
        apart = sum(one.verdict != "~" for one in own)
        workload = term.partition(":")[0]
        is_same = all(one.is_same for one in own)
        what = f"is {workload}, and measured by its loop" if is_same else f"is not {workload}"
        lines.append(_line(is_same, f"{term} {what}; {apart} of {len(own)} told apart"))
    lines += ["", "loops that do more, beside the plain one (not counted):"]
    return lines + [f"{'':5} {one.case}: {_ratio_text(one)}" for one in report.nearest]


def _ratio_text(one: Compared) -> str:
    if one.low_ratio is None or one.high_ratio is None:
        return f"{one.ratio:.3f} times as long"
    return f"{one.ratio:.3f} times as long ({one.low_ratio:.3f} to {one.high_ratio:.3f})"


def _line(holds: bool, text: str) -> str:
    return f"{'ok' if holds else 'FAILS':5} {text}"


def as_json(report: Report) -> str:
    """The report as JSON, which `parsed` reads back."""
    return json.dumps(asdict(report) | {"format": 1}, indent=2) + "\n"


def stored(path: Path) -> Report:
    """The report in a file. Raises UsageError for what is none."""
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no report of this tool: {explain_with_type(error)}")


def parsed(text: str) -> Report:
    """The report that `as_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    rows = {name: [Compared(**one) for one in data.pop(name)] for name in ("compared", "nearest")}
    return Report(data["machine"], data["seed"], data["rounds"], **rows)


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        number = int(text)
        if number < least:
            raise ValueError
        return number

    count.__name__ = f"number of at least {least}"
    return count


def main(words: Sequence[str] | None = None) -> int:
    """Measures and prints, and writes the report where asked; 1 if it doesn't hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--comparisons", type=_count(1), default=200, help="default: 200")
    parser.add_argument("--rounds", type=_count(1), default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument("--seed", type=_count(0), help="of the order of launches")
    parser.add_argument("-o", "--output", type=Path, help="write the report as JSON")
    parser.add_argument(
        "--show", type=Path, metavar="FILE", help="print a report, and measure none"
    )
    args = parser.parse_args(words)
    try:
        if args.show is not None:
            report = stored(args.show)
        else:
            if args.output is not None:
                checked_new(args.output)
            seed = secrets.randbelow(2**32) if args.seed is None else args.seed
            report = measured(args.comparisons, args.rounds, seed)
    except IpcbenchError as error:
        print(f"tools.defaults: {error}", file=sys.stderr)
        return error.exit_code
    if args.output is not None and args.show is None:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(args.output, as_json(report))
    print("\n".join(rendered(report)))
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
