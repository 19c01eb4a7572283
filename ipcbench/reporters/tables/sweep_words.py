"""Sweeps in words: titles, values of knobs, and sentences on what intervals and verdicts allow."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never

from ipcbench import units
from ipcbench.analysis.stats import Verdict
from ipcbench.analysis.sweeps import Estimate, Point, Sweep, SweepLine, Swept, rate_to_first
from ipcbench.reporters.tables.columns import knobs_text
from ipcbench.text import counted

_MOST_NAMED = 6
"""Most mechanisms that a sentence names; the tables have all."""


class SweepWords(NamedTuple):
    """Names of a knob that is swept, and of what is told over it."""

    title: str
    """Over tables, and over the section of a page."""
    value: str
    """Over the values of the knob."""
    time: str
    """Over the times."""
    cell: str
    """Explains the second number in a cell of the compact table."""


WORDS: Mapping[Swept, SweepWords] = {
    "gap": SweepWords(
        title="Round trip against gap",
        value="gap",
        time="round trip",
        cell="x: the round trip over that of the first column, paired by round;"
        " ~: chance or noise may be all of it; ?: too few launches to tell",
    ),
    "work": SweepWords(
        title="Share of the request against work",
        value="work",
        time="round trip",
        cell="%: the share of the round trip that isn't the server's work",
    ),
    "window": SweepWords(
        title="Response time and throughput against window",
        value="in flight",
        time="response time",
        cell="/s: messages answered a second, of all in flight together",
    ),
}
"""The words for each knob that is swept."""


class _Judged(NamedTuple):
    """A line and its point at the greatest value, which was compared with the first one."""

    line: SweepLine
    point: Point


def where_of(sweep: Sweep) -> str:
    """The fields that the cases of a sweep share, in words: `64 B, cross-core, python loop`."""
    place = sweep.place
    size = units.display_size(place.message_size_bytes)
    how = f", {sweep.common_how}" if sweep.common_how else ""
    whom = f", {place.interpreter}" if place.interpreter else ""
    return f"{size}, {place.placement}, {place.loop} loop{knobs_text(place.workload)}{how}{whom}"


def title_of(sweep: Sweep) -> str:
    """The title of a sweep's tables: `Round trip against gap, 64 B, cross-core, python loop`."""
    return f"{WORDS[sweep.knob].title}, {where_of(sweep)}"


def value_text(knob: Swept, value: float) -> str:
    """A value of a knob for people: `no gap`, `100 µs`, `8`."""
    match knob:
        case "gap" | "work":
            return units.tick_time(value) if value else f"no {knob}"
        case "window":
            return f"{value:.0f}"
        case _:
            assert_never(knob)


def range_text(low: float, high: float) -> str:
    """Both bounds of a ratio: `0.97 to 1.04`; one of them where both read alike."""
    texts = [units.three_digits(bound) for bound in (low, high)]
    return " to ".join(dict.fromkeys(texts))


def sentences(sweep: Sweep) -> list[str]:
    """One or two sentences on the ends of a sweep; none where nothing can be told.

    A range in them is that of the 95 % intervals of all mechanisms that it is about.
    """
    match sweep.knob:
        case "gap":
            return list(_on_gaps(sweep))
        case "work":
            return list(_on_work(sweep))
        case "window":
            return list(_on_windows(sweep))
        case _:
            assert_never(sweep.knob)


def _on_gaps(sweep: Sweep) -> Iterator[str]:
    judged = _judged(sweep)
    if not judged:
        return
    first, last = _ends(sweep)
    said = [
        f"a round trip takes {_times_to_first(those)} times as long over {_names(sweep, those)}"
        for those in (_of(judged, "slower"), _of(judged, "faster"))
        if those
    ]
    if undecided := _of(judged, "~"):
        spread = _times_to_first(undecided)
        names = _names(sweep, undecided)
        said.append(f"no difference can be told over {names} ({spread} times as long)")
    against = "none" if not first else f"one of {units.tick_time(first)}"
    yield f"After a gap of {units.tick_time(last)}, against {against}: {'; '.join(said)}."


