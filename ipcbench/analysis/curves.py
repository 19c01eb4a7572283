"""What pictures are drawn from: points over sizes, percentiles, time and placements. Pure.

Each function takes the frames of `analysis.frame` and answers with a frame of one row a point, in
base units. What has no number has no point.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from ipcbench.analysis.frame import histogram_of
from ipcbench.analysis.histogram import Histogram
from ipcbench.case import Case, placement_of_cpus

CACHES = ("l1d", "l2", "l3")
_PERCENTILE_STEPS = 10
"""Points of a percentile curve from one power of ten to the next."""
_MOST_DECADES = 7
_TOLD_BEYOND = (2.0, 10.0, 100.0, 1_000.0, 10_000.0)
"""The 50th, 90th, 99th, 99.9th and 99.99th percentile, each as 1 / (1 - share)."""


def timed(cases: pd.DataFrame) -> pd.DataFrame:
    """The mechanisms that have a time, with `low_s` and `high_s`: its interval, or the time."""
    kept = cases[(cases["status"] == "measured") & (cases["role"] == "mechanism")]
    kept = kept[(kept["time_median_s"] > 0).astype(bool)]
    return kept.assign(
        low_s=_or(kept, "time_interval_low_s", "time_median_s"),
        high_s=_or(kept, "time_interval_high_s", "time_median_s"),
    )


def streamed(cases: pd.DataFrame) -> pd.DataFrame:
    """`timed` of one-way streams that carry payload, with `bytes_per_s` and its interval."""
    kept = timed(cases)
    kept = kept[(kept["workload"] == "throughput") & (kept["message_size_bytes"] > 0)]
    size = kept["message_size_bytes"]
    return kept.assign(
        bytes_per_s=size / kept["time_median_s"],
        low_bytes_per_s=size / kept["high_s"],
        high_bytes_per_s=size / kept["low_s"],
    )


def against_native(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with the loop in Python that were measured with the one in C too.

    `low` and `high` are the ratio's interval, or the ratio where it has none.
    """
    kept = cases[(cases["time_to_native_ratio"].notna()) & (cases["role"] == "mechanism")]
    return kept.assign(
        low=_or(kept, "time_to_native_low_ratio", "time_to_native_ratio"),
        high=_or(kept, "time_to_native_high_ratio", "time_to_native_ratio"),
    )


def with_cpus(cases: pd.DataFrame) -> pd.DataFrame:
    """`timed` of the cells of a matrix, with the CPUs `client` and `server`."""
    kept = timed(cases)
    pairs = {str(name): placement_of_cpus(str(name)) for name in set(kept["placement"])}
    named = {name: pair for name, pair in pairs.items() if pair is not None}
    kept = kept[kept["placement"].isin(list(named))]
    ends = [named[str(name)] for name in kept["placement"]]
    return kept.assign(client=[client for client, _ in ends], server=[server for _, server in ends])


def percentile_curves(launches: pd.DataFrame) -> pd.DataFrame:
    """Percentiles of single round trips: `beyond` is 1 / (1 - share), `is_told` marks the usual.

    A percentile has a point where enough samples lie beyond it.
    """
    rows = []
    mechanisms = launches[launches["role"] == "mechanism"] if len(launches) else launches
    for name, group in mechanisms.groupby("case", sort=False) if len(launches) else ():
        histogram = histogram_of(group)
        if histogram is not None:
            fields = {"case": str(name)} | Case.parse(str(name))._asdict()
            rows += [fields | point for point in _points(histogram)]
    columns = ["case", *Case._fields, "beyond", "time_s", "is_told"]
    return pd.DataFrame(rows, columns=columns)


def _points(histogram: Histogram) -> Iterator[dict[str, Any]]:
    even = (10 ** (step / _PERCENTILE_STEPS) for step in range(_MOST_DECADES * _PERCENTILE_STEPS))
    for every, is_told in ((even, False), (_TOLD_BEYOND, True)):
        kept = [beyond for beyond in every if histogram.supports(1 - 1 / beyond)]
        times_ns = histogram.percentiles_ns([1 - 1 / beyond for beyond in kept])
        for beyond, time_ns in zip(kept, times_ns, strict=True):
            if time_ns > 0:
                yield {"beyond": beyond, "time_s": time_ns * 1e-9, "is_told": is_told}


def drift(launches: pd.DataFrame) -> pd.DataFrame:
    """Each launch's time over the median of its case in its run: `ratio`."""
    if launches.empty:
        return pd.DataFrame(columns=["run_id", "case", "round", "run_elapsed_s", "ratio"])
    kept = launches[launches["time_s"] > 0]
    medians = kept.groupby(["run_id", "case"])["time_s"].transform("median")
    kept = kept.assign(ratio=kept["time_s"] / medians)
    return kept[["run_id", "case", "round", "run_elapsed_s", "ratio"]]


def drift_by_round(points: pd.DataFrame) -> pd.DataFrame:
    """What `drift` says of all cases of a round together: `median`, and quartiles around it."""
    rounds = points.groupby("round")
    return pd.DataFrame(
        {
            "run_elapsed_s": rounds["run_elapsed_s"].median(),
            "low": rounds["ratio"].quantile(0.25),
            "median": rounds["ratio"].median(),
            "high": rounds["ratio"].quantile(0.75),
        }
    ).reset_index()


def caches_bytes(launches: pd.DataFrame) -> dict[str, int]:
    """The sizes of the CPU's caches, by `l1d`, `l2`, `l3`; only those that were recorded."""
    found = {}
    for name in CACHES:
        key = f"cache_{name}_bytes"
        if key in launches and launches[key].notna().any():
            found[name] = int(launches[key].dropna().iloc[-1])
    return found


def ends(sizes: Iterable[int]) -> list[int]:
    """The smallest and the largest of these sizes: once, where they are one."""
    different = sorted(set(sizes))
    return list(dict.fromkeys([*different[:1], *different[-1:]]))


def _or(frame: pd.DataFrame, wanted: str, otherwise: str) -> pd.Series:
    """A column with another's values where it has none; it may have none at all."""
    return frame[wanted].astype("Float64").fillna(frame[otherwise].astype("Float64"))
