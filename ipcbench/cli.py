"""The command line: runs a sub-command, prints its messages, returns its exit code.

The only module that prints errors or exits. Heavy modules are loaded by the sub-command that
needs them, so that help and mistakes are answered at once.
"""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench import documents, host, outputs
from ipcbench.arguments import RESULT_OPTIONS, check_only_reports, parser, question_parser
from ipcbench.documents import Documents
from ipcbench.errors import (
    EXIT_CASES_FAILED,
    EXIT_GATE_TRIPPED,
    EXIT_IMPRECISE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    Interrupted,
    IpcbenchError,
    ResultsError,
    explain,
    is_shortage,
)
from ipcbench.interrupts import Interrupts
from ipcbench.streams import patient_streams
from ipcbench.text import printable
from ipcbench.transports import TRANSPORTS, chosen

if TYPE_CHECKING:
    from ipcbench.analysis.diff import Gate
    from ipcbench.analysis.store import Results
    from ipcbench.destinations import Places

_DEBUG = "IPCBENCH_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ipcbench` with these arguments, or the process's own; returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from ipcbench.completion import complete

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
    return _answer(lambda: _compare(script.parse_args(given), usual, command, name))


def _run(args: Namespace, command: list[str]) -> int:
    if args.command == "compare":
        return _compare(args, parser().parse_args(["compare"]), command, "compare")
    if args.command == "claims":
        return _claims(args, parser().parse_args(["claims"]), command)
    return {
        "list": _list,
        "explain": _explain,
        "evidence": _evidence,
        "clean": _clean,
        "report": _report,
        "diff": _diff,
        "doctor": _doctor,
        "selftest": _selftest,
    }[args.command](args)


def _list(_: Namespace) -> int:
    from ipcbench.inventory import listed
    from ipcbench.measure import native

    print("\n".join(listed(native.unavailable())))
    return EXIT_OK


def _explain(args: Namespace) -> int:
    from ipcbench.inventory import explained

    print("\n\n".join("\n".join(explained(name)) for name in chosen(args.transports)))
    return EXIT_OK


def _evidence(args: Namespace) -> int:
    from ipcbench.checks import evidence
    from ipcbench.measure.scratch import scratch

    names = chosen(args.transports) or [transport.name for transport in TRANSPORTS]
    inspections = []
    with Interrupts() as signals, scratch() as private:
        for name in names:
            inspections.append(evidence.inspect_pair(name, private))
            signals.check()
            print("\n".join(evidence.described(inspections[-1])), end="\n\n", flush=True)
    print(evidence.counted(inspections))
    return evidence.exit_code(inspections)


def _clean(args: Namespace) -> int:
    from ipcbench.measure.scratch import leftovers, sweep

    found = leftovers()
    verb = "would be removed" if args.dry_run else "removed"
    for left in found:
        for kind, key in left.objects:
            print(f"{verb}: {kind} {key}")
        if not args.dry_run:
            sweep(left.directory)
        print(f"{verb}: {left.directory}")
    if not found:
        print("nothing was left behind")
    return EXIT_OK


def _doctor(_: Namespace) -> int:
    from ipcbench.checks import doctor

    checks = doctor.examine()
    print("\n".join(doctor.render(checks)))
    return doctor.exit_code(checks)


