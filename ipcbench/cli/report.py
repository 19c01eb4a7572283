"""The commands over stored results: report, diff."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench.cli import gates, options
from ipcbench.cli.destinations import check_different, checked_documents, checked_output
from ipcbench.cli.messages import say
from ipcbench.cli.parser import Handler, Parser
from ipcbench.errors import EXIT_OK, UsageError
from ipcbench.reporters import documents
from ipcbench.reporters.documents import STDOUT, Documents
from ipcbench.results.files import write_atomically

if TYPE_CHECKING:
    from ipcbench.analysis.diff import RunComparison
    from ipcbench.analysis.objective import Objective
    from ipcbench.cli.gates import Asked
    from ipcbench.results.collection import Collection
    from ipcbench.results.store import Results


def run_report(args: Namespace, _: Sequence[str] = ()) -> int:
    """Shows stored results, and writes what is asked for of them."""
    from ipcbench.analysis import frame, launch_frame
    from ipcbench.reporters.hgrm import hgrm_texts
    from ipcbench.results import collection, store

    wanted = checked_documents(args)
    read = {f"the file {path}": path for path in args.files}
    check_different(wanted.files | {"--hgrm": args.hgrm} | read)
    results = collection.merge([(str(path), store.load(path)) for path in args.files])
    if args.baseline is not None:
        frame.check_baseline(results, args.baseline)
    objective = _checked_objective(args, results)
    if args.hgrm is not None:
        for path, text in hgrm_texts(launch_frame.launches(results), args.hgrm).items():
            write_atomically(checked_output(path, force=args.force), text)
            say(f"written: {path}")
    for path in show_results(results, args, args.baseline, wanted, objective):
        say(f"written: {path}")
    return EXIT_OK


def _checked_objective(args: Namespace, results: "Collection | Results") -> "Objective | None":
    """The objective to judge measured rates by, if one is named. Raises UsageError without any."""
    if args.objective is None:
        return None
    from ipcbench.analysis.objective import Objective

    if not any(launch.case.arrivals for launch in results.launches()):
        names = ", ".join(map(str, args.files))
        raise UsageError(
            f"--slo judges rates of an open loop, and {names} has none; measure some by:"
            f" load --slo {args.objective!r}"
        )
    return Objective.parse(args.objective)


def _diff(args: Namespace, _: Sequence[str]) -> int:
    """Shows what changed between two runs; the exit code is the answer of the gates."""
    from ipcbench.cli import console
    from ipcbench.reporters import json_file, markdown
    from ipcbench.reporters.tables.diff import diff_parts
    from ipcbench.reporters.tables.gates import gate_parts
    from ipcbench.results import store

    asked = gates.checked(args)
    on_stdout = str(args.json) == STDOUT
    if args.json is not None and not on_stdout:
        checked_output(args.json, force=args.force)
    for name, path in (("OLD", args.old), ("NEW", args.new)):
        check_different({"--json": args.json, "--junit": args.junit, name: path})
    comparison = compared(store.load(args.old), store.load(args.new), asked)
    results = asked.judge([comparison])
    changes = list(diff_parts(comparison))
    parts = [*changes, *gate_parts(results)]
    console.show(parts, sys.stderr if on_stdout else sys.stdout)
    if on_stdout:
        sys.stdout.write(json_file.json_text(parts))
    elif args.json is not None:
        write_atomically(args.json, json_file.json_text(parts))
        say(f"written: {args.json}")
    return gates.answer(asked, results, [comparison], markdown.rendered(changes))


def compared(old: "Results", new: "Results", asked: "Asked") -> "RunComparison":
    """The comparison of two runs, with what the gates need, against the machine's noise floor."""
    from ipcbench.analysis.diff import compare_runs
    from ipcbench.analysis.floors import between_runs

    return compare_runs(old, new, between_runs(old, new), asked.measures)


def show_results(
    results: "Results | Collection",
    args: Namespace,
    baseline: str | None,
    wanted: Documents,
    objective: "Objective | None" = None,
) -> list[Path]:
    """Prints the tables and writes the documents; returns the paths written.

    `objective` is what rates of an open loop are judged by, where it isn't the run's own. Where a
    document takes stdout, tables go to stderr.
    """
    from ipcbench.analysis import frame, judging, ladder, load
    from ipcbench.cli import console
    from ipcbench.reporters.tables.summary import summary
    from ipcbench.transports.registry import usual

    analysis = frame.analyse(results, baseline, objective)
    of_ladder, of_load = ladder.asked_for(results), load.asked_for(results)
    tables = (
        (args.tables and not of_ladder and not of_load)
        or args.percentiles
        or args.details
        or args.overview
    )
    parts = list(
        summary(
            analysis,
            percentiles=args.percentiles,
            details=args.details,
            overview=args.overview,
            claims=args.claims or judging.asked_for(results),
            ladder=args.ladder or of_ladder,
            load=of_load,
            tables=tables,
        )
    )
    console.show(parts, sys.stderr if wanted.on_stdout else sys.stdout)
    return list(documents.write(analysis, parts, wanted, sys.stdout.write, usual()))


def _add_report_arguments(parser: Parser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="result files (JSON)")
    parser.add_argument(
        "--hgrm",
        type=Path,
        metavar="FILE",
        help="write single round trips for HdrHistogram plotters",
    )
    options.add_report_arguments(parser)
    parser.add_argument(
        "--claims", action="store_true", help="also judge the claims of `ipcbench claims`"
    )
    parser.add_argument(
        "--ladder", action="store_true", help="also show the tables of `ipcbench ladder`"
    )
    parser.add_argument(
        "--slo",
        dest="objective",
        type=options.parse_objective,
        metavar="OBJECTIVE",
        help="judge the rates of `ipcbench load` by this, like 'p99<200us'",
    )
    options.add(parser, "--force")
    parser.add_examples(
        ("run.json --csv -", "a CSV on stdout"),
        ("run.json --html run.html --svg plots", "a page, and its pictures"),
        ("a.json b.json --details", "two runs, and CPU time"),
        ("load.json --slo 'p99<300us'", "its rates that keep it"),
    )


def _add_diff_arguments(parser: Parser) -> None:
    parser.add_argument("old", type=Path, metavar="OLD", help="result file (JSON)")
    parser.add_argument("new", type=Path, metavar="NEW", help="result file (JSON)")
    options.add_gates(parser)
    options.add(parser, "--json", "--force")
    parser.add_examples(
        ("old.json new.json", "what changed"),
        ("old.json new.json --fail-if 'latency>5%'", "or exit code 4 or 6"),
    )


REPORT = Handler(_add_report_arguments, run_report)
DIFF = Handler(_add_diff_arguments, _diff)
