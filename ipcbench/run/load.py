"""The stages of a load: peaks first, then the rates up to them.

How fast a mechanism can go at most is measured like any other case: a closed loop with as many
messages in flight as it can have. Its cases are in the same file as those of the rates, and go on
in their rounds, so that the peak is of the same minutes as the rates that are shares of it.
"""

import math
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.measure import drivers
from ipcbench.results.intent import Intent
from ipcbench.results.load import OBJECTIVE_KEY
from ipcbench.results.store import Results
from ipcbench.run.choice import Choice, choose, no_open_loop
from ipcbench.run.facts import CommandLine
from ipcbench.run.plan import PRESETS, SEEDS, Plan, plan_of
from ipcbench.run.request import Request
from ipcbench.run.sizing import expected_calibration_s, expected_launch_s
from ipcbench.system.cpus import allowed_cpus
from ipcbench.terms import Term
from ipcbench.text import counted
from ipcbench.transports.base import Traffic
from ipcbench.transports.registry import get_transport
from ipcbench.units import parse_percent, parse_rate, two_digits
from ipcbench.workloads import (
    ARRIVALS,
    CLIENTS,
    DEFINITIONS,
    MOST_PER_S,
    RATE,
    SERVER,
    WINDOW,
    Workload,
    settings_of,
    settled_workload,
)

Depths = Callable[[Sequence[Case]], Mapping[Case, int]]
"""Most messages in flight of each case, whose workload has the window that is wanted."""

MOST_IN_FLIGHT = 64
"""Messages in flight where that many can be: the peak of most mechanisms needs fewer."""
_PEAK_ROUNDS = 3
"""Launches by which the peak is known well enough to take shares of it."""
_FEWEST_ROUNDS = 3
_MOST_ROUNDS = 20
_OF_SEARCHES = 0.5
"""Share of a budget that the rates which are asked for may take, where more are searched for."""
_MARGIN = 0.93
"""Share of a budget that is planned for: a last round may take longer than it was expected to."""


def planned_load(request: Request, line: CommandLine, depths: Depths) -> Plan:
    """The plan of the first stage: the peaks. Raises UsageError for whatever can't be done."""
    started_s = time.monotonic()
    choice = _chosen(request)
    peaks = _peaks(choice.possible, request, depths)
    usual = PRESETS["load"]
    rounds = request.rounds or _rounds_that_fit(request, peaks)
    intent = Intent(
        cases=tuple(case.id for case in peaks),
        rounds=min(rounds, _PEAK_ROUNDS),
        seed=secrets.randbelow(SEEDS) if request.seed is None else request.seed,
        values=request.values or usual.values,
        warmups=request.warmups,
        min_time_s=request.min_time_s or usual.min_time_s,
        timeout_s=request.timeout_s,
        baseline=choice.baseline,
        cpus=choice.cpus,
        target_ratio=None,
        budget_s=request.budget_s,
        question=request.question,
        request=replace(request, rounds=rounds).as_json(),
    )
    plan = plan_of(intent, line, started_s)
    if request.objective is not None:
        plan.run.metadata[OBJECTIVE_KEY] = request.objective
    extent = f"{counted(_count_of_cases(request, peaks), 'case')}, {counted(rounds, 'round')}"
    return replace(plan, impossible=choice.impossible, notes=[*choice.notes, extent, *plan.notes])


def next_stage(plan: Plan, results: Results) -> Plan | None:
    """The plan that follows this one of a load, which is complete; None if nothing does."""
    request = Request.parse(plan.intent.request)
    cases = [Case.parse(case) for case in plan.intent.cases]
    peaks = peaks_per_s(results)
    if any(case.arrivals is not None for case in cases):
        return _searching(plan, results, peaks, request) if request.objective else None
    rated = [
        _at_rate(peak, kind, rate)
        for peak in cases
        if peak in peaks
        for kind in _kinds(request)
        for rate in sorted({rate_of(text, peaks[peak]) for text in request.rates})
    ]
    return _extended(plan, rated, request.rounds or plan.intent.rounds) if rated else None


