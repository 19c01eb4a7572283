"""Options of the commands that measure or report, in groups, with the parsers of their values."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ipcbench import units
from ipcbench.case import (
    DEFAULT_LOOP,
    DEFAULT_PLACEMENT,
    LOOPS,
    PLACEMENTS,
    parse_loop,
    parse_placement,
    parse_workload,
)
from ipcbench.errors import UsageError
from ipcbench.system.cpus import parse_cpus
from ipcbench.workloads import DEFAULT_WORKLOADS

_Name = TypeVar("_Name", bound=str)


def add_cases(
    what: "argparse._ArgumentGroup", usual_placements: Sequence[str] = (DEFAULT_PLACEMENT,)
) -> None:
    """Adds the options that choose the cases."""
    what.add_argument(
        "--sizes",
        type=units.parse_sizes,
        default="1k,64k",
        metavar="LIST",
        help="message sizes in bytes; k is 1024 (default: %(default)s)",
    )
    what.add_argument(
        "--workloads",
        type=_workloads,
        default=",".join(DEFAULT_WORKLOADS),
        metavar="LIST",
        help="latency (round trip), throughput (one way), connect (connection set-up)"
        " (default: %(default)s)",
    )
    what.add_argument(
        "--loop",
        dest="loops",
        type=_loops,
        default=DEFAULT_LOOP,
        metavar="LIST",
        help=f"timed loop: {', '.join(LOOPS)} or both (default: %(default)s)",
    )
    what.add_argument(
        "--placement",
        dest="placements",
        type=_placements,
        default=(),
        metavar="LIST",
        help=f"where both ends run: {', '.join(PLACEMENTS)}"
        f" (default: {','.join(usual_placements)})",
    )
    what.add_argument(
        "--cpus",
        type=parse_cpus,
        metavar="C,S",
        help="CPUs of the client and the server (default: chosen for the placement)",
    )


def add_presets(much: "argparse._ArgumentGroup") -> None:
    """Adds `--quick` and `--rigorous`."""
    preset = much.add_mutually_exclusive_group()
    preset.add_argument(
        "--quick",
        dest="preset",
        action="store_const",
        const="quick",
        help="little: 6 rounds of 3 batches of 10 ms",
    )
    preset.add_argument(
        "--rigorous",
        dest="preset",
        action="store_const",
        const="rigorous",
        help="much: 20 rounds of 10 batches of 50 ms",
    )


def add_effort(
    much: "argparse._ArgumentGroup", *, rounds: str, values: str, min_time: str, budget: str
) -> None:
    """Adds the options for rounds, batches and budget.

    `rounds`, `values`, `min_time` and `budget` are the defaults that the help shows.
    """
    much.add_argument(
        "--budget",
        type=units.parse_duration,
        metavar="TIME",
        help=f"as many rounds as fit, for example 60s (default: {budget})",
    )
    much.add_argument(
        "--target",
        type=units.parse_percent,
        metavar="SHARE",
        help="until ratios are this exact (2%%), or --budget ends",
    )
    much.add_argument(
        "--rounds",
        type=whole("--rounds", at_least=1),
        metavar="N",
        help=f"launches of each case (default: {rounds})",
    )
    much.add_argument(
        "--values",
        type=whole("--values", at_least=1),
        metavar="N",
        help=f"timed batches in each launch (default: {values})",
    )
    much.add_argument(
        "--warmups",
        type=whole("--warmups", at_least=0),
        default=1,
        metavar="N",
        help="batches before those, not counted (default: %(default)s)",
    )
    much.add_argument(
        "--min-time",
        type=units.parse_duration,
        metavar="TIME",
        help=f"what a batch should take (default: {min_time})",
    )
    much.add_argument(
        "--timeout",
        type=units.parse_duration,
        default="30s",
        metavar="TIME",
        help="when to give a launch up (default: %(default)s)",
    )
    much.add_argument(
        "--seed",
        type=whole("--seed", at_least=0),
        metavar="N",
        help="of the order of launches (default: chosen, and recorded)",
    )


def add_results(out: "argparse._ArgumentGroup") -> None:
    """Adds the options for the result file, baselines and what is shown."""
    out.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="pyperf JSON (default: new, with a CSV, in results/)",
    )
    out.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="go on with a run that was cut short, by its own plan, in its own file",
    )
    out.add_argument("--save", metavar="NAME", help="also keep the run as a named baseline")
    out.add_argument("--against", metavar="NAME", help="then compare with a named baseline")
    add_report_arguments(out)
    add_force(out)


def add_report_arguments(parser: "argparse._ActionsContainer") -> None:
    """Adds the options for tables, and for documents written beside them."""
    parser.add_argument(
        "--baseline", metavar="TRANSPORT", help="what ratios are against (default: inet)"
    )
    parser.add_argument(
        "--percentiles", action="store_true", help="also show percentiles of single round trips"
    )
    parser.add_argument(
        "--details", action="store_true", help="also show what a message costs in CPU time"
    )
    parser.add_argument(
        "--overview", action="store_true", help="first show one table of all: a row a transport"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="also write a CSV, one row a case; - is stdout"
    )
    add_json(parser)
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the tables for a pull request; - is stdout",
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write a page with pictures (extra html)"
    )
    parser.add_argument(
        "--svg", type=Path, metavar="DIR", help="also write the pictures into a folder (extra html)"
    )
    parser.add_argument("--png", type=Path, metavar="DIR", help="the same in pixels")
    parser.set_defaults(claims=False, tables=True)


def add_json(parser: "argparse._ActionsContainer") -> None:
    """Adds `--json`."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write what is shown as JSON, in base units; - is stdout",
    )


