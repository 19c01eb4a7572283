"""Shell completion, by argcomplete (extra `completion`).

`eval "$(register-python-argcomplete ipcbench)"` in bash or zsh turns it on.
"""

import argparse
from collections.abc import Callable, Iterable

from ipcbench.case import LOOPS, PLACEMENTS
from ipcbench.transports import plugins
from ipcbench.transports.registry import groups, names
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


_NAMES = (*names(), *plugins.found())
_COMPLETERS: dict[str, Completer] = {
    "transports": _any_of([*_NAMES, *(f"@{group}" for group in groups())]),
    "baseline": _any_of(_NAMES),
    "workloads": _list_of(WORKLOADS),
    "loops": _list_of(LOOPS),
    "placements": _list_of(PLACEMENTS),
}