def _searching(
    plan: Plan, results: Results, peaks: Mapping[Case, float], request: Request
) -> Plan | None:
    """The plan with the next rate of each search; None if all are at their ends."""
    from ipcbench.run.capacity import next_tries  # loads pandas, for an objective alone

    loads = [case for case in map(Case.parse, plan.intent.cases) if case.arrivals is not None]
    known, rounds = set(loads), plan.intent.rounds
    groups = {
        (peak, kind): [case for case in loads if _is_of(case, peak, kind)]
        for peak in peaks
        for kind in _kinds(request)
    }
    whole = {
        key: group
        for key, group in groups.items()
        if group and not any(case.id in results.unmeasured for case in group)
    }
    more, again = [], dict(plan.intent.again)
    of_groups = {key: peaks[key[0]] for key in whole}
    for (peak, kind), rate in next_tries(
        whole, of_groups, request.objective or "", rounds, results
    ):
        case = _at_rate(peak, kind, rate)
        if case in known:
            again[case.id] = again.get(case.id, 0) + rounds
        else:
            more.append(case)
    if not more and again == plan.intent.again:
        return None
    return _extended(plan, more, rounds, again)


def _is_of(case: Case, peak: Case, kind: "_Kind") -> bool:
    """Whether a load is at a rate up to this peak, and of this kind."""
    rate = 0 if case.arrivals is None else round(case.arrivals.rate_per_s)
    return case == _at_rate(peak, kind, rate)


class _Kind(NamedTuple):
    """What loads of one peak differ in, beside their rate."""

    arrivals: str
    clients: int = 1
    server: str | None = None

    @property
    def of_clients(self) -> dict[str, str]:
        """The knobs of the clients."""
        served = {} if self.server is None else {SERVER.name: self.server}
        return {CLIENTS.name: str(self.clients), **served}


def _kinds(request: Request) -> list[_Kind]:
    """The kinds of loads that are asked for."""
    return [
        _Kind(arrivals, clients, request.server if clients > 1 else None)
        for clients in request.concurrency or (1,)
        for arrivals in request.arrivals
    ]


def peaks_per_s(results: Results) -> dict[Case, float]:
    """The most messages a second of each closed loop that was measured, in the median launch."""
    values_s: dict[Case, list[float]] = {}
    for launch in results.counted():
        if launch.case.workload_name == "latency":
            values_s.setdefault(launch.case, []).append(launch.time_s / launch.case.flow.window)
    return {case: 1 / statistics.median(each) for case, each in values_s.items()}


def _extended(
    plan: Plan, more: Sequence[Case], rounds: int, again: Mapping[str, int] | None = None
) -> Plan:
    """The plan with these cases too, so many rounds of all, and more of those seen again."""
    cases, again = [*(Case.parse(case) for case in plan.intent.cases), *more], again or {}
    intent = replace(
        plan.intent, cases=tuple(case.id for case in cases), rounds=rounds, again=again
    )
    run = replace(plan.run, cases=cases, rounds=rounds, again=again)
    return replace(plan, intent=intent, run=run, notes=())


def _chosen(request: Request) -> Choice:
    """The cases that a load can be of, at any rate, without the controls: they answer at once.

    Raises UsageError if there are none.
    """
    if len(allowed_cpus()) == 1:
        raise UsageError(no_open_loop())
    most = max(_kinds(request), key=lambda kind: kind.clients)
    if request.server is not None and most.clients == 1:
        raise UsageError(
            f"--server {request.server} is how several clients are served; give --concurrency, too"
        )
    workloads = (_term("load", most.of_clients),)
    choice = choose(replace(request, workloads=workloads, concurrency=()))
    plain = [case._replace(workload="load") for case in choice.possible]
    possible = [case for case in plain if not get_transport(case.transport).is_control]
    if not possible:
        reasons = [reason for _, reason in choice.impossible]
        raise UsageError(reasons[0] if reasons else "a control answers at once; name a mechanism")
    impossible = [
        one for one in choice.impossible if not get_transport(one[0].transport).is_control
    ]
    return choice._replace(possible=possible, impossible=impossible)


