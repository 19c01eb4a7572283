"""Makes the tables of docs/methodology.md on how often each kind of interval holds the truth.

Run it from the checkout: `.venv/bin/python tools/coverage.py` (about a minute, seeded).

Launches of a case and of its baseline are drawn, paired by round, from shapes that real launches
have; each method gives its 95 % interval for the ratio; a table says how often it held the truth.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ipcbench.analysis.stats import Ratio, median_interval, paired_ratio, verdicts

Logs = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Logs]

SEED = 20261124
TRIES = 10_000
LAUNCHES = (6, 7, 8, 10, 15, 20, 30)
RESAMPLES = 500
STUDENT_T = {6: 2.5706, 7: 2.4469, 8: 2.3646, 10: 2.2622, 15: 2.1448, 20: 2.0930, 30: 2.0452}
"""The 97.5 % quantiles of Student's t with n - 1 degrees of freedom."""


def log_normal(random: np.random.Generator, shape: tuple[int, int]) -> Logs:
    """Log-normal noise of 5 %."""
    return random.normal(0, 0.05, shape)


def skewed(random: np.random.Generator, shape: tuple[int, int]) -> Logs:
    """Skewed noise: mostly near the minimum, sometimes much slower."""
    return random.exponential(0.08, shape)


def bimodal(random: np.random.Generator, shape: tuple[int, int]) -> Logs:
    """Bimodal noise: three launches in ten take twice as long, one mode a launch."""
    return random.normal(0, 0.01, shape) + 0.7 * (random.random(shape) < 0.3)


def rare_mode(random: np.random.Generator, shape: tuple[int, int]) -> Logs:
    """Rarely bimodal noise: one launch in ten takes twice as long."""
    return random.normal(0, 0.01, shape) + 0.7 * (random.random(shape) < 0.1)


def quiet(random: np.random.Generator, shape: tuple[int, int]) -> Logs:
    """Log-normal noise of 1 %."""
    return random.normal(0, 0.01, shape)


PAIRS: dict[str, tuple[Draw, Draw]] = {
    "log-normal": (log_normal, log_normal),
    "skewed": (skewed, skewed),
    "bimodal": (bimodal, bimodal),
    "rare mode": (rare_mode, rare_mode),
    "skewed / quiet": (skewed, quiet),
    "bimodal / log-normal": (bimodal, log_normal),
    "drifting": (log_normal, log_normal),
}


def logs_of_ratios(random: np.random.Generator, name: str, shape: tuple[int, int]) -> Logs:
    """The logarithms of case / baseline for tries x launches; drift is common to both."""
    case, baseline = PAIRS[name]
    drift = np.cumsum(random.normal(0, 0.05, shape), axis=1) if name == "drifting" else 0.0
    return (case(random, shape) + drift) - (baseline(random, shape) + drift)


def interpolated(logs: Logs) -> tuple[Logs, Logs]:
    """Intervals from interpolated order statistics, which ipcbench uses."""
    intervals = [median_interval(row) for row in logs.tolist()]
    return (
        np.array([interval.low for interval in intervals if interval]),
        np.array([interval.high for interval in intervals if interval]),
    )


def student(logs: Logs) -> tuple[Logs, Logs]:
    """Student's t intervals of the logarithms; they are for the mean, not the median."""
    count = logs.shape[1]
    half = STUDENT_T[count] * logs.std(axis=1, ddof=1) / math.sqrt(count)
    return logs.mean(axis=1) - half, logs.mean(axis=1) + half


def bootstrap(random: np.random.Generator, logs: Logs) -> tuple[Logs, Logs]:
    """Bootstrap intervals: percentiles of resampled medians."""
    tries, count = logs.shape
    medians = np.empty((RESAMPLES, tries))
    for row in range(RESAMPLES):
        picked = random.integers(0, count, logs.shape)
        medians[row] = np.median(np.take_along_axis(logs, picked, axis=1), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975), axis=0)
    return low, high


def covered(bounds: tuple[Logs, Logs], truth: float) -> str:
    """Percentage of intervals that hold the truth."""
    low, high = bounds
    return f"{np.mean((low <= truth) & (truth <= high)) * 100:.1f}"


def coverage_table(random: np.random.Generator) -> list[str]:
    """The table of coverage: a row for each shape and number of launches."""
    lines = [
        "| case / baseline | launches | interpolated order statistics | bootstrap | Student's t |",
        "|---|---|---|---|---|",
    ]
    for name in PAIRS:
        many = logs_of_ratios(random, name, (1_000_000, 1))
        median, mean = float(np.median(many)), float(many.mean())
        for count in LAUNCHES:
            logs = logs_of_ratios(random, name, (TRIES, count))
            shares = (
                covered(interpolated(logs), median),
                covered(bootstrap(random, logs), median),
                covered(student(logs), mean),
            )
            lines.append(f"| {name} | {count} | {' | '.join(shares)} |")
    return lines


def false_verdict_table(random: np.random.Generator) -> list[str]:
    """The table of false verdicts among 10 ratios, 5 of which are truly 1.

    The false discovery rate is the mean over tables of the share of its verdicts that are false (0
    for a table without any).
    """
    lines = [
        "| case / baseline | launches | false discovery rate | differences of 10 % found |",
        "|---|---|---|---|",
    ]
    tables, size, same = TRIES // 20, 10, 5
    for name in ("log-normal", "skewed", "bimodal", "drifting"):
        for count in (6, 8, 10, 20):
            false_shares, found = [], 0
            for _ in range(tables):
                logs = logs_of_ratios(random, name, (size, count))
                logs[same:] += math.log(1.1)
                ratios: list[Ratio | None] = [
                    paired_ratio(dict(enumerate(np.exp(row))), dict.fromkeys(range(count), 1.0))
                    for row in logs
                ]
                said = [verdict in {"faster", "slower"} for verdict in verdicts(ratios)]
                false_shares.append(sum(said[:same]) / max(1, sum(said)))
                found += sum(said[same:])
            share = float(np.mean(false_shares))
            power = found / (tables * (size - same))
            lines.append(f"| {name} | {count} | {share * 100:.1f} % | {power * 100:.0f} % |")
    return lines


def main() -> None:
    """Prints both tables as Markdown."""
    random = np.random.default_rng(SEED)
    print("\n".join(coverage_table(random)))
    print()
    print("\n".join(false_verdict_table(random)))


if __name__ == "__main__":
    main()
