"""Lines of the open loop: one transport at several rates, its knee, and its capacity.

Pure: the frame of cases in. The knee lies between the highest rate at which responses are steady
and the lowest at which they aren't; the capacity does, where an objective is asked for as well.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.analysis.capacity import Outcome, Step
from ipcbench.analysis.launch_frame import MACHINE
from ipcbench.analysis.load import (
    ACHIEVED,
    GENERATOR_LATE,
    OF_PEAK,
    PEAK,
    STATE,
    State,
    is_part,
)
from ipcbench.analysis.objective import Objective
from ipcbench.analysis.stats import Estimate, Interval
from ipcbench.results.metadata import MECHANISM
from ipcbench.workloads import RATE, without

_Row = Mapping[Hashable, Any]


class RatePoint(NamedTuple):
    """A case of a line that has a number."""

    case: str
    """Its id."""
    rate_per_s: float
    """The rate asked for."""
    to_peak: float | None
    """The rate as a share of the peak; None where that wasn't measured."""
    achieved_per_s: float
    """Messages answered a second."""
    state: State
    """Whether response times mean anything at this rate."""
    is_generator_late: bool
    """Whether the generator, and not the mechanism, held messages up."""
    slope: float
    """Seconds by which a response takes longer each second."""
    p50: Estimate | None
    """The median response in seconds; None past the knee, and with too few messages."""
    p99: Estimate | None
    from_send_p99_s: float | None
    """The p99 from the actual time of sending: what a closed loop would say."""
    outcome: Outcome | None
    """Whether the objective held; None without one."""

    @property
    def steadiness(self) -> Outcome:
        """Whether the rate is below the knee.

        One that the generator can't keep up with doesn't tell.
        """
        if self.state == "ok":
            return "held"
        return "unjudged" if self.is_generator_late else "failed"


class Bounds(NamedTuple):
    """The ends of what is known of a knee, or of a capacity."""

    held: RatePoint | None
    """The highest rate that held, below `failed` and `unjudged`; None if none did."""
    failed: RatePoint | None
    """The lowest rate that didn't; None if none was seen to fail."""
    unjudged: RatePoint | None
    """The lowest rate of which the measurement can't tell, if it is lower than `failed`."""


class LoadLine(NamedTuple):
    """A transport at several rates."""

    transport: str
    role: str
    peak_per_s: float | None
    points: tuple[RatePoint, ...]
    """By rate, those with a number."""
    search: Step | None = None
    """What the search for the objective has found, or tries next; None where none was made."""

    @property
    def knee(self) -> Bounds:
        """The rates between which it stops being steady."""
        return _bounds(self.points, [point.steadiness for point in self.points])

    @property
    def capacity(self) -> Bounds | None:
        """The rates between which the objective stops holding; None without one."""
        outcomes = [point.outcome for point in self.points if point.outcome is not None]
        return _bounds(self.points, outcomes) if outcomes else None


class LoadPlace(NamedTuple):
    """The fields that all cases of a table have in common."""

    workload: str
    """The term without its rate."""
    message_size_bytes: int
    placement: str
    loop: str
    interpreter: str
    machine: str
    """Key of the machine."""


class Load(NamedTuple):
    """The lines of all transports, and their rows of the frame of cases."""

    place: LoadPlace
    lines: tuple[LoadLine, ...]
    rows: pd.DataFrame
    """By transport in the order of the lines, then by rate; those without a number, too."""

    @property
    def mechanisms(self) -> tuple[LoadLine, ...]:
        """The lines without those of controls."""
        return tuple(line for line in self.lines if line.role == MECHANISM)


def _bounds(points: Sequence[RatePoint], outcomes: Sequence[Outcome]) -> Bounds:
    """The ends of what is known, from points by rate and the outcome of each.

    A rate that failed bounds it, even if a higher one held: a rate is one to rely on.
    """
    first = next((n for n, one in enumerate(outcomes) if one != "held"), len(points))
    failed = next((n for n, one in enumerate(outcomes) if one == "failed"), None)
    is_unjudged = first < len(points) and outcomes[first] == "unjudged"
    return Bounds(
        held=points[first - 1] if first else None,
        failed=None if failed is None else points[failed],
        unjudged=points[first] if is_unjudged else None,
    )


