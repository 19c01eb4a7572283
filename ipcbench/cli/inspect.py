"""The commands that look around: list, explain, evidence, doctor, selftest, clean."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ipcbench import units
from ipcbench.cli import options
from ipcbench.cli.destinations import checked_new
from ipcbench.cli.messages import say
from ipcbench.cli.parser import Handler, Parser, nothing_to_add
from ipcbench.errors import EXIT_CASES_FAILED, EXIT_OK, LaunchFailed, ResultsError, UsageError
from ipcbench.results import folder, noise
from ipcbench.results.files import write_atomically
from ipcbench.system import machine
from ipcbench.system.signals import Interrupts
from ipcbench.transports.base import Transport
from ipcbench.transports.registry import chosen, get_transport, names

_APART_S = 10.0
"""Seconds for what takes milliseconds."""

if TYPE_CHECKING:
    from ipcbench.checks.selftest_report import Report


def _list(_: Namespace, __: Sequence[str]) -> int:
    """Prints every transport, and whether it can run here."""
    from ipcbench.measure import drivers
    from ipcbench.transports.catalogue import listed

    print("\n".join(listed(drivers.unavailable("native"))))
    return EXIT_OK


def _explain(args: Namespace, _: Sequence[str]) -> int:
    """Prints all that is known of some transports."""
    from ipcbench.checks.in_force import in_force
    from ipcbench.measure import drivers
    from ipcbench.system.scratch import scratch
    from ipcbench.transports.catalogue import InForce, explained

    def read_back(transport: Transport) -> InForce | str:
        try:
            with scratch() as private, private.launch() as directory:
                wrong = _tried_apart(transport, directory, lambda: in_force(transport, directory))
                return wrong or in_force(transport, directory)
        except (UsageError, LaunchFailed) as error:  # no folder for it: all else can be told
            return str(error)

    wanted = chosen(args.transports)
    with Interrupts():
        texts = ("\n".join(explained(name, drivers.rejects, read_back)) for name in wanted)
        print("\n\n".join(texts))
    return EXIT_OK


def _tried_apart(transport: Transport, directory: Path, work: Callable[[], object]) -> str | None:
    """Why work with a plug-in can't be done in this process: it hangs or crashes. None if it can.

    What is built in doesn't.
    """
    if transport.origin is None:
        return None
    from ipcbench.testing.isolation import isolated

    outcome = isolated(work, directory, _APART_S)
    return outcome.sentence if outcome.kind in {"broken", "hung"} else None


def _evidence(args: Namespace, _: Sequence[str]) -> int:
    """Prints what the kernel's tables say of a pair of each transport."""
    from ipcbench.checks import evidence
    from ipcbench.system.scratch import scratch

    inspections = []
    with Interrupts() as signals, scratch() as private:
        for name in chosen(args.transports) or names():
            transport = get_transport(name)
            wrong = _tried_apart(
                transport, private.directory, partial(evidence.inspect_pair, name, private)
            )
            inspections.append(
                evidence.inspect_pair(name, private)
                if wrong is None
                else evidence.Inspection(name, None, wrong, failed=True)
            )
            signals.check()
            print("\n".join(evidence.described(inspections[-1])), end="\n\n", flush=True)
    print(evidence.counted(inspections))
    return evidence.exit_code(inspections)


def _check(args: Namespace, _: Sequence[str]) -> int:
    """Tries the contract's rules on some transports, a line for each."""
    from ipcbench.checks import contract
    from ipcbench.system.lock import machine_lock

    rules = contract.chosen_rules(args.rules or ())
    examined = [get_transport(name) for name in chosen(args.transports)]
    broken = 0
    with machine_lock(wanted=not args.no_lock), Interrupts() as signals:
        for transport in examined:
            print(contract.title(transport), flush=True)
            for verdict in contract.verdicts(transport, rules, args.patience_s):
                signals.check()
                print("\n".join(contract.described(verdict)), flush=True)
                broken += verdict.is_broken
    print(contract.counted_up(len(examined), broken))
    return EXIT_CASES_FAILED if broken else EXIT_OK


def _clean(args: Namespace, _: Sequence[str]) -> int:
    """Removes what killed runs left behind, or says what there is."""
    from ipcbench.system.scratch import leftovers, sweep

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


def _doctor(_: Namespace, __: Sequence[str]) -> int:
    """Prints what on this machine bounds or disturbs measuring."""
    from ipcbench.checks import advice, doctor

    checks = doctor.examine()
    print("\n".join(doctor.render(checks, advice.standing())))
    return doctor.exit_code(checks)


