"""The command line: runs a sub-command, prints its messages, returns its exit code.

The only module that prints errors or exits. Heavy modules are loaded by the sub-command that
needs them, so that help and mistakes are answered at once.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from ipcbench.cli.commands import parser
from ipcbench.cli.compare import question_parser, run_claims, run_compare
from ipcbench.cli.inspect import (
    run_clean,
    run_doctor,
    run_evidence,
    run_explain,
    run_list,
    run_selftest,
)
from ipcbench.cli.messages import say
from ipcbench.cli.report import run_diff, run_report
from ipcbench.cli.streams import patient_streams
from ipcbench.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    IpcbenchError,
    explain,
    is_shortage,
)

_DEBUG = "IPCBENCH_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ipcbench` with these arguments, or the process's own; returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from ipcbench.cli.completion import complete

        complete(parser())
    given = list(sys.argv[1:] if argv is None else argv)
    return _answer(lambda: _run(parser().parse_args(given), ["ipcbench", *given]))


def ask(question: str | None, name: str, **defaults: str | int) -> int:
    """Runs a bench script: `compare` with these defaults, its results called `name`."""
    given = sys.argv[1:]
    script = question_parser(question or name)
    script.set_defaults(with_page=True, **defaults)
    command = [f"bench/{name}.py", *given]
    usual = script.parse_args([])
    return _answer(lambda: run_compare(script.parse_args(given), usual, command, name))


def _run(args: Namespace, command: list[str]) -> int:
    if args.command == "compare":
        return run_compare(args, parser().parse_args(["compare"]), command, "compare")
    if args.command == "claims":
        return run_claims(args, parser().parse_args(["claims"]), command)
    return {
        "list": run_list,
        "explain": run_explain,
        "evidence": run_evidence,
        "clean": run_clean,
        "report": run_report,
        "diff": run_diff,
        "doctor": run_doctor,
        "selftest": run_selftest,
    }[args.command](args)


def _answer(command: Callable[[], int]) -> int:
    """Runs the command; turns every error into one line on stderr and an exit code."""
    # NumPy's pool of threads is of no use here, and may exceed the limit on threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with patient_streams() as streams:
        code = _code_of(command)
        sys.stdout.flush()
        if streams.failure is not None:
            say(f"not all could be printed on stdout: {streams.failure.strerror}")
            code = code or EXIT_USAGE
    return code


def _code_of(command: Callable[[], int]) -> int:
    try:
        return command()
    except IpcbenchError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted before anything was measured")
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        if is_shortage(error):
            say(explain(error))
            return EXIT_USAGE
        say(f"internal error: {type(error).__name__}: {error}; set {_DEBUG}=1 for where")
        return EXIT_INTERNAL
