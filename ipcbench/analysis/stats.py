"""Estimates, intervals and verdicts from the times of launches. Pure: numbers in, numbers out.

The launch is the unit of evidence (Georges, Buytaert & Eeckhout 2007, "Statistically rigorous Java
performance evaluation"; Kalibera & Jones 2013, "Rigorous benchmarking in reasonable time"): it
counts once, by the median of its values, however many messages it sent.

Intervals are those of a median from order statistics, interpolated after Hettmansperger & Sheather
(1986, "Confidence intervals based on interpolated order statistics"). They assume nothing of the
shape of the launches but that they are independent; `docs/methodology.md` has the simulation in
which they, and not the bootstrap or Student's t, had the coverage they claim.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import exp, log
from typing import Literal, NamedTuple, TypeVar

_Round = TypeVar("_Round")

Verdict = Literal["faster", "slower", "~"]

CONFIDENCE = 0.95
FEWEST_LAUNCHES = 6
"""Below this even [least, most] covers a median less often than 95 % (5 launches: 93.75 %)."""
FALSE_DISCOVERY_RATE = 0.05
_BISECTIONS = 25


class Spread(NamedTuple):
    """The five-number summary of launches, in the unit of its input."""

    least: float
    lower_quartile: float
    median: float
    upper_quartile: float
    most: float

    @property
    def relative_iqr(self) -> float:
        """The interquartile range, which holds half of all launches, as a share of the median."""
        return (self.upper_quartile - self.lower_quartile) / self.median


class Interval(NamedTuple):
    """A 95 % confidence interval of a median."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    interval: Interval | None
    """None with too few launches."""

    @property
    def bounds(self) -> Interval:
        """The interval, or the number itself at both ends."""
        return self.interval or Interval(self.value, self.value)

    def times(self, factor: float) -> "Estimate":
        """This number multiplied by a factor above 0."""
        return self._map(lambda number: number * factor)

    def into(self, amount: float) -> "Estimate":
        """An amount above 0 divided by this number."""
        return self._map(lambda number: amount / number)

    def share_left_by(self, amount: float) -> "Estimate":
        """The share of this number that is left without an amount."""
        return self._map(lambda number: 1 - amount / number)

    def _map(self, change: Callable[[float], float]) -> "Estimate":
        """This number changed by a function that only rises, or only falls."""
        if self.interval is None:
            return Estimate(change(self.value), None)
        return Estimate(change(self.value), Interval(*sorted(map(change, self.interval))))


class Ratio(NamedTuple):
    """A case's time over the baseline's, within the same rounds; below 1 the case is faster."""

    estimate: float
    interval: Interval | None
    """The 95 % interval; None with fewer than FEWEST_LAUNCHES pairs."""
    p_value: float | None
    """Probability of at least such a difference by chance (two-sided); None without an interval."""


class Difference(NamedTuple):
    """A case's time less another's, within the same rounds, in the unit of its input."""

    estimate: float
    interval: Interval | None
    """The 95 % interval; None with fewer than FEWEST_LAUNCHES pairs."""


def spread(launches: Sequence[float]) -> Spread:
    """The five-number summary of at least one launch, quartiles by linear interpolation."""
    ordered = sorted(launches)
    if len(ordered) == 1:
        (only,) = ordered
        return Spread(only, only, only, only, only)
    lower, median, upper = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(ordered[0], lower, median, upper, ordered[-1])


