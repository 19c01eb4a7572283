"""Sizes, times and rates: the only module that converts units.

Inside ipcbench a size is a whole number of bytes and a time is a float of seconds.
These functions read what a person types and write what a person reads.
"""

import re

from ipcbench.errors import UsageError

_SIZE_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"([0-9]{1,18})(?:([kmg]?)| ?([kmg]i)?b)", re.IGNORECASE)
_DECIMAL_UNIT = re.compile(r"[0-9]+(?:\.[0-9]+)? ?([kmg])b", re.IGNORECASE)
_BROKEN_SIZE = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(?:([kmg])| ?([kmg])ib)", re.IGNORECASE)
_SIZE_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
_DURATION_FACTORS = {"": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_DURATION_RATIOS = {
    "": (1, 1),
    "s": (1, 1),
    "m": (60, 1),
    "ns": (1, 10**9),
    "us": (1, 10**6),
    "ms": (1, 10**3),
}
"""Multipliers and divisors: 5 / 10**6 is 5e-06 exactly, and 5 * 1e-6 isn't."""
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|)")
_NO_TIME = re.compile(r"0+(ns|us|ms|s|m|)")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_RATE_FACTORS = {"": 1, "k": 1000, "m": 1_000_000}
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([km]?)")
_TIME_STEPS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_RATE_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))

MEBIBYTE_BYTES = 1024**2


def parse_size(text: str, what: str = "message size") -> int:
    """Bytes meant by `64`, `1k`, `64K`, `1m` or, as tables have it, `64 KiB`; k is 1024.

    UsageError for anything else. `what` is the name of such a size in the error.
    """
    text = text.strip()
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{what} {text!r} {_why_no_size(text)}")
    return int(match[1]) * _SIZE_FACTORS[(match[2] or match[3] or "").lower().removesuffix("i")]


def _why_no_size(text: str) -> str:
    """The end of the message for a text that isn't a size: what is wrong, and what to type."""
    decimal = _DECIMAL_UNIT.fullmatch(text)
    if decimal is not None:
        prefix = decimal[1]
        factor, binary = _SIZE_FACTORS[prefix.lower()], f"{prefix.upper()}iB"
        return (
            f"could be of 1000s or of 1024s; {prefix.lower()} is {factor} here:"
            f" write it like 1{prefix.lower()} or 1{binary}, or in bytes"
        )
    broken = _BROKEN_SIZE.fullmatch(text)
    if broken is not None:
        whole, decimals, *units = broken.groups(default="")
        digits = int(whole + decimals) * _SIZE_FACTORS["".join(units).lower()]
        size_bytes, rest = divmod(digits, 10 ** len(decimals))
        if size_bytes and not rest:
            return f"is not written as a whole number; write it as {size_bytes}"
    return "is not a whole number of bytes above 0; write it like 64, 1k, 64KiB or 1m (k is 1024)"


def parse_sizes(text: str) -> tuple[int, ...]:
    """Bytes meant by a list like `64,1k`; UsageError if it is empty or names a size twice."""
    if not text.strip():
        raise UsageError("the list of message sizes is empty; write it like 64,1k,64k")
    sizes: list[int] = []
    for part in text.split(","):
        size = parse_size(part)
        if size in sizes:
            raise UsageError(f"message size {part.strip()!r} is named twice; name it once")
        sizes.append(size)
    return tuple(sizes)


def parse_rate(text: str) -> float:
    """Messages a second meant by `10000`, `10k` or `1.5m`: k is 1000 here.

    UsageError for anything else, and for 0.
    """
    match = _RATE.fullmatch(text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise UsageError(
            f"rate {text.strip()!r} is not a number of messages a second above 0; write it like"
            " 500, 10k or 1.5m (k is 1000)"
        )
    thousandths = round(float(match[1]) * 1000)  # 1.001 * 1000 is no whole number of floats
    return thousandths * _RATE_FACTORS[match[2]] / 1000


def two_digits(rate_per_s: float) -> int:
    """A whole rate of two significant digits, at least 1: 93,456 is 93,000."""
    return max(1, round(float(f"{rate_per_s:.2g}")))


def format_size(size_bytes: int) -> str:
    """The shortest spelling that `parse_size` reads back: 1024 is `1k`, 1000 is `1000`."""
    for suffix, factor in reversed(_SIZE_FACTORS.items()):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor}{suffix}"
    return "0"


def display_size(size_bytes: float) -> str:
    """A size for people, exact: `64 B`, `1 KiB`, `1536 KiB`, `16385 B`; `parse_size` reads it.

    No two sizes share a name, or two tables would have one heading.
    """
    size = int(size_bytes)
    for factor, unit in _SIZE_UNITS:
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def display_amount(amount_bytes: float) -> str:
    """An amount of memory for people, rounded: `64 B`, `6.2 KiB`, `1.5 MiB`."""
    for factor, unit in _SIZE_UNITS:
        if amount_bytes >= factor:
            return f"{_trim(amount_bytes / factor)} {unit}"
    return f"{_trim(amount_bytes)} B"


