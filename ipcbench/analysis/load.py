"""The open loop's numbers: response times at a rate, and whether they mean anything there.

Pure: the launches of a case in, columns of its row out. A response is counted from the intended
time of sending, so that messages that had to wait for a stalled system count as well. Each
percentile is one of a launch; launches count once each, by the median, as everywhere.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd

from ipcbench.analysis.bounds import FULL, Bound, Need, bound
from ipcbench.analysis.launch_frame import Measurements, pooled
from ipcbench.analysis.measures import KEPT_UP
from ipcbench.analysis.stats import Estimate, estimated
from ipcbench.case import Case, is_on_one_cpu
from ipcbench.results.histogram import FROM_SENDING_KEY, HISTOGRAM_KEY, LATENESS_KEY, Histogram
from ipcbench.results.load import (
    ACHIEVED_RATE_KEY,
    COUNT_KEYS,
    OFFERED_RATE_KEY,
    SLOPE_KEY,
    WINDOW_FULL_KEY,
)
from ipcbench.results.metadata import MECHANISM, QUESTION_KEY
from ipcbench.workloads import (
    ARRIVALS,
    arrivals_of,
    clients_of,
    definition_of,
    flow_of,
    settings_of,
)

QUESTION = "load"
"""The question that a run of `ipcbench load` is made for."""

State = Literal["ok", "overloaded", "not steady"]
"""Whether response times mean anything: they do where they don't depend on how long is measured.

`overloaded`: fewer messages were answered than offered. `not steady`: the response time grew."""

GENERATOR_LATE, OVERLOADED, NOT_STEADY = "generator-late", "overloaded", "not-steady"
"""Flags of a case: its messages were sent late, and not since those before were unanswered; and the
two states in which it has no percentiles."""

STEADY_SLOPE = 0.005
"""Most seconds by which a response time may grow each second. Half a percent of what is offered
stays unanswered then."""
LATE_SHARE = 0.1
"""Most lateness of the sender (its p99), as a share of the median response."""
_FULL_SHARE = 0.01
"""Share of messages held back by a full window from which the p99 of the lateness is of those."""

PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999, "max": 1.0}
"""Percentiles of responses, each with its share."""

RESPONSES = tuple(
    f"response_{name}{bound}_s" for name in PERCENTILES for bound in ("", "_low", "_high")
)
FROM_SEND = tuple(f"from_send_{name}_s" for name in PERCENTILES)
LATENESS = ("lateness_p50_s", "lateness_p99_s", "lateness_max_s")
SLOPE = ("delay_slope_ratio", "delay_slope_low_ratio", "delay_slope_high_ratio")
OFFERED, ACHIEVED, STATE = "offered_per_s", "achieved_per_s", "load_state"
PEAK, OF_PEAK = "peak_per_s", "rate_to_peak_ratio"

LOAD_COLUMNS = (
    "rate_per_s",
    "arrivals",
    "window_count",
    OFFERED,
    ACHIEVED,
    PEAK,
    OF_PEAK,
    STATE,
    *RESPONSES,
    *FROM_SEND,
    *LATENESS,
    *SLOPE,
    *COUNT_KEYS,
)
"""The columns of a case of the open loop; empty for every other one.