def _peaks(possible: Sequence[Case], request: Request, depths: Depths) -> list[Case]:
    """The closed loops that find the peaks, each with as many in flight as can be."""
    work = dict(_settings_of_work(request))
    plain = {case: case._replace(workload=_term("latency", work)) for case in possible}
    wanted = dict.fromkeys(possible, request.in_flight or MOST_IN_FLIGHT)
    windowed = {
        case: case._replace(workload=_term("latency", {WINDOW.name: str(count), **work}))
        for case, count in wanted.items()
        if count > 1 and _can_overlap(case, count)
    }
    most = depths(list(windowed.values()))
    peaks = []
    for case in possible:
        count = most.get(windowed[case], 1) if case in windowed else 1
        settings = {WINDOW.name: str(count)} if count > 1 else {}
        peaks.append(plain[case]._replace(workload=_term("latency", settings | work)))
    return peaks


def _can_overlap(case: Case, count: int) -> bool:
    """Whether both the closed and the open loop can have so many messages in flight."""
    both: tuple[Workload, ...] = ("latency", "load")
    for workload in both:
        windowed = case._replace(workload=_term(workload, {WINDOW.name: str(count)}))
        reason = drivers.rejects(windowed)
        if reason or get_transport(case.transport).rejects(Traffic.of(windowed)):
            return False
    return True


def _at_rate(peak: Case, kind: _Kind, rate: int) -> Case:
    """The open loop at a rate, with as many in flight and as much work as its peak was found by.

    The peak is that of one link, and the window that of all links together.
    """
    settings = {
        RATE.name: str(min(rate, MOST_PER_S)),
        ARRIVALS.name: kind.arrivals,
        **kind.of_clients,
        **settings_of(peak.workload),
    }
    return peak._replace(workload=_term("load", settings))


def rate_of(text: str, peak_per_s: float) -> int:
    """Messages a second meant by a share of the peak, of two digits, or by a rate as it is."""
    if text.endswith("%"):
        return min(two_digits(parse_percent(text) * peak_per_s), MOST_PER_S)
    return round(parse_rate(text))


def _settings_of_work(request: Request) -> Mapping[str, str]:
    return {} if request.work is None else {"work": request.work}


def _term(workload: Workload, settings: Mapping[str, str]) -> str:
    """The canonical term of a workload with these knobs, those that it has."""
    known = {knob.name for knob in DEFINITIONS[workload].knobs}
    kept = tuple(one for one in settings.items() if one[0] in known)
    return str(settled_workload(Term(workload, kept)))


def _count_of_cases(request: Request, peaks: Sequence[Case]) -> int:
    return len(peaks) * (1 + len(request.rates) * len(_kinds(request)))


def _expected(peak: Case, request: Request) -> list[Case]:
    """A case for each rate that is asked for, for how long it takes: a share as its peak does."""
    return [
        peak if text.endswith("%") else _at_rate(peak, kind, round(parse_rate(text)))
        for text in request.rates
        for kind in _kinds(request)
    ]


def _rounds_that_fit(request: Request, peaks: Sequence[Case]) -> int:
    """Rounds that fit the budget. Raises UsageError if fewer fit than say anything."""
    usual = PRESETS["load"]
    values, min_time_s = request.values or usual.values, request.min_time_s or usual.min_time_s
    expected = [case for peak in peaks for case in (peak, *_expected(peak, request))]
    round_s = sum(expected_launch_s(case, values, request.warmups, min_time_s) for case in expected)
    budget_s, calibration_s = request.budget_s or math.inf, expected_calibration_s(peaks)
    share = _MARGIN * (_OF_SEARCHES if request.objective else 1)
    rounds = (budget_s * share - calibration_s) / round_s
    if rounds < _FEWEST_ROUNDS:
        needed_s = math.ceil((round_s * _FEWEST_ROUNDS + calibration_s) / share)
        raise UsageError(
            f"a budget of {budget_s:g} s doesn't fit {_FEWEST_ROUNDS} rounds of"
            f" {counted(_count_of_cases(request, peaks), 'case')}; give at least {needed_s}s, or"
            " fewer rates or transports"
        )
    return min(_MOST_ROUNDS, int(rounds))
