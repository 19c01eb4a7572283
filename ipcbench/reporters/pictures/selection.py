"""Chooses the pictures of results, each with name, title and text alternative.

Without data for it, a picture is left out. Loads altair.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, assert_never

import pandas as pd

from ipcbench import units
from ipcbench.analysis import curves, ladder
from ipcbench.analysis.frame import MEASURED, baseline_of
from ipcbench.analysis.load_lines import Load, RatePoint, loads
from ipcbench.analysis.stats import Estimate
from ipcbench.analysis.sweeps import SWEPT, Point, Sweep, Swept, sweeps
from ipcbench.case import Case
from ipcbench.reporters.pictures import charts
from ipcbench.reporters.pictures.styles import STYLES, Style, highlighted
from ipcbench.reporters.tables import matrix
from ipcbench.reporters.tables.cases import ordinary
from ipcbench.reporters.tables.client_words import counted_words
from ipcbench.reporters.tables.columns import by_whom, definition, with_knobs
from ipcbench.reporters.tables.ladder import FAMILY_NAMES
from ipcbench.reporters.tables.load_words import with_settings
from ipcbench.reporters.tables.sweep_words import WORDS, value_text, where_of
from ipcbench.text import counted
from ipcbench.units import display_size, display_time, format_size

_MOST_NAMED = 6
"""Most mechanisms that a text alternative names; the tables have all."""
_MOST_SIZES = 4
"""Most marks, one a size, that fit in a row."""
_ENDS_ONLY = "Of the smallest and the largest size; the tables have all."


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with its texts, ready to be rendered."""

    name: str
    """File name without the ending; the same for the same results."""
    part: str
    """Part of the report, one of PARTS."""
    title: str
    says: str
    """Text alternative: the main numbers, in sentences."""
    chart: charts.Drawn
    note: str = ""


@dataclass(frozen=True)
class Subject:
    """The input of pictures: frames of cases and launches, and the transports to colour first."""

    cases: pd.DataFrame
    launches: pd.DataFrame
    first: Sequence[str]

    @property
    def baseline(self) -> str | None:
        """The baseline of the ratios; None if there are none."""
        return baseline_of(self.cases)

    @cached_property
    def styles(self) -> dict[str, Style]:
        """The style of each coloured mechanism, the same in all pictures."""
        timed = curves.timed(self.cases)
        timed = timed[timed["message_size_bytes"] > 0]
        fastest = timed.groupby("transport")["time_median_s"].median().sort_values()
        return highlighted([str(name) for name in fastest.index], self.first)


class _Quantity(NamedTuple):
    """A quantity that is drawn over message sizes."""

    what: str
    part: str
    keys: tuple[str, str, str]
    """Columns of the value and of the bounds of its interval."""
    axis: str
    text: Callable[[float], str]
    most_first: bool


_BANDWIDTH = _Quantity(
    "Throughput",
    "throughput",
    ("bytes_per_s", "low_bytes_per_s", "high_bytes_per_s"),
    "MiB/s delivered",
    lambda bytes_per_s: f"{units.display_bandwidth(bytes_per_s)} MiB/s",
    True,
)


def pictures(subject: Subject) -> list[Picture]:
    """All pictures of these results, in the order of PARTS, each with a unique name."""
    found: dict[str, Picture] = {}
    for part in PARTS.values():
        for picture in part(subject):
            name = _unique(re.sub(r"[^a-z0-9]+", "-", picture.name.lower()).strip("-"), found)
            found[name] = replace(picture, name=name)
    return list(found.values())


def _times(subject: Subject) -> Iterator[Picture]:
    timed = _placed(curves.timed(subject.cases))
    for workload, points in timed.groupby("workload", sort=False):
        if _part_of(workload) == "times":
            yield from _sweeps(subject, points, _time_of(workload))