Percentiles are empty past the knee, where they say how long was measured, and where a launch has
too few messages for them. Counts are those of all launches.
"""


class Judged(NamedTuple):
    """What the launches of a case allow to be told."""

    state: State
    is_generator_late: bool
    """Whether its messages were sent late, and not since those before were unanswered."""
    slope: Estimate


def is_open_loop(workload: object) -> bool:
    """Whether a term is of a workload that sends at a rate, whether it is answered or not."""
    return definition_of(str(workload)).quantity == "response"


def is_part(cases: pd.DataFrame) -> "pd.Series[bool]":
    """Marks the rows of a frame of cases or launches that are of the open loop.

    They stand in tables of their own: rows that differ in their rate are no comparison, and past
    the knee a time says how long was measured.
    """
    return cases["workload"].map(is_open_loop).astype(bool)


def asked_for(results: Measurements) -> bool:
    """Whether any of the results were measured by `ipcbench load`."""
    return any(launch.facts.get(QUESTION_KEY) == QUESTION for launch in results.launches())


def asked_rate(workload: object) -> float:
    """Messages a second that a term of the open loop asks for; 0 for another one."""
    arrivals = arrivals_of(str(workload))
    return 0.0 if arrivals is None else arrivals.rate_per_s


def asked_columns(case: Case) -> dict[str, Any]:
    """The columns of what was asked for, of a case with or without a number."""
    if not is_open_loop(case.workload):
        return {}
    return {
        "rate_per_s": asked_rate(case.workload),
        "arrivals": settings_of(case.workload).get(ARRIVALS.name) or ARRIVALS.default,
        "window_count": flow_of(case.workload).window,
    }


def load_columns(group: pd.DataFrame) -> dict[str, Any]:
    """The columns of what was measured, from all launches of a case; empty without its facts."""
    found = judged(group)
    if found is None:
        return {}
    row: dict[str, Any] = {
        OFFERED: float(group[OFFERED_RATE_KEY].median()),
        ACHIEVED: float(group[ACHIEVED_RATE_KEY].median()),
        STATE: found.state,
        **_with_bounds("delay_slope", "_ratio", found.slope),
        **{key: int(group[key].sum()) for key in COUNT_KEYS if key in group},
        **_lateness(group),
    }
    if found.state != "ok":
        return row
    for name, estimate in _percentiles(group, HISTOGRAM_KEY):
        row |= _with_bounds(f"response_{name}", "_s", estimate)
    for name, estimate in _percentiles(group, FROM_SENDING_KEY):
        row[f"from_send_{name}_s"] = estimate.value
    return row


def judged(group: pd.DataFrame) -> Judged | None:
    """Judges the launches of a case; None where they didn't record what it takes.

    A case is overloaded where the median launch answered less than KEPT_UP of what was offered. It
    isn't steady where the interval of the slope lies above STEADY_SLOPE; with too few launches for
    an interval, where all of them do.

    The generator is late where the p99 of its lateness exceeds LATE_SHARE of the median response,
    each of the median launch: one launch from which something took the CPU is no fault of it. It
    isn't late where messages were held back by a full window: those before them were unanswered,
    which is the server's doing, and if they are more than one in a hundred the p99 is theirs.
    """
    needed = (OFFERED_RATE_KEY, ACHIEVED_RATE_KEY, SLOPE_KEY)
    if any(key not in group or group[key].isna().any() for key in needed):
        return None
    slopes = [float(slope) for slope in group[SLOPE_KEY]]
    slope = estimated(slopes)
    least = min(slopes) if slope.interval is None else slope.interval.low
    kept_up = (group[ACHIEVED_RATE_KEY] / group[OFFERED_RATE_KEY]).median()
    state: State = "ok" if least <= STEADY_SLOPE else "not steady"
    if kept_up < KEPT_UP:
        state = "overloaded"
    return Judged(state, _is_generator_late(group), slope)


def ran_out(case: Case, row: Mapping[str, Any], group: pd.DataFrame) -> Bound | None:
    """The end that ran out of CPU time, by the columns of needs; None where they aren't recorded.

    The client spins from one message to the next and is always busy: it ran out where it was late.
    """
    found, needs = judged(group), []
    for what in ("busy", "queued"):
        need = row.get(f"cpu_{what}_server_ratio")
        needs.append(None if need is None or bool(pd.isna(need)) else float(need))
    busy, queued = needs
    if found is None or row["role"] != MECHANISM or busy is None:
        return None
    client = Need(FULL if found.is_generator_late else 0.0)
    return bound(client, Need(busy, queued or 0.0), on_one_cpu=is_on_one_cpu(case.placement))


def held_back_share(group: pd.DataFrame) -> float:
    """The share of messages that were held back by a full window, of the median launch.

    0 if unknown.
    """
    offered = COUNT_KEYS[0]
    if offered not in group or WINDOW_FULL_KEY not in group or not group[offered].sum():
        return 0.0
    return float((group[WINDOW_FULL_KEY] / group[offered]).median())


def lateness_ns(group: pd.DataFrame, share: float) -> float | None:
    """The percentile of the sender's lateness, of the median launch; None without any."""
    return _of_median_launch(group, LATENESS_KEY, share)


