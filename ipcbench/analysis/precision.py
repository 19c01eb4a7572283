"""The precision of a run's ratios so far, which decides when `--target` is reached."""

import statistics
from typing import NamedTuple

from ipcbench.analysis.stats import Interval, alternating_ratio, median_interval
from ipcbench.results.collection import Collection
from ipcbench.results.launches import by_case, mechanisms
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

    The cases of controls are among them where the baseline is a control. `machine` is the key of
    the one to look at; None where all launches are of one.
    """
    counted = [one for one in results.counted() if machine in (None, one.machine)]
    of_controls = (not one.is_mechanism for one in counted if one.case.transport == baseline)
    compared = by_case(counted) if any(of_controls) else mechanisms(counted)
    launches = {
        case: {launch.key: launch.values_s for launch in measured}
        for case, measured in compared.items()
    }
    found = []
    for case, batches in launches.items():
        other = launches.get(case._replace(transport=baseline))
        if other is batches and len(launches) > 1:
            continue  # a baseline against itself is always exact
        if other is None or other is batches:
            times = [statistics.median(launch) for launch in batches.values()]
            center: float = statistics.median(times)
            interval = median_interval(times)
        else:
            ratio = alternating_ratio(batches, other)
            center, interval = (ratio.estimate, ratio.interval) if ratio else (1.0, None)
        found.append(Precision(case.id, _half_width(center, interval)))
    return found


def _half_width(center: float, interval: Interval | None) -> float | None:
    if interval is None:
        return None
    return max(interval.high / center - 1, 1 - interval.low / center)
