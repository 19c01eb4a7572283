"""Numbers with their intervals, and lists of names, as sentences have them."""

from collections.abc import Callable, Sequence

from ipcbench import units
from ipcbench.analysis.stats import Estimate

MOST_NAMED = 6
"""Most mechanisms that a sentence names; the tables have all."""


def range_text(low: float, high: float) -> str:
    """Both bounds of a ratio: `0.97 to 1.04`; one of them where both read alike."""
    texts = [units.three_digits(bound) for bound in (low, high)]
    return " to ".join(dict.fromkeys(texts))


def times_text(ratio: float) -> str:
    """A ratio as a factor: `1.90 times`."""
    return f"{units.three_digits(ratio)} times"


def told(estimate: Estimate, text: Callable[[float], str], name: str = "") -> str:
    """A number with its interval, and the mechanism that it is of if there is a name."""
    bounds = (text(bound).removesuffix(" times") for bound in estimate.bounds)
    of = f"{name}; " if name else ""
    return f"{text(estimate.value)} ({of}95%: {' to '.join(dict.fromkeys(bounds))})"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: `unix`, `unix and inet`, `unix, inet and pipe`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