def _part_of(workload: object) -> Literal["times", "throughput"]:
    """The part of the report with a workload's pictures, by the number that people compare."""
    quantity = definition(workload).quantity
    match quantity:
        case "round_trip" | "connection" | "response":
            return "times"
        case "message":
            return "throughput"
        case _:
            assert_never(quantity)


def _time_of(workload: object) -> _Quantity:
    """The time of a workload, as a quantity over message sizes."""
    words = definition(workload).words
    keys = ("time_median_s", "low_s", "high_s")
    return _Quantity(_sentence(words.time), "times", keys, words.time, display_time, False)


def _streams(subject: Subject) -> Iterator[Picture]:
    streamed = _placed(curves.streamed(subject.cases))
    for _, points in streamed.groupby("workload", sort=False):
        yield from _sweeps(subject, points, _BANDWIDTH)


def _sweeps(subject: Subject, points: pd.DataFrame, quantity: _Quantity) -> Iterator[Picture]:
    """Yields charts over sizes if there are several; dot charts for one, or for too many lines."""
    styles = subject.styles
    keys = ["placement", "loop", "interpreter"]
    for (placement, loop, _), group in points.groupby(keys, sort=False):
        where = f"{placement}, {loop} loop{with_knobs(group)}{by_whom(group)}"
        carrying = group[group["message_size_bytes"] > 0]
        ends = curves.ends(carrying["message_size_bytes"])
        others = len(set(carrying["transport"]) - set(styles))
        if len(ends) > 1:
            yield _sweep(subject, carrying, where, styles, quantity)
        for size in sorted(set(group["message_size_bytes"])):
            if size == 0 or len(ends) < 2 or (others and size in ends):
                yield _dots(subject, _of_size(group, size), where)


def _sweep(
    subject: Subject,
    points: pd.DataFrame,
    where: str,
    styles: dict[str, Style],
    quantity: _Quantity,
) -> Picture:
    key, text = quantity.keys[0], quantity.text
    said = [f"{quantity.what} against message size, {where}."]
    for size in curves.ends(points["message_size_bytes"]):
        best = _ranked(_of_size(points, size), key, text, most_first=quantity.most_first)
        said.append(f"At {display_size(size)}: {best}.")
    caches = curves.caches_bytes(subject.launches)
    others = len(set(points["transport"]) - set(styles))
    notes = ["Bands: 95 % intervals."]
    notes += ["Dotted: the CPU's caches."] if caches else []
    notes += [f"Grey: {counted(others, 'other')}, named below."] if others else []
    return Picture(
        name=f"{quantity.what} by size {where}",
        part=quantity.part,
        title=f"{quantity.what} by message size, {where}",
        says=" ".join(said),
        chart=charts.sweep(points, quantity.keys, quantity.axis, styles, caches),
        note=" ".join(notes),
    )


def _dots(subject: Subject, points: pd.DataFrame, where: str) -> Picture:
    size, workload = int(points["message_size_bytes"].iloc[0]), points["workload"].iloc[0]
    what = definition(workload).words.time
    title = f"{_sentence(what)}, {display_size(size)}, {where}"
    notes = ["Lines: 95 % intervals."]
    if subject.baseline in set(points["transport"]):
        notes.append(f"Square: the baseline {subject.baseline}.")
    return Picture(
        name=f"{what.partition(',')[0]} {format_size(size)} {where}",
        part=_part_of(workload),
        title=title,
        says=f"{title}, fastest first: {_ranked(points, 'time_median_s', display_time)}.",
        chart=charts.dots(points, what, subject.baseline),
        note=" ".join(notes),
    )


