"""Histograms of the times of single messages, in buckets at most 1 % wide. Pure.

The buckets are log-linear, as in HdrHistogram (Gil Tene): below 128 ns each nanosecond has its
own; above, each power of two is cut into 128, so that a bucket is at most 1/128 = 0.78 % wide.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

HISTOGRAM_KEY = "round_trip_histogram_ns"
"""Metadata key of a launch's histogram, as text."""
FROM_SENDING_KEY = "histogram_from_send_ns"
"""Metadata key of an open loop's histogram of times from the actual sending to the reply."""
LATENESS_KEY = "histogram_lateness_ns"
"""Metadata key of an open loop's histogram of how late its messages were sent."""

_BITS = 7
_SUBDIVISIONS = 1 << _BITS
_TEXT = re.compile(r"([0-9]{1,18}) ([0-9]{1,18})((?: [0-9]{1,6}:[1-9][0-9]{0,17})+)")
_FEWEST_BEYOND = 10
"""Fewest samples that must exceed a percentile for it to be reported; fewer are chance."""


class Histogram(NamedTuple):
    """Counts of message times in nanoseconds; the least and the most are exact."""

    least_ns: int
    most_ns: int
    counts: dict[int, int]
    """Number of samples by bucket."""

    @classmethod
    def of(cls, samples_ns: Iterable[int]) -> Self:
        """Builds the histogram of at least one sample, none negative."""
        values = Counter(samples_ns)
        counts: Counter[int] = Counter()
        for value, count in values.items():
            counts[bucket_of(value)] += count
        return cls(min(values), max(values), dict(sorted(counts.items())))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses the text that `str` of a histogram gives. Raises ValueError."""
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) > int(match[2]):
            raise ValueError(f"not a histogram: {text[:60]!r}")
        pairs = (pair.split(":") for pair in match[3].split())
        counts = {int(bucket): int(count) for bucket, count in pairs}
        least, most, buckets = int(match[1]), int(match[2]), list(counts)
        ends = bucket_of(least), bucket_of(most)
        if (buckets[0], buckets[-1]) != ends or buckets != sorted(buckets):
            raise ValueError(f"a histogram that contradicts itself: {text[:60]!r}")
        return cls(least, most, counts)

    def __str__(self) -> str:
        pairs = (f"{bucket}:{count}" for bucket, count in self.counts.items())
        return f"{self.least_ns} {self.most_ns} {' '.join(pairs)}"

    @property
    def total(self) -> int:
        """The number of samples."""
        return sum(self.counts.values())

    def merged(self, other: "Histogram") -> "Histogram":
        """The histogram of the samples of both."""
        counts = Counter(self.counts) + Counter(other.counts)
        return Histogram(
            min(self.least_ns, other.least_ns),
            max(self.most_ns, other.most_ns),
            dict(sorted(counts.items())),
        )

    def supports(self, share: float) -> bool:
        """Whether enough samples exceed this share's percentile to report it."""
        return self.total * (1 - share) >= _FEWEST_BEYOND * (1 - 1e-9)

    def percentile_ns(self, share: float) -> float:
        """The time that this share of messages did not exceed, within its bucket's width.

        Computed by nearest rank: the smallest sample with at least that share at or below it.
        """
        (time_ns,) = self.percentiles_ns([share])
        return time_ns

    def percentiles_ns(self, shares: Sequence[float]) -> list[float]:
        """The `percentile_ns` of several shares, which must rise."""
        total, seen, found = self.total, 0, []
        buckets = iter(self.counts.items())
        last: float = self.least_ns
        for share in shares:
            wanted = share * total * (1 - 1e-12)
            while seen < wanted or not seen:
                bucket, count = next(buckets)
                seen += count
                last = min(max(middle_of(bucket), self.least_ns), self.most_ns)
            found.append(last)
        return found


def bucket_of(value_ns: int) -> int:
    """The number of the bucket that holds this time."""
    shift = max(0, value_ns.bit_length() - _BITS - 1)
    return (shift << _BITS) + (value_ns >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The first time in a bucket, and the first time of the next bucket."""
    shift = max(0, (bucket >> _BITS) - 1)
    first = (bucket - (shift << _BITS)) << shift
    return first, first + (1 << shift)


def middle_of(bucket: int) -> float:
    """The middle of the whole nanoseconds that a bucket holds."""
    first, beyond = bounds_of(bucket)
    return (first + beyond - 1) / 2


def percentile_lines(histogram: Histogram) -> Iterator[str]:
    """Yields HdrHistogram's percentile text, in microseconds: a line a bucket, and a foot."""
    yield f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}"
    yield ""
    total, seen, weighted, squared = histogram.total, 0, 0.0, 0.0
    for bucket, count in histogram.counts.items():
        seen += count
        value_us = middle_of(bucket) / 1000
        weighted += value_us * count
        squared += value_us * value_us * count
        share = seen / total
        line = f"{value_us:12.3f} {share:2.12f} {seen:10d}"
        # With very many samples the share of all but a few rounds to 1.
        tail = 1 - share or (total - seen) / total
        yield f"{line} {1 / tail:14.2f}" if seen < total else line
    mean = weighted / total
    deviation = max(0.0, squared / total - mean * mean) ** 0.5
    yield f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]"
    yield f"#[Max     = {histogram.most_ns / 1000:12.3f}, Total count    = {total:12d}]"
    yield f"#[Buckets = {len(histogram.counts):12d}, SubBuckets     = {_SUBDIVISIONS:12d}]"
