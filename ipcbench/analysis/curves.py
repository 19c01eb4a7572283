"""Data points of the charts: over sizes, percentiles, time and placements. Pure.

Each function takes a frame of cases or of launches and returns one with a row a point, in base
units. A case without a number has no point.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from ipcbench.analysis.frame import MEASURED
from ipcbench.analysis.launch_frame import MACHINE, histogram_of
from ipcbench.analysis.load import is_part
from ipcbench.case import Case, placement_of_cpus
from ipcbench.results.histogram import Histogram
from ipcbench.results.metadata import MECHANISM

CACHES = ("l1d", "l2", "l3")
_PERCENTILE_STEPS = 10
"""Points of a percentile curve from one power of ten to the next."""
_MOST_DECADES = 7
_LABELLED_TAILS = (2.0, 10.0, 100.0, 1_000.0, 10_000.0)
"""The labelled percentiles (50th, 90th, 99th, 99.9th, 99.99th), each as 1 / (1 - share)."""


def timed(cases: pd.DataFrame) -> pd.DataFrame:
    """The measured mechanisms, with `low_s` and `high_s`: the interval of the time, or the time.

    Those of the open loop aren't among them.
    """
    kept = cases[(cases["status"] == MEASURED) & (cases["role"] == MECHANISM) & ~is_part(cases)]
    kept = kept[(kept["time_median_s"] > 0).astype(bool)]
    return kept.assign(
        low_s=_or(kept, "time_interval_low_s", "time_median_s"),
        high_s=_or(kept, "time_interval_high_s", "time_median_s"),
    )


def streamed(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with a bandwidth that carry payload: `timed`, `bytes_per_s` and its interval."""
    kept = timed(cases)
    kept = kept[kept["throughput_bytes_per_s"].notna() & (kept["message_size_bytes"] > 0)]
    size = kept["message_size_bytes"]
    return kept.assign(
        bytes_per_s=size / kept["time_median_s"],
        low_bytes_per_s=size / kept["high_s"],
        high_bytes_per_s=size / kept["low_s"],
    )


def against_native(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with the loop in Python that were also measured with the loop in C.

    `low` and `high` are the ratio's interval, or the ratio where it has none.
    """
    kept = cases[(cases["time_to_native_ratio"].notna()) & (cases["role"] == MECHANISM)]
    return kept.assign(
        low=_or(kept, "time_to_native_low_ratio", "time_to_native_ratio"),
        high=_or(kept, "time_to_native_high_ratio", "time_to_native_ratio"),
    )


def with_cpus(cases: pd.DataFrame) -> pd.DataFrame:
    """The measured cases pinned to named CPUs: `timed` and the CPUs `client` and `server`."""
    kept = timed(cases)
    pairs = {str(name): placement_of_cpus(str(name)) for name in set(kept["placement"])}
    named = {name: pair for name, pair in pairs.items() if pair is not None}
    kept = kept[kept["placement"].isin(list(named))]
    ends = [named[str(name)] for name in kept["placement"]]
    return kept.assign(client=[client for client, _ in ends], server=[server for _, server in ends])


def percentile_curves(launches: pd.DataFrame) -> pd.DataFrame:
    """Percentiles of single round trips, a curve a case.

    `inverse_tail` is 1 / (1 - share); `is_labelled` marks the usual percentiles. A percentile has a
    point if enough samples exceed it.
    """
    rows = []
    mechanisms = launches[launches["role"] == MECHANISM] if len(launches) else launches
    each = mechanisms.groupby([MACHINE, "case"], sort=False) if len(launches) else ()
    for (_, name), group in each:
        histogram = histogram_of(group)
        if histogram is not None:
            fields = {"case": str(name)} | Case.parse(str(name))._asdict()
            rows += [fields | point for point in _points(histogram)]
    columns = ["case", *Case._fields, "inverse_tail", "time_s", "is_labelled"]
    return pd.DataFrame(rows, columns=columns)


def _points(histogram: Histogram) -> Iterator[dict[str, Any]]:
    even = (10 ** (step / _PERCENTILE_STEPS) for step in range(_MOST_DECADES * _PERCENTILE_STEPS))
    for every, is_labelled in ((even, False), (_LABELLED_TAILS, True)):
        kept = [inverse_tail for inverse_tail in every if histogram.supports(1 - 1 / inverse_tail)]
        times_ns = histogram.percentiles_ns([1 - 1 / inverse_tail for inverse_tail in kept])
        for inverse_tail, time_ns in zip(kept, times_ns, strict=True):
            if time_ns > 0:
                yield {
                    "inverse_tail": inverse_tail,
                    "time_s": time_ns * 1e-9,
                    "is_labelled": is_labelled,
                }


def drift(launches: pd.DataFrame) -> pd.DataFrame:
    """Each launch's time over the median of its case in its run: `ratio`; without open loops."""
    if launches.empty:
        return pd.DataFrame(columns=["run_id", "case", "round", "run_elapsed_s", "ratio"])
    kept = launches[(launches["time_s"] > 0) & ~is_part(launches)]
    medians = kept.groupby(["run_id", "case"])["time_s"].transform("median")
    kept = kept.assign(ratio=kept["time_s"] / medians)
    return kept[["run_id", "case", "round", "run_elapsed_s", "ratio"]]


def drift_by_round(points: pd.DataFrame) -> pd.DataFrame:
    """The `drift` of all cases of a round together: `median`, and `low` and `high` quartiles."""
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
    """The recorded sizes of the CPU's caches, by `l1d`, `l2`, `l3`."""
    found = {}
    for name in CACHES:
        key = f"cache_{name}_bytes"
        if key in launches and launches[key].notna().any():
            found[name] = int(launches[key].dropna().iloc[-1])
    return found


def ends(sizes: Iterable[int]) -> list[int]:
    """The smallest and the largest size; a single element if they are equal."""
    different = sorted(set(sizes))
    return list(dict.fromkeys([*different[:1], *different[-1:]]))


def _or(frame: pd.DataFrame, wanted: str, otherwise: str) -> pd.Series:
    """The column `wanted`, its missing values filled from the column `otherwise`."""
    return frame[wanted].astype("Float64").fillna(frame[otherwise].astype("Float64"))