def _on_work(sweep: Sweep) -> Iterator[str]:
    *_, last = values = [value for value in sweep.values if value]
    least, most = (_shares(sweep, value) for value in (values[0], last))
    if most:
        told = f"With {units.tick_time(last)} of work, the mechanism is {most} of a request"
        if least and values[0] != last:
            told += f"; with {units.tick_time(values[0])} it is {least}"
        yield f"{told}."
    decided, judged = _told_from_baseline(sweep, min(sweep.values))
    decided_last, judged_last = _told_from_baseline(sweep, last)
    if decided and judged_last and not decided_last:
        at_first = value_text("work", min(sweep.values))
        yield (
            f"With {units.tick_time(last)} of work, no mechanism can be told from {sweep.baseline};"
            f" with {at_first}, {decided} of {judged} can."
        )


def _on_windows(sweep: Sweep) -> Iterator[str]:
    judged = _judged(sweep)
    first, last = _ends(sweep)
    said = []
    for those in (_of(judged, "faster"), _of(judged, "slower")):
        if those:
            longer = _times_to_first(those)
            said.append(
                f"{_rates_to_first(those)} times as many messages a second over"
                f" {_names(sweep, those)}, each of which takes {longer} times as long"
            )
    if undecided := _of(judged, "~"):
        spread = _rates_to_first(undecided)
        names = _names(sweep, undecided)
        said.append(f"no difference in messages a second can be told over {names} ({spread} times)")
    if said:
        yield f"With {last:.0f} in flight, against {first:.0f}: {'; '.join(said)}."


def _ends(sweep: Sweep) -> tuple[float, float]:
    values = list(sweep.values)
    return values[0], values[-1]


def _judged(sweep: Sweep) -> list[_Judged]:
    """The mechanisms that have a verdict on the greatest value against the first."""
    first, last = _ends(sweep)
    return [
        _Judged(line, line.points[-1])
        for line in sweep.mechanisms
        if (line.first.value, line.points[-1].value) == (first, last)
        and line.points[-1].verdict is not None
    ]


def _of(judged: Iterable[_Judged], verdict: Verdict) -> list[_Judged]:
    return [one for one in judged if one.point.verdict == verdict]


def _names(sweep: Sweep, those: Sequence[_Judged]) -> str:
    """The names of these mechanisms; of many, their number."""
    if len(those) > _MOST_NAMED:
        every = "all " if len(those) == len(sweep.mechanisms) else ""
        return f"{every}{counted(len(those), 'mechanism')}"
    *most, last = (sweep.label(one.line) for one in those)
    return f"{', '.join(most)} and {last}" if most else last


def _times_to_first(those: Iterable[_Judged]) -> str:
    return _range(one.line.time_to_first(one.point) for one in those)


def _rates_to_first(those: Iterable[_Judged]) -> str:
    return _range(rate_to_first(one.point) for one in those)


def _range(estimates: Iterable[Estimate | None]) -> str:
    """The range of the intervals of all of these."""
    bounds = [one.bounds for one in estimates if one is not None]
    return range_text(min(low for low, _ in bounds), max(high for _, high in bounds))


def _shares(sweep: Sweep, value: float) -> str:
    """The range of all shares at a value; empty unless each mechanism there has an interval."""
    points = [line.at(value) for line in sweep.mechanisms]
    shares = [point.share for point in points if point is not None and point.share is not None]
    intervals = [share.interval for share in shares if share.interval is not None]
    if not shares or len(intervals) < len(shares):
        return ""
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    texts = [units.display_percent(share) for share in (low, high)]
    return " to ".join(dict.fromkeys(texts))


def _told_from_baseline(sweep: Sweep, value: float) -> tuple[int, int]:
    """The mechanisms that differ from the baseline for sure at a value, and those judged there."""
    points = [line.at(value) for line in sweep.mechanisms if line.transport != sweep.baseline]
    said = [point.baseline_verdict for point in points if point and point.baseline_verdict]
    return sum(verdict != "~" for verdict in said), len(said)
