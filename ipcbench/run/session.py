"""Runs a plan: measures its launches in real workers, and saves after each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ipcbench.case import Placement
from ipcbench.events import Observer, broadcast
from ipcbench.progress.warnings import WarningsSoFar
from ipcbench.results.store import Results
from ipcbench.run.driver import Run, execute
from ipcbench.run.launcher import WorkerLauncher
from ipcbench.run.plan import Plan
from ipcbench.run.request import Effort
from ipcbench.system.cpus import Cpus
from ipcbench.system.scratch import Scratch, scratch


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
        observer = broadcast(observers)
        programs = {label: one.program for label, one in plan.interpreters.items()}
        launch(run, plan.intent.cpus, plan.effort, results, saved, observer, private, programs)


def launch(
    run: Run,
    cpus: Mapping[Placement, Cpus | None],
    effort: Effort,
    results: Results,
    save: Callable[[Results], None],
    observer: Observer,
    private: Scratch,
    programs: Mapping[str, Path] | None = None,
) -> None:
    """Carries out a run by real workers, each in a directory of its own below the private one.

    `programs` are the interpreters that cases name, by label.
    """
    execute(run, WorkerLauncher(private, cpus, effort, programs), results, save, observer)
