"""Ranges, ticks and labels of logarithmic axes. Pure."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

Span = tuple[float, float]

_GRIDS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
"""Leading digits of ticks, from coarse to fine."""
_FEWEST_TICKS = 3
_MOST_TICKS = 8
_STEPS = (1.0, 2.0, 2.5, 5.0)
"""Leading digits of even steps, for a span too short for logarithmic ticks."""


def log_span(values: Sequence[float], margin: float = 1.1) -> Span:
    """The range of positive values, with a margin around it."""
    return min(values) / margin, max(values) * margin


def log_ticks(span: Span, unit: float = 1.0) -> list[float]:
    """Round multiples of `unit` within a span: three to eight, or as near to that as possible."""
    low, high = span[0] / unit, span[1] / unit
    for grid in _GRIDS:
        ticks = list(_grid_ticks(low, high, grid))
        if len(ticks) >= _FEWEST_TICKS:
            thinning = math.ceil(len(ticks) / _MOST_TICKS)
            return [tick * unit for tick in ticks[::thinning]]
    return [tick * unit for tick in _even_ticks(low, high)]


def size_ticks(sizes: Iterable[float]) -> list[float]:
    """The measured sizes, thinned to the ticks that fit; the first and the last are kept."""
    different = sorted(set(sizes))
    thinning = math.ceil(len(different) / _MOST_TICKS)
    kept = different[::thinning]
    if different[-1] not in kept:
        kept[-1] = different[-1]
    return [float(size) for size in kept]


def label_expression(ticks: Sequence[float], text: Callable[[float], str]) -> str:
    """The Vega expression that labels exactly these ticks. Contains no text from a file."""
    labels = ",".join(f"'{text(tick)}'" for tick in ticks)
    values = ",".join(repr(tick) for tick in ticks)
    return f"[{labels}][indexof([{values}], datum.value)]"


def _grid_ticks(low: float, high: float, grid: Sequence[float]) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for digit in grid:
            tick = float(f"{digit}e{power}")  # as it is written: 3e-06, not 2.9999999999999997e-06
            if low <= tick <= high:
                yield tick


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _FEWEST_TICKS
    power = math.floor(math.log10(rough))
    step = max(s * 10.0**power for s in _STEPS if s * 10.0**power <= rough * (1 + 1e-9))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