def _percentiles(subject: Subject) -> Iterator[Picture]:
    sampled = subject.cases[subject.cases["round_trip_samples_count"].notna()]
    keys = ["workload", "placement", "loop", "interpreter"]
    for (_, placement, loop, label), place in _placed(sampled).groupby(keys, sort=False):
        sizes = set(place["message_size_bytes"])
        for size in curves.ends(sizes):
            those = subject.launches["case"].isin(_of_size(place, size)["case"])
            group = curves.percentile_curves(subject.launches[those])
            if group.empty:
                continue
            knobs = with_knobs(place)
            where = f"{display_size(size)}, {placement}, {loop} loop{knobs}{by_whom(place)}"
            labelled = group[group["is_labelled"].astype(bool)]
            said = [
                f"{title}: {_ranked(at_tail, 'time_s', display_time)}."
                for title, inverse_tail in (("Median", 2.0), ("99th percentile", 100.0))
                if len(at_tail := labelled[labelled["inverse_tail"] == inverse_tail])
            ]
            yield Picture(
                name=f"percentiles {format_size(size)} {placement} {loop} {label}{knobs}",
                part="percentiles",
                title=f"Single round trips, {where}",
                says=" ".join([f"Percentiles of single round trips, {where}.", *said]),
                chart=charts.percentiles(group, subject.styles),
                note=_ENDS_ONLY if len(sizes) > 2 else "",
            )


def _drift(subject: Subject) -> Iterator[Picture]:
    runs = curves.drift(subject.launches).groupby("run_id", sort=False)
    for number, (_, group) in enumerate(runs, 1):
        rounds = curves.drift_by_round(group)
        if len(rounds) < 2:
            continue
        title = "Launches over time" + (f", run {number}" if len(runs) > 1 else "")
        launches = counted(len(group), "launch", "launches")
        yield Picture(
            name=title,
            part="drift",
            title=title,
            says=f"{title}: {launches} of {counted(group['case'].nunique(), 'case')} in"
            f" {group['run_elapsed_s'].max():.0f} seconds, each over its case's median. By rounds,"
            f" the median of all went from {rounds['median'].min():.2f} to"
            f" {rounds['median'].max():.2f}.",
            chart=charts.drift(group, rounds),
            note="Grey: a line a case. Blue: all of a round, with quartiles. Level is good.",
        )


def _native(subject: Subject) -> Iterator[Picture]:
    both = _placed(curves.against_native(subject.cases))
    both = both[both["message_size_bytes"] > 0]
    keys = ["workload", "placement", "interpreter"]
    for (workload, placement, label), every in both.groupby(keys, sort=False):
        sizes = sorted(set(every["message_size_bytes"]))
        kept = sizes if len(sizes) <= _MOST_SIZES else curves.ends(sizes)
        group = every[every["message_size_bytes"].isin(kept)]
        where = f"{definition(workload).words.time}, {placement}{with_knobs(every)}{by_whom(every)}"
        ranked = _ranked(
            _of_size(group, kept[0]), "time_to_native_ratio", lambda ratio: f"{ratio:.2f}x"
        )
        yield Picture(
            name=f"python against native {workload} {placement} {label}",
            part="native",
            title=f"Python against native, {where}",
            says=f"The time with the loop in Python over that with the loop in C, {where}."
            f" At {display_size(kept[0])}: {ranked}.",
            chart=charts.against_native(group),
            note="Lines: 95 % intervals." + ("" if kept == sizes else f" {_ENDS_ONLY}"),
        )


def _placements(subject: Subject) -> Iterator[Picture]:
    yield from _matrices(subject)
    timed = _placed(curves.timed(subject.cases))
    keys = ["workload", "loop", "interpreter"]
    for (workload, loop, label), both in timed.groupby(keys, sort=False):
        if both["placement"].nunique() > 1:
            for size in curves.ends(both["message_size_bytes"]):
                what = definition(workload).words.time
                place = f"{display_size(size)}, {loop} loop{with_knobs(both)}{by_whom(both)}"
                where = f"{what}, {place}"
                name = f"placements {workload} {format_size(size)} {loop} {label}"
                yield _by_placement(_of_size(both, size), where, name)


