"""Shell completion, by argcomplete (extra `completion`).

`eval "$(register-python-argcomplete ipcbench)"` in bash or zsh turns it on.
"""

import argparse
from collections.abc import Callable, Iterable

from ipcbench.case import LOOPS, PLACEMENTS
from ipcbench.errors import UsageError
from ipcbench.rungs import FAMILIES, RUNGS
from ipcbench.terms import Choice, Knob
from ipcbench.transports import plugins
from ipcbench.transports.registry import get_transport, groups, names
from ipcbench.workloads import WORKLOADS

Completer = Callable[..., list[str]]


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers the shell's request and exits; returns if argcomplete isn't installed."""
    try:
        import argcomplete
    except ImportError:
        return
    for sub in _with_commands(parser):
        for action in sub._actions:  # noqa: SLF001  (argparse has no public list of them)
            completer = _COMPLETERS.get(action.dest)
            if completer is not None:
                action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options=False)


def _with_commands(parser: argparse.ArgumentParser) -> Iterable[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.values()


def _any_of(names: Iterable[str]) -> Completer:
    """Completes one name of these."""
    known = list(names)

    def offered(prefix: str, **_: object) -> list[str]:
        return [name for name in known if name.startswith(prefix)]

    return offered


def _list_of(names: Iterable[str]) -> Completer:
    """Completes the last name of a comma-separated list, with names not in it yet."""
    known = list(names)

    def offered(prefix: str, **_: object) -> list[str]:
        before, comma, begun = prefix.rpartition(",")
        used = before.split(",")
        rest = [name for name in known if name not in used and name.startswith(begun)]
        return [f"{before}{comma}{name}" for name in rest]

    return offered


def _term_of(names: Iterable[str], *, is_list: bool = False) -> Completer:
    """Completes one name of these, and knobs behind it: `inet:nodelay=on`.

    Their values are completed where they are words. With `is_list` there may be several of them.
    """
    named = _any_of(names)

    def offered(prefix: str, **more: object) -> list[str]:
        before, colon, begun = prefix.rpartition(":")
        if not colon:
            return named(prefix, **more)
        knob, equals, value = begun.partition("=")
        knobs = _knobs_of(before.partition(":")[0])
        if not equals:
            used = {part.partition("=")[0] for part in before.split(":")[1:]}
            found = [f"{name}=" for name in knobs if name not in used and name.startswith(knob)]
            return [f"{before}:{one}" for one in found]
        known = _words_of(knobs.get(knob))
        values = _list_of(known) if is_list else _any_of(known)
        return [f"{before}:{knob}={one}" for one in values(value)]

    return offered


def _knobs_of(name: str) -> dict[str, Knob]:
    """The knobs of a transport, by name; none of an unknown one, nor of a plug-in."""
    if name in plugins.found():
        return {}  # to know them it would have to be imported
    try:
        return {knob.name: knob for knob in get_transport(name).all_knobs}
    except UsageError:
        return {}


def _words_of(knob: Knob | None) -> list[str]:
    """The values of a knob that are words, as this machine has them."""
    return list(knob.kind.known()) if knob is not None and isinstance(knob.kind, Choice) else []


_NAMES = (*names(), *plugins.found())
_COMPLETERS: dict[str, Completer] = {
    "transports": _term_of([*_NAMES, *(f"@{group}" for group in groups())]),
    "baseline": _term_of(_NAMES),
    "vary": _term_of(_NAMES, is_list=True),
    "families": _list_of(FAMILIES),
    "rungs": _list_of(rung.name for rung in RUNGS),
    "workloads": _list_of(WORKLOADS),
    "loops": _list_of(LOOPS),
    "placements": _list_of(PLACEMENTS),
}
