"""Runs a plan and, where its question has several stages, those that follow from its results."""

from collections.abc import Callable, Sequence

from ipcbench.events import Observer
from ipcbench.results.store import Results
from ipcbench.run import session
from ipcbench.run.plan import Plan, is_complete


def measure(
    plan: Plan,
    results: Results,
    save: Callable[[Results], None],
    check: Callable[[], None],
    observers: Sequence[Observer],
    *,
    is_watched: bool,
) -> None:
    """Measures all stages into `results`; see `session.measure`, also for what is raised."""
    following: Plan | None = plan
    while following is not None:
        plan = following
        session.measure(plan, results, save, check, observers, is_watched=is_watched)
        following = next_stage(plan, results)


def next_stage(plan: Plan, results: Results) -> Plan | None:
    """The plan that follows this one, by its results, of which it is kept; None if nothing does."""
    if plan.intent.question != "load" or not is_complete(plan, results):
        return None
    from ipcbench.run import load  # of one question alone

    following = load.next_stage(plan, results)
    if following is not None:
        results.intent = following.intent
    return following
