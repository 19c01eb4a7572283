"""The grammar of the command line: sub-commands and their arguments. Runs nothing."""

import argparse
import sys
from pathlib import Path

from ipcbench import __version__, options
from ipcbench.case import WORKLOADS
from ipcbench.errors import UsageError
from ipcbench.parsing import EPILOG, Parser
from ipcbench.transports import groups
from ipcbench.transports.base import CORE

_REPORT_OPTIONS = frozenset(
    (
        *("files", "baseline", "percentiles", "details", "overview", "claims", "force"),
        *("csv", "markdown", "html", "svg", "png", "quiet"),
    )
)
"""Arguments of the commands that show stored results."""

RESULT_OPTIONS = (_REPORT_OPTIONS - {"baseline"}) | {
    *("command", "output", "resume", "save", "against", "no_lock", "events"),
}
"""Options that don't affect what is measured; a resumed run may change them."""


_BASIC = frozenset(
    (
        *("help", "help_all", "transports", "sizes", "workloads", "loops", "placements"),
        *("preset", "target", "output", "csv"),
    )
)
"""Options that the short `compare --help` shows: it fits one screen."""


def parser() -> Parser:
    """The parser of `ipcbench`; the chosen sub-command's name is in `command`."""
    main = Parser(
        prog="ipcbench",
        description="Measures how two processes on this machine can talk.",
        epilog=EPILOG,
    )
    main.add_argument("--version", action="version", version=f"ipcbench {__version__}")
    main.add_examples(
        ("compare", "measure the usual, show, save"),
        ("claims", "judge what people say about them"),
        ("report FILE --html OUT.html", "a page to send of what was saved"),
    )
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
    evidence.add_examples(
        ("", "of every mechanism"),
        ("unix inet", "of two of them"),
        ("@sysv", "of a group"),
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
    options.add_report_arguments(report)
    report.add_argument(
        "--claims", action="store_true", help="also judge the claims of `ipcbench claims`"
    )
    options.add_force(report)
    report.add_examples(
        ("run.json --csv -", "a CSV on stdout"),
        ("run.json --html run.html --svg plots", "a page, and its pictures"),
        ("a.json b.json --details", "two runs, and CPU time"),
    )
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
    diff.add_examples(
        ("old.json new.json", "what changed"),
        ("old.json new.json --fail-if 'latency>5%'", "or exit code 4"),
    )
    selftest = commands.add_parser(
        "selftest",
        help="how far this tool can be trusted on this machine",
        description="Measures the tool on this machine with things whose truth is known.",
    )
    selftest.add_argument("--quick", action="store_true", help="under 3 minutes instead of 15")
    selftest.add_argument("--json", action="store_true", help="print the report as JSON")
    selftest.add_argument(
        "--seed", type=options.whole("--seed", at_least=0), metavar="N", help="of orders and tries"
    )
    options.add_no_lock(selftest)
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
    """The parser of a bench script: the arguments of `compare`, described by the question."""
    script = Parser(prog=Path(sys.argv[0]).name, description=question, epilog=EPILOG)
    add_compare_arguments(script)
    return script


def check_only_reports(args: argparse.Namespace, usual: argparse.Namespace) -> None:
    """Raises UsageError if a command that only reports was given an option of measuring."""
    for name, value in vars(args).items():
        if name not in _REPORT_OPTIONS and value != getattr(usual, name):
            raise UsageError(
                f"{args.files[0]} is judged as it is, and nothing is measured; leave the options"
                " of measuring out, or the file"
            )


def add_compare_arguments(parser: Parser) -> None:
    """Adds the arguments of `compare`, which bench scripts take as well."""
    known = ", ".join(f"@{group}{' (default)' * (group == CORE)}" for group in groups())
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help=f"names of `ipcbench list` or groups: {known}",
    )
    what = parser.add_argument_group("what is measured")
    options.add_cases(what)
    what.add_argument(
        "--matrix",
        action="store_true",
        help="round trips of one transport over every pair of CPUs",
    )
    much = parser.add_argument_group("how much is measured")
    options.add_presets(much)
    options.add_effort(
        much, rounds="7", values="9", min_time="25ms", budget="none; with --target 5m"
    )
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
    parser.set_defaults(usual=(f"@{CORE}",), usual_placements=(), only=None)
    parser.add_help_all()
    parser.basic = _BASIC
    parser.add_examples(
        ("", "the usual"),
        ("unix inet --sizes 64 --target 3%", "until that is known to 3 %"),
        ("@all --quick --overview", "everything, roughly"),
        ("pipe --loop python,native", "what Python adds"),
    )


def _add_claims_arguments(parser: Parser) -> None:
    """Adds the options of `compare`, except the transports, which the claims determine."""
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="judge what these result files hold, and measure nothing",
    )
    both = ("same-core", "cross-core")
    options.add_cases(parser.add_argument_group("what is measured"), usual_placements=both)
    much = parser.add_argument_group("how much is measured")
    options.add_effort(much, rounds="as fit", values="7", min_time="7ms", budget="170s")
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
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
    parser.add_examples(
        ("", "all claims, both placements"),
        ("--budget 60s --sizes 1k", "sooner, and less sure"),
        ("run.json", "by what is measured already"),
    )