def _selftest(args: Namespace) -> int:
    import secrets

    from ipcbench.analysis import store
    from ipcbench.checks import selftest
    from ipcbench.measure.lock import machine_lock
    from ipcbench.measure.scratch import scratch
    from ipcbench.reporters.console import progress

    thoroughness = selftest.QUICK if args.quick else selftest.FULL
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    path = outputs.checked_new(outputs.selftest_path(host.machine().slug))
    with (
        machine_lock(wanted=not args.no_lock),
        Interrupts() as signals,
        scratch() as private,
        progress() as observer,
    ):
        report = selftest.examine(thoroughness, private, observer, seed, signals.check)
    text = selftest.as_json(report, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_atomically(path, text)
    _say(f"saved: {path}; compare and diff use its noise floor from now on")
    print(text if args.json else "\n".join(selftest.render(report)))
    return EXIT_OK if report.proved else EXIT_CASES_FAILED


def _report(args: Namespace) -> int:
    from ipcbench.analysis import frame, store
    from ipcbench.reporters.hgrm import hgrm_texts

    wanted = documents.checked(args)
    read = {f"the file {path}": path for path in args.files}
    documents.check_different(wanted.files | {"--hgrm": args.hgrm} | read)
    results = store.merge([(str(path), store.load(path)) for path in args.files])
    if args.baseline is not None:
        frame.check_baseline(results, args.baseline)
    if args.hgrm is not None:
        for path, text in hgrm_texts(frame.launches(results), args.hgrm).items():
            store.write_atomically(outputs.checked_output(path, force=args.force), text)
            _say(f"written: {path}")
    for path in _show(results, args, args.baseline, wanted):
        _say(f"written: {path}")
    return EXIT_OK


def _claims(args: Namespace, usual: Namespace, command: list[str]) -> int:
    """Judges the claims by result files, or else by measuring the cases they need."""
    from ipcbench.analysis.claims import TRANSPORTS_NEEDED, needed

    if not args.files:
        for arguments in (args, usual):
            arguments.usual, arguments.only = TRANSPORTS_NEEDED, needed
        return _compare(args, usual, command, "claims")
    check_only_reports(args, usual)
    return _report(args)


def _diff(args: Namespace) -> int:
    from ipcbench.analysis import store
    from ipcbench.analysis.diff import parse_gate

    gates = [parse_gate(text) for text in args.gates]
    tripped = _show_diff(store.load(args.old), store.load(args.new), gates)
    return EXIT_GATE_TRIPPED if tripped else EXIT_OK


def _show_diff(old: "Results", new: "Results", gates: "Sequence[Gate]" = ()) -> bool:
    """Prints the changes, and each tripped gate on stderr; whether a gate tripped."""
    from ipcbench.analysis.diff import compare_runs, machine_of
    from ipcbench.reporters import console
    from ipcbench.reporters.diff_table import diff_parts, gate_line

    floor = outputs.noise_floor(machine_of(new)).between_runs
    comparison = compare_runs(old, new, floor)
    console.show(diff_parts(comparison), sys.stdout)
    tripped = [
        gate_line(gate.text, change)
        for gate in gates
        for change in comparison.changes
        if gate.tripped_by(change)
    ]
    for line in tripped:
        _say(f"gate tripped: {line}")
    return bool(tripped)


def _compare(args: Namespace, usual: Namespace, command: list[str], question: str) -> int:
    from ipcbench import comparing, destinations
    from ipcbench.measure.lock import machine_lock
    from ipcbench.measure.scratch import leftovers, sweep
    from ipcbench.reporters.console import progress

    places = destinations.checked(args, question)
    for note in places.notes:
        _say(note)
    stopped = log = None
    with machine_lock(wanted=not args.no_lock), Interrupts() as signals:
        plan, results = comparing.begun(args, usual, command, RESULT_OPTIONS)
        for note in plan.notes:
            _note(args, note)
        for left in leftovers():
            sweep(left.directory)
            _note(args, f"removed what a killed run left: {left}")
        try:
            # The log is made last: a run that is refused leaves no file, and replaces none.
            with (
                destinations.open_events(args.events, force=args.force) as log,
                progress(quiet=args.quiet) as display,
            ):
                observers = [display] if log is None else [display, log]
                is_watched = not args.quiet or log is not None
                comparing.measure(
                    plan, results, places.save, signals, observers, is_watched=is_watched
                )
        except (Interrupted, ResultsError) as reason:
            stopped = reason
            _say(_how_it_stopped(reason, places.output))
        if log is not None and log.failure is not None:
            _say(f"{args.events} lacks events: {log.failure}")
        if results.is_empty:
            _say("nothing was measured")
        else:
            _keep(args, results, places, is_whole=stopped is None)
            _show_all(args, results, plan.intent.baseline, places)
        if stopped is not None:
            _say_how_to_go_on(places.output, results, question)
            return stopped.exit_code
        return _verdict_on(results, plan.intent.target_ratio, plan.intent.baseline)


def _keep(args: Namespace, results: "Results", places: "Places", *, is_whole: bool) -> None:
    """Saves the run as a named baseline, if asked for and if the run wasn't cut short."""
    if places.kept is None:
        return
    if not is_whole:
        _say(f"not kept as {args.save!r}: the run was broken off")
        return
    places.keep(results)
    _note(args, f"kept: {places.kept}")


def _show_all(args: Namespace, results: "Results", baseline: str, places: "Places") -> None:
    written = _show(results, args, baseline, places.documents)
    if places.against is not None:
        _show_diff(places.against, results)
    output = places.output
    if output is not None and output.exists():
        beside = [path.name for path in written if path.parent == output.parent]
        written = [path for path in written if path.parent != output.parent]
        _note(args, f"saved: {' and '.join([str(output), *beside])}")
    for path in written:
        _note(args, f"written: {path}")


def _say_how_to_go_on(output: Path | None, results: "Results", question: str) -> None:
    if output is not None and not results.is_empty and output.exists():
        is_command = question in {"compare", "claims"}
        program = f"ipcbench {question}" if is_command else f"bench/{question}.py"
        _say(f"go on with: {program} --resume {shlex.quote(str(output))}")


def _how_it_stopped(stopped: Interrupted | ResultsError, output: Path | None) -> str:
    """The message for a run that ended early: the reason, and what is saved."""
    ending = "the table is of what was measured until then"
    if isinstance(stopped, Interrupted) or output is None:
        return f"{stopped}; {ending}"
    kept = f"{output} keeps what was saved before" if output.exists() else "nothing is saved"
    return f"{stopped}; the run ends here, {kept}, and {ending}"


def _verdict_on(results: "Results", target: float | None, baseline: str) -> int:
    """The exit code of a run that wasn't cut short."""
    from ipcbench.analysis.precision import precision

    if any(item.status == "failed" for item in results.unmeasured.values()):
        return EXIT_CASES_FAILED
    found = None if target is None else precision(results, baseline)
    if target is None or (found is not None and found.reaches(target)):
        return EXIT_OK
    width = "unknown" if found is None or found.half_width is None else f"{found.half_width:.1%}"
    where = f" ({found.case})" if found is not None else ""
    _say(f"the precision of {target:.1%} was not reached: the widest is {width}{where}")
    return EXIT_IMPRECISE


def _show(
    results: "Results", args: Namespace, baseline: str | None, wanted: Documents
) -> list[Path]:
    """Prints the tables and writes the documents; returns the paths written.

    Where a document takes stdout, tables go to stderr.
    """
    from ipcbench.analysis import frame
    from ipcbench.analysis.judging import asked_for
    from ipcbench.inventory import usual
    from ipcbench.reporters import console
    from ipcbench.reporters.summary import summary

    analysis = frame.analyse(results, baseline)
    parts = summary(
        analysis,
        percentiles=args.percentiles,
        details=args.details,
        overview=args.overview,
        claims=args.claims or asked_for(results),
        tables=args.tables or args.percentiles or args.details or args.overview,
    )
    console.show(parts, sys.stderr if wanted.on_stdout else sys.stdout)
    return list(documents.write(analysis, wanted, sys.stdout.write, usual()))


def _answer(command: Callable[[], int]) -> int:
    """Runs the command; turns every error into one line on stderr and an exit code."""
    # NumPy's pool of threads is of no use here, and may exceed the limit on threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with patient_streams() as streams:
        code = _code_of(command)
        sys.stdout.flush()
        if streams.failure is not None:
            _say(f"not all could be printed on stdout: {streams.failure.strerror}")
            code = code or EXIT_USAGE
    return code


def _code_of(command: Callable[[], int]) -> int:
    try:
        return command()
    except IpcbenchError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted before anything was measured")
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        if is_shortage(error):
            _say(explain(error))
            return EXIT_USAGE
        _say(f"internal error: {type(error).__name__}: {error}; set {_DEBUG}=1 for where")
        return EXIT_INTERNAL


def _note(args: Namespace, message: str) -> None:
    """Prints a line of information on stderr, unless --quiet was given."""
    if not args.quiet:
        _say(message)


def _say(message: str) -> None:
    """Prints one line on stderr; control characters, as in a file's name, are escaped."""
    print(f"ipcbench: {printable(message)}", file=sys.stderr, flush=True)
