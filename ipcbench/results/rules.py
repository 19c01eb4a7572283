"""Rules for single values of a file: what is wanted, in words, and a test of it. Pure."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ipcbench.results.histogram import Histogram

_SHOWN = 60
"""Most characters of a wrong value in a message."""


class ValueRule(NamedTuple):
    """A requirement on a value, as a text for messages and as a test."""

    wanted: str
    fits: Callable[[Any], bool]


def whole(least: int, most: int | None = None) -> ValueRule:
    """A whole number within these bounds; without `most` of any size."""
    wanted = f"a whole number from {least} to {most}"
    if most is None:
        wanted = f"a whole number of at least {least}"
    return ValueRule(
        wanted,
        lambda value: type(value) is int and least <= value and (most is None or value <= most),
    )


def number(least: float, most: float) -> ValueRule:
    """A number within these bounds, so neither infinite nor undefined."""
    wanted = f"a number from {least:g} to {most:g}"
    return ValueRule(wanted, lambda value: type(value) in (int, float) and least <= value <= most)


def one_of(*known: str) -> ValueRule:
    """One of these texts."""
    return ValueRule(" or ".join(map(repr, known)), lambda value: value in known)


def like(pattern: re.Pattern[str], wanted: str) -> ValueRule:
    """A text that is this pattern as a whole."""
    return ValueRule(
        wanted, lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))
    )


def histogram(of: str) -> ValueRule:
    """The text of a histogram of at least one sample."""
    return ValueRule(f"a histogram of {of}", _is_histogram)


def each(rule: ValueRule) -> ValueRule:
    """A list of values that all fit a rule."""
    return ValueRule(
        f"a list, each item {rule.wanted}",
        lambda value: isinstance(value, list) and all(map(rule.fits, value)),
    )


def optional(rule: ValueRule) -> ValueRule:
    """A value that fits a rule, or none (`null`)."""
    return ValueRule(f"{rule.wanted}, or null", lambda value: value is None or rule.fits(value))


def checked(value: object, rule: ValueRule) -> Any:
    """The value, if it fits the rule; ValueError with what was wanted otherwise."""
    if not rule.fits(value):
        raise ValueError(f"{repr(value)[:_SHOWN]} is not {rule.wanted}")
    return value


def _is_histogram(value: object) -> bool:
    try:
        return isinstance(value, str) and Histogram.parse(value).total > 0
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_text(value) or (type(value) is int and abs(value) < 2**63)


NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""A name of a transport, a run or a metadata key."""

TEXT = ValueRule("a text", _is_text)
FLAG = ValueRule("true or false", lambda value: type(value) is bool)
SCALAR = ValueRule("a finite number or a text", _is_scalar)
POSITIVE = ValueRule(
    "a positive number", lambda value: type(value) in (int, float) and 0 < value < 1e9
)
CPU_PAIR = ValueRule(
    "a list of two CPUs",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(whole(0).fits, value)),
)
"""The CPUs of the client and of the server."""
