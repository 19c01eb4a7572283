"""The command about full buffers: `ipcbench full`."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench.cli import options
from ipcbench.cli.destinations import check_different, checked_output
from ipcbench.cli.messages import Messages, say
from ipcbench.cli.parser import Handler, Parser
from ipcbench.errors import EXIT_CASES_FAILED, EXIT_INTERRUPTED, EXIT_OK, Interrupted, UsageError
from ipcbench.reporters.documents import STDOUT
from ipcbench.results.files import write_atomically
from ipcbench.text import counted
from ipcbench.transports.registry import chosen, usual

if TYPE_CHECKING:
    from ipcbench.results.overload import Overload

_SIZES = (1, 64, 1024, 64 * 1024)
_LAUNCHES = 5
_MOST_MESSAGES = 100_000
"""More than a usual pipe has bytes."""


def _full(args: Namespace, _: Sequence[str]) -> int:
    """Finds what mechanisms do when nobody reads; shows and writes it."""
    from ipcbench.checks.overload import Asked, Survey
    from ipcbench.system.cpus import default_placement, placement_cpus
    from ipcbench.system.limits import too_large
    from ipcbench.system.lock import machine_lock
    from ipcbench.system.scratch import scratch
    from ipcbench.system.signals import Interrupts

    transports = chosen(args.transports) or usual()
    _check_documents(args)
    for size in args.sizes:
        reason = too_large(size)
        if reason is not None:
            raise UsageError(reason)
    cpus = placement_cpus(default_placement())
    survey = Survey(Asked(transports, args.sizes, args.launches, args.most_messages, cpus))
    messages, interruption = Messages(quiet=args.quiet), None
    with machine_lock(wanted=not args.no_lock), Interrupts() as signals, scratch() as private:
        told = 0
        try:
            for number, _name in survey.launches(private):
                signals.check()
                if number != told:
                    told = number
                    of = counted(len(transports), "transport")
                    messages.note(f"launch {number} of {args.launches} of {of}")
        except Interrupted as error:
            interruption = error
    found = survey.found()
    _show(found, args)
    if interruption is not None:
        say(f"{interruption}; shown is what was measured until then")
        return EXIT_INTERRUPTED
    statuses = {row.status for row in found.fills} | {row.status for row in found.ends}
    return EXIT_CASES_FAILED if "failed" in statuses else EXIT_OK


def _check_documents(args: Namespace) -> None:
    """Checks what is to be written before the first launch. Raises UsageError."""
    named = {"--csv": args.csv, "--json": args.json}
    if all(str(path) == STDOUT for path in named.values()):
        raise UsageError("--csv and --json both take stdout; name a file for one of them")
    check_different(named)
    for path in named.values():
        if path is not None and str(path) != STDOUT:
            checked_output(path, force=args.force)


def _show(found: "Overload", args: Namespace) -> None:
    """Prints the tables, and writes the documents: tables first, lest a full disk costs them."""
    from ipcbench.cli import console
    from ipcbench.reporters.tables.overload import csv_text, overload_parts
    from ipcbench.results.overload import document

    documents = ((args.csv, csv_text), (args.json, document))
    on_stdout = any(str(path) == STDOUT for path, _ in documents)
    console.show(overload_parts(found), sys.stderr if on_stdout else sys.stdout)
    for path, text in documents:
        if path is None:
            continue
        if str(path) == STDOUT:
            sys.stdout.write(text(found))
        else:
            write_atomically(path, text(found))
            say(f"written: {path}")


def _add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help="a name, with knobs, or a @group (default: the usual ones)",
    )
    options.add(parser, "--sizes", sizes="1,64,1k,64k")
    parser.add_argument(
        "--launches",
        type=options.whole("--launches", at_least=1),
        default=_LAUNCHES,
        metavar="N",
        help=f"fresh pairs, which are to agree (default: {_LAUNCHES})",
    )
    parser.add_argument(
        "--most-messages",
        type=options.whole("--most-messages", at_least=1),
        default=_MOST_MESSAGES,
        metavar="N",
        help=f"when to say that it doesn't fill (default: {_MOST_MESSAGES})",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="also write a CSV, a row a transport and size; - is stdout",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the facts as JSON; - is stdout"
    )
    options.add(parser, "--force", "--quiet", "--no-lock", "--no-plugins")
    parser.set_defaults(sizes=_SIZES)
    parser.add_examples(
        ("", "what the usual ones do"),
        ("@all --json full.json", "all, and the facts as data"),
        ("pipe pipe:size=4k --sizes 64", "what a knob changes"),
    )


FULL = Handler(_add_arguments, _full)
