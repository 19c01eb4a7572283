"""Runs a plan: measures its launches in real workers, and saves after each."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ipcbench.events import Observer, broadcast
from ipcbench.progress.warnings import WarningsSoFar
from ipcbench.results.store import Results
from ipcbench.run import driver
from ipcbench.run.launcher import WorkerLauncher
from ipcbench.run.plan import Plan
from ipcbench.system.scratch import scratch


def nothing_yet(plan: Plan) -> Results:
    """The results of a plan before its first launch: the cases that can't be, with the reasons."""
    results = Results(intent=plan.intent)
    for case, reason in plan.impossible:
        results.add_unmeasured(case, "n/a", reason)
    return results


def measure(
    plan: Plan,
    results: Results,
    save: Callable[[Results], None],
    check: Callable[[], None],
    observers: Sequence[Observer],
    *,
    is_watched: bool,
) -> None:
    """Measures into `results`, and saves after each launch.

    Warnings cost time between rounds: observers get them only if `is_watched`.

    `check` is called after each save and before launches, and raises what should end the run.
    Raises that, and ResultsError for a save that fails; `results` hold what
    was measured until then.
    """

    def saved(results: Results) -> None:
        save(results)
        check()

    run = replace(plan.run, check=check)
    if is_watched:
        run = replace(run, warnings=WarningsSoFar())
    with scratch() as private:
        launcher = WorkerLauncher(private, plan.intent.cpus, plan.effort)
        driver.execute(run, launcher, results, saved, broadcast(observers))
