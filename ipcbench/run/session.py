"""Runs a plan: prepares or resumes it, measures, saves."""

import shlex
from argparse import Namespace
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from ipcbench.events import Observer, broadcast
from ipcbench.progress.warnings import WarningsSoFar
from ipcbench.results.store import Results
from ipcbench.run import driver
from ipcbench.run.launcher import WorkerLauncher
from ipcbench.run.plan import Plan, planned
from ipcbench.run.resume import resumed
from ipcbench.system.scratch import scratch
from ipcbench.system.signals import Interrupts


def begun(
    args: Namespace, usual: Namespace, command: Sequence[str], about_results: Collection[str]
) -> tuple[Plan, Results]:
    """The plan and the results so far: impossible cases, and launches already recorded.

    Raises UsageError for whatever can't be done, ResultsError for a bad file to resume.
    """
    if args.resume is not None:
        return resumed(args.resume, args, usual, shlex.join(command), about_results)
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

    Warnings cost time between rounds: observers get them only if `is_watched`.

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
