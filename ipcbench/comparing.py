"""A run from its arguments to its last launch: planned or resumed, measured, saved."""

import shlex
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace

from ipcbench.analysis.store import Results
from ipcbench.events import Observer, broadcast
from ipcbench.interrupts import Interrupts
from ipcbench.measure import driver
from ipcbench.measure.launch import WorkerLauncher
from ipcbench.measure.scratch import scratch
from ipcbench.planning import Plan, planned
from ipcbench.resuming import resumed
from ipcbench.watching import WarningsSoFar


def begun(args: Namespace, usual: Namespace, command: Sequence[str]) -> tuple[Plan, Results]:
    """What is to be measured, and what is known of it: cases that can't be, launches that were.

    Raises UsageError for whatever can't be done, ResultsError for a bad file to go on with.
    """
    if args.resume is not None:
        return resumed(args.resume, args, usual, shlex.join(command))
    plan = planned(args, shlex.join(command))
    results = Results(intent=plan.intent)
    for case, reason in plan.impossible:
        results.add_unmeasured(case, "n/a", reason)
    return plan, results


def measure(
    plan: Plan,
    results: Results,
    save: Callable[[Results], None],
    signals: Interrupts,
    observers: Sequence[Observer],
    *,
    is_watched: bool,
) -> None:
    """Measures into `results`, and saves after each launch.

    Observers hear of warnings, which cost time between rounds, only if `is_watched`.

    Raises Interrupted for a signal and ResultsError for a save that fails; `results` hold what
    was measured until then.
    """

    def saved(results: Results) -> None:
        save(results)
        signals.check()

    run = replace(plan.run, check=signals.check)
    if is_watched:
        run = replace(run, warnings=WarningsSoFar())
    with scratch() as private:
        launcher = WorkerLauncher(private, plan.intent.cpus, plan.effort)
        driver.execute(run, launcher, results, saved, broadcast(observers))