def parse_duration(text: str) -> float:
    """Seconds meant by `30`, `30s`, `50ms`, `20us` or `2m`; UsageError unless it is above 0."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{text.strip()!r} is not a time above 0; write it like 50ms, 30s or 2m")
    times, parts = _DURATION_RATIOS[match[2]]
    return float(match[1]) * times / parts


def parse_span(text: str) -> float:
    """Seconds meant by `20us` or `0`; UsageError for what is no time."""
    return 0.0 if _NO_TIME.fullmatch(text.strip()) else parse_duration(text)


def format_duration(seconds: float) -> str:
    """A spelling that `parse_span` reads back exactly: 0.01 is `10ms`, 30.0 is `30s`."""
    if seconds == 0:
        return "0"
    exact = f"{seconds:.15f}".rstrip("0").rstrip(".")
    unit = next((unit for unit in ("s", "ms", "us") if seconds >= _DURATION_FACTORS[unit]), "ns")
    spellings = (f"{seconds / _DURATION_FACTORS[unit]:g}{unit}", f"{exact}s")
    for spelling in spellings:
        if _DURATION.fullmatch(spelling) and parse_duration(spelling) == seconds:
            return spelling
    return spellings[-1]


def display_time(seconds: float) -> str:
    """A time for people, with three significant digits: `44.1 µs`."""
    value, unit = _scaled(seconds, _TIME_STEPS)
    return f"{three_digits(value)} {unit}"


def tick_time(seconds: float) -> str:
    """A time at an axis, without trailing zeros: `100 µs`, `1.5 ms`."""
    value, unit = _scaled(seconds, _TIME_STEPS)
    return f"{value:.3g} {unit}"


def tick_rate(per_second: float) -> str:
    """A rate of messages at an axis, without trailing zeros: `100k/s`, `1.5M/s`."""
    value, prefix = _scaled(per_second, _RATE_STEPS)
    return f"{value:.3g}{prefix}/s"


def tick_bandwidth(bytes_per_second: float) -> str:
    """A rate of payload in MiB/s at an axis, without trailing zeros: `0.5`, `2,000`."""
    return f"{float(f'{bytes_per_second / MEBIBYTE_BYTES:.3g}'):,g}"


def display_left(seconds: float) -> str:
    """A time still to wait, for people, in whole seconds: `45 s`, `2 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def display_age(seconds: float) -> str:
    """A time that has passed, for people, in its largest unit: `3 days`, `1 hour`."""
    for unit, unit_s in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds / unit_s)
        if count:
            return f"{count:,} {unit}{'s' * (count > 1)}"
    return "less than a minute"


def display_rate(per_second: float) -> str:
    """A rate of messages for people, with three significant digits: `22.7k/s`."""
    value, prefix = _scaled(per_second, _RATE_STEPS)
    return f"{three_digits(value)}{prefix}/s"


def display_bandwidth(bytes_per_second: float) -> str:
    """A rate of payload for people, always in MiB/s so that a column compares at a glance."""
    return f"{three_digits(bytes_per_second / MEBIBYTE_BYTES)}"


def display_percent(share: float) -> str:
    """A share for people: 0.034 is `3.4%`, 0.34 is `34%`."""
    percent = share * 100
    return f"{percent:.1f}%" if percent < 9.95 else f"{percent:.0f}%"


def display_growth(slope: float) -> str:
    """The growth of a delay for people, by the seconds that it gains each second.

    `delay grows 0.30 s a second`; empty where it doesn't grow.
    """
    text = f"{slope:,.{2 if slope >= 0.1 else 3}f}"
    return f"delay grows {text} s a second" if float(f"{slope:.3f}") > 0 else ""


def display_change(share: float) -> str:
    """A change for people, with its sign: 0.034 is `+3.4%`, -0.34 is `-34%`."""
    percent = share * 100
    return f"{percent:+.1f}%" if abs(percent) < 9.95 else f"{percent:+.0f}%"


def parse_percent(text: str) -> float:
    """The share meant by `2%` or `0.5%`; UsageError unless it is above 0."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{text.strip()!r} is not a share above 0; write it like 2%")
    return float(match[1]) / 100


def format_percent(share: float) -> str:
    """A spelling that `parse_percent` reads back: 0.02 is `2%`."""
    return f"{float(f'{share * 100:.12g}'):f}".rstrip("0").rstrip(".") + "%"


def three_digits(number: float) -> str:
    """A number with three significant digits and never an exponent: 1234.5 is `1,234`."""
    decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{decimals}f}"


def _trim(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """A value in the largest unit that it fills, or else in the smallest, and that unit.

    What three digits round up to a unit fills it: 999.5 ns is `1.00 µs`.
    """
    *larger, smallest = steps
    filled = (step for step in larger if value >= step[0] * 0.9995)
    factor, unit = next(filled, smallest)
    return value / factor, unit
