"""The command line's grammar: sub-commands, options, and how each value is read. Runs nothing."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ipcbench import __version__, host, units
from ipcbench.case import (
    DEFAULT_LOOP,
    DEFAULT_PLACEMENT,
    DEFAULT_WORKLOADS,
    LOOPS,
    PLACEMENTS,
    WORKLOADS,
    parse_loop,
    parse_placement,
    parse_workload,
)
from ipcbench.errors import UsageError
from ipcbench.transports import TRANSPORTS, groups
from ipcbench.transports.base import CORE

_REPORT_OPTIONS = frozenset(
    (
        *("files", "baseline", "percentiles", "details", "overview", "force"),
        *("csv", "markdown", "html", "svg", "png", "quiet"),
    )
)
"""The arguments of whatever shows stored results."""

RESULT_OPTIONS = (_REPORT_OPTIONS - {"baseline"}) | {
    *("command", "output", "resume", "save", "against", "no_lock", "events"),
}
"""What tells nothing of how is measured: the arguments that a resumed run may change."""

_Name = TypeVar("_Name", bound=str)

EPILOG = """\
exit codes:
  0    all measured (a case that can't exist here is n/a, not a failure)
  1    internal error
  2    usage: something asked for can't be done as written
  3    some cases failed or were invalid
  4    a --fail-if gate tripped
  5    the precision asked for was not reached
  130  interrupted; what was measured is saved and shown
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageErrors, so that the command line answers in one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"allow_abbrev": False, "formatter_class": _formatter()}
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """The parser of `ipcbench`; the chosen sub-command's name is in `command`."""
    main = Parser(
        prog="ipcbench",
        description="Measures how two processes on this machine can talk.",
        epilog=EPILOG,
    )
    main.add_argument("--version", action="version", version=f"ipcbench {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "list",
        help="every transport, and whether it can run here",
        description="Lists every transport, what it is, and whether it can run here.",
    )
    explain = commands.add_parser(
        "explain",
        help="what a transport is, and what bounds it on this machine now",
        description="Tells what a transport is, how its reader waits, what is copied, its limits.",
    )
    explain.add_argument("transports", nargs="+", metavar="TRANSPORT", help="a name or a @group")
    evidence = commands.add_parser(
        "evidence",
        help="the kernel's own word for what each transport goes through",
        description="Starts a pair of each transport, and while both ends are alive proves from the"
        " kernel's tables that what joins them is what it claims, and nothing else. Exits with 3 if"
        " the kernel disagrees, or can't be asked.",
    )
    evidence.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help="a name or a @group (default: every transport, the controls too)",
    )
    compare = commands.add_parser(
        "compare",
        help="measure transports against each other",
        description="Measures transports against each other, then shows and saves the results.",
    )
    add_compare_arguments(compare)
    claims = commands.add_parser(
        "claims",
        help="what people say about these mechanisms, judged on this machine",
        description="Measures what common claims are about, in under 3 minutes, and judges them.",
    )
    _add_claims_arguments(claims)
    report = commands.add_parser(
        "report",
        help="tables and CSV from stored results",
        description="Makes the tables and the CSV of stored results again, without measuring.",
    )
    report.add_argument("files", nargs="+", type=Path, metavar="FILE", help="result files (JSON)")
    report.add_argument(
        "--hgrm",
        type=Path,
        metavar="FILE",
        help="write single round trips for HdrHistogram plotters",
    )
    _add_report_arguments(report)
    report.add_argument(
        "--claims", action="store_true", help="also judge the claims of `ipcbench claims`"
    )
    _add_force(report)
    diff = commands.add_parser(
        "diff",
        help="what changed between two runs",
        description="Compares two runs case by case; a --fail-if gate answers with exit code 4.",
    )
    diff.add_argument("old", type=Path, metavar="OLD", help="result file (JSON)")
    diff.add_argument("new", type=Path, metavar="NEW", help="result file (JSON)")
    diff.add_argument(
        "--fail-if",
        dest="gates",
        action="append",
        default=[],
        metavar="GATE",
        help="a change that must not be, like 'latency>5%%' or 'throughput<-10%%'",
    )
    selftest = commands.add_parser(
        "selftest",
        help="how far this tool can be trusted on this machine",
        description="Measures the tool on this machine with things whose truth is known.",
    )
    selftest.add_argument("--quick", action="store_true", help="under 3 minutes instead of 15")
    selftest.add_argument("--json", action="store_true", help="print the report as JSON")
    selftest.add_argument(
        "--seed", type=_whole("--seed", at_least=0), metavar="N", help="of orders and tries"
    )
    _add_no_lock(selftest)
    clean = commands.add_parser(
        "clean",
        help="remove what killed runs left behind",
        description="Removes exactly what ipcbench made and whose maker is gone.",
    )
    clean.add_argument("--dry-run", action="store_true", help="only say what there is")
    commands.add_parser(
        "doctor",
        help="whether this machine is fit to be measured",
        description="Says what on this machine bounds or disturbs measuring, and what mends it.",
    )
    return main


def question_parser(question: str) -> Parser:
    """The parser of a bench script: what `compare` takes, described by the question it asks."""
    script = Parser(prog=Path(sys.argv[0]).name, description=question, epilog=EPILOG)
    add_compare_arguments(script)
    return script