def median_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the median the values are drawn around; None for too few of them."""
    if len(values) < FEWEST_LAUNCHES:
        return None
    return _interval_at(sorted(values), CONFIDENCE)


def estimated(values: Sequence[float]) -> Estimate:
    """The median of at least one value, with its interval."""
    return Estimate(statistics.median(values), median_interval(values))


def paired_ratio(case: Mapping[_Round, float], baseline: Mapping[_Round, float]) -> Ratio | None:
    """The median over rounds of case / baseline, each within one round; None without a pair.

    Both map a round to its launch. Pairing by round cancels the machine's slow drift.
    """
    return _ratio([log(case[key] / baseline[key]) for key in case.keys() & baseline.keys()])


def alternating_ratio(
    case: Mapping[_Round, Sequence[float]], baseline: Mapping[_Round, Sequence[float]]
) -> Ratio | None:
    """The median over rounds of case / baseline, for launches that alternated their batches.

    Both map a round to the batches of its launch; None without a round in common. The ratio of a
    round is the median over its turns of one batch against the other of that turn, which cancels
    changes of the machine that last longer than a turn. If the counts of batches differ, it is the
    ratio of their medians.
    """
    rounds = case.keys() & baseline.keys()
    return _ratio([_log_ratio(case[key], baseline[key]) for key in rounds])


def alternating_difference(
    case: Mapping[_Round, Sequence[float]], other: Mapping[_Round, Sequence[float]]
) -> Difference | None:
    """The median over rounds of case - other, paired as in `alternating_ratio`.

    None without a round in common.
    """
    rounds = case.keys() & other.keys()
    if not rounds:
        return None
    differences = [_difference(case[key], other[key]) for key in rounds]
    return Difference(statistics.median(differences), median_interval(differences))


def _difference(case: Sequence[float], other: Sequence[float]) -> float:
    if len(case) != len(other):
        return statistics.median(case) - statistics.median(other)
    return statistics.median(one - beside for one, beside in zip(case, other, strict=True))


def _log_ratio(case: Sequence[float], baseline: Sequence[float]) -> float:
    if len(case) != len(baseline):
        return log(statistics.median(case) / statistics.median(baseline))
    return statistics.median(log(one / other) for one, other in zip(case, baseline, strict=True))


def _ratio(unordered_logs: Sequence[float]) -> Ratio | None:
    """The ratio from the logarithms of the ratios of rounds; None for none."""
    if not unordered_logs:
        return None
    logs = sorted(unordered_logs)
    estimate = exp(statistics.median(logs))
    interval = median_interval(logs)
    if interval is None:
        return Ratio(estimate, None, None)
    return Ratio(estimate, Interval(exp(interval.low), exp(interval.high)), _p_value(logs))


def verdicts(ratios: Sequence[Ratio | None], noise_floor: float = 0.0) -> list[Verdict | None]:
    """The verdict of each ratio of one table; None if there are too few launches.

    `faster` or `slower` needs all three: the interval excludes 1; the difference exceeds the
    machine's noise floor (a share, 0.02 is 2 %); and the p-value passes Benjamini & Hochberg's
    (1995) procedure over the table, so that at most 5 % of such verdicts are false.
    """
    p_values = [ratio.p_value for ratio in ratios if ratio and ratio.p_value is not None]
    limit = discovery_limit(p_values)
    return [_verdict(ratio, limit, noise_floor) for ratio in ratios]


def discovery_limit(p_values: Sequence[float]) -> float:
    """The largest p-value that Benjamini & Hochberg's procedure lets pass; 0 if none."""
    passed = [
        p
        for rank, p in enumerate(sorted(p_values), 1)
        if p <= FALSE_DISCOVERY_RATE * rank / len(p_values)
    ]
    return max(passed, default=0.0)


def fewest_launches(comparisons: int) -> int:
    """The fewest launches with which one difference among so many can be more than chance.

    With fewer even the least possible p-value, 2/2^n, fails the strictest step of Benjamini &
    Hochberg's procedure: a verdict then takes several differences at once.
    """
    count = FEWEST_LAUNCHES
    while 2 / 2**count > FALSE_DISCOVERY_RATE / comparisons:
        count += 1
    return count


def is_within(ratio: float, noise_floor: float) -> bool:
    """Whether a ratio is no further from 1 than equal things are."""
    return abs(log(ratio)) <= log(1 + noise_floor)


def _verdict(ratio: Ratio | None, limit: float, noise_floor: float) -> Verdict | None:
    if ratio is None or ratio.interval is None or ratio.p_value is None:
        return None
    within_floor = is_within(ratio.estimate, noise_floor)
    if within_floor or ratio.p_value > limit or ratio.interval.low <= 1 <= ratio.interval.high:
        return "~"
    return "faster" if ratio.estimate < 1 else "slower"


@cache
def _coverage(count: int) -> tuple[float, ...]:
    """Probability that [d-th least, d-th most] of the values covers the median, d = 1, 2, ..."""
    below, choices, covered = 0, 1, []
    for depth in range(1, count // 2 + 1):
        below += choices
        choices = choices * (count - depth + 1) // depth  # C(count, depth), from the one before
        covered.append(1 - 2 * below / 2**count)
    return tuple(covered)


def _interval_at(ordered: Sequence[float], confidence: float) -> Interval:
    """The interpolated interval of this confidence, at most that of [least, most]."""
    count, coverage = len(ordered), _coverage(len(ordered))
    depth = max((d for d, covered in enumerate(coverage, 1) if covered >= confidence), default=1)
    if depth == len(coverage):
        return Interval(ordered[depth - 1], ordered[-depth])
    wide, narrow = coverage[depth - 1], coverage[depth]
    share = max(0.0, (wide - confidence) / (wide - narrow))
    weight = (count - depth) * share / (depth + (count - 2 * depth) * share)
    return Interval(
        ordered[depth - 1] + weight * (ordered[depth] - ordered[depth - 1]),
        ordered[-depth] - weight * (ordered[-depth] - ordered[-depth - 1]),
    )


def _p_value(ordered: Sequence[float]) -> float:
    """1 - the highest confidence at which the interval still excludes 0 (by bisection)."""
    included, excluded = _coverage(len(ordered))[0], 0.0
    if not _contains_zero(_interval_at(ordered, included)):
        return 1 - included
    for _ in range(_BISECTIONS):
        middle = (included + excluded) / 2
        if _contains_zero(_interval_at(ordered, middle)):
            included = middle
        else:
            excluded = middle
    return 1 - excluded


def _contains_zero(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high
