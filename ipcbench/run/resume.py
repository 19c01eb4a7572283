"""Resumes an interrupted run: by its own plan, on the machine it was begun on."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ipcbench.case import Case
from ipcbench.errors import ResultsError, UsageError
from ipcbench.results import store
from ipcbench.results.intent import Intent
from ipcbench.results.metadata import INHERITED, PACKAGE_KEY, PLUGINS_KEY, SAME_TO_RESUME
from ipcbench.results.store import Results
from ipcbench.run.facts import CommandLine
from ipcbench.run.plan import Plan, plan_of, planned
from ipcbench.run.request import Request
from ipcbench.system.cpus import checked_cpus
from ipcbench.transports.base import Transport
from ipcbench.transports.registry import get_transport


def resumed(path: Path, asked: Request | None, line: CommandLine) -> tuple[Plan, Results]:
    """The plan of the run in this file, and what it has measured of it.

    What is `asked` for beside, if anything, must be what the run was begun with. Raises UsageError
    if it isn't, if the machine is another, or if a transport can't run any more; ResultsError for a
    bad file.
    """
    started_s = time.monotonic()
    results = store.load(path)
    if results.intent is None:
        raise UsageError(f"{path} holds no plan to go on with; measure anew")
    if asked is not None:
        _check_asked(path, results.intent, asked)
    for case in map(Case.parse, results.intent.cases):
        reason = _transport_of(case, path, results).unavailable()
        if reason is not None:
            raise UsageError(f"{path} can't be gone on with: {case.transport}: {reason}")
    for placement, cpus in results.intent.cpus.items():
        if cpus is not None and checked_cpus(cpus) != cpus:
            raise UsageError(f"{path} can't be gone on with: no CPUs {cpus} for {placement}")
    recorded = [launch.facts for launch in results.launches()]
    elapsed_s = max((float(launch["run_elapsed_s"]) for launch in recorded), default=0.0)
    plan = plan_of(results.intent, line, started_s, elapsed_s)
    if is_complete(plan, results):
        plan = replace(plan, notes=[f"nothing of {path} is left to measure"])
    if recorded:
        _check_machine(path, recorded[0], plan.run.metadata)
        plan.run.metadata.update(
            {name: recorded[0][name] for name in INHERITED if name in recorded[0]}
        )
    return plan, results


def _transport_of(case: Case, path: Path, results: Results) -> Transport:
    """The transport of a case. Raises UsageError, with the package that it came from."""
    try:
        return get_transport(case.transport)
    except UsageError as error:
        packages = [
            str(launch.facts[PACKAGE_KEY])
            for launch in results.launches()
            if launch.case.transport == case.transport and PACKAGE_KEY in launch.facts
        ]
        of_it = f"{case.transport} was of {packages[0]}; " if packages else ""
        raise UsageError(f"{path} can't be gone on with: {of_it}{error}") from error


def is_complete(plan: Plan, results: Results) -> bool:
    """Whether every launch of the plan is recorded."""
    finished = results.finished()
    return all(
        case.id in results.unmeasured or len(finished.get(case, ())) >= plan.run.rounds
        for case in plan.run.cases
    )


def _check_asked(path: Path, intent: Intent, asked: Request) -> None:
    """Checks that what is asked for is what the run was begun with. Raises UsageError."""
    difference = (
        _difference_of_plans(intent, asked)
        if intent.request is None
        else _difference_of_requests(path, intent, asked)
    )
    if difference is not None:
        raise UsageError(
            f"{path} was begun with {difference} than these options ask for; leave them out to go"
            " on with it, or measure anew"
        )


def _difference_of_requests(path: Path, intent: Intent, asked: Request) -> str | None:
    try:
        begun = Request.parse(intent.request)
    except ResultsError as error:
        raise ResultsError(f"{path} can't be gone on with by these options: {error}") from error
    # The question names the program, which may be another that asks for the same.
    begun = replace(begun, seed=intent.seed, question=asked.question)
    return begun.difference(asked)


def _difference_of_plans(intent: Intent, asked: Request) -> str | None:
    """The difference to a plan that was stored without its request, by files of before."""
    seed = intent.seed if asked.seed is None else asked.seed
    return intent.difference(planned(replace(asked, seed=seed), CommandLine("", "")).intent)


def _check_machine(path: Path, then: Mapping[str, object], now: Mapping[str, object]) -> None:
    # A run without plug-ins has no fact of them; one with them differs from it all the same.
    then, now = ({PLUGINS_KEY: "none", **facts} for facts in (then, now))
    for name in SAME_TO_RESUME:
        if name in then and name in now and then[name] != now[name]:
            raise UsageError(
                f"{path} was begun with {name.replace('_', ' ')} {then[name]} and this is"
                f" {now[name]}; launches of both aren't one run: measure anew"
            )
