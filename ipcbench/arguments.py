"""The command line's grammar: sub-commands, options, and how each value is read. Runs nothing."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ipcbench import __version__, host, units
from ipcbench.case import WORKLOADS, Workload, parse_workload
from ipcbench.errors import UsageError
from ipcbench.transports import TRANSPORTS

EPILOG = """\
exit codes:
  0    all measured (a case that can't exist here is n/a, not a failure)
  1    internal error
  2    usage: something asked for can't be done as written
  3    some cases failed or were invalid
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
    compare = commands.add_parser(
        "compare",
        help="measure transports against each other",
        description="Measures transports against each other, then shows and saves the results.",
    )
    add_compare_arguments(compare)
    report = commands.add_parser(
        "report",
        help="tables and CSV from stored results",
        description="Makes the tables and the CSV of stored results again, without measuring.",
    )
    report.add_argument("files", nargs="+", type=Path, metavar="FILE", help="result files (JSON)")
    _add_report_arguments(report)
    _add_force(report)
    return main


def question_parser(question: str) -> Parser:
    """The parser of a bench script: what `compare` takes, described by the question it asks."""
    script = Parser(prog=Path(sys.argv[0]).name, description=question, epilog=EPILOG)
    add_compare_arguments(script)
    return script


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of anything that measures."""
    names = ", ".join(transport.name for transport in TRANSPORTS)
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help=f"what to measure: {names} (default: all that can run here)",
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--sizes",
        type=units.parse_sizes,
        default="1k,64k",
        help="message sizes in bytes; k is 1024 (default: %(default)s)",
    )
    what.add_argument(
        "--workloads",
        type=_workloads,
        default=",".join(WORKLOADS),
        help="latency: full round trip; throughput: one-way stream (default: %(default)s)",
    )
    what.add_argument(
        "--cpus",
        type=host.parse_cpus,
        metavar="C,S",
        help="CPUs of the client and the server (default: two different cores)",
    )
    much = parser.add_argument_group("how much is measured")
    much.add_argument(
        "--rounds",
        type=_whole("--rounds", at_least=1),
        default=7,
        metavar="N",
        help="launches of each case (default: %(default)s)",
    )
    much.add_argument(
        "--values",
        type=_whole("--values", at_least=1),
        default=10,
        metavar="N",
        help="timed batches in each launch (default: %(default)s)",
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
        default="25ms",
        metavar="TIME",
        help="what a batch should take (default: %(default)s)",
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
    out = parser.add_argument_group("results")
    out.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="result file, a pyperf JSON (default: a new file in results/, with a CSV)",
    )
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
        "--csv", type=Path, metavar="FILE", help="also write a CSV, one row a case; - is stdout"
    )


def _add_force(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def _workloads(text: str) -> tuple[Workload, ...]:
    chosen: list[Workload] = []
    for part in text.split(","):
        if not part.strip():
            raise UsageError("the list of workloads has an empty name; write latency,throughput")
        workload = parse_workload(part.strip())
        if workload in chosen:
            raise UsageError(f"workload {workload!r} is named twice; name it once")
        chosen.append(workload)
    return tuple(chosen)


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