def _by_placement(points: pd.DataFrame, where: str, name: str) -> Picture:
    ordered = points.sort_values("time_median_s")
    said = [
        f"{placement}: {_ranked(group, 'time_median_s', display_time)}."
        for placement, group in ordered.groupby("placement")
    ]
    return Picture(
        name=name,
        part="placements",
        title=f"Placements, {where}",
        says=" ".join([f"{_sentence(where)}, by placement.", *said]),
        chart=charts.heat(ordered, "placement", "transport", (None, None)),
        note="Darker is slower.",
    )


def _ladder(subject: Subject) -> Iterator[Picture]:
    """The waterfall of each table of the ladder, and the ratio of families by rung."""
    if not ladder.has_rungs(subject.cases):
        return
    rungs = ladder.of_ladder(subject.cases)
    rungs = rungs[(rungs["status"] == MEASURED).astype(bool)]
    keys = ["workload", "message_size_bytes", "placement", "loop", "interpreter"]
    for (workload, _, placement, loop, label), group in rungs.groupby(keys, sort=False):
        size = int(group["message_size_bytes"].iloc[0])
        knobs = str(workload).partition(":")[2]
        where = f"{display_size(size)}, {placement}, {loop} loop{by_whom(group)}"
        where += f", {knobs}" if knobs else ""
        name = f"{format_size(size)} {placement} {loop} {label} {knobs}"
        yield _waterfall(group, where, name)
        yield from _family_ratios(group, where, name)


def _tick_or_0(seconds: float) -> str:
    """A time at an axis that has a 0."""
    return units.tick_time(seconds) if seconds else "0"


class _OverKnob(NamedTuple):
    """A quantity that is drawn over the values of a knob."""

    title: str
    of: Callable[[Point], Estimate | None]
    axis: charts.Side
    text: Callable[[float], str]
    most_first: bool = False


_OVER: dict[Swept, tuple[_OverKnob, ...]] = {
    "gap": (
        _OverKnob(
            "Round trip against gap",
            lambda point: point.time,
            charts.Side("round trip", units.tick_time),
            display_time,
        ),
    ),
    "work": (
        _OverKnob(
            "Share of the request against work",
            lambda point: point.share,
            charts.Side("share of the round trip", "{:.0%}".format, is_share=True),
            units.display_percent,
        ),
    ),
    "window": (
        _OverKnob(
            "Throughput against window",
            lambda point: point.rate,
            charts.Side("messages a second", units.tick_rate),
            units.display_rate,
            most_first=True,
        ),
        _OverKnob(
            "Response time against window",
            lambda point: point.time,
            charts.Side("response time", units.tick_time),
            display_time,
        ),
    ),
    "clients": (
        _OverKnob(
            "Messages a second against clients",
            lambda point: point.rate,
            charts.Side("messages a second", units.tick_rate),
            units.display_rate,
            most_first=True,
        ),
        _OverKnob(
            "Round trip against clients",
            lambda point: point.time if _is_round_trip(point) else None,
            charts.Side("round trip", units.tick_time),
            display_time,
        ),
    ),
    "readers": (
        _OverKnob(
            "Time per message against readers",
            lambda point: point.time,
            charts.Side("time per message", units.tick_time),
            display_time,
        ),
    ),
}
"""The pictures of each sweep."""


def _is_round_trip(point: Point) -> bool:
    return Case.parse(point.case).definition.quantity == "round_trip"


def _in_words_of(sweep: Sweep, quantity: _OverKnob) -> _OverKnob:
    """The quantity of a picture, of connections where messages are those."""
    words = counted_words(sweep)
    axis = quantity.axis._replace(title=quantity.axis.title.replace("messages", words))
    return quantity._replace(
        title=quantity.title.replace("Messages", words.capitalize()), axis=axis
    )


