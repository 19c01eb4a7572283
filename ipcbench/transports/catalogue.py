"""The text of `ipcbench list` and `ipcbench explain`. Prints nothing."""

from collections.abc import Callable, Iterator, Mapping
from textwrap import wrap
from typing import NamedTuple

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.transports.base import Transport, Trap
from ipcbench.transports.registry import (
    get_transport,
    groups,
    plugged_in,
    spelled_out,
    transports,
)

_COLUMNS = 80

_CONTROLS = "controls"
_TITLES = {
    "sockets": "Sockets",
    "pipes": "Pipes",
    "sysv": "System V",
    "posix": "POSIX",
    "linux": "Linux",
    "python": "Python's multiprocessing",
    "stack": "The stack: layers that programs put on a socket",
    _CONTROLS: "Controls: what the loop and one copy cost",
}


class InForce(NamedTuple):
    """The values of knobs that both ends of a link read back."""

    client: Mapping[str, str]
    server: Mapping[str, str]


def listed(no_native_loop: str | None) -> Iterator[str]:
    """Every transport under its group, whether it can run here, and why not where it can't.

    `no_native_loop` is the reason why there is no native loop, if there is none.
    """
    for group, title in _titles().items():
        yield title if group == _CONTROLS else f"{title} (@{group})"
        for transport in transports():
            if transport.groups[0] == group:
                yield from _entry(transport)
    yield from _of_other_packages()
    yield ""
    if no_native_loop:
        yield from _wrapped(f"native loop: no: {no_native_loop}", indent=0)
    else:
        yield "native loop: yes, the timed loops in C"


def _entry(transport: Transport) -> Iterator[str]:
    reason = transport.unavailable()
    yield f"  {transport.name:21} {'no ' if reason else 'yes'} {transport.summary}"
    if reason:
        yield from _wrapped(f"can't run here: {reason}", indent=28)


def _of_other_packages() -> Iterator[str]:
    """The plug-ins, under groups of their own; and those that can't be used, with the reason."""
    usable, wrong = plugged_in()
    ours = groups()
    titled: dict[str, list[Transport]] = {}
    for transport in usable.values():
        group = transport.groups[0]
        title = "Others" if group in ours else f"{group.capitalize()} (@{group})"
        titled.setdefault(f"{title}, of other packages", []).append(transport)
    for title in sorted(titled):
        yield title
        for transport in titled[title]:
            yield from _entry(transport)
            yield from _wrapped(f"of {transport.origin}", indent=28)
    if wrong:
        yield "Not to be used"
        for reason in wrong.values():
            yield from _wrapped(reason, indent=2)


def _titles() -> dict[str, str]:
    """The groups that transports are listed in, with titles; one that isn't known has its name."""
    found = dict.fromkeys(transport.groups[0] for transport in transports())
    titles = _TITLES | {group: group.capitalize() for group in found if group not in _TITLES}
    titles[_CONTROLS] = titles.pop(_CONTROLS)  # last
    return {group: title for group, title in titles.items() if group in found}


def _wrapped(text: str, *, indent: int) -> list[str]:
    """The text, wrapped for a terminal of 80 columns."""
    margin = " " * indent
    return wrap(text, _COLUMNS, initial_indent=margin, subsequent_indent=margin + "  ")


def catalogue() -> Iterator[str]:
    """The table of ipcbench/transports/README.md: facts that hold on any machine."""
    yield "| transport | what it is | the reader | copied | source |"
    yield "|---|---|---|---|---|"
    for transport in transports():
        facts = (transport.summary, transport.waits, transport.copies, transport.source)
        yield f"| `{transport.name}` | {' | '.join(facts)} |"


def explained(
    name: str,
    rejects: Callable[[Case], str | None],
    in_force: Callable[[Transport], InForce | str],
) -> Iterator[str]:
    """Every known fact of one transport, with its limits and knobs on this machine now.

    `rejects` returns the reason why a case's loop can't drive it, if it can't. `in_force` makes a
    link, and returns its knobs, or why they can't be known; it is asked if there are any.
    """
    transport = get_transport(name)
    reason = transport.unavailable()
    refused = {loop: _refusal(transport, loop, rejects) for loop in LOOPS}
    facts = {
        "what": transport.summary,
        "the reader": transport.waits,
        "copied": transport.copies,
        "workloads": ", ".join(transport.workloads),
        "loops": ", ".join(loop for loop in LOOPS if refused[loop] is None),
        "groups": ", ".join(f"@{group}" for group in transport.groups),
        "source": transport.source,
        "package": str(transport.origin or "ipcbench itself"),
        "claim": ", ".join(transport.mediums) or "nothing joins the two ends",
        "here": f"can't run: {reason}" if reason else "can run",
    }
    for loop, limit in refused.items():
        if limit is not None:
            facts[f"no {loop} loop"] = limit
    if transport.spins:
        facts["placement"] = "never one CPU for both ends: they would wait whole scheduler slices"
    if str(spelled_out(name)) != name:
        facts = {"stands for": str(spelled_out(name))} | facts
    yield transport.name
    for label, text in (facts | dict(transport.system_limits())).items():
        yield _fact(label, text)
    for trap in transport.traps:
        yield _fact(f"trap {trap.name}", f"{trap.says}; {_avoided(trap, transport)}")
    yield from _knobs(transport, in_force(transport) if transport.knobs else None)


def _knobs(transport: Transport, found: InForce | str | None) -> Iterator[str]:
    """The lines on each knob; `found` is what its link says, if there is something to read back."""
    for knob in transport.knobs:
        yield _fact(f"knob {knob.name}", knob.help)
        yield _fact("  values", knob.kind.described())
        yield _fact("  default", "up to the system" if knob.default is None else knob.default)
        if knob.name in transport.settings:
            yield _fact("  asked", transport.settings[knob.name])
        if isinstance(found, InForce):
            yield _fact("  in force here", _at_both_ends(knob.name, found))
    if isinstance(found, str):
        yield _fact("knobs in force here", f"unknown: {found}")
    for knob in transport.all_knobs[len(transport.knobs) :]:
        yield _fact(f"knob {knob.name}", f"{knob.help}; {knob.kind.described()}")
        if knob.name in transport.settings:
            yield _fact("  asked", transport.settings[knob.name])


def _avoided(trap: Trap, transport: Transport) -> str:
    """How a trap is avoided, as it is written on the command line."""
    base = spelled_out(transport.name).name
    return f"avoid it by {base}:{trap.avoided_by}"


def _at_both_ends(knob: str, found: InForce) -> str:
    """The values of a knob at the ends that can read it back."""
    ends = {"client": found.client.get(knob), "server": found.server.get(knob)}
    known = {side: value for side, value in ends.items() if value is not None}
    if not known:
        return "neither end can read it back"
    if len(known) == 2 and len(set(known.values())) == 1:
        return f"{known['client']} at both ends"
    return ", ".join(f"{value} at the {side}" for side, value in known.items())


def _fact(label: str, text: str) -> str:
    return f"  {label + ':':25} {text}"


def _refusal(transport: Transport, loop: Loop, rejects: Callable[[Case], str | None]) -> str | None:
    """The reason why a loop can drive the transport in none of its workloads; None if in one."""
    reasons = [
        rejects(Case(workload, transport.name, transport.size_of(workload, 1), loop))
        for workload in transport.workloads
    ]
    return None if None in reasons else next(iter(reasons), None)
