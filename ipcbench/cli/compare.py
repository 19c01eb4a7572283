"""The commands that measure: compare, claims, and the bench scripts."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ipcbench.analysis.claims import (
    NEEDED,
    NEEDED_APART,
    NEEDED_AT_FIRST_SIZE,
    NEEDED_LAST,
    NEEDED_ONCE,
    TRANSPORTS_NEEDED,
    WORKLOADS_NEEDED,
)
from ipcbench.cli import gates, options, requests
from ipcbench.cli.messages import Messages, say
from ipcbench.cli.parser import EPILOG, Handler, Parser
from ipcbench.cli.report import compared, run_report, show_results
from ipcbench.errors import (
    EXIT_CASES_FAILED,
    EXIT_GATE_TRIPPED,
    EXIT_IMPRECISE,
    EXIT_NOT_JUDGED,
    EXIT_OK,
    EXIT_USAGE,
    Interrupted,
    ResultsError,
)
from ipcbench.results.files import journal_path
from ipcbench.run.request import Request
from ipcbench.system.signals import Interrupts
from ipcbench.transports.base import CORE
from ipcbench.transports.registry import groups

if TYPE_CHECKING:
    from ipcbench.case import Case
    from ipcbench.cli.destinations import Places
    from ipcbench.cli.gates import Asked
    from ipcbench.results.store import Results
    from ipcbench.run.facts import CommandLine
    from ipcbench.run.plan import Plan, Preflight

USUAL = Request(question="compare")
USUAL_CLAIMS = Request(
    question="claims",
    usual_transports=TRANSPORTS_NEEDED,
    only=NEEDED,
    at_first=NEEDED_ONCE,
    at_last=NEEDED_LAST,
    first_size=NEEDED_AT_FIRST_SIZE,
    last_placement=NEEDED_APART,
    workloads=WORKLOADS_NEEDED,
    sizes=(64, 64 * 1024),
    usual_placements=("same-core", "cross-core"),
    preset="claims",
    budget_s=230.0,
)
"""Everything that the claims are judged by, and nothing else."""


def _compare(args: Namespace, words: Sequence[str]) -> int:
    return measured(args, USUAL, "ipcbench compare", ["ipcbench", *words])


def _claims(args: Namespace, words: Sequence[str]) -> int:
    """Judges the claims by result files, or else by measuring the cases they need."""
    if not args.files:
        return measured(args, USUAL_CLAIMS, "ipcbench claims", ["ipcbench", *words])
    requests.check_only_shows(args, USUAL_CLAIMS)
    return run_report(args)


def run_question(args: Namespace, words: Sequence[str], usual: Request) -> int:
    """Carries out a bench script, given these words; `usual` is what it asks without any."""
    script = f"bench/{usual.question}.py"
    return measured(args, usual, f"python {script}", [script, *words])


def measured(args: Namespace, usual: Request, program: str, given: Sequence[str]) -> int:
    """Measures, saves and shows; the exit code says how that went."""
    from ipcbench.cli import destinations
    from ipcbench.cli.console import progress
    from ipcbench.results.journal import Journal
    from ipcbench.run import stages
    from ipcbench.system.lock import machine_lock
    from ipcbench.system.objects import objects
    from ipcbench.system.scratch import leftovers, sweep
    from ipcbench.transports.registry import get_transport

    request = requests.request_of(args, usual)
    messages = Messages(quiet=args.quiet)
    asked = gates.checked(args)
    gates.check_other(asked, args)
    places = destinations.checked_places(args, usual.question)
    for message in places.notes:
        say(message)
    stopped = log = None
    before = objects()
    with machine_lock(wanted=not args.no_lock), Interrupts() as signals:
        plan, results = _begun(args.resume, request, usual, _line(program, given, request, usual))
        gates.check_about(asked, plan, against=places.against is not None)
        for message in plan.notes:
            messages.note(message)
        for left in leftovers():
            sweep(left.directory)
            messages.note(f"removed what a killed run left: {left}")
        try:
            # The log is made last: a run that is refused leaves no file, and replaces none.
            with (
                destinations.open_events(args.events, force=args.force) as log,
                progress(quiet=args.quiet) as display,
                Journal(places.output) as journal,
            ):
                observers = [display] if log is None else [display, log]
                is_watched = not args.quiet or log is not None
                stages.measure(
                    plan, results, journal.save, signals.check, observers, is_watched=is_watched
                )
        except (Interrupted, ResultsError) as reason:
            stopped = reason
            say(_how_it_stopped(reason, places.output))
        if any(get_transport(case.transport).origin for case in plan.run.cases):
            _say_what_is_left(before)
        if log is not None and log.failure is not None:
            say(f"{args.events} lacks events: {log.failure}")
        answer = EXIT_NOT_JUDGED if asked.gates else EXIT_OK
        if results.is_empty:
            say("nothing was measured")
        else:
            _keep(args, results, places, messages, is_whole=stopped is None)
            answer = _show_all(args, results, plan.intent.baseline, places, messages, asked)
        if stopped is not None:
            _say_how_to_go_on(places.output, results, program, request)
            return stopped.exit_code
        return _code(answer, _verdict_on(results, plan.intent.target_ratio, plan.intent.baseline))


def _code(of_gates: int, of_run: int) -> int:
    """The exit code of a run with gates, from those of either: the gravest.

    That is a tripped gate, then failed cases, a gate that wasn't judged, and too little precision.
    """
    order = (EXIT_GATE_TRIPPED, EXIT_CASES_FAILED, EXIT_USAGE, EXIT_NOT_JUDGED, EXIT_IMPRECISE)
    return next((code for code in order if code in (of_gates, of_run)), EXIT_OK)


def _say_what_is_left(before: frozenset[str]) -> None:
    """Tells of objects that are new since then: a plug-in may have left them.

    What is built in notes what it makes, and a test holds that nothing of it stays.
    """
    from ipcbench.system.objects import objects, removal_of

    for left in sorted(objects() - before):
        say(f"new since the run began, and still there: {left}; remove it with: {removal_of(left)}")


def _line(program: str, given: Sequence[str], request: Request, usual: Request) -> "CommandLine":
    from ipcbench.run.facts import CommandLine

    unseeded = replace(request, seed=None)
    again = shlex.join([*program.split(), *requests.words_of(unseeded, usual)])
    return CommandLine(shlex.join(given), again)


def _begun(
    resume: Path | None, request: Request, usual: Request, line: "CommandLine"
) -> "tuple[Plan, Results]":
    """The plan, and the results so far: impossible cases, and launches already recorded.

    Raises UsageError for whatever can't be done, ResultsError for a bad file to resume.
    """
    from ipcbench.run.resume import resumed
    from ipcbench.run.session import nothing_yet

    if resume is not None:
        # A run's interpreters are named again, and are no other request.
        asked = None if replace(request, pythons=usual.pythons) == usual else request
        return resumed(resume, asked, line, request.pythons)
    plan = _planned(request, line)
    return plan, nothing_yet(plan)


def _planned(request: Request, line: "CommandLine") -> "Plan":
    """The plan for a request, or for its first stage. Raises UsageError."""
    if not request.rates:
        from ipcbench.run.plan import planned

        return planned(request, line, _preflight)
    from ipcbench.checks.inflight import depths
    from ipcbench.run.load import planned_load

    return planned_load(request, line, depths)


def _preflight(cases: "Sequence[Case]") -> "Preflight":
    """Tries out what may block; what that takes is loaded only where there is a window."""
    from ipcbench.run.plan import none_tried

    if all(case.flow.window == 1 for case in cases):
        return none_tried(cases)
    from ipcbench.checks.inflight import preflight

    return preflight(cases)


def _keep(
    args: Namespace, results: "Results", places: "Places", messages: Messages, *, is_whole: bool
) -> None:
    """Saves the run as a named baseline, if asked for and if the run wasn't cut short."""
    if places.kept is None:
        return
    if not is_whole:
        say(f"not kept as {args.save!r}: the run was broken off")
        return
    places.keep(results)
    messages.note(f"kept: {places.kept}")


