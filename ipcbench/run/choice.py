"""The cases that a request means on this machine, and those that can't be, with the reason."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ipcbench.case import (
    DEFAULT_LOOP,
    DEFAULT_PLACEMENT,
    Case,
    Loop,
    Placement,
    parse_workload,
)
from ipcbench.errors import UsageError
from ipcbench.measure import drivers
from ipcbench.run.request import Request
from ipcbench.run.variation import varied
from ipcbench.rungs import BY_NAME
from ipcbench.system.cpus import (
    Cpus,
    all_placements,
    allowed_cpus,
    default_placement,
    placement_cpus,
    placement_of,
)
from ipcbench.system.limits import too_large
from ipcbench.terms import Term
from ipcbench.transports.base import Traffic
from ipcbench.transports.registry import canonical, chosen, get_transport, transports
from ipcbench.transports.registry import names as registered
from ipcbench.workloads import CLIENTS, DEFAULT_WORKLOADS, definition_of, name_of, place_of

_DEFAULT_BASELINE = "inet"
_MOST_NAMED = 9
"""Most transports that a message names: all that connect, and the first of those that stream."""


class Choice(NamedTuple):
    """The cases chosen, before rounds and budget are set."""

    possible: list[Case]
    impossible: list[tuple[Case, str]]
    cpus: dict[Placement, Cpus | None]
    baseline: str
    notes: list[str]


def choose(request: Request) -> Choice:
    """Chooses the possible cases, with CPUs and baseline, and tells why others can't be."""
    values = varied(request.vary, grid=request.grid)
    wanted, unknown = _wanted(request, values.transports)
    missing = _missing(wanted) if request.rungs else {}
    runnable = [name for name in wanted if name not in missing]
    names, notes = _transports(runnable, _named(request, values.transports))
    workloads, unasked = _workloads(request, values.workloads)
    if request.matrix:
        workloads = _matrix_workloads(request)
        names = wanted
    _check_workloads(workloads, wanted)
    # Other interpreters are asked whether they have a loop.
    loops, without = (request.loops, []) if request.pythons else _loops(request.loops)
    cpus, elsewhere = _placements(request)
    possible, impossible = [], []
    planned = _cases([*missing, *names], workloads, request, loops, tuple(cpus))
    for case in planned:
        if not _is_in_only(case, request.only):
            continue
        reason = missing.get(case.transport) or _limit(case, cpus[case.placement])
        if reason is None:
            possible.append(case)
        else:
            impossible.append((case, reason))
    if impossible and not possible and all(too_large(size) for size in request.sizes):
        raise UsageError(impossible[0][1])
    baseline = _baseline(request.baseline, names, values.transports)
    return Choice(
        possible, impossible, cpus, baseline, unknown + notes + unasked + without + elsewhere
    )


def _is_in_only(case: Case, only: Mapping[str, Sequence[str]] | None) -> bool:
    """Whether the request is for this transport in this workload; see `Request.only`."""
    if only is None:
        return True
    return case.transport in only.get(case.workload, only.get(case.workload_name, ()))


def _wanted(request: Request, varied: Sequence[str]) -> tuple[list[str], list[str]]:
    """The transports that were asked for, or else the usual ones, in the order of every list.

    Of the usual ones, those with knobs that this machine doesn't have are left out, with a note,
    and those that it has as well without a knob.
    """
    if request.rungs:
        return _of_rungs(request), []
    if request.transports or varied:
        return chosen(request.transports, varied), []
    usual, notes = [], []
    for text in request.usual_transports:
        try:
            is_usual = text.startswith("@") or not get_transport(canonical(text)).is_redundant()
        except UsageError as error:
            notes.append(f"left out: {error}")
            continue
        if is_usual:
            usual.append(text)
    return chosen(usual), notes


def _of_rungs(request: Request) -> list[str]:
    """The transports of the rungs that are asked for, over each family, those that there are.

    Raises UsageError where there is none.
    """
    known, terms = set(registered()), []
    for term in map(Term.parse, request.rungs):
        of_families = BY_NAME[term.name].transports
        named = (of_families[one] for one in request.families if one in of_families)
        terms += [str(term._replace(name=name)) for name in named if name in known]
    if not terms:
        raise UsageError(
            f"{', '.join(request.rungs)}: no such rung over {', '.join(request.families)};"
            " leave --rungs or --families out"
        )
    return chosen(terms)


def _missing(wanted: Sequence[str]) -> dict[str, str]:
    """Those of the transports that can't run here, with the reason."""
    reasons = ((name, get_transport(name).unavailable()) for name in wanted)
    return {name: reason for name, reason in reasons if reason is not None}


