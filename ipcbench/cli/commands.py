"""The grammar of the command line: sub-commands and their arguments. Runs nothing."""

from pathlib import Path

from ipcbench import __version__
from ipcbench.cli import options
from ipcbench.cli.compare import add_claims_arguments, add_compare_arguments
from ipcbench.cli.parser import EPILOG, Parser


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
    add_claims_arguments(claims)
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
    options.add_json(diff)
    options.add_force(diff)
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