_KNOB_AXES: dict[Swept, charts.Side] = {
    "gap": charts.Side("gap before each message", _tick_or_0),
    "work": charts.Side("the server's work before each reply", _tick_or_0),
    "window": charts.Side("messages in flight", "{:.0f}".format),
    "clients": charts.Side("clients of one server", "{:.0f}".format),
    "readers": charts.Side("readers of one writer", "{:.0f}".format),
}


def _over_knob(knob: Swept) -> Callable[[Subject], Iterator[Picture]]:
    """A function that yields the pictures of the sweeps of one knob."""

    def found(subject: Subject) -> Iterator[Picture]:
        for sweep in sweeps(_placed(subject.cases), subject.launches):
            if sweep.knob == knob:
                for quantity in _OVER[knob]:
                    yield from _of_sweep(subject, sweep, _in_words_of(sweep, quantity))

    return found


def _of_sweep(subject: Subject, sweep: Sweep, quantity: _OverKnob) -> Iterator[Picture]:
    rows = [
        {
            "transport": sweep.label(line),
            "at": point.value,
            "value": estimate.value,
            "low": estimate.bounds.low,
            "high": estimate.bounds.high,
        }
        for line in sweep.mechanisms
        for point in line.points
        if (estimate := quantity.of(point)) is not None
    ]
    if not rows:
        return
    points = pd.DataFrame(rows)
    labels = list(dict.fromkeys(points["transport"]))
    transports = {line.transport for line in sweep.mechanisms}
    styles = subject.styles if transports >= set(labels) else highlighted(labels, subject.first)
    others = len(set(labels) - set(styles))
    where = where_of(sweep)
    said = [f"{quantity.title}, {where}."]
    for value in (min(sweep.values), max(sweep.values)):
        at_value = points[points["at"] == value]
        ranked = _ranked(at_value, "value", quantity.text, most_first=quantity.most_first)
        said.append(f"{_sentence(_at_value(sweep.knob, value))}: {ranked}.")
    notes = ["Bands: 95 % intervals."]
    notes += [f"Grey: {counted(others, 'other')}, named below."] if others else []
    yield Picture(
        name=f"{quantity.title} {where}",
        part=sweep.knob,
        title=f"{quantity.title}, {where}",
        says=" ".join(said),
        chart=charts.over_knob(points, _KNOB_AXES[sweep.knob], quantity.axis, styles),
        note=" ".join(notes),
    )


def _loads(subject: Subject) -> Iterator[Picture]:
    """The responses of each load of the open loop, against the rate of messages answered."""
    for load in loads(subject.cases):
        rows = [
            {
                "transport": line.transport,
                "percentile": name,
                "is_tail": name == "p99",
                "at": point.achieved_per_s,
                "value": estimate.value,
                "low": estimate.bounds.low,
                "high": estimate.bounds.high,
            }
            for line in load.mechanisms
            for point in line.points
            for name, estimate in (("p50", point.p50), ("p99", point.p99))
            if estimate is not None and estimate.bounds.low > 0
        ]
        if rows:
            yield _of_load(subject, load, pd.DataFrame(rows))


def _of_load(subject: Subject, load: Load, points: pd.DataFrame) -> Picture:
    knees = [
        {"transport": line.transport, "at": line.knee.failed.achieved_per_s}
        for line in load.mechanisms
        if line.knee.failed is not None
    ]
    labels = list(dict.fromkeys(points["transport"]))
    styles = subject.styles
    if not styles.keys() & set(labels):  # nothing else was measured that could give them one
        styles = highlighted(labels, subject.first)
    others = len(set(labels) - set(styles))
    title = f"Response time against rate, {with_settings(load.place)}"
    said = [f"{title}."]
    for line in load.mechanisms:
        steady = [point for point in line.points if point.p50 is not None]
        ends = dict.fromkeys((*steady[:1], *steady[-1:]))
        said += [_at_rate(line.transport, point) for point in ends]
    notes = ["Filled: p99; hollow: p50. Bands: 95 % intervals."]
    notes += ["Dotted: the first rate that is not steady."] if knees else []
    notes += [f"Grey: the p99 of {counted(others, 'other')}, named below."] if others else []
    return Picture(
        name=title,
        part="load",
        title=title,
        says=" ".join(said),
        chart=charts.over_rate(
            points,
            pd.DataFrame(knees, columns=["transport", "at"]),
            charts.Side("messages answered a second", units.tick_rate),
            charts.Side("response time", units.tick_time),
            styles,
        ),
        note=" ".join(notes),
    )


