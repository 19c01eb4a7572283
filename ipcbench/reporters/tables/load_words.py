"""The open loop in words: titles, and sentences on the knee and on the capacity under an objective.

Pure: lines of the analysis in, texts out.
"""

from collections.abc import Iterator

from ipcbench import units
from ipcbench.analysis.capacity import Try
from ipcbench.analysis.load_lines import Load, LoadLine, LoadPlace, RatePoint
from ipcbench.analysis.objective import Objective
from ipcbench.reporters.tables.columns import knobs_text, title_of

_WORTH_TELLING = 1.1
"""Least ratio of the p99 from the intended time of sending to that from the actual one that a
sentence is about."""


def where_of(place: LoadPlace) -> str:
    """The fields that the cases of a table share, in words: `64 B, cross-core, python loop`."""
    whom = f", {place.interpreter}" if place.interpreter else ""
    size = units.display_size(place.message_size_bytes)
    return f"{size}, {place.placement}, {place.loop} loop{whom}"


def with_settings(place: LoadPlace) -> str:
    """The same fields, and the knobs of the workload behind them."""
    return f"{where_of(place)}{knobs_text(place.workload)}"


def table_title(place: LoadPlace) -> str:
    """The title of a load's table: `Load (open loop), 64 B, cross-core, python loop`."""
    return f"{title_of(place.workload)}, {where_of(place)}"


def sentences(load: Load, objective: Objective | None) -> Iterator[str]:
    """Yields a sentence on the knee of each mechanism, on its capacity, and on the closed loop."""
    for line in load.mechanisms:
        yield _on_knee(line)
    if objective is not None:
        for line in load.mechanisms:
            yield _on_capacity(line, objective)
    yield from _on_closed_loop(load)


def _on_knee(line: LoadLine) -> str:
    held, failed, unjudged = line.knee
    name = line.transport
    if held is None and unjudged is not None:
        return (
            f"At {_rate(unjudged)}, the lowest rate tried, the generator was late: nothing can be"
            f" told of {name}."
        )
    if held is None and failed is not None:
        return (
            f"{name} isn't steady even at {_rate(failed)}, the lowest rate tried{_grows(failed)}."
        )
    if held is None:
        return f"Nothing can be told of {name}."
    up_to = f"{_rate(held)}{_of_peak(held)}"
    if unjudged is not None:
        return (
            f"{name} is steady up to {up_to}; at {_rate(unjudged)} the generator was late, so that"
            " its knee isn't found."
        )
    if failed is None:
        return f"{name} is steady at every rate tried, up to {up_to}: its knee isn't found."
    return f"{name} is steady up to {up_to}; at {_rate(failed)} it isn't{_grows(failed)}."


def _on_capacity(line: LoadLine, objective: Objective) -> str:
    """The capacity of a mechanism, and whether its search was cut short."""
    said, step = _bounded(line, objective), line.search
    if not isinstance(step, Try):
        return said
    again = " again" if step.rate_per_s in {point.rate_per_s for point in line.points} else ""
    return (
        f"{said} The search was cut short: {units.tick_rate(step.rate_per_s)} is still to be"
        f" measured{again}; give a larger --budget, or --resume FILE after an interruption."
    )


def _bounded(line: LoadLine, objective: Objective) -> str:
    """The rates between which the objective stops holding."""
    bounds = line.capacity
    name, said = line.transport, objective.said
    if bounds is None:
        return f"Nothing can be told of {said} over {name}."
    held, failed, unjudged = bounds
    up_to = f"{name} holds {said} up to {_rate(held)}" if held is not None else ""
    if unjudged is not None:
        start = up_to or f"{name} isn't known to hold {said} at any rate"
        why = (
            "since the generator was late"
            if unjudged.is_generator_late
            else f"with too few messages for {objective.statistic}"
        )
        return f"{start}; {_rate(unjudged)} can't be judged, {why}: bound not found."
    if held is not None and failed is not None:
        return f"{up_to}; at {_rate(failed)} it doesn't."
    if held is not None:
        return f"{name} holds {said} at every rate tried, up to {_rate(held)}: bound not found."
    if failed is not None:
        return f"{name} doesn't hold {said} even at {_rate(failed)}, the lowest rate tried."
    return f"Nothing can be told of {said} over {name}."


def _on_closed_loop(load: Load) -> Iterator[str]:
    """Yields a sentence on the p99 that a closed loop hides most of, if it hides any."""
    found = [
        (point.p99.value / point.from_send_p99_s, line.transport, point)
        for line in load.mechanisms
        for point in line.points
        if point.p99 is not None and point.from_send_p99_s
    ]
    ratio, name, point = max(found, default=(0.0, "", None), key=lambda one: one[0])
    if point is None or point.p99 is None or ratio < _WORTH_TELLING:
        return
    hidden = units.display_time(point.from_send_p99_s or 0.0)
    yield (
        f"From the actual time of sending, as a closed loop counts, p99 over {name} at"
        f" {_rate(point)} is {hidden}; from the intended one it is"
        f" {units.display_time(point.p99.value)}."
    )


def _rate(point: RatePoint) -> str:
    return units.tick_rate(point.rate_per_s)


def _of_peak(point: RatePoint) -> str:
    """The share of the peak, in brackets; empty where that isn't known."""
    if point.to_peak is None:
        return ""
    return f" ({units.display_percent(point.to_peak)} of its peak)"


def _grows(point: RatePoint) -> str:
    """The growth of the delay behind a colon; empty where it doesn't grow."""
    growth = units.display_growth(point.slope)
    return f": the {growth}" if growth else ""
