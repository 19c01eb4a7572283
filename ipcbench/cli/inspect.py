"""The commands that look around: list, explain, evidence, doctor, selftest, clean."""

from argparse import Namespace

from ipcbench.cli.destinations import checked_new
from ipcbench.cli.messages import say
from ipcbench.errors import (
    EXIT_CASES_FAILED,
    EXIT_OK,
)
from ipcbench.results import folder
from ipcbench.results.files import write_atomically
from ipcbench.system import machine
from ipcbench.system.signals import Interrupts
from ipcbench.transports.registry import chosen, names


def run_list(_: Namespace) -> int:
    """Prints every transport, and whether it can run here."""
    from ipcbench.measure.drivers import native
    from ipcbench.transports.catalogue import listed

    print("\n".join(listed(native.unavailable())))
    return EXIT_OK


def run_explain(args: Namespace) -> int:
    """Prints all that is known of some transports."""
    from ipcbench.transports.catalogue import explained

    print("\n\n".join("\n".join(explained(name)) for name in chosen(args.transports)))
    return EXIT_OK


def run_evidence(args: Namespace) -> int:
    """Prints what the kernel's tables say of a pair of each transport."""
    from ipcbench.checks import evidence
    from ipcbench.system.scratch import scratch

    inspections = []
    with Interrupts() as signals, scratch() as private:
        for name in chosen(args.transports) or names():
            inspections.append(evidence.inspect_pair(name, private))
            signals.check()
            print("\n".join(evidence.described(inspections[-1])), end="\n\n", flush=True)
    print(evidence.counted(inspections))
    return evidence.exit_code(inspections)


def run_clean(args: Namespace) -> int:
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


def run_doctor(_: Namespace) -> int:
    """Prints what on this machine bounds or disturbs measuring."""
    from ipcbench.checks import doctor

    checks = doctor.examine()
    print("\n".join(doctor.render(checks)))
    return doctor.exit_code(checks)


def run_selftest(args: Namespace) -> int:
    """Measures the tool on this machine, saves and prints what was found."""
    import secrets

    from ipcbench.checks import selftest
    from ipcbench.cli.console import progress
    from ipcbench.system.lock import machine_lock
    from ipcbench.system.scratch import scratch

    thoroughness = selftest.QUICK if args.quick else selftest.FULL
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    path = checked_new(folder.selftest_path(machine.this_machine().slug))
    with (
        machine_lock(wanted=not args.no_lock),
        Interrupts() as signals,
        scratch() as private,
        progress() as observer,
    ):
        report = selftest.examine(thoroughness, private, observer, seed, signals.check)
    text = selftest.as_json(report, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    say(f"saved: {path}; compare and diff use its noise floor from now on")
    print(text if args.json else "\n".join(selftest.render(report)))
    return EXIT_OK if report.proved else EXIT_CASES_FAILED