def _show_all(
    args: Namespace,
    results: "Results",
    baseline: str,
    places: "Places",
    messages: Messages,
    asked: "Asked",
) -> int:
    """Shows and writes all that is asked for; returns the exit code by the gates alone."""
    written = show_results(results, args, baseline, places.documents)
    stream = sys.stderr if places.documents.on_stdout else sys.stdout
    answer = _show_gates(results, baseline, places, asked, stream)
    output = places.output
    if output is not None and output.exists():
        beside = [path.name for path in written if path.parent == output.parent]
        written = [path for path in written if path.parent != output.parent]
        messages.note(f"saved: {' and '.join([str(output), *beside])}")
    for path in written:
        messages.note(f"written: {path}")
    return answer


def _show_gates(
    results: "Results", baseline: str, places: "Places", asked: "Asked", stream: TextIO
) -> int:
    """Shows what changed against the named baseline, and the answers of gates; their exit code.

    Without a baseline, gates judge each later interpreter against the first.
    """
    from ipcbench.analysis import frame, judging, ladder
    from ipcbench.analysis.interpreters import compare_interpreters
    from ipcbench.cli import console
    from ipcbench.reporters import markdown
    from ipcbench.reporters.tables.diff import diff_parts, measure_grids
    from ipcbench.reporters.tables.gates import gate_parts

    if places.against is not None:
        comparisons = [compared(places.against, results, asked)]
    elif asked.gates:
        analysis = frame.analyse(results, baseline)
        comparisons = compare_interpreters(results, analysis, asked.measures)
    else:
        comparisons = []
    answers = asked.judge(comparisons)
    if places.against is not None:
        parts = list(diff_parts(comparisons[0]))
    else:  # the usual tables have the times of each interpreter beside the first one's
        parts = [
            grid
            for one in comparisons
            for measure in one.changes_of
            if measure != "time"
            for grid in measure_grids(one, measure)
        ]
    console.show([*parts, *gate_parts(answers)], stream)
    texts = [markdown.rendered(parts)] if parts else []
    if asked.github:
        analysis = frame.analyse(results, baseline)
        asked_of = {"claims": judging.asked_for(results), "ladder": ladder.asked_for(results)}
        texts.append(markdown.markdown_text(analysis, **asked_of))
    return gates.answer(asked, answers, comparisons, "\n".join(texts))


