"""Transports of other packages: the entry points of the group `ipcbench.transports`.

An entry point's name is the transport's; its value is a Transport, or a class of one. They are
looked up for `list` and for a name that isn't built in, and loaded when named or listed. Whatever
is wrong with one is a sentence about it, and never the end of the program.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import NamedTuple, Protocol

from ipcbench.errors import UsageError
from ipcbench.transports.base import Origin, Transport

GROUP = "ipcbench.transports"
SWITCH = "IPCBENCH_NO_PLUGINS"
"""Environment variable that turns the look-up off, in workers too."""

_TEXTS = ("name", "summary", "waits", "copies", "source")


class _EntryPoint(Protocol):
    """What is used of importlib.metadata.EntryPoint."""

    @property
    def value(self) -> str: ...

    def load(self) -> object: ...


class Plugin(NamedTuple):
    """A transport's name, and the packages that provide it: one, unless they collide."""

    name: str
    points: Sequence[tuple[Origin, _EntryPoint]]

    @property
    def packages(self) -> str:
        """The packages, with their versions."""
        return " and ".join(str(origin) for origin, _ in self.points)


Rehearsal = Callable[[Callable[[], object]], str | None]
"""Does some work where it can do no harm; returns what is wrong with it, None if nothing is."""

_rehearsals: list[Rehearsal] = []
_refused: dict[str, str] = {}


def rehearse_with(rehearsal: Rehearsal) -> None:
    """Has every plug-in loaded there first, so that one that ends its process doesn't end this."""
    _rehearsals[:] = [rehearsal]


def switch_off() -> None:
    """Turns the look-up off, in this process and those that it starts."""
    os.environ[SWITCH] = "1"


def are_off() -> bool:
    """Whether the look-up is turned off."""
    return os.environ.get(SWITCH, "") not in ("", "0")


def found() -> Mapping[str, Plugin]:
    """The plug-ins that are installed, by name; imports none of them."""
    return {} if are_off() else _installed()


@cache
def _installed() -> Mapping[str, Plugin]:
    from importlib import metadata  # costs a worker of a built-in transport nothing

    points: dict[str, dict[Origin, _EntryPoint]] = {}
    for point in metadata.entry_points(group=GROUP):
        package = point.dist
        origin = Origin(package.name, package.version) if package else Origin("unknown", "0")
        points.setdefault(point.name, {})[origin] = point
    return {name: Plugin(name, tuple(sorted(points[name].items()))) for name in sorted(points)}


def load(plugin: Plugin) -> Transport:
    """Imports the plug-in and makes its transport. Raises UsageError with what is wrong with it."""
    name, points = plugin.name, plugin.points
    if len(points) > 1:
        raise UsageError(
            f"transport {name!r} is provided by {plugin.packages}; uninstall all but one"
        )
    if name not in _refused:
        for rehearsal in _rehearsals:
            reason = rehearsal(lambda: _rehearsed(plugin))
            if reason is not None:
                _refused[name] = _one_line(reason)
    if name in _refused:
        raise _unusable(plugin, _refused[name])
    try:
        return _made(plugin)
    except UsageError as error:
        _refused[name] = str(error)
        raise _unusable(plugin, _refused[name]) from error


def _unusable(plugin: Plugin, reason: str) -> UsageError:
    return UsageError(f"transport {plugin.name!r} of {plugin.packages} can't be used: {reason}")


def _rehearsed(plugin: Plugin) -> None:
    """Makes the transport, and asks it what is asked of each that is listed."""
    transport = _made(plugin)
    transport.unavailable()
    transport.system_limits()


def _made(plugin: Plugin) -> Transport:
    """The transport, once it is seen to be one. Raises UsageError with what is wrong with it."""
    ((origin, point),) = plugin.points
    try:
        with redirect_stdout(StringIO()):  # documents go to stdout, and nothing else
            value = point.load()
            made = value() if isinstance(value, type) else value
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{point.value} can't be loaded: {type(error).__name__}: {_one_line(str(error))}"
        ) from error
    if not isinstance(made, Transport):
        raise UsageError(f"{point.value} is {type(made).__name__}, and no Transport")
    fault = fault_of(made)
    if fault is not None:
        raise UsageError(f"{point.value}: {fault}")
    if made.name != plugin.name:
        raise UsageError(
            f"{point.value} calls itself {made.name!r}, and its entry point {plugin.name!r}"
        )
    made.settle()
    made.origin = origin
    return made


def fault_of(transport: Transport) -> str | None:
    """The first thing that a transport lacks of what each is asked for; None if it has all."""
    for attribute in _TEXTS:
        text: object = getattr(transport, attribute, None)
        if not isinstance(text, str) or not text:
            return f"it has no `{attribute}`, which must be a text"
        if len(text.splitlines()) != 1 or not text.isprintable():
            return f"its `{attribute}` must be one line"
    groups = getattr(transport, "groups", None)
    if not isinstance(groups, tuple) or not groups or not all(map(_is_name, groups)):
        return "its `groups` must be a tuple with one name at least, of a-z, 0-9 and hyphens"
    if not _is_name(transport.name.partition(":")[0]):  # its knobs, if some are set, are behind it
        return f"its name {transport.name!r} has more in it than a-z, 0-9 and hyphens"
    return None


def _is_name(text: object) -> bool:
    """Whether it is words of a-z and 0-9 with single hyphens between them."""
    return (
        isinstance(text, str)
        and text.isascii()
        and text == text.lower()
        and all(word.isalnum() for word in text.split("-"))
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
