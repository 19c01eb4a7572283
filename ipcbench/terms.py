"""The one grammar of what is measured: a name and its knobs, as in `unix:sndbuf=1m`. Pure.

A comma never is part of a term: it separates the items of a list. Values are kept as text in one
canonical spelling, so that equal terms are equal texts, in a case's name as on the command line.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, Self

from ipcbench.errors import UsageError, unknown_name
from ipcbench.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
    parse_span,
)

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_VALUE = r"[A-Za-z0-9_.+-]{1,32}"
TERM_PATTERN = re.compile(rf"{_NAME}(?::{_NAME}={_VALUE}){{0,16}}", re.ASCII)
"""A term as a case's name has it."""
SETTINGS_PATTERN = re.compile(rf"{_NAME}={_VALUE}(?::{_NAME}={_VALUE}){{0,63}}", re.ASCII)
"""Settings as a term has them behind its name."""


class Term(NamedTuple):
    """A name, and settings of its knobs."""

    name: str
    settings: tuple[tuple[str, str], ...] = ()
    """Names and values, each name once."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The term that is written so. Raises UsageError; knows no names and no knobs."""
        name, *parts = text.split(":")
        settings: dict[str, str] = {}
        if parts and not name:
            raise UsageError(f"{text!r} has no name before its colon; write it like unix:sndbuf=4k")
        for part in parts:
            knob, equals, value = part.partition("=")
            if not part:
                raise UsageError(
                    f"{text!r} has a colon without a knob; write {name}:KNOB=VALUE, or {name} alone"
                )
            if not knob:
                raise UsageError(f"{text!r} has a value without a knob; write {name}:KNOB{part}")
            if not equals or not value:
                raise UsageError(f"{text!r} gives {knob!r} no value; write {name}:{knob}=VALUE")
            if knob in settings:
                raise UsageError(f"{text!r} sets {knob!r} twice; set it once")
            if "," in value:
                raise UsageError(
                    f"{text!r} gives {knob!r} a list; to compare its values write --vary {text}"
                )
            if not re.fullmatch(_VALUE, value, re.ASCII):
                raise UsageError(f"{text!r}: {value!r} is no value of a knob; write it like 64k")
            settings[knob] = value
        return cls(name, tuple(settings.items()))

    def __str__(self) -> str:
        return ":".join([self.name, *(f"{knob}={value}" for knob, value in self.settings)])


def parse_settings(text: str) -> dict[str, str]:
    """Settings as a term has them behind its name: `sndbuf=4k:rcvbuf=8k`. Raises UsageError."""
    return dict(Term.parse(f"-:{text}").settings) if text else {}


def format_settings(settings: Mapping[str, str]) -> str:
    """Settings as a term has them behind its name; empty if there are none."""
    return str(Term("", tuple(settings.items()))).removeprefix(":")


class Kind(Protocol):
    """The values of a knob."""

    def canonical(self, value: str) -> str:
        """The one spelling of this value. Raises UsageError, which says why it is none."""

    def described(self) -> str:
        """The values in words, with the limits in force on this machine."""


class Size(NamedTuple):
    """A number of bytes."""

    least_bytes: int
    most_bytes: Callable[[], int]
    limit: str
    """What sets the most, like `sysctl fs.pipe-max-size`."""

    def canonical(self, value: str) -> str:
        """The shortest spelling: `4k` for 4096."""
        size = parse_size(value, "size")
        most = self.most_bytes()
        if size > most:
            raise UsageError(f"{value} is more than {self.limit} allows, {format_size(most)}")
        if size < self.least_bytes:
            raise UsageError(f"{value} is less than {format_size(self.least_bytes)}")
        return format_size(size)

    def described(self) -> str:
        """The least and the most."""
        most = format_size(self.most_bytes())
        return f"a size, {format_size(self.least_bytes)} to {most} ({self.limit})"


class Whole(NamedTuple):
    """A whole number."""

    least: int
    most: int

    def canonical(self, value: str) -> str:
        """Without leading zeros."""
        if not (value.isascii() and value.isdigit()) or not self.least <= int(value) <= self.most:
            raise UsageError(f"{value!r} doesn't fit")
        return str(int(value))

    def described(self) -> str:
        """The least and the most."""
        return f"a whole number, {self.least} to {self.most}"


class Span(NamedTuple):
    """A time."""

    most_s: float

    def canonical(self, value: str) -> str:
        """In the unit that it fills: `20us`."""
        seconds = parse_span(value)
        if seconds > self.most_s:
            raise UsageError(f"{value} is more than {format_duration(self.most_s)}")
        return format_duration(seconds)

    def described(self) -> str:
        """The most."""
        return f"a time, up to {format_duration(self.most_s)}"


class Rate(NamedTuple):
    """A number of messages a second."""

    most_per_s: int

    def canonical(self, value: str) -> str:
        """All its digits: `10000`, since `10k` is 10240 where bytes are meant."""
        rate_per_s = parse_rate(value)
        if rate_per_s > self.most_per_s:
            raise UsageError(f"{value} is more than {self.most_per_s} a second")
        if not rate_per_s.is_integer():
            raise UsageError(f"{value} isn't a whole number a second")
        return str(int(rate_per_s))

    def described(self) -> str:
        """The most."""
        return f"messages a second, 1 to {self.most_per_s}, written like 10k (10000)"


class Choice(NamedTuple):
    """One of a few words, which the machine may decide."""

    known: Callable[[], Sequence[str]]

    def canonical(self, value: str) -> str:
        """The word itself."""
        words = self.known()
        if value not in words:
            raise UsageError(f"{value!r} is not known here")
        return value

    def described(self) -> str:
        """The words."""
        return " or ".join(self.known()) or "no value on this machine"


def words(*known: str) -> Choice:
    """A choice that is the same on every machine."""
    return Choice(lambda: known)


class Knob(NamedTuple):
    """A parameter of a transport or of a workload."""

    name: str
    kind: Kind
    default: str | None
    """The value, as `kind` spells it, where none is asked for; None where the system decides."""
    help: str
    """What it does, in a few words."""


def settled(term: Term, knobs: Iterable[Knob]) -> Term:
    """The canonical spelling of a term with these knobs: in their order, without defaults.

    Raises UsageError for a knob that isn't among them, and for a value that it doesn't take.
    """
    by_name = {knob.name: knob for knob in knobs}
    asked: dict[str, str] = {}
    for name, value in term.settings:
        if name not in by_name:
            if not by_name:
                raise UsageError(
                    f"{str(term)!r}: {term.name} has no knobs; write {term.name} alone"
                )
            raise unknown_name(f"knob of {term.name}", name, by_name)
        try:
            asked[name] = by_name[name].kind.canonical(value)
        except UsageError as error:
            taken = by_name[name].kind.described()
            raise UsageError(f"{str(term)!r}: {error}; {name} takes {taken}") from error
    kept = ((name, asked[name]) for name in by_name if name in asked)
    return Term(
        term.name, tuple((name, value) for name, value in kept if value != by_name[name].default)
    )


def magnitude(value: str) -> tuple[float, str]:
    """The bytes, seconds or number that a value means, and the value: words are sorted last."""
    if value.isascii() and value.isdigit():
        return float(value), value
    for read in (parse_size, parse_duration):
        try:
            return float(read(value)), value
        except UsageError:
            pass
    return float("inf"), value