def _named(request: Request, varied: Sequence[str]) -> set[str]:
    """The transports that were asked for by name, and not as members of a group."""
    single = (text for text in request.transports if not text.startswith("@"))
    return {*varied, *map(canonical, single)}


def _transports(wanted: Sequence[str], named: Collection[str]) -> tuple[list[str], list[str]]:
    """The names to measure, in the order of every list, and notes on what was left out.

    A transport that can't run is an error if it was asked for by name, and is left out if not. The
    controls are always included.
    """
    controls = [one.name for one in transports() if one.is_control and one.name not in wanted]
    names, notes = [], []
    for name in [*wanted, *controls]:
        reason = get_transport(name).unavailable()
        if reason is None:
            names.append(name)
        elif name in named:
            raise UsageError(f"{name} can't run here: {reason}")
        else:
            notes.append(f"{name} is left out: {reason}")
    return names, notes


def _workloads(request: Request, varied: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The workloads to measure, and a note on those that are usual and left out.

    The usual ones are no request beside workloads that are to be varied.
    """
    asked = request.workloads
    if request.concurrency:
        return _of_clients(asked, request.concurrency), []
    if not varied:
        return asked, []
    left_out = [name for name in asked if name not in varied] if asked == DEFAULT_WORKLOADS else []
    wanted = dict.fromkeys([*(name for name in asked if name not in left_out), *varied])
    notes = [f"{name} is left out: --vary names the workloads" for name in left_out]
    return tuple(sorted(wanted, key=place_of)), notes


def _of_clients(workloads: Sequence[str], numbers: Sequence[int]) -> tuple[str, ...]:
    """Each workload with each number of clients. Raises UsageError for one that can't have them."""
    terms = (
        parse_workload(f"{name}:{CLIENTS.name}={many}") for name in workloads for many in numbers
    )
    return tuple(sorted(dict.fromkeys(terms), key=place_of))


def _check_workloads(workloads: Sequence[str], names: Sequence[str]) -> None:
    """Raises UsageError for a workload that was asked for and that none of the transports has.

    The usual workloads are no such request, unless none of them can be measured.
    """
    lacked = [
        workload
        for workload in workloads
        if not any(get_transport(name).has(workload) for name in names)
    ]
    usual = set(workloads) == set(DEFAULT_WORKLOADS)
    if not lacked or (usual and len(lacked) < len(workloads)):
        return
    workload = lacked[0]
    having = [one.name for one in transports() if one.has(workload) and not one.is_control]
    more = f" and {len(having) - _MOST_NAMED} more" if len(having) > _MOST_NAMED else ""
    first = get_transport(names[0])
    size = first.size_of(name_of(workload), 1)
    reason = first.rejects(Traffic.of(Case(workload, first.name, size)))
    raise UsageError(
        f"nothing that was named can be measured by {workload}: {reason};"
        f" name one of {', '.join(having[:_MOST_NAMED])}{more}:"
        f" compare {having[0]} --workloads {workload}"
    )


def _cases(
    names: Sequence[str],
    workloads: Sequence[str],
    request: Request,
    loops: Sequence[Loop],
    placements: Sequence[Placement],
) -> list[Case]:
    """The cases to measure: workloads that each transport has, with the message sizes it can have.

    A transport that only signals has messages of 0 bytes, and a connection exchanges one byte.
    """
    cases: dict[Case, None] = {}
    for case in plan(names, workloads, request.sizes, loops, placements):
        if _is_left_out(case, request, placements):
            continue
        transport = get_transport(case.transport)
        if transport.is_control and transport.rejects(Traffic.of(case)):
            continue  # it has no messages that a knob could be about
        if transport.is_control and request.concurrency and case.clients.number > 1:
            continue  # nor a server
        if transport.has(case.workload_name):
            size = transport.size_of(case.workload_name, case.message_size_bytes)
            cases[case._replace(message_size_bytes=size)] = None
    return list(cases)


def _is_left_out(case: Case, request: Request, placements: Sequence[Placement]) -> bool:
    """Whether the case has a size or placement that its transport or workload isn't measured at."""
    is_first_size = case.message_size_bytes == request.sizes[0]
    is_first_placement = case.placement == placements[0]
    is_last_placement = case.placement == placements[-1]
    return (
        (case.transport in request.at_first and not (is_first_size and is_first_placement))
        or (case.transport in request.at_last and not (is_first_size and is_last_placement))
        or (case.workload in request.first_size and not is_first_size)
        or (case.workload in request.last_placement and not is_last_placement)
    )


def _loops(asked: Sequence[Loop]) -> tuple[Sequence[Loop], list[str]]:
    """The loops to measure, and notes on what is left out. UsageError if none is left."""
    reasons = {loop: drivers.unavailable(loop) for loop in asked}
    missing = {loop: reason for loop, reason in reasons.items() if reason is not None}
    loops = [loop for loop in asked if loop not in missing]
    if not loops:
        loop, reason = next(iter(missing.items()))
        raise UsageError(f"no {loop} loop here: {reason}; or use --loop {DEFAULT_LOOP}")
    return loops, [f"the {loop} loop is left out: {reason}" for loop, reason in missing.items()]


def _placements(request: Request) -> tuple[dict[Placement, Cpus | None], list[str]]:
    """The CPUs of each placement, and notes on what is left out. UsageError if none is left."""
    if request.cpus:
        if request.placements or request.matrix:
            raise UsageError("--cpus names one pair of CPUs; leave --placement and --matrix out")
        return {placement_of(request.cpus): request.cpus}, []
    named = request.placements or request.usual_placements
    if not named and not request.matrix:
        placement = default_placement()
        alone = ["only one CPU can be used: both ends run on it"]
        return {placement: placement_cpus(placement)}, alone * (placement == "same-core")
    wanted = all_placements() if request.matrix else named
    cpus: dict[Placement, Cpus | None] = {}
    missing: list[UsageError] = []
    for placement in wanted:
        try:
            cpus[placement] = placement_cpus(placement)
        except UsageError as error:
            missing.append(error)
    if not cpus:
        raise missing[0]
    return cpus, [f"a placement is left out: {error}" for error in missing]


def _matrix_workloads(request: Request) -> tuple[str, ...]:
    """The workloads of a matrix: round trips alone. UsageError for what a matrix can't be of."""
    if request.vary:
        raise UsageError("--matrix takes one transport and workload as they are; leave --vary out")
    if len(request.transports) != 1:
        raise UsageError("--matrix takes one transport; write for example: compare pipe --matrix")
    if len(request.pythons) > 1:
        raise UsageError("--matrix is of one interpreter; name one with --python, or leave it out")
    if request.placements:
        raise UsageError("--matrix takes every pair of CPUs; leave --placement out")
    round_trips = tuple(
        name for name in request.workloads if definition_of(name).quantity == "round_trip"
    )
    if not round_trips:
        raise UsageError("--matrix is of round trips; leave --workloads out")
    return round_trips


def _limit(case: Case, cpus: Cpus | None) -> str | None:
    """Reason why the case can't be measured here; None if it can."""
    transport = get_transport(case.transport)
    traffic = Traffic.of(case)
    if transport.spins and (cpus[0] == cpus[1] if cpus else len(allowed_cpus()) == 1):
        return (
            "two ends that spin on one CPU wait whole scheduler slices; use --placement cross-core"
        )
    if case.arrivals and (cpus[0] == cpus[1] if cpus else len(allowed_cpus()) == 1):
        return no_open_loop()
    return (
        drivers.rejects(case)
        or transport.rejects(traffic)
        or too_large(case.message_size_bytes, transport.memory_bytes(traffic))
    )


def no_open_loop() -> str:
    """The reason why an open loop can't be measured on one CPU, and what can be done instead."""
    instead = (
        "use --placement cross-core, or name two by --cpus"
        if len(allowed_cpus()) > 1
        else "only one can be used here: measure a closed loop, compare --workloads latency"
    )
    return (
        "the client of an open loop spins until a message is due, on a CPU of its own, and the"
        f" server needs a second one; {instead}"
    )


def _baseline(asked: str | None, names: Sequence[str], varied: Sequence[str]) -> str:
    if asked is None and varied:
        return varied[0]
    if asked is None:
        return _DEFAULT_BASELINE if _DEFAULT_BASELINE in names else names[0]
    baseline = canonical(asked)
    if baseline not in names:
        raise UsageError(
            f"baseline {asked!r} is not among the measured: {', '.join(names)};"
            " name it as a transport too"
        )
    return baseline


def plan(
    transports: Sequence[str],
    workloads: Sequence[str],
    sizes: Sequence[int],
    loops: Sequence[Loop] = (DEFAULT_LOOP,),
    placements: Sequence[Placement] = (DEFAULT_PLACEMENT,),
) -> tuple[Case, ...]:
    """All cases of a run, in the order of their tables: workload, size, then transport."""
    return tuple(
        Case(workload, transport, size, loop, placement)
        for workload in workloads
        for size in sizes
        for placement in placements
        for transport in transports
        for loop in loops
    )
