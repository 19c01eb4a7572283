"""The precision of a run's ratios so far, which decides when `--target` is reached."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ipcbench.analysis.stats import Interval, alternating_ratio, median_interval
from ipcbench.results.collection import Collection
from ipcbench.results.launches import Launch, LaunchKey, by_case, mechanisms
from ipcbench.results.metadata import INTERPRETERS_KEY
from ipcbench.results.store import Results


class Precision(NamedTuple):
    """The relative half width of the interval of one case's ratio or time."""

    case: str
    half_width: float | None
    """The wider half of the interval as a share of the estimate; None for too few launches."""

    def reaches(self, target: float) -> bool:
        """Whether the half width is known and at most the target, a share."""
        return self.half_width is not None and self.half_width <= target


def precision(results: Results, baseline: str) -> Precision | None:
    """The precision of the least precise case; None without a case."""
    found = precisions(results, baseline)
    return max(found, key=lambda one: (one.half_width is None, one.half_width or 0), default=None)


def precisions(
    results: Results | Collection, baseline: str, machine: str | None = None
) -> list[Precision]:
    """The precision of each case's ratio to the baseline; of its time, if it has no ratio.

    The cases of controls are among them where the baseline is a control. A case that another
    interpreter than the first measured has a ratio to that one, too, and the wider of both counts.
    Cases of the open loop have none: past the knee no launch is as another.
    `machine` is the key of the one to look at; None where all launches are of one.
    """
    counted = [
        one
        for one in results.counted()
        if machine in (None, one.machine) and one.case.definition.quantity != "response"
    ]
    of_controls = (not one.is_mechanism for one in counted if one.case.transport == baseline)
    wanted = by_case(counted) if any(of_controls) else mechanisms(counted)
    first = _first_interpreter(counted)
    launches = {
        case: {launch.key: launch.values_s for launch in measured}
        for case, measured in wanted.items()
    }
    found = []
    for case, batches in launches.items():
        compared = {case._replace(transport=baseline)}
        if case.interpreter:
            compared.add(case._replace(interpreter=first))
        others = [launches[other] for other in compared - {case} if other in launches]
        if compared == {case} and len(launches) > 1:
            continue  # a baseline against itself is always exact
        widths = [_width_of_ratio(batches, other) for other in others] or [_width_of_time(batches)]
        found.append(Precision(case.id, _widest(widths)))
    return found


def _widest(widths: Iterable[float | None]) -> float | None:
    """The widest of some half widths; None if one of them is unknown."""
    known: list[float] = []
    for width in widths:
        if width is None:
            return None
        known.append(width)
    return max(known)


def _first_interpreter(launches: Iterable[Launch]) -> str:
    """The label of the interpreter that others are compared with; empty where none is named."""
    for launch in launches:
        if INTERPRETERS_KEY in launch.facts:
            return str(launch.facts[INTERPRETERS_KEY]).partition(",")[0]
    return ""


_Batches = Mapping[LaunchKey, Sequence[float]]


def _width_of_time(batches: _Batches) -> float | None:
    times = [statistics.median(launch) for launch in batches.values()]
    return _half_width(statistics.median(times), median_interval(times))


def _width_of_ratio(batches: _Batches, other: _Batches) -> float | None:
    ratio = alternating_ratio(batches, other)
    return None if ratio is None else _half_width(ratio.estimate, ratio.interval)


def _half_width(center: float, interval: Interval | None) -> float | None:
    if interval is None:
        return None
    return max(interval.high / center - 1, 1 - interval.low / center)