def _of_median_launch(group: pd.DataFrame, key: str, share: float) -> float | None:
    """A percentile of each launch, in the median: a launch that was held up counts once."""
    if key not in group:
        return None
    histograms = [Histogram.parse(str(text)) for text in group[key].dropna()]
    if not histograms:
        return None
    return statistics.median(one.percentile_ns(share) for one in histograms)


def _is_generator_late(group: pd.DataFrame) -> bool:
    late, response = lateness_ns(group, 0.99), _of_median_launch(group, HISTOGRAM_KEY, 0.5)
    if late is None or response is None or held_back_share(group) > _FULL_SHARE:
        return False
    return late > LATE_SHARE * response


def _percentiles(group: pd.DataFrame, key: str) -> Iterator[tuple[str, Estimate]]:
    """Yields the percentiles that every launch has enough messages for."""
    if key not in group:
        return
    histograms = [Histogram.parse(str(text)) for text in group[key].dropna()]
    if len(histograms) < len(group):
        return
    for name, share in PERCENTILES.items():
        if name == "max":
            yield name, estimated([one.most_ns * 1e-9 for one in histograms])
        elif all(one.supports(share) for one in histograms):
            yield name, estimated([one.percentile_ns(share) * 1e-9 for one in histograms])


def _lateness(group: pd.DataFrame) -> dict[str, float]:
    """The columns LATENESS: percentiles of the median launch, and the most of all."""
    every = pooled(group, LATENESS_KEY)
    if every is None:
        return {}
    row = {"lateness_max_s": every.most_ns * 1e-9}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        late = lateness_ns(group, share)
        if late is not None and every.supports(share):
            row[f"lateness_{name}_s"] = late * 1e-9
    return row


def _with_bounds(name: str, unit: str, estimate: Estimate) -> dict[str, float]:
    """The columns of a number and of its interval, where it has one."""
    row = {f"{name}{unit}": estimate.value}
    if estimate.interval is not None:
        row[f"{name}_low{unit}"], row[f"{name}_high{unit}"] = estimate.interval
    return row


def peaks(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The peak of each case of the open loop, by its id: the most that a closed loop answers.

    It is the highest rate of a case of round trips without gaps, of any window and of one client,
    that is alike in all else: transport, size, loop, placement, interpreter, machine, and the
    server's work. `rows` are those of the cases of one machine with a number.
    """
    most: dict[tuple[object, ...], float] = {}
    for row in rows:
        rate = row.get("messages_per_s")
        is_alone = clients_of(str(row["workload"])).number == 1
        if is_alone and rate is not None and not bool(pd.isna(rate)):
            key = _alike(row)
            most[key] = max(most.get(key, 0.0), float(rate))
    return {
        str(row["case"]): most[_alike(row)]
        for row in rows
        if is_open_loop(row["workload"]) and _alike(row) in most
    }


def _alike(row: Mapping[str, Any]) -> tuple[object, ...]:
    """The fields that a case of the open loop has in common with that of its peak."""
    asked = settings_of(str(row["workload"]))
    fields = ("transport", "message_size_bytes", "loop", "placement", "interpreter")
    return (*(row[name] for name in fields), asked.get("work"), asked.get("work-touches"))