def loads(
    cases: pd.DataFrame,
    objective: Objective | None = None,
    searches: Mapping[str, Step] = MappingProxyType({}),
) -> list[Load]:
    """The loads in a frame of cases, in the order of its rows, judged by an objective if given.

    `searches` tells how far those for the objective have come, by the ids of cases. Of one load the
    transports with the highest peak come first, and controls last.
    """
    places: dict[LoadPlace, list[_Row]] = {}
    rows = cases[is_part(cases)].to_dict("records")
    for row in sorted(rows, key=lambda one: not _is_known(one[MACHINE])):
        place = _place_of(row)
        # A case without a number is of no machine, and stands beside those that have one.
        alike = (one for one in places if one._replace(machine=place.machine) == place)
        places.setdefault(place if place.machine else next(alike, place), []).append(row)
    return [_load(place, rows, objective, searches) for place, rows in places.items()]


def _place_of(row: _Row) -> LoadPlace:
    return LoadPlace(
        without(str(row["workload"]), {RATE.name}),
        int(row["message_size_bytes"]),
        str(row["placement"]),
        str(row["loop"]),
        str(row["interpreter"]),
        str(row[MACHINE]) if _is_known(row[MACHINE]) else "",
    )


def _load(
    place: LoadPlace,
    rows: Sequence[_Row],
    objective: Objective | None,
    searches: Mapping[str, Step],
) -> Load:
    of_transport: dict[str, list[_Row]] = {}
    for row in sorted(rows, key=lambda one: float(one["rate_per_s"])):
        of_transport.setdefault(str(row["transport"]), []).append(row)
    order = sorted(of_transport, key=lambda name: _order(of_transport[name]))
    lines = (_line(name, of_transport[name], objective, searches) for name in order)
    frame = pd.DataFrame([row for name in order for row in of_transport[name]])
    return Load(place, tuple(line for line in lines if line.points), frame.convert_dtypes())


def _order(rows: Sequence[_Row]) -> tuple[object, ...]:
    """The place of a transport among others: mechanisms first, then by peak, then by name."""
    peak = next((float(row[PEAK]) for row in rows if _is_known(row[PEAK])), 0.0)
    return rows[0]["role"] != MECHANISM, -peak, str(rows[0]["transport"])


def _line(
    transport: str,
    rows: Sequence[_Row],
    objective: Objective | None,
    searches: Mapping[str, Step],
) -> LoadLine:
    peak = next((float(row[PEAK]) for row in rows if _is_known(row[PEAK])), None)
    points = tuple(_points(rows, objective))
    search = next((searches[one.case] for one in points if one.case in searches), None)
    return LoadLine(transport, str(rows[0]["role"]), peak, points, search)


def _points(rows: Sequence[_Row], objective: Objective | None) -> Iterator[RatePoint]:
    for row in rows:
        if not _is_known(row[STATE]):
            continue
        flags = row["flags"] if _is_known(row["flags"]) else ""
        is_late = GENERATOR_LATE in str(flags).split(";")
        state: State = row[STATE]
        yield RatePoint(
            case=str(row["case"]),
            rate_per_s=float(row["rate_per_s"]),
            to_peak=float(row[OF_PEAK]) if _is_known(row[OF_PEAK]) else None,
            achieved_per_s=float(row[ACHIEVED]),
            state=state,
            is_generator_late=is_late,
            slope=float(row["delay_slope_ratio"]),
            p50=_estimate(row, "response_p50"),
            p99=_estimate(row, "response_p99"),
            from_send_p99_s=_known(row, "from_send_p99_s"),
            outcome=None if objective is None else objective.judge(row),
        )


def _estimate(row: _Row, name: str) -> Estimate | None:
    value = _known(row, f"{name}_s")
    low, high = _known(row, f"{name}_low_s"), _known(row, f"{name}_high_s")
    if value is None:
        return None
    return Estimate(value, None if low is None or high is None else Interval(low, high))


def _known(row: _Row, name: str) -> float | None:
    return float(row[name]) if _is_known(row[name]) else None


def _is_known(value: object) -> bool:
    return value is not None and not bool(pd.isna(value))  # type: ignore[call-overload]