def _say_how_to_go_on(
    output: Path | None, results: "Results", program: str, request: Request
) -> None:
    if output is not None and not results.is_empty and output.exists():
        words = ["--resume", str(output)]
        if request.pythons:
            words += ["--python", ",".join(request.pythons)]
        say(f"go on with: {program.removeprefix('python ')} {shlex.join(words)}")


def _how_it_stopped(stopped: Interrupted | ResultsError, output: Path | None) -> str:
    """The message for a run that ended early: the reason, and what is saved."""
    ending = "the table is of what was measured until then"
    if isinstance(stopped, Interrupted) or output is None:
        return f"{stopped}; {ending}"
    kept = f"{output} keeps what was saved before" if output.exists() else "nothing is saved"
    if output.exists() and journal_path(output).exists():
        kept = f"{output} and {journal_path(output).name} keep what was saved before"
    return f"{stopped}; the run ends here, {kept}, and {ending}"


def _verdict_on(results: "Results", target: float | None, baseline: str) -> int:
    """The exit code of a run that wasn't cut short."""
    from ipcbench.analysis.precision import precision

    if any(item.has_failed for item in results.unmeasured.values()):
        return EXIT_CASES_FAILED
    found = None if target is None else precision(results, baseline)
    if target is None or (found is not None and found.reaches(target)):
        return EXIT_OK
    width = "unknown" if found is None or found.half_width is None else f"{found.half_width:.1%}"
    where = f" ({found.case})" if found is not None else ""
    say(f"the precision of {target:.1%} was not reached: the widest is {width}{where}")
    return EXIT_IMPRECISE


_BASIC = frozenset(
    (
        *("help", "help_all", "transports", "sizes", "workloads", "loops", "placements"),
        *("preset", "target_ratio", "output", "csv"),
    )
)
"""Options that the short `compare --help` shows: it fits one screen."""


def question_parser(
    description: str, usual: Request, add_arguments: Callable[[Parser, Request], None]
) -> Parser:
    """The parser of a bench script: the arguments of a command, described by the question."""
    script = Parser(prog=Path(sys.argv[0]).name, description=description, epilog=EPILOG)
    add_arguments(script, usual)
    script.set_defaults(with_page=True)
    return script


def add_compare_arguments(parser: Parser, usual: Request = USUAL) -> None:
    """Adds the arguments of `compare`, which bench scripts take as well."""
    known = ", ".join(f"@{group}{' (default)' * (group == CORE)}" for group in groups())
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help=f"names (unix:sndbuf=4k) or {known}",
    )
    what = parser.add_argument_group("what is measured")
    options.add_cases(what, usual)
    options.add(what, "--vary", "--grid", "--matrix")
    much = parser.add_argument_group("how much is measured")
    options.add_presets(much)
    options.add_effort(
        much, usual, rounds="7", values="9", min_time="25ms", budget="none; with --target 5m"
    )
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
    requests.set_usual(parser, usual)
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
    options.add_cases(parser.add_argument_group("what is measured"), USUAL_CLAIMS)
    much = parser.add_argument_group("how much is measured")
    options.add_effort(
        much, USUAL_CLAIMS, rounds="as fit", values="7", min_time="7ms", budget="230s"
    )
    options.add_results(parser.add_argument_group("results"))
    options.add_run(parser)
    requests.set_usual(parser, USUAL_CLAIMS)
    parser.set_defaults(hgrm=None, claims=True, tables=False)
    parser.add_examples(
        ("", "all claims, both placements"),
        ("--budget 60s --sizes 1k", "sooner, and less sure"),
        ("run.json", "by what is measured already"),
    )


COMPARE = Handler(add_compare_arguments, _compare)
CLAIMS = Handler(_add_claims_arguments, _claims)