def add_run(parser: "argparse._ActionsContainer") -> None:
    """Adds `--quiet`, `--events` and `--no-lock`."""
    parser.add_argument("--quiet", action="store_true", help="say nothing but tables and errors")
    parser.add_argument(
        "--events", type=Path, metavar="FILE", help="write what happens as lines of JSON"
    )
    add_no_lock(parser)
    parser.set_defaults(with_page=False)


def add_no_lock(parser: "argparse._ActionsContainer") -> None:
    """Adds `--no-lock`."""
    parser.add_argument(
        "--no-lock", action="store_true", help="measure although another run does, too"
    )


def add_force(parser: "argparse._ActionsContainer") -> None:
    """Adds `--force`."""
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def listed(kind: str, example: str, parse: Callable[[str], _Name]) -> Callable[[str], Any]:
    """A parser of comma-separated, different names; it raises UsageError for any other text."""

    def read(text: str) -> tuple[_Name, ...]:
        chosen: list[_Name] = []
        for part in text.split(","):
            if not part.strip():
                raise UsageError(f"the list of {kind}s has an empty name; write {example}")
            name = parse(part.strip())
            if name in chosen:
                raise UsageError(f"{kind} {name!r} is named twice; name it once")
            chosen.append(name)
        return tuple(chosen)

    return read


_workloads = listed("workload", "latency,throughput", parse_workload)
_loops = listed("loop", "python,native", parse_loop)
_placements = listed("placement", "same-core,cross-core", parse_placement)


def whole(option: str, *, at_least: int) -> Callable[[str], int]:
    """A parser of an option's whole number; it raises UsageError for any other text."""

    def read(text: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()) or int(digits) < at_least:
            raise UsageError(f"{option} {digits!r} is not a whole number of at least {at_least}")
        return int(digits)

    return read


REPORT_OPTIONS = frozenset(
    (
        *("files", "baseline", "percentiles", "details", "overview", "claims", "force"),
        *("csv", "json", "markdown", "html", "svg", "png", "quiet"),
    )
)
"""Arguments of the commands that show stored results."""


RESULT_OPTIONS = (REPORT_OPTIONS - {"baseline"}) | {
    *("command", "output", "resume", "save", "against", "no_lock", "events"),
}
"""Options that don't affect what is measured; a resumed run may change them."""


def check_only_reports(args: argparse.Namespace, usual: argparse.Namespace) -> None:
    """Raises UsageError if a command that only reports was given an option of measuring."""
    for name, value in vars(args).items():
        if name not in REPORT_OPTIONS and value != getattr(usual, name):
            raise UsageError(
                f"{args.files[0]} is judged as it is, and nothing is measured; leave the options"
                " of measuring out, or the file"
            )
