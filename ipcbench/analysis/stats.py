"""What launches say about a case. Pure: numbers in, numbers out.

The launch is the unit of evidence (Georges, Buytaert & Eeckhout 2007; Kalibera & Jones 2013): a
launch counts once, by the median of its values, however many messages it sent.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

_Round = TypeVar("_Round")


class Spread(NamedTuple):
    """Where launches lie, in the unit they were given in."""

    least: float
    lower_quartile: float
    median: float
    upper_quartile: float
    most: float

    @property
    def relative_iqr(self) -> float:
        """The interquartile range as a share of the median: half of all launches lie in it."""
        return (self.upper_quartile - self.lower_quartile) / self.median


def spread(launches: Sequence[float]) -> Spread:
    """The five-number summary of at least one launch, quartiles by linear interpolation."""
    ordered = sorted(launches)
    if len(ordered) == 1:
        (only,) = ordered
        return Spread(only, only, only, only, only)
    lower, median, upper = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(ordered[0], lower, median, upper, ordered[-1])


def paired_ratio(case: Mapping[_Round, float], baseline: Mapping[_Round, float]) -> float | None:
    """The median over rounds of case / baseline, each within one round; None without a pair.

    Both map a round to its launch. Pairing by round cancels the machine's slow drift.
    """
    rounds = case.keys() & baseline.keys()
    if not rounds:
        return None
    return statistics.median(case[key] / baseline[key] for key in rounds)