def _at_rate(transport: str, point: RatePoint) -> str:
    """The percentiles of a transport at a rate, in a sentence."""
    both = (("p50", point.p50), ("p99", point.p99))
    texts = [f"{name} {display_time(one.value)}" for name, one in both if one is not None]
    return f"At {units.tick_rate(point.rate_per_s)} over {transport}: {', '.join(texts)}."


def _at_value(knob: Swept, value: float) -> str:
    """A value of a knob in front of what is told of it: `no gap`, `1 client`, `8 in flight`."""
    text = value_text(knob, value)
    match knob:
        case "gap" | "work":
            return f"{knob} {text}" if value else text
        case "window":
            return f"{text} {WORDS[knob].value}"
        case "clients" | "readers":
            return counted(round(value), knob.removesuffix("s"))
        case _:
            assert_never(knob)


_MOST_RATIO = 5.0
"""Largest ratio of families in their picture: beside Nagle's 400, all others would be one."""


def _waterfall(group: pd.DataFrame, where: str, name: str) -> Picture:
    below = group["time_median_s"] - _floats(group["added_s"]).fillna(0.0)
    # A difference of rounds may exceed one of medians, but no bar begins at or below nothing.
    starts = below.where(below > 0, group["time_median_s"])
    rows = pd.DataFrame(
        {
            "rung": group["rung"],
            "family": group["family"].map(FAMILY_NAMES),
            "below_s": starts,
            "time_s": group["time_median_s"],
            "end_s": pd.concat([starts, group["time_median_s"]], axis="columns").max(
                axis="columns"
            ),
            "text": [display_time(time_s) for time_s in group["time_median_s"]],
        }
    )
    said = [
        f"{_family(of_family)}: {_by_rung(of_family, 'time_median_s', display_time)}."
        for _, of_family in group.groupby("family", sort=False)
    ]
    return Picture(
        name=f"ladder {name}",
        part="ladder",
        title=f"The ladder, {where}",
        says=" ".join([f"Round trips by rung, {where}.", *said]),
        chart=charts.waterfall(rows, _family_styles(group)),
        note="A bar reaches from the rung below to the rung itself.",
    )


def _family_ratios(group: pd.DataFrame, where: str, name: str) -> Iterator[Picture]:
    key = "family_to_unix_ratio"
    ratio = _floats(group[key])
    far = ratio.notna() & ~ratio.between(1 / _MOST_RATIO, _MOST_RATIO)
    compared = group[ratio.notna() & ~far]
    if compared.empty:
        return
    ratio = compared[key]
    rows = pd.DataFrame(
        {
            "rung": compared["rung"],
            "family": compared["family"].map(FAMILY_NAMES),
            "ratio": ratio,
            "low": _floats(compared["family_to_unix_low_ratio"]).fillna(ratio),
            "high": _floats(compared["family_to_unix_high_ratio"]).fillna(ratio),
        }
    )
    said = [
        f"{_family(of_family)}: {_by_rung(of_family, key, _times_text)}."
        for _, of_family in group[group[key].notna()].groupby("family", sort=False)
    ]
    off_scale = [
        f"{row['rung']} over {FAMILY_NAMES[row['family']]}, {_times_text(row[key])}"
        for row in group[far].to_dict("records")
    ]
    note = "Lines: 95 % intervals."
    if off_scale:
        note += f" Not shown, since it is off this scale: {'; '.join(off_scale)}."
    title = f"time over that of {FAMILY_NAMES[ladder.REFERENCE]}"
    yield Picture(
        name=f"families {name}",
        part="ladder",
        title=f"Families by rung, {where}",
        says=" ".join([f"The {title} at each rung, {where}.", *said]),
        chart=charts.family_ratios(rows, _family_styles(compared), title),
        note=note,
    )


