"""Sweeps: cases that differ in one knob of their workload alone, as lines over its values.

Pure: the frames of cases and launches in, lines of estimates out. Ratios are those of launches of
one round: cases of different workloads take no turns, batch by batch.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from ipcbench.analysis.crowds import Knee, knees, rates
from ipcbench.analysis.frame import MEASURED, baseline_of
from ipcbench.analysis.launch_frame import MACHINE, noise_floor_of
from ipcbench.analysis.load import is_part
from ipcbench.analysis.served import Served, served_of
from ipcbench.analysis.stats import (
    Estimate,
    Interval,
    Ratio,
    Verdict,
    alternating_difference,
    estimated,
    paired_ratio,
    verdicts,
)
from ipcbench.results.metadata import MECHANISM
from ipcbench.terms import format_settings, magnitude
from ipcbench.workloads import NEEDS, definition_of, settings_of, without

Swept = Literal["gap", "work", "window", "clients", "readers"]
"""A knob of a workload whose values are told as a line."""
SWEPT: tuple[Swept, ...] = get_args(Swept)
"""All of them, in the order of reports."""

_Row = Mapping[Hashable, Any]
_Times = Mapping[Hashable, float]
"""The time of each launch of a case, by run and round."""
_ByCase = Mapping[Hashable, _Times]
"""Such times by machine and case."""


class Point(NamedTuple):
    """A case of a line."""

    case: str
    """Its id."""
    value: float
    """Value of the knob: seconds of a gap or of work, messages in flight, clients, or readers."""
    spelled: str
    """The value as a term has it: `1ms`, `0`."""
    time: Estimate
    """The round trip, in seconds; with a window, from sending a message to its reply.

    Of clients that stream it is the time of a message of all of them, and of readers the time in
    which one message is with all of them.
    """
    share: Estimate | None
    """The share of the round trip that isn't the server's work; only of mechanisms, over work.

    None with several in flight: a reply then waits for the work of those before it, too.
    """
    rate: Estimate | None
    """Messages a second; only over windows and clients, and there of all of them together."""
    baseline_verdict: Verdict | None
    """The verdict on the time against the baseline's, with the same value of the knob."""
    cost_to_first: Ratio | None = None
    """The cost of a message over its cost at the first value of the line; None at that one.

    The cost is the time; over windows it is the time divided by the messages in flight, and over
    clients the time from one message to the next, of all of them.
    """
    added: Estimate | None = None
    """The time in seconds less that at the first value; None at that one."""
    verdict: Verdict | None = None
    """The verdict on the ratio; None at the first value, and with too few launches."""
    longer: Ratio | None = None
    """The time over that at the first value of a line over clients; None at that one."""
    served: Served | None = None
    """Only over clients."""


class SweepLine(NamedTuple):
    """The points of one transport, by the values of the knob: two at least."""

    transport: str
    how: str
    """The setting that says how the knob is meant, `gap-by=spin`; empty where there is none."""
    role: str
    points: tuple[Point, ...]
    knee: Knee | None = None
    """Only over clients, of mechanisms, with launches enough."""

    @property
    def first(self) -> Point:
        """The point that the others are compared with."""
        return self.points[0]

    def at(self, value: float) -> Point | None:
        """The point at a value; None if nothing was measured there."""
        return next((point for point in self.points if point.value == value), None)

    def time_to_first(self, point: Point) -> Estimate | None:
        """The time of a point over that of the first."""
        if point.served is not None:
            return _estimate(point.longer)
        cost = _estimate(point.cost_to_first)
        if cost is None or point.rate is None:
            return cost
        return cost.times(point.value / self.first.value)


def rate_to_first(point: Point) -> Estimate | None:
    """The messages a second of a point over windows or clients, over those of the line's first."""
    cost = _estimate(point.cost_to_first)
    return None if cost is None or point.rate is None else cost.into(1.0)


class Place(NamedTuple):
    """The fields that all cases of a sweep have in common."""

    workload: str
    """The term with the knobs that stay as they are."""
    message_size_bytes: int
    placement: str
    loop: str
    interpreter: str
    machine: str
    """Key of the machine."""


