"""The numbers of a launch that runs are compared by: its time, its p99, its CPU time. Pure."""

from typing import Literal, NamedTuple, assert_never, get_args

from ipcbench.results.histogram import HISTOGRAM_KEY
from ipcbench.results.launches import Launch
from ipcbench.results.load import ACHIEVED_RATE_KEY, OFFERED_RATE_KEY
from ipcbench.workloads import DEFINITIONS, Direction, Workload

Measure = Literal["time", "p99", "cpu"]
"""`time`: the median of a launch's batches; `p99`: that of its sampled round trips, or of all its
responses in the open loop; `cpu`: the CPU time of a message at both ends. All are seconds."""
MEASURES: tuple[Measure, ...] = get_args(Measure)

FEWEST_SAMPLES = 100
"""With fewer round trips sampled in a launch its p99 is just the longest."""

KEPT_UP = 0.98
"""Least share of the offered rate that is answered where a system keeps up with the open loop."""

_CPU_FACTS = tuple(
    f"cpu_{mode}_{side}_s_per_message"
    for side in ("client", "server")
    for mode in ("user", "system")
)


class Missing(NamedTuple):
    """The reason why a launch has no such number."""

    why: str


def number_of(launch: Launch, measure: Measure) -> float | Missing:
    """The number of a launch in seconds, above 0."""
    if measure != "cpu" and not _kept_up(launch):
        return Missing("fewer messages were answered than offered")
    match measure:
        case "time":
            return launch.time_s
        case "p99":
            return _p99(launch)
        case "cpu":
            return _cpu(launch)
        case _:
            assert_never(measure)


def has_measure(workload: Workload, measure: Measure) -> bool:
    """Whether launches of a workload have such a number, unless something is amiss."""
    row = DEFINITIONS[workload]
    return measure != "p99" or row.samples or row.quantity == "response"


def better_of(workload: Workload, measure: Measure) -> Direction:
    """The better direction of the number that people compare: of the time, its inverse or not."""
    return DEFINITIONS[workload].better if measure == "time" else "less"


def _kept_up(launch: Launch) -> bool:
    """Whether its times don't tell how long was measured; always, but in the open loop."""
    offered, answered = (launch.facts.get(key) for key in (OFFERED_RATE_KEY, ACHIEVED_RATE_KEY))
    if not isinstance(offered, int | float) or not isinstance(answered, int | float):
        return True
    return answered >= KEPT_UP * offered


def _p99(launch: Launch) -> float | Missing:
    histogram = launch.histograms.get(HISTOGRAM_KEY)
    if histogram is None:
        return Missing("no single round trips were sampled")
    if histogram.total < FEWEST_SAMPLES:
        return Missing(
            f"too few round trips sampled in a launch ({histogram.total}; p99 takes"
            f" {FEWEST_SAMPLES}, see --min-time)"
        )
    time_s = histogram.percentile_ns(0.99) * 1e-9
    return time_s if time_s > 0 else Missing("a p99 of 0 ns is recorded")


def _cpu(launch: Launch) -> float | Missing:
    times_s = [launch.facts.get(name) for name in _CPU_FACTS]
    known = [float(time_s) for time_s in times_s if isinstance(time_s, int | float)]
    if len(known) < len(_CPU_FACTS):
        return Missing("no CPU time is recorded")
    return sum(known) if sum(known) > 0 else Missing("a CPU time of 0 is recorded")