def _floats(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column of numbers; one without any value would be of whole ones."""
    return column.astype("Float64")


def _family(rows: pd.DataFrame) -> str:
    """The name of the family of these rows."""
    return FAMILY_NAMES[rows["family"].iloc[0]]


def _times_text(ratio: float) -> str:
    return f"{units.three_digits(ratio)}x"


def _by_rung(group: pd.DataFrame, key: str, text: Callable[[float], str]) -> str:
    """The values of all rungs in words, in the ladder's order."""
    return ", ".join(f"{row['rung']} {text(row[key])}" for row in group.to_dict("records"))


def _family_styles(group: pd.DataFrame) -> dict[str, Style]:
    """The style of each family, the same in all pictures."""
    styles = dict(zip(FAMILY_NAMES.values(), STYLES, strict=False))
    there = {FAMILY_NAMES[family] for family in group["family"]}
    return {name: style for name, style in styles.items() if name in there}


def _matrices(subject: Subject) -> Iterator[Picture]:
    cells = curves.with_cpus(subject.cases[matrix.is_part(subject.cases)])
    keys = ["workload", "transport", "message_size_bytes", "loop", "interpreter"]
    for _, group in cells.groupby(keys, sort=False):
        rows = group.sort_values("time_median_s").to_dict("records")
        first, last = rows[0], rows[-1]
        size, loop = first["message_size_bytes"], first["loop"]
        place = f"{display_size(size)}, {loop} loop{with_knobs(group)}{by_whom(group)}"
        where = f"{first['transport']}, {place}"
        said = [
            f"{word}: {display_time(row['time_median_s'])} with the client on CPU"
            f" {row['client']} and the server on CPU {row['server']}."
            for word, row in (("Fastest", first), ("Slowest", last))
        ]
        ordered = group.sort_values(["client", "server"])
        yield Picture(
            name=f"cpus {first['transport']} {format_size(size)} {loop} {first['interpreter']}"
            f"{with_knobs(group)}",
            part="placements",
            title=f"Round trip by CPU, {where}",
            says=" ".join([f"Round trip by CPU, {where}.", *said]),
            chart=charts.heat(ordered, "server", "client", ("server's CPU", "client's CPU")),
            note="Darker is slower.",
        )


PARTS: dict[str, Callable[[Subject], Iterator[Picture]]] = {
    "times": _times,
    "throughput": _streams,
    "ladder": _ladder,
    "load": _loads,
    **{knob: _over_knob(knob) for knob in SWEPT},
    "percentiles": _percentiles,
    "drift": _drift,
    "native": _native,
    "placements": _placements,
}
"""The functions that make the pictures of each part of a report, in order."""


def _unique(name: str, taken: dict[str, Picture]) -> str:
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """Leaves out the cells of a matrix and open loops, which have pictures of their own."""
    return ordinary(frame)


def _of_size(frame: pd.DataFrame, size: int) -> pd.DataFrame:
    return frame[frame["message_size_bytes"] == size]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ranked(
    points: pd.DataFrame, key: str, text: Callable[[float], str], *, most_first: bool = False
) -> str:
    """Names and values of points in words, best first; of many, only the ends."""
    ordered = points.sort_values(key, ascending=not most_first)
    said = [f"{row['transport']} {text(row[key])}" for row in ordered.to_dict("records")]
    if len(said) > _MOST_NAMED:
        between = f"{counted(len(said) - _MOST_NAMED, 'other')} between"
        said = [*said[: _MOST_NAMED - 1], between, said[-1]]
    return ", ".join(said)