def _selftest(args: Namespace, _: Sequence[str]) -> int:
    """Measures the tool on this machine, saves and prints what was found."""
    import secrets

    from ipcbench.checks import selftest
    from ipcbench.checks.selftest_report import as_json, render
    from ipcbench.cli.console import progress
    from ipcbench.system.lock import machine_lock
    from ipcbench.system.scratch import scratch

    thoroughness = selftest.QUICK if args.quick else selftest.FULL
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    path, is_keeping = _places()
    with (
        machine_lock(wanted=not args.no_lock),
        Interrupts() as signals,
        scratch() as private,
        progress() as observer,
    ):
        report = selftest.examine(thoroughness, private, observer, seed, signals.check)
    text = as_json(report, seed)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        say(f"saved: {path}")
    if is_keeping:
        _keep_floor(report)
    print(text if args.json else "\n".join(render(report)))
    return EXIT_OK if report.proved else EXIT_CASES_FAILED


def _places() -> tuple[Path | None, bool]:
    """The file for a selftest's report, and whether its noise floor can be kept for the user.

    None, and a message, where it can't be written. Raises UsageError if neither can: fifteen
    minutes would be lost.
    """
    here = machine.this_machine()
    reasons, is_keeping = [], True
    try:
        checked_new(noise.floor_path(here.facts), f"set {noise.STATE}")
    except UsageError as error:
        is_keeping = False
        reasons.append(f"the noise floor can't be kept for later runs: {error}")
    path = folder.selftest_path(here.slug)
    is_saving = True
    try:
        checked_new(path)
    except UsageError as error:
        is_saving = False
        reasons.append(f"the report is not saved: {error}")
    if len(reasons) > 1:
        raise UsageError("; ".join(reasons))
    for reason in reasons:
        say(reason)
    return (path if is_saving else None), is_keeping


def _keep_floor(report: "Report") -> None:
    """Keeps the noise floor for this user; says where, or why it can't be."""
    from datetime import UTC, datetime

    here = machine.this_machine()
    within, between = report.within_run_floor, report.between_runs_floor
    floor = noise.NoiseFloor(within, between, here.kernel, datetime.now(UTC))
    try:
        path = noise.keep(floor, here.facts)
    except ResultsError as error:
        say(f"the noise floor is not kept: {error}; set {noise.STATE} to a folder of yours")
        return
    say(f"kept: {path}; compare uses its noise floor from now on, and diff those of its files")


def _add_list_arguments(parser: Parser) -> None:
    options.add(parser, "--no-plugins")


def _add_explain_arguments(parser: Parser) -> None:
    parser.add_argument("transports", nargs="+", metavar="TRANSPORT", help="a name or a @group")
    options.add(parser, "--no-plugins")


def _add_evidence_arguments(parser: Parser) -> None:
    parser.add_argument(
        "transports",
        nargs="*",
        metavar="TRANSPORT",
        help="a name or a @group (default: all that is built in, the controls too)",
    )
    options.add(parser, "--no-plugins")
    parser.add_examples(
        ("", "of every mechanism"),
        ("unix inet", "of two of them"),
        ("@sysv", "of a group"),
    )


def _add_check_arguments(parser: Parser) -> None:
    parser.add_argument("transports", nargs="+", metavar="TRANSPORT", help="a name or a @group")
    parser.add_argument(
        "--rule", dest="rules", action="append", metavar="RULE", help="try this one (repeatable)"
    )
    parser.add_argument(
        "--patience",
        dest="patience_s",
        type=units.parse_duration,
        default=20.0,
        metavar="TIME",
        help="when to say that it hangs (default: 20s)",
    )
    options.add(parser, "--no-lock", "--no-plugins")
    parser.add_examples(
        ("unix", "every rule, on one that is built in"),
        ("NAME --rule stream", "one rule, on one of your own"),
    )


def _add_selftest_arguments(parser: Parser) -> None:
    parser.add_argument("--quick", action="store_true", help="under 3 minutes instead of 15")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--seed", type=options.whole("--seed", at_least=0), metavar="N", help="of orders and tries"
    )
    options.add(parser, "--no-lock")


def _add_clean_arguments(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what there is")


LIST = Handler(_add_list_arguments, _list)
EXPLAIN = Handler(_add_explain_arguments, _explain)
CHECK = Handler(_add_check_arguments, _check)
EVIDENCE = Handler(_add_evidence_arguments, _evidence)
SELFTEST = Handler(_add_selftest_arguments, _selftest)
CLEAN = Handler(_add_clean_arguments, _clean)
DOCTOR = Handler(nothing_to_add, _doctor)
