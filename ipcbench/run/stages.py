"""What follows when a plan is carried out: the next stage of a question that has several."""

from ipcbench.results.store import Results
from ipcbench.run.plan import Plan, is_complete


def next_stage(plan: Plan, results: Results) -> Plan | None:
    """The plan that follows this one, by its results, of which it is kept; None if nothing does."""
    if plan.intent.question != "load" or not is_complete(plan, results):
        return None
    from ipcbench.run import load  # of one question alone

    following = load.next_stage(plan, results)
    if following is not None:
        results.intent = following.intent
    return following