class Sweep(NamedTuple):
    """The lines of all transports over the values of one knob."""

    knob: Swept
    place: Place
    baseline: str | None
    lines: tuple[SweepLine, ...]

    @property
    def values(self) -> dict[float, str]:
        """All values, the least first, each with its spelling."""
        found = {point.value: point.spelled for line in self.lines for point in line.points}
        return dict(sorted(found.items()))

    @property
    def mechanisms(self) -> tuple[SweepLine, ...]:
        """The lines without those of controls."""
        return tuple(line for line in self.lines if line.role == MECHANISM)

    @property
    def common_how(self) -> str:
        """The `how` that all lines have; empty if they differ in it."""
        hows = {line.how for line in self.lines}
        return hows.pop() if len(hows) == 1 else ""

    def label(self, line: SweepLine) -> str:
        """The name of a line: its transport, and its `how` where lines differ in that."""
        is_apart = line.how and not self.common_how
        return f"{line.transport} ({line.how})" if is_apart else line.transport


def sweeps(cases: pd.DataFrame, launches: pd.DataFrame) -> list[Sweep]:
    """The sweeps in a frame of cases, by knob, and then in the order of its rows.

    A knob that isn't set has its default as its value. One that says how another is meant
    (`gap-by` of `gap`) makes lines of their own. Cases of the open loop are in none. The verdicts
    of one sweep are computed together, and against the noise floor that the run was made with.
    """
    measured = cases[(cases["status"] == MEASURED).astype(bool) & ~is_part(cases)]
    times, floors = _times(launches), _noise_floors(launches)
    between = _between(launches)
    found = []
    for knob in SWEPT:
        for place, rows in _places(knob, measured).items():
            floor = floors[place.machine]
            lines = tuple(_judged(list(_lines(knob, rows, times, between)), floor))
            if knob == "clients":
                lines = tuple(_with_knees(lines, place.machine, between, floor))
            if any(line.role == MECHANISM for line in lines):
                found.append(Sweep(knob, place, baseline_of(pd.DataFrame(rows)), lines))
    return found


def _places(knob: Swept, measured: pd.DataFrame) -> dict[Place, list[_Row]]:
    """The rows that differ in this knob, in those that say how it is meant, and in the transport.

    The workloads that don't have the knob are left out, and controls that it does nothing to.
    """
    ours = {knob, *_hows(knob)}
    found: dict[Place, list[_Row]] = {}
    for row in measured.to_dict("records"):
        workload = str(row["workload"])
        is_idle = knob == "work" and row["role"] != MECHANISM  # a control has no server that works
        if is_idle or _default(knob, workload) is None:
            continue
        place = Place(
            without(workload, ours),
            int(row["message_size_bytes"]),
            str(row["placement"]),
            str(row["loop"]),
            str(row["interpreter"]),
            str(row[MACHINE]),
        )
        found.setdefault(place, []).append(row)
    return found


def _lines(
    knob: Swept, rows: Sequence[_Row], times: _ByCase, between: _ByCase
) -> Iterator[SweepLine]:
    """Yields the lines of these rows, in the order in which transports are first among them."""
    of_transport: dict[str, list[_Row]] = {}
    for row in rows:
        of_transport.setdefault(str(row["transport"]), []).append(row)
    for transport, own in of_transport.items():
        unset = [row for row in own if knob not in settings_of(str(row["workload"]))]
        by_how: dict[str, list[_Row]] = {}
        for row in own:
            asked = settings_of(str(row["workload"]))
            if knob in asked:
                how = format_settings({name: asked[name] for name in _hows(knob) if name in asked})
                by_how.setdefault(how, []).append(row)
        for how, those in by_how.items():
            if len(every := [*unset, *those]) > 1:
                role, machine = str(own[0]["role"]), own[0][MACHINE]
                of_case, costs = (
                    {str(row["case"]): source[machine, row["case"]] for row in every}
                    for source in (times, between)
                )
                points = [_point(knob, row, costs[str(row["case"])]) for row in every]
                points.sort(key=lambda one: one.value)
                compared = _compared(knob, points, of_case, costs)
                yield SweepLine(transport, how, role, tuple(compared))


def _point(knob: Swept, row: _Row, between: _Times) -> Point:
    workload = str(row["workload"])
    spelled = settings_of(workload).get(knob) or _default(knob, workload) or ""
    value = magnitude(spelled)[0]
    bounds = [row["time_interval_low_s"], row["time_interval_high_s"]]
    is_known = not any(bool(pd.isna(bound)) for bound in bounds)
    interval = Interval(*map(float, bounds)) if is_known else None
    time = Estimate(float(row["time_median_s"]), interval)
    verdict = row["verdict"] if bool(pd.notna(row["verdict"])) else None
    has_share = knob == "work" and row["role"] == MECHANISM and bool(row["in_flight_count"] == 1)
    rate = None
    if knob == "clients":
        rate = estimated(list(between.values())).into(1.0)
    elif knob == "window" and bool(pd.notna(row["messages_per_s"])):
        rate = time.into(value)
    return Point(
        str(row["case"]),
        value,
        spelled,
        time,
        time.share_left_by(value) if has_share else None,
        rate,
        verdict,
        served=served_of(row) if knob == "clients" else None,
    )


