"""The command line: what each sub-command does, every message, every exit code.

The only module that prints errors or exits. Heavy modules are loaded by the sub-command that
needs them, so that help and mistakes are answered at once.
"""

import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ipcbench import host, outputs
from ipcbench.arguments import parser, question_parser
from ipcbench.errors import (
    EXIT_CASES_FAILED,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    Interrupted,
    IpcbenchError,
    UsageError,
)
from ipcbench.transports import TRANSPORTS

if TYPE_CHECKING:
    from ipcbench.analysis.store import Results

_DEBUG = "IPCBENCH_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ipcbench` with these arguments (by default the process's own); the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    return _answer(lambda: _run(parser().parse_args(given), ["ipcbench", *given]))


def ask(question: str | None, name: str, *, workloads: str, sizes: str, rounds: int) -> int:
    """Runs a bench script: `compare` with these defaults, its results called `name`."""
    given = sys.argv[1:]
    script = question_parser(question or name)
    script.set_defaults(workloads=workloads, sizes=sizes, rounds=rounds)
    command = [f"bench/{name}.py", *given]
    return _answer(lambda: _compare(script.parse_args(given), command, name))


def _run(args: Namespace, command: list[str]) -> int:
    if args.command == "list":
        return _list()
    if args.command == "report":
        return _report(args)
    return _compare(args, command, "compare")


def _list() -> int:
    for transport in TRANSPORTS:
        reason = transport.unavailable()
        state = "no " if reason else "yes"
        print(f"{transport.name:10}{state} {transport.summary}; {transport.waits}")
        if reason:
            print(f"{'':14}can't run here: {reason}")
    return EXIT_OK


def _report(args: Namespace) -> int:
    from ipcbench.analysis import frame, store

    csv = _checked_csv(args)
    results = store.merge([(str(path), store.load(path)) for path in args.files])
    if args.baseline is not None:
        frame.check_baseline(results, args.baseline)
    _show(results, args, args.baseline, csv)
    return EXIT_OK


def _compare(args: Namespace, command: list[str], question: str) -> int:
    from ipcbench.analysis.store import Results
    from ipcbench.measure import driver
    from ipcbench.measure.launch import WorkerLauncher
    from ipcbench.measure.scratch import scratch
    from ipcbench.planning import planned
    from ipcbench.reporters.console import progress

    plan = planned(args, shlex.join(command))
    output, csv = _checked_outputs(args, question)
    for note in plan.notes:
        _say(note)

    results = Results()
    for case, reason in plan.impossible:
        results.add_unmeasured(case, "n/a", reason)
    save = _saver(output)
    interrupted: Interrupted | None = None
    with _signals_interrupt():
        try:
            with scratch() as private, progress() as observer:
                launcher = WorkerLauncher(private, plan.cpus, plan.effort)
                driver.execute(plan.run, launcher, results, save, observer)
        except Interrupted as signalled:
            interrupted = signalled

    if interrupted is not None:
        _say(f"{interrupted}; the table is of what was measured until then")
    if results.is_empty:
        _say("nothing was measured")
    else:
        _show(results, args, plan.baseline, csv)
    if output is not None and results.suite is not None:
        _say(
            f"saved: {output}" + (f" and {csv.name}" if csv and csv.parent == output.parent else "")
        )
    if interrupted is not None:
        return EXIT_INTERRUPTED
    failed = any(item.status == "failed" for item in results.unmeasured.values())
    return EXIT_CASES_FAILED if failed else EXIT_OK


def _show(results: "Results", args: Namespace, baseline: str | None, csv: Path | None) -> None:
    """Prints the tables and writes the CSV; tables go to stderr where the CSV takes stdout."""
    from ipcbench.analysis import frame, store
    from ipcbench.reporters import console, csv_file
    from ipcbench.reporters.summary import summary

    noise_floor = 0.0
    csv_on_stdout = csv is not None and str(csv) == outputs.STDOUT
    parts = summary(
        results,
        baseline,
        noise_floor=noise_floor,
        percentiles=args.percentiles,
        details=args.details,
    )
    console.show(parts, sys.stderr if csv_on_stdout else sys.stdout)
    if csv is None:
        return
    text = csv_file.csv_text(frame.cases(results, baseline, noise_floor))
    if csv_on_stdout:
        sys.stdout.write(text)
    else:
        store.write_atomically(csv, text)


def _checked_outputs(args: Namespace, question: str) -> tuple[Path | None, Path | None]:
    """The result file and the CSV; both in the default place where no result file is named."""
    csv = _checked_csv(args)
    if args.output is None:
        try:
            output = outputs.default_output(host.machine().slug, question)
        except UsageError as error:
            _say(f"results are not saved: {error}")
            return None, csv
        return output, csv or output.with_suffix(".csv")
    if str(args.output) == outputs.STDOUT:
        raise UsageError("-o names a file that grows with the run; for stdout use --csv -")
    output = outputs.checked_output(args.output, force=args.force)
    if csv is not None and output.absolute() == csv.absolute():
        raise UsageError(f"-o and --csv both name {output}; name two files")
    return output, csv


def _checked_csv(args: Namespace) -> Path | None:
    csv: Path | None = args.csv
    if csv is None or str(csv) == outputs.STDOUT:
        return csv
    return outputs.checked_output(csv, force=args.force)


def _saver(output: Path | None) -> "Callable[[Results], None]":
    from ipcbench.analysis import store

    if output is None:
        return lambda _: None

    def save(results: "Results") -> None:
        output.parent.mkdir(parents=True, exist_ok=True)  # the default place may be new
        store.save(results, output)

    return save


class _signals_interrupt:  # noqa: N801  (reads as a sentence after `with`)
    """Inside, SIGINT, SIGTERM and SIGHUP raise Interrupted once; from then on they are ignored."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> None:
        for number in self._SIGNALS:
            signal.signal(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number in self._SIGNALS:
            if signal.getsignal(number) == self._interrupt:
                signal.signal(number, signal.SIG_DFL)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        # What follows (ending a worker, a last save, the table) is short and must not be cut.
        for other in self._SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(f"interrupted by {signal.Signals(number).name}")


def _answer(command: Callable[[], int]) -> int:
    """The command's exit code; every error becomes one line on stderr and its own code."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except IpcbenchError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted before anything was measured")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read stdout has seen enough; the interpreter must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        _say(f"internal error: {type(error).__name__}: {error}; set {_DEBUG}=1 for where")
        return EXIT_INTERNAL


def _say(message: str) -> None:
    print(f"ipcbench: {message}", file=sys.stderr, flush=True)