def check_only_reports(args: argparse.Namespace, usual: argparse.Namespace) -> None:
    """UsageError if an option of measuring is among those of a command that only reports."""
    for name, value in vars(args).items():
        if name not in _REPORT_OPTIONS and value != getattr(usual, name):
            raise UsageError(
                f"{args.files[0]} is judged as it is, and nothing is measured; leave the options"
                " of measuring out, or the file"
            )


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of anything that measures."""
    known = ", ".join(f"@{group}" for group in groups())
    usual = ", ".join(transport.name for transport in TRANSPORTS if transport.is_default)
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help="what to measure: names that `ipcbench list` shows, or groups of them:"
        f" {known} (default: @core, which is {usual})",
    )
    what = parser.add_argument_group("what is measured")
    _add_cases(what)
    what.add_argument(
        "--matrix",
        action="store_true",
        help="round trips of one transport over every pair of CPUs",
    )
    much = parser.add_argument_group("how much is measured")
    _add_presets(much)
    _add_effort(much, rounds="7", values="9", min_time="25ms", budget="none; with --target 5m")
    _add_results(parser.add_argument_group("results"))
    _add_run(parser)
    parser.set_defaults(usual=(f"@{CORE}",), usual_placements=(), only=None)


def _add_claims_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `compare` but what is measured of which transports: that the claims say."""
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="judge what these result files hold, and measure nothing",
    )
    both = ("same-core", "cross-core")
    _add_cases(parser.add_argument_group("what is measured"), usual_placements=both)
    much = parser.add_argument_group("how much is measured")
    _add_effort(much, rounds="as fit", values="7", min_time="7ms", budget="170s")
    _add_results(parser.add_argument_group("results"))
    _add_run(parser)
    parser.set_defaults(
        sizes="64,64k",
        workloads=",".join(WORKLOADS),
        usual_placements=both,
        preset="claims",
        budget="170s",
        transports=(),
        matrix=False,
        hgrm=None,
        claims=True,
        tables=False,
    )


def _add_cases(
    what: "argparse._ArgumentGroup", usual_placements: Sequence[str] = (DEFAULT_PLACEMENT,)
) -> None:
    what.add_argument(
        "--sizes",
        type=units.parse_sizes,
        default="1k,64k",
        help="message sizes in bytes; k is 1024 (default: %(default)s)",
    )
    what.add_argument(
        "--workloads",
        type=_workloads,
        default=",".join(DEFAULT_WORKLOADS),
        help="latency: full round trip; throughput: one-way stream; connect: a connection and one"
        " byte each way (default: %(default)s)",
    )
    what.add_argument(
        "--loop",
        dest="loops",
        type=_loops,
        default=DEFAULT_LOOP,
        help=f"who runs the timed loop: {', '.join(LOOPS)} or both (default: %(default)s)",
    )
    what.add_argument(
        "--placement",
        dest="placements",
        type=_placements,
        default=(),
        help=f"where both ends run: {', '.join(PLACEMENTS)}"
        f" (default: {','.join(usual_placements)})",
    )
    what.add_argument(
        "--cpus",
        type=host.parse_cpus,
        metavar="C,S",
        help="CPUs of the client and the server (default: chosen for the placement)",
    )


def _add_presets(much: "argparse._ArgumentGroup") -> None:
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


def _add_effort(
    much: "argparse._ArgumentGroup", *, rounds: str, values: str, min_time: str, budget: str
) -> None:
    """How much is measured; the texts say what is done where the options don't."""
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
        help="go on until every ratio's interval is within this, for example 2%%, or the budget"
        " ends",
    )
    much.add_argument(
        "--rounds",
        type=_whole("--rounds", at_least=1),
        metavar="N",
        help=f"launches of each case (default: {rounds})",
    )
    much.add_argument(
        "--values",
        type=_whole("--values", at_least=1),
        metavar="N",
        help=f"timed batches in each launch (default: {values})",
    )
    much.add_argument(
        "--warmups",
        type=_whole("--warmups", at_least=0),
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
        type=_whole("--seed", at_least=0),
        metavar="N",
        help="of the order of launches (default: chosen, and recorded)",
    )


def _add_results(out: "argparse._ArgumentGroup") -> None:
    out.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="result file, a pyperf JSON (default: a new file in results/, with a CSV)",
    )
    out.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="go on with a run that was cut short, by its own plan, in its own file",
    )
    out.add_argument("--save", metavar="NAME", help="also keep the run as a named baseline")
    out.add_argument("--against", metavar="NAME", help="then compare with a named baseline")
    _add_report_arguments(out)
    _add_force(out)


def _add_report_arguments(parser: "argparse._ActionsContainer") -> None:
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


def _add_run(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--quiet", action="store_true", help="say nothing but tables and errors")
    parser.add_argument(
        "--events", type=Path, metavar="FILE", help="write what happens as lines of JSON"
    )
    _add_no_lock(parser)
    parser.set_defaults(with_page=False)


def _add_no_lock(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--no-lock", action="store_true", help="measure although another run does, too"
    )


def _add_force(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def _listed(kind: str, example: str, parse: Callable[[str], _Name]) -> Callable[[str], Any]:
    """Reads a list of different names with commas; UsageError for anything else."""

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


_workloads = _listed("workload", "latency,throughput", parse_workload)
_loops = _listed("loop", "python,native", parse_loop)
_placements = _listed("placement", "same-core,cross-core", parse_placement)


def _whole(option: str, *, at_least: int) -> Callable[[str], int]:
    """Reads a whole number for an option; UsageError for any other text or a smaller number."""

    def read(text: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()) or int(digits) < at_least:
            raise UsageError(f"{option} {digits!r} is not a whole number of at least {at_least}")
        return int(digits)

    return read


def _formatter() -> Any:
    """Colours in a terminal; elsewhere the plain formatter, which loads no rich."""
    if sys.stdout is not None and sys.stdout.isatty():
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter
    return argparse.RawDescriptionHelpFormatter
