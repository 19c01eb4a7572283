"""Sweeps in words: titles, values of knobs, and sentences on what intervals and verdicts allow."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never

from ipcbench import units
from ipcbench.analysis.stats import Estimate, Verdict
from ipcbench.analysis.sweeps import Point, Sweep, SweepLine, Swept, rate_to_first
from ipcbench.reporters.tables.client_words import client_sentences, counted_words
from ipcbench.reporters.tables.columns import knobs_text
from ipcbench.reporters.tables.words import MOST_NAMED, listed, range_text, times_text, told
from ipcbench.text import counted
from ipcbench.workloads import definition_of


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
    "clients": SweepWords(
        title="Messages a second against clients",
        value="clients",
        time="round trip",
        cell="/s: messages a second of all clients together; x: over those of the first column,"
        " paired by round; ~: chance or noise may be all of it; ?: too few launches to tell",
    ),
    "readers": SweepWords(
        title="Time per message against readers",
        value="readers",
        time="per message",
        cell="x: the time until all readers have a message over that of the first column, paired by"
        " round; ~: chance or noise may be all of it; ?: too few launches to tell",
    ),
}
"""The words for each knob that is swept."""


class _Judged(NamedTuple):
    """A line, and the point of it that a sentence is about."""

    line: SweepLine
    point: Point


def where_of(sweep: Sweep) -> str:
    """The fields that the cases of a sweep share, in words: `64 B, cross-core, python loop`.

    Over clients they tell the workload, too: several have this knob.
    """
    place = sweep.place
    size = units.display_size(place.message_size_bytes)
    how = f", {sweep.common_how}" if sweep.common_how else ""
    whom = f", {place.interpreter}" if place.interpreter else ""
    plural = definition_of(place.workload).words.plural
    of = f", {plural}" if sweep.knob == "clients" else ""
    knobs = knobs_text(place.workload)
    return f"{size}, {place.placement}, {place.loop} loop{of}{knobs}{how}{whom}"


def time_words(sweep: Sweep) -> str:
    """The words over the times of a sweep."""
    if sweep.knob == "clients":
        words = definition_of(sweep.place.workload).words
        return words.short if counted_words(sweep) == "connections" else words.column
    return WORDS[sweep.knob].time


def title_of(sweep: Sweep) -> str:
    """The title of a sweep's tables: `Round trip against gap, 64 B, cross-core, python loop`."""
    title = WORDS[sweep.knob].title.replace("Messages", counted_words(sweep).capitalize())
    return f"{title}, {where_of(sweep)}"


def value_text(knob: Swept, value: float) -> str:
    """A value of a knob for people: `no gap`, `100 µs`, `8`."""
    match knob:
        case "gap" | "work":
            return units.tick_time(value) if value else f"no {knob}"
        case "window" | "clients" | "readers":
            return f"{value:.0f}"
        case _:
            assert_never(knob)


def sentences(sweep: Sweep) -> list[str]:
    """One or two sentences on the ends of a sweep; none where nothing can be told.

    Of several mechanisms they tell the least and the greatest number, each with its interval. Those
    that no difference can be told of have the range of all their intervals.
    """
    match sweep.knob:
        case "gap":
            return list(_on_gaps(sweep))
        case "work":
            return list(_on_work(sweep))
        case "window":
            return list(_on_windows(sweep))
        case "clients":
            return list(client_sentences(sweep))
        case "readers":
            return list(_on_readers(sweep))
        case _:
            assert_never(sweep.knob)


def _on_gaps(sweep: Sweep) -> Iterator[str]:
    judged = _judged(sweep)
    if not judged:
        return
    first, last = _ends(sweep)
    slower, *_ = _by_verdict(judged)
    against = "none" if not first else f"one of {units.tick_time(first)}"
    longer = _how_much_longer(sweep, judged, "a round trip")
    yield f"After a gap of {units.tick_time(last)}, against {against}, {longer}."
    if slower:
        added = _extremes(sweep, slower, lambda one: one.point.added, units.display_time)
        yield f"What it takes longer is {added}."


def _on_readers(sweep: Sweep) -> Iterator[str]:
    judged = _judged(sweep)
    if judged:
        first, last = _ends(sweep)
        longer = _how_much_longer(sweep, judged, "a message to all of them")
        yield f"With {last:.0f} readers, against {first:.0f}, {longer}."


def _how_much_longer(sweep: Sweep, judged: Sequence[_Judged], what: str) -> str:
    """How much longer something takes at the last value than at the first, by the verdicts."""
    slower, faster, undecided = _by_verdict(judged)
    said = [
        f"{what} takes {_extremes(sweep, those, _time_to_first, times_text)} as long"
        f"{_over(sweep, those)}"
        for those in (slower, faster)
        if those
    ]
    if undecided:
        spread = _range(map(_time_to_first, undecided))
        names = _names(sweep, undecided)
        said.append(f"no difference can be told over {names} ({spread} times as long)")
    return "; ".join(said)