def _compared(
    knob: Swept, points: Sequence[Point], times: Mapping[str, _Times], between: Mapping[str, _Times]
) -> Iterator[Point]:
    """Yields the points of a line, compared with the first of them."""
    costs = between if knob == "clients" else _costs(knob, points, times)
    first, *others = points
    yield first
    for point in others:
        longer = paired_ratio(times[point.case], times[first.case])
        yield point._replace(
            cost_to_first=paired_ratio(costs[point.case], costs[first.case]),
            added=_added(times[point.case], times[first.case]),
            longer=longer if knob == "clients" else None,
        )


def _costs(knob: Swept, points: Sequence[Point], times: Mapping[str, _Times]) -> dict[str, _Times]:
    """The cost of a message of each launch, by its time."""
    return {
        point.case: {
            key: time_s / (point.value if knob == "window" else 1)
            for key, time_s in times[point.case].items()
        }
        for point in points
    }


def _with_knees(
    lines: Sequence[SweepLine], machine: str, between: _ByCase, noise_floor: float
) -> Iterator[SweepLine]:
    """Yields the lines with the numbers of clients from which on more of them give no more."""
    costs = {
        (line.transport, line.how): {
            point.value: between[machine, point.case] for point in line.points
        }
        for line in lines
        if line.role == MECHANISM
    }
    found = knees(costs, noise_floor)
    for line in lines:
        yield line._replace(knee=found.get((line.transport, line.how)))


def _added(times: _Times, others: _Times) -> Estimate | None:
    """The time less that of another case, paired by round; None without a round in common."""
    batches = ({key: (time_s,) for key, time_s in each.items()} for each in (times, others))
    found = alternating_difference(*batches)
    return None if found is None else Estimate(found.estimate, found.interval)


def _judged(lines: Sequence[SweepLine], noise_floor: float) -> Iterator[SweepLine]:
    """Yields the lines with the verdicts of their points; controls are judged apart."""
    said: dict[tuple[str, str], Verdict | None] = {}
    for is_mechanism in (True, False):
        ratios = {
            (line.how, point.case): point.cost_to_first
            for line in lines
            if (line.role == MECHANISM) == is_mechanism
            for point in line.points
            if point.cost_to_first is not None
        }
        said |= dict(zip(ratios, verdicts(list(ratios.values()), noise_floor), strict=True))
    for line in lines:
        judged = (point._replace(verdict=said.get((line.how, point.case))) for point in line.points)
        yield line._replace(points=tuple(judged))


def _hows(knob: Swept) -> list[str]:
    """The knobs that say how this one is meant."""
    return [name for name, needed in NEEDS.items() if needed == knob]


def _default(knob: Swept, workload: str) -> str | None:
    """The value of a knob that isn't set; None if the workload has no such knob."""
    return next((one.default for one in definition_of(workload).knobs if one.name == knob), None)


def _estimate(ratio: Ratio | None) -> Estimate | None:
    return None if ratio is None else Estimate(ratio.estimate, ratio.interval)


def _times(launches: pd.DataFrame) -> dict[Hashable, _Times]:
    """The times of the launches of each case with a number, by machine and case."""
    if launches.empty:
        return {}
    counted = launches[launches["is_counted"]]
    return _by_case(counted, counted["time_s"])


def _between(launches: pd.DataFrame) -> _ByCase:
    """The seconds from one message to the next of the same launches, of all clients together."""
    if launches.empty:
        return {}
    counted = launches[launches["is_counted"]]
    return _by_case(counted, 1 / rates(counted))


def _by_case(launches: pd.DataFrame, times_s: pd.Series) -> dict[Hashable, _Times]:
    found: dict[Hashable, dict[Hashable, float]] = {}
    keys = [launches[key] for key in (MACHINE, "case", "run_id", "round")]
    for machine, case, run, number, time_s in zip(*keys, times_s, strict=True):
        found.setdefault((machine, str(case)), {})[run, number] = float(time_s)
    return dict(found)


def _noise_floors(launches: pd.DataFrame) -> dict[str, float]:
    """The noise floor within a run of each machine."""
    if launches.empty:
        return {}
    return {str(key): noise_floor_of(own) for key, own in launches.groupby(MACHINE)}
