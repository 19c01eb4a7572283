"""The command line: runs a sub-command, prints its messages, returns its exit code.

The only module that prints errors or exits. Heavy modules are loaded by the sub-command that
needs them, so that help and mistakes are answered at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench.cli.commands import COMMANDS, parser
from ipcbench.cli.messages import say
from ipcbench.cli.streams import patient_streams
from ipcbench.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    IpcbenchError,
    explain,
    is_shortage,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from ipcbench.run.request import Request

_REHEARSAL_S = 15.0
_DEBUG = "IPCBENCH_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ipcbench` with these arguments, or the process's own; returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from ipcbench.cli.completion import complete

        complete(parser())
    words = list(sys.argv[1:] if argv is None else argv)
    return _answer(lambda: _run(words))


def ask(description: str | None, usual: "Request") -> int:
    """Runs a bench script: `compare`, but for this request, with a page beside the results.

    A request of rungs has the options of `ladder`.
    """
    from ipcbench.cli import compare, ladder

    of_ladder = bool(usual.rungs)
    add = ladder.add_ladder_arguments if of_ladder else compare.add_compare_arguments
    words = sys.argv[1:]
    script = compare.question_parser(description or usual.question, usual, add)

    def run() -> int:
        args = script.parse_args(words)
        _set_up_plugins(args)
        settled = ladder.settle(args, usual) if of_ladder else usual
        return compare.run_question(args, words, settled)

    return _answer(run)


def _run(words: Sequence[str]) -> int:
    args = parser(words).parse_args(words)
    _set_up_plugins(args)
    return COMMANDS[args.command].load().run(args, words)


def _set_up_plugins(args: "Namespace") -> None:
    """Turns plug-ins off, if that is asked for; else has each tried before this process loads it.

    One that hangs or crashes as it is imported would take this process along.
    """
    from ipcbench.transports import plugins  # loaded late: help is answered without it

    if getattr(args, "no_plugins", False):
        plugins.switch_off()
    plugins.rehearse_with(_rehearsed)


def _rehearsed(work: Callable[[], object]) -> str | None:
    import tempfile

    from ipcbench.testing.isolation import isolated

    outcome = isolated(work, Path(tempfile.gettempdir()), _REHEARSAL_S)
    return None if outcome.kind == "passed" else outcome.sentence


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
