"""Resumes an interrupted run: by its own plan, on the machine it was begun on."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ipcbench.case import Case
from ipcbench.errors import ResultsError, UsageError
from ipcbench.results import store
from ipcbench.results.intent import Intent
from ipcbench.results.metadata import INHERITED, PACKAGE_KEY, PLUGINS_KEY, SAME_TO_RESUME
from ipcbench.results.store import Results
from ipcbench.run import interpreters
from ipcbench.run.facts import CommandLine
from ipcbench.run.plan import Plan, is_complete, plan_of, planned
from ipcbench.run.pythons import labels_of
from ipcbench.run.request import Request
from ipcbench.system.cpus import checked_cpus
from ipcbench.transports.base import Transport
from ipcbench.transports.registry import get_transport


def resumed(
    path: Path, asked: Request | None, line: CommandLine, pythons: Sequence[str] = ()
) -> tuple[Plan, Results]:
    """The plan of the run in this file, and what it has measured of it.

    What is `asked` for beside, if anything, must be what the run was begun with. `pythons` are
    where the run's interpreters are, if it has any: a program that a file names is never started,
    since a file may come from anybody. Raises UsageError if what is asked isn't that, if the
    machine is another, or if a transport can't run any more; ResultsError for a bad file.
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
    others = _interpreters(path, results.intent, pythons)
    recorded = [launch.facts for launch in results.launches()]
    elapsed_s = max((float(launch["run_elapsed_s"]) for launch in recorded), default=0.0)
    plan = plan_of(results.intent, line, started_s, elapsed_s, others)
    if is_complete(plan, results):
        plan = replace(plan, notes=[*plan.notes, f"nothing of {path} is left to measure"])
    if recorded:
        _check_machines(path, results, plan)
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
    begun = _request(path, intent)
    # The question names the program, which may be another that asks for the same.
    begun = replace(begun, seed=intent.seed, question=asked.question)
    if intent.question == "load" and asked.rounds is None:
        asked = replace(asked, rounds=begun.rounds)  # as many as fitted then
    return begun.difference(asked)


def _request(path: Path, intent: Intent) -> Request:
    """The request that the run was begun with. Raises ResultsError for one that can't be read."""
    try:
        return Request.parse(intent.request)
    except ResultsError as error:
        raise ResultsError(f"{path} can't be gone on with by these options: {error}") from error


def _difference_of_plans(intent: Intent, asked: Request) -> str | None:
    """The difference to a plan that was stored without its request, by files of before."""
    seed = intent.seed if asked.seed is None else asked.seed
    return intent.difference(planned(replace(asked, seed=seed), CommandLine("", "")).intent)


def _interpreters(
    path: Path, intent: Intent, pythons: Sequence[str]
) -> Mapping[str, interpreters.Interpreter]:
    """The interpreters that the plan's cases name, at the places that are named now.

    Raises UsageError for one that can't be used, or can't measure a case any more.
    """
    cases = [Case.parse(case) for case in intent.cases]
    named = {case.interpreter for case in cases} - {""}
    if not named and not pythons:
        return {}
    wanted = labels_of(_request(path, intent).pythons) if named else []
    if not named <= set(wanted):
        raise UsageError(f"{path} can't be gone on with: its plan doesn't name its interpreters")
    if labels_of(pythons) != wanted:
        again = ",".join(f"{label}=PATH" for label in wanted)
        those = f"the interpreters {' and '.join(wanted)}" if wanted else "no other interpreters"
        way = f"name each again: --python {again}" if wanted else "leave --python out"
        raise UsageError(f"{path} was begun with {those}; {way}")
    try:
        found = interpreters.asked(pythons, cases)
    except UsageError as error:
        raise UsageError(f"{path} can't be gone on with: {error}") from error
    for case in cases:
        reason = found[case.interpreter].rejects(case) if case.interpreter else None
        if reason is not None:
            raise UsageError(f"{path} can't be gone on with: {case.id}: {reason}")
    return found


def _check_machines(path: Path, results: Results, plan: Plan) -> None:
    """Checks that the machine, and each interpreter, is what it was. Raises UsageError."""
    firsts: dict[str, Mapping[str, object]] = {}
    for launch in results.launches():
        firsts.setdefault(launch.case.interpreter, launch.facts)
    for label, then in firsts.items():
        own = plan.run.facts_of.get(label, {})
        _check_machine(f"{path}, {label}," if label else f"{path}", then, plan.run.metadata | own)


def _check_machine(path: str, then: Mapping[str, object], now: Mapping[str, object]) -> None:
    # A run without plug-ins has no fact of them; one with them differs from it all the same.
    then, now = ({PLUGINS_KEY: "none", **facts} for facts in (then, now))
    for name in SAME_TO_RESUME:
        if name in then and name in now and then[name] != now[name]:
            raise UsageError(
                f"{path} was begun with {name.replace('_', ' ')} {then[name]} and this is"
                f" {now[name]}; launches of both aren't one run: measure anew"
            )