def _on_work(sweep: Sweep) -> Iterator[str]:
    least, last = (pick(value for value in sweep.values if value) for pick in (min, max))
    shares = [_shares(sweep, value) for value in dict.fromkeys((last, least))]
    if all(shares):
        text, *at_least = shares
        told = f"With {units.tick_time(last)} of work, the mechanism is {text} of a request"
        yield (
            "; ".join([told, *(f"with {units.tick_time(least)}, {one}" for one in at_least)]) + "."
        )
    first = min(sweep.values)
    (decided, judged), (decided_last, judged_last) = (
        _told_from_baseline(sweep, value) for value in (first, last)
    )
    if decided and judged_last and not decided_last:
        yield (
            f"With {units.tick_time(last)} of work, no mechanism can be told from {sweep.baseline};"
            f" with {value_text('work', first)}, {decided} of {judged} can."
        )


def _on_windows(sweep: Sweep) -> Iterator[str]:
    first, last = _ends(sweep)
    more, less, undecided = _by_verdict(_judged(sweep), first="faster")
    said = []
    for those in (more, less):
        if those:
            rates = _extremes(sweep, those, _rate_to_first, times_text)
            said.append(f"{rates} as many messages a second{_over(sweep, those)}")
    if undecided:
        spread = _range(map(_rate_to_first, undecided))
        names = _names(sweep, undecided)
        said.append(f"no difference in messages a second can be told over {names} ({spread} times)")
    if said:
        yield f"With {last:.0f} in flight, against {first:.0f}: {'; '.join(said)}."
    if more:
        longer = _extremes(sweep, more, _time_to_first, times_text)
        yield f"A message then takes {longer} as long."


def _ends(sweep: Sweep) -> tuple[float, float]:
    values = list(sweep.values)
    return values[0], values[-1]


def _judged(sweep: Sweep) -> list[_Judged]:
    """The mechanisms that have a verdict on the greatest value against the first."""
    ends = _ends(sweep)
    return [
        _Judged(line, line.points[-1])
        for line in sweep.mechanisms
        if (line.first.value, line.points[-1].value) == ends and line.points[-1].verdict is not None
    ]


def _by_verdict(
    judged: Sequence[_Judged], first: Verdict = "slower"
) -> tuple[list[_Judged], list[_Judged], list[_Judged]]:
    """Those of a verdict, those of its opposite, and the undecided ones."""
    undecided = [one for one in judged if one.point.verdict == "~"]
    these = [one for one in judged if one.point.verdict == first]
    others = [one for one in judged if one.point.verdict not in ("~", first)]
    return these, others, undecided


def _time_to_first(one: _Judged) -> Estimate | None:
    return one.line.time_to_first(one.point)


def _rate_to_first(one: _Judged) -> Estimate | None:
    return rate_to_first(one.point)


def _names(sweep: Sweep, those: Sequence[_Judged]) -> str:
    """The names of these mechanisms; of many, their number."""
    if len(those) > MOST_NAMED:
        every = "all " if len(those) == len(sweep.mechanisms) else ""
        return f"{every}{counted(len(those), 'mechanism')}"
    return listed([sweep.label(one.line) for one in those])


def _over(sweep: Sweep, those: Sequence[_Judged]) -> str:
    """The end of a clause that names its mechanisms, if `_extremes` doesn't name all of them."""
    return f" over {_names(sweep, those)}" if len(those) > 2 else ""


def _extremes(
    sweep: Sweep,
    those: Iterable[_Judged],
    of: Callable[[_Judged], Estimate | None],
    text: Callable[[float], str],
) -> str:
    """The least and the greatest number of these mechanisms, each with its name and interval."""
    found = [(estimate, sweep.label(one.line)) for one in those if (estimate := of(one))]
    ends = dict.fromkeys(pick(found, key=lambda one: one[0].value) for pick in (min, max))
    return " to ".join(told(estimate, text, name) for estimate, name in ends)


def _range(estimates: Iterable[Estimate | None]) -> str:
    """The range of the intervals of all of these."""
    bounds = [one.bounds for one in estimates if one is not None]
    return range_text(min(low for low, _ in bounds), max(high for _, high in bounds))


def _shares(sweep: Sweep, value: float) -> str:
    """The least and the greatest share at a value; empty unless each has an interval."""
    points = [(line, point) for line in sweep.mechanisms if (point := line.at(value))]
    if not all(point.share is not None and point.share.interval for _, point in points):
        return ""
    those = [_Judged(line, point) for line, point in points]
    return _extremes(sweep, those, lambda one: one.point.share, units.display_percent)


def _told_from_baseline(sweep: Sweep, value: float) -> tuple[int, int]:
    """The mechanisms that differ from the baseline for sure at a value, and those judged there."""
    points = [line.at(value) for line in sweep.mechanisms if line.transport != sweep.baseline]
    said = [point.baseline_verdict for point in points if point and point.baseline_verdict]
    return sum(verdict != "~" for verdict in said), len(said)
