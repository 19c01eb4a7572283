"""Resumes an interrupted run: by its own plan, on the machine it was begun on."""

import time
from argparse import Namespace
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.results import store
from ipcbench.results.intent import Intent
from ipcbench.results.store import Results
from ipcbench.run.plan import Plan, plan_of, planned
from ipcbench.system.cpus import checked_cpus
from ipcbench.transports.registry import get_transport

_SAME = ("machine", "cpu_model", "kernel", "python", "versions", "code_version")
"""Facts that must be unchanged to resume."""
_OWN = ("run_id", "command")
"""Metadata that new launches inherit from the recorded ones."""


def resumed(
    path: Path, args: Namespace, usual: Namespace, command: str, about_results: Collection[str]
) -> tuple[Plan, Results]:
    """The plan of the run in this file, and what it has measured of it.

    Arguments that aren't the usual ones must ask for the same plan. Raises UsageError if they
    don't, if the machine is another, or if a transport can't run any more; ResultsError for a bad
    file.
    """
    started_s = time.monotonic()
    results = store.load(path)
    if results.intent is None:
        raise UsageError(f"{path} holds no plan to go on with; measure anew")
    _check_asked(path, results.intent, args, usual, about_results)
    for case in map(Case.parse, results.intent.cases):
        reason = get_transport(case.transport).unavailable()
        if reason is not None:
            raise UsageError(f"{path} can't be gone on with: {case.transport}: {reason}")
    for placement, cpus in results.intent.cpus.items():
        if cpus is not None and checked_cpus(cpus) != cpus:
            raise UsageError(f"{path} can't be gone on with: no CPUs {cpus} for {placement}")
    recorded = [launch.facts for launch in results.launches()]
    elapsed_s = max((float(launch["run_elapsed_s"]) for launch in recorded), default=0.0)
    plan = plan_of(results.intent, command, started_s, elapsed_s)
    if is_complete(plan, results):
        plan = replace(plan, notes=[f"nothing of {path} is left to measure"])
    if recorded:
        _check_machine(path, recorded[0], plan.run.metadata)
        plan.run.metadata.update({name: recorded[0][name] for name in _OWN})
    return plan, results


def is_complete(plan: Plan, results: Results) -> bool:
    """Whether every launch of the plan is recorded."""
    finished = results.finished()
    return all(
        case.id in results.unmeasured or len(finished.get(case, ())) >= plan.run.rounds
        for case in plan.run.cases
    )


def _check_asked(
    path: Path, intent: Intent, args: Namespace, usual: Namespace, about_results: Collection[str]
) -> None:
    """Options may be repeated, but not changed."""
    given = {
        name
        for name, value in vars(args).items()
        if name not in about_results and value != getattr(usual, name)
    }
    if not given:
        return
    if args.seed is None:
        args.seed = intent.seed
    difference = intent.difference(planned(args, "").intent)
    if difference is not None:
        raise UsageError(
            f"{path} was begun with {difference} than these options ask for; leave them out to go"
            " on with it, or measure anew"
        )


def _check_machine(path: Path, then: Mapping[str, object], now: Mapping[str, object]) -> None:
    for name in _SAME:
        if name in then and name in now and then[name] != now[name]:
            raise UsageError(
                f"{path} was begun with {name.replace('_', ' ')} {then[name]} and this is"
                f" {now[name]}; launches of both aren't one run: measure anew"
            )
