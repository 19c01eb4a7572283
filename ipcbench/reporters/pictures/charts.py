"""Charts, each from a frame of `analysis.curves`: one panel, narrow enough for a phone.

Loads altair, so only modules that draw import this. A chart's texts are data and never part of an
expression, so that text from a file can't be executed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from ipcbench import units
from ipcbench.reporters.pictures.scales import (
    Span,
    label_expression,
    log_span,
    log_ticks,
    size_ticks,
)
from ipcbench.reporters.pictures.styles import FIRST, INK, QUIET, SECOND, STYLES, Style

Drawn = alt.LayerChart

WIDTH, HEIGHT = 380, 330
_ROW = 24
_CELL = 30
_SHORT_NAME, _LONG_NAME = 11, 23
_ZERO_SHARE = 9.0
"""Least value over the one up to which an axis with a 0 is even: puts the 0 a decade left of it."""
_ZERO_MARGIN = 0.25
"""Room left of a 0, in the same measure."""
_BAND_OPACITY = 0.16
_SHARES = {2.0: "50%", 10.0: "90%", 100.0: "99%", 1e3: "99.9%", 1e4: "99.99%", 1e5: "99.999%"}
_LIGHT_TEXT, _DARK_TEXT = "#fdfdfd", "#000000"
"""Text colours of heat map cells, whose ground is the same in light and dark mode."""


class Side(NamedTuple):
    """One axis of a chart: its title, and how its ticks read."""

    title: str
    text: Callable[[float], str]
    is_share: bool = False
    """Whether it is of shares, from 0 to 1."""


def sweep(
    points: pd.DataFrame,
    keys: tuple[str, str, str],
    title: str,
    styles: Mapping[str, Style],
    caches: Mapping[str, int],
) -> Drawn:
    """Draws a quantity over message sizes, log-log; `keys` are the value and its interval."""
    value, low, high = keys
    is_time = value == "time_median_s"
    text, unit = (
        (units.tick_time, 1.0) if is_time else (units.tick_bandwidth, float(units.MEBIBYTE_BYTES))
    )
    kept = points[["transport", "message_size_bytes", *keys]]
    x_span = log_span(kept["message_size_bytes"].tolist(), 1.15)
    y_span = log_span([*kept[low].tolist(), *kept[high].tolist()])
    sizes = size_ticks(kept["message_size_bytes"].tolist())
    x = _x("message_size_bytes", "message size", x_span, sizes)
    y = _y(value, title, y_span, log_ticks(y_span, unit), text)
    coloured, others = _parted(kept, styles)
    base = alt.Chart(_data(coloured)).encode(x=x, y=y, color=_colour(styles, kept))
    band = base.mark_area(opacity=_BAND_OPACITY).encode(
        y=alt.Y(f"{low}:Q", scale=_log(y_span)), y2=f"{high}:Q"
    )
    line = base.mark_line().encode(strokeDash=_dash(styles, kept))
    marks = base.mark_point(filled=True, size=48, opacity=1).encode(shape=_shape(styles, kept))
    return _layered(*_cache_marks(caches, x_span, y_span), *_greys(others, x, y), band, line, marks)


def over_knob(points: pd.DataFrame, x: Side, y: Side, styles: Mapping[str, Style]) -> Drawn:
    """Draws a quantity over the values of a knob.

    Takes columns `transport`, `at` (the knob's value), `value` and its interval `low`, `high`.
    The value 0 has a place of its own, left of the others, which are on a logarithmic axis. Shares
    are on an axis from 0 to 1, all else on a logarithmic one.
    """
    at_scale = _with_zero(points["at"].tolist())
    at = alt.X("at:Q", scale=at_scale, axis=_axis(x.title, size_ticks(points["at"]), x.text))
    if y.is_share:
        scale, ticks = alt.Scale(domain=[0.0, 1.0], nice=False), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    else:
        span = log_span([*points["low"].tolist(), *points["high"].tolist()])
        scale, ticks = _log(span), log_ticks(span)
    value = alt.Y("value:Q", scale=scale, axis=_axis(y.title, ticks, y.text))
    coloured, others = _parted(points, styles)
    base = alt.Chart(_data(coloured)).encode(x=at, y=value, color=_colour(styles, points))
    band = base.mark_area(opacity=_BAND_OPACITY, clip=True).encode(
        y=alt.Y("low:Q", scale=scale), y2="high:Q"
    )
    line = base.mark_line().encode(strokeDash=_dash(styles, points))
    marks = base.mark_point(filled=True, size=48, opacity=1)
    marks = marks.encode(shape=_shape(styles, points))
    return _layered(*_greys(others, at, value), band, line, marks)


def over_rate(
    points: pd.DataFrame, knees: pd.DataFrame, x: Side, y: Side, styles: Mapping[str, Style]
) -> Drawn:
    """Draws two percentiles of responses over the rate of messages, both on logarithmic axes.

    Takes columns `transport`, `percentile`, `is_tail`, `at` (the rate), `value` and its interval
    `low`, `high`; a tail has filled marks and bands. `knees` has columns `transport` and `at`: each
    is a vertical line in the colour of its transport.
    """
    x_span = log_span([*points["at"].tolist(), *knees["at"].tolist()], 1.15)
    y_span = log_span([*points["low"].tolist(), *points["high"].tolist()])
    at = alt.X("at:Q", scale=_log(x_span), axis=_axis(x.title, log_ticks(x_span), x.text))
    value = alt.Y("value:Q", scale=_log(y_span), axis=_axis(y.title, log_ticks(y_span), y.text))
    coloured, others = _parted(points, styles)
    tails, medians = (
        coloured[coloured["is_tail"].astype(bool) == is_it] for is_it in (True, False)
    )
    layers = _greys(others[others["is_tail"].astype(bool)], at, value)
    marked, _ = _parted(knees, styles)
    if len(marked):
        rule = alt.Chart(_data(marked)).mark_rule(strokeDash=[2, 3], strokeWidth=1.5)
        layers.append(
            rule.encode(x=alt.X("at:Q", scale=_log(x_span)), color=_colour(styles, points))
        )
    for rows, is_tail in ((medians, False), (tails, True)):
        base = alt.Chart(_data(rows)).encode(x=at, y=value, color=_colour(styles, points))
        layers.append(
            base.mark_area(opacity=_BAND_OPACITY, clip=True).encode(
                y=alt.Y("low:Q", scale=_log(y_span)), y2="high:Q"
            )
        )
        line = base.mark_line(strokeWidth=2 if is_tail else 1.2)
        layers.append(line.encode(strokeDash=_dash(styles, points)))
        marks = base.mark_point(filled=is_tail, size=48 if is_tail else 36, opacity=1)
        layers.append(marks.encode(shape=_shape(styles, points)))
    return _layered(*layers)


def percentiles(points: pd.DataFrame, styles: Mapping[str, Style]) -> Drawn:
    """Draws the percentiles of single round trips: time over share."""
    kept = points[["transport", "inverse_tail", "time_s", "is_labelled"]]
    y_span = log_span(kept["time_s"].tolist())
    x_span = (1.0, max(kept["inverse_tail"].max(), 2.0) * 1.2)
    ticks = [tick for tick in _SHARES if tick <= x_span[1]]
    x = alt.X(
        "inverse_tail:Q",
        scale=_log(x_span),
        axis=_axis("at most as long in this share of round trips", ticks, _SHARES.__getitem__),
    )
    y = _y("time_s", "single round trip", y_span, log_ticks(y_span), units.tick_time)
    coloured, others = _parted(kept, styles)
    base = alt.Chart(_data(coloured)).encode(x=x, y=y, color=_colour(styles, kept))
    line = base.transform_filter(~alt.datum.is_labelled).mark_line()
    marks = base.transform_filter(alt.datum.is_labelled).mark_point(filled=True, size=48, opacity=1)
    return _layered(
        *_greys(others[~others["is_labelled"].astype(bool)], x, y),
        line.encode(strokeDash=_dash(styles, kept)),
        marks.encode(shape=_shape(styles, kept)),
    )


def dots(points: pd.DataFrame, title: str, baseline: str | None) -> Drawn:
    """Draws one time a row, fastest first, with its interval and text; the baseline stands out."""
    ordered = points.sort_values("time_median_s")
    rows = ordered[["transport", "time_median_s", "low_s", "high_s"]].assign(
        text=[units.display_time(time_s) for time_s in ordered["time_median_s"]]
    )
    low, high = log_span([*rows["low_s"].tolist(), *rows["high_s"].tolist()])
    span = (low, high * max(1.2, (high / low) ** 0.3))  # room for the texts
    y = alt.Y("transport:N", sort=None, axis=_names_axis())
    x = alt.X(
        "time_median_s:Q",
        scale=_log(span),
        axis=_axis(title, log_ticks((low, high)), units.tick_time),
    )
    is_baseline = alt.datum.transport == (baseline or "")
    base = alt.Chart(_data(rows)).encode(y=y)
    rule = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low_s:Q", scale=_log(span)),
        x2="high_s:Q",
        color=alt.condition(is_baseline, alt.value(SECOND), alt.value(FIRST)),
    )
    mark = base.mark_point(filled=True, size=64, opacity=1).encode(
        x=x,
        color=alt.condition(is_baseline, alt.value(SECOND), alt.value(FIRST)),
        shape=alt.condition(is_baseline, alt.value("square"), alt.value("circle")),
    )
    words = base.mark_text(align="left", dx=9, color=INK).encode(
        x=alt.X("high_s:Q", scale=_log(span)), text="text:N"
    )
    return _layered(rule, mark, words, height=alt.Step(_ROW))


def drift(points: pd.DataFrame, rounds: pd.DataFrame) -> Drawn:
    """Draws launch times over the median of their case: a faint line a case, a bold one for all."""
    span = log_span([*points["ratio"].tolist(), *rounds["low"].tolist()], 1.05)
    lines = points.assign(series=pd.factorize(points["case"])[0])
    elapsed = alt.X(
        "run_elapsed_s:Q",
        scale=alt.Scale(zero=True, nice=False),
        axis=alt.Axis(title="seconds since the run began", tickCount=6),
    )
    y = _y("ratio", "time over the case's median", span, log_ticks(span), lambda r: f"{r:g}x")
    faint = (
        alt.Chart(_data(lines[["series", "run_elapsed_s", "ratio"]]))
        .mark_line(color=QUIET, strokeWidth=0.7, opacity=0.35)
        .encode(x=elapsed, y=y, detail="series:N")
    )
    together = alt.Chart(_data(rounds)).encode(x=elapsed)
    band = together.mark_area(color=FIRST, opacity=0.25).encode(
        y=alt.Y("low:Q", scale=_log(span)), y2="high:Q"
    )
    line = together.mark_line(color=FIRST, strokeWidth=2.5, point={"color": FIRST, "size": 40})
    return _layered(faint, band, line.encode(y=alt.Y("median:Q", scale=_log(span))))


def against_native(cases: pd.DataFrame) -> Drawn:
    """Draws the time of the loop in Python over the loop in C: a row a mechanism, a mark a size."""
    sizes = sorted(set(cases["message_size_bytes"]))
    styles = {units.display_size(size): style for size, style in zip(sizes, STYLES, strict=False)}
    rows = cases[["transport", "low", "high"]].assign(
        size=[units.display_size(size) for size in cases["message_size_bytes"]],
        ratio=cases["time_to_native_ratio"],
    )
    span = log_span([1.0, *rows["low"].tolist(), *rows["high"].tolist()], 1.03)
    axis = _axis("time with the loop in Python over C", log_ticks(span), lambda r: f"{r:g}x")
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("transport:N", sort=None, axis=_names_axis()),
        yOffset=alt.YOffset("size:N", sort=list(styles), scale=alt.Scale(paddingOuter=0.4)),
        color=_colour(styles, rows, field="size"),
    )
    one = alt.Chart(_data(pd.DataFrame({"ratio": [1.0]}))).mark_rule(color=INK)
    rule = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=_log(span)), x2="high:Q")
    marks = base.mark_point(filled=True, size=50, opacity=1).encode(
        x=alt.X("ratio:Q", scale=_log(span), axis=axis), shape=_shape(styles, rows, field="size")
    )
    height = max(_ROW, 11 * len(styles) + 8) * rows["transport"].nunique()
    return _layered(one.encode(x=alt.X("ratio:Q", scale=_log(span))), rule, marks, height=height)


def waterfall(rungs: pd.DataFrame, families: Mapping[str, Style]) -> Drawn:
    """Draws a bar a rung and family, from the time of the rung below to its own, on a log axis.

    Takes columns `rung`, `family`, `below_s`, `time_s`, `text`; a rung without one below is a mark.
    """
    span = log_span([*rungs["below_s"].tolist(), *rungs["time_s"].tolist()], 1.15)
    low, high = span
    wide = (low, high * max(1.2, (high / low) ** 0.25))  # room for the texts
    axis = _axis("round trip", log_ticks(span), units.tick_time)
    base = _by_family(rungs, families)
    bars = base.mark_rule(strokeWidth=5, opacity=0.55).encode(
        x=alt.X("below_s:Q", scale=_log(wide)), x2="time_s:Q"
    )
    at = alt.X("time_s:Q", scale=_log(wide), axis=axis)
    marks = base.mark_point(filled=True, size=44, opacity=1).encode(
        x=at, shape=_shape(families, rungs, field="family")
    )
    words = base.mark_text(align="left", dx=9, fontSize=10).encode(
        x=alt.X("end_s:Q", scale=_log(wide)), text="text:N", color=alt.value(INK)
    )
    return _layered(bars, marks, words, height=_family_height(rungs, families))


def family_ratios(rungs: pd.DataFrame, families: Mapping[str, Style], title: str) -> Drawn:
    """Draws the ratio of a family to another at each rung, with its interval.

    Takes columns `rung`, `family`, `ratio`, `low`, `high`.
    """
    span = log_span([1.0, *rungs["low"].tolist(), *rungs["high"].tolist()], 1.03)
    axis = _axis(title, log_ticks(span), lambda ratio: f"{ratio:g}x")
    base = _by_family(rungs, families)
    one = alt.Chart(_data(pd.DataFrame({"ratio": [1.0]}))).mark_rule(color=INK)
    rule = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=_log(span)), x2="high:Q")
    marks = base.mark_point(filled=True, size=50, opacity=1).encode(
        x=alt.X("ratio:Q", scale=_log(span), axis=axis),
        shape=_shape(families, rungs, field="family"),
    )
    level = one.encode(x=alt.X("ratio:Q", scale=_log(span)))
    return _layered(level, rule, marks, height=_family_height(rungs, families))


def _by_family(rungs: pd.DataFrame, families: Mapping[str, Style]) -> alt.Chart:
    """The chart of a row a rung, with a place and a colour for each family in it."""
    return alt.Chart(_data(rungs)).encode(
        y=alt.Y("rung:N", sort=None, axis=_names_axis()),
        yOffset=alt.YOffset("family:N", sort=list(families), scale=alt.Scale(paddingOuter=0.4)),
        color=_colour(families, rungs, field="family"),
    )


def _family_height(rungs: pd.DataFrame, families: Mapping[str, Style]) -> int:
    there = len(_shown(families, rungs, "family"))
    return int(max(_ROW, 16 * there + 4) * rungs["rung"].nunique())


def heat(
    cells: pd.DataFrame, columns: str, rows: str, titles: tuple[str | None, str | None]
) -> Drawn:
    """Draws times as cells, light to dark in one hue, each with its text."""
    low, high = float(cells["time_median_s"].min()), float(cells["time_median_s"].max())
    table = pd.DataFrame(
        {
            "column": [str(name) for name in cells[columns]],
            "row": [str(name) for name in cells[rows]],
            "time_s": cells["time_median_s"].tolist(),
            "text": [units.display_time(time_s) for time_s in cells["time_median_s"]],
        }
    )
    across, down = list(dict.fromkeys(table["column"])), list(dict.fromkeys(table["row"]))
    shade = alt.Scale(type="log", domain=[low, max(high, low * 1.01)], scheme="blues")
    base = alt.Chart(_data(table)).encode(
        x=alt.X(
            "column:N",
            sort=across,
            axis=_names_axis(titles[0], orient="top", labelAngle=0, grid=False),
        ),
        y=alt.Y("row:N", sort=down, axis=_names_axis(titles[1])),
    )
    squares = base.mark_rect().encode(color=alt.Color("time_s:Q", scale=shade, legend=None))
    # Where black and white stand out alike from the scheme's blues.
    is_dark = alt.datum.time_s > low**0.35 * high**0.65
    words = base.mark_text().encode(
        text="text:N",
        color=alt.condition(is_dark, alt.value(_LIGHT_TEXT), alt.value(_DARK_TEXT)),
    )
    return _layered(squares, words, height=alt.Step(_CELL))


def _layered(*layers: alt.Chart, height: Any = HEIGHT) -> Drawn:
    """Layers charts in one panel of the common width and this height, or of a height a row."""
    fitted = alt.AutoSizeParams(type="fit" if height == HEIGHT else "fit-x", contains="padding")
    return alt.LayerChart(layer=list(layers), width=WIDTH, height=height, autosize=fitted)


def _data(frame: pd.DataFrame) -> pd.DataFrame:
    """Converts a frame's pandas types to plain floats, booleans and texts."""
    plain = {}
    for name, column in frame.items():
        is_number = pd.api.types.is_numeric_dtype(column)
        is_flag = pd.api.types.is_bool_dtype(column)
        plain[str(name)] = column.astype("float64" if is_number and not is_flag else "object")
    return pd.DataFrame(plain)


def _parted(frame: pd.DataFrame, styles: Mapping[str, Style]) -> tuple[pd.DataFrame, pd.DataFrame]:
    coloured = frame["transport"].isin(list(styles)).astype(bool)
    return frame[coloured], frame[~coloured]


def _greys(others: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Grey lines for the series without a colour, as a backdrop to the coloured ones."""
    if others.empty:
        return []
    base = alt.Chart(_data(others)).encode(x=x, y=y, detail="transport:N")
    return [base.mark_line(color=QUIET, strokeWidth=0.8, opacity=0.55)]


def _cache_marks(caches: Mapping[str, int], x_span: Span, y_span: Span) -> list[alt.Chart]:
    """A vertical line at the size of each cache within the measured sizes."""
    among = {name: size for name, size in caches.items() if x_span[0] <= size <= x_span[1]}
    rows = [
        {
            "message_size_bytes": float(size),
            "name": name.upper().replace("D", "d"),
            "top": y_span[1],
        }
        for name, size in among.items()
    ]
    if not rows:
        return []
    base = alt.Chart(pd.DataFrame(rows)).encode(x=alt.X("message_size_bytes:Q", scale=_log(x_span)))
    words = base.mark_text(align="left", baseline="top", dx=3, dy=2, color=QUIET)
    return [
        base.mark_rule(color=QUIET, strokeDash=[2, 3]),
        words.encode(y=alt.Y("top:Q", scale=_log(y_span)), text="name:N"),
    ]


def _log(span: Span) -> alt.Scale:
    return alt.Scale(type="log", domain=list(span), nice=False, zero=False, clamp=False)


def _with_zero(values: Sequence[float]) -> alt.Scale:
    """A logarithmic scale; where 0 is among the values, one that has room for it."""
    if min(values) > 0:
        return _log(log_span(values, 1.15))
    least = min((value for value in values if value > 0), default=1.0)
    step = least / _ZERO_SHARE
    domain = [-step * _ZERO_MARGIN, max(values) * 1.15]
    return alt.Scale(type="symlog", constant=step, domain=domain, nice=False, zero=False)


def _axis(title: str, ticks: Sequence[float], text: Callable[[float], str]) -> alt.Axis:
    return alt.Axis(
        title=title,
        values=list(ticks),
        labelExpr=label_expression(ticks, text),
        labelFlush=False,
        labelOverlap="greedy",
        labelSeparation=8,
    )


def _names_axis(title: str | None = None, **more: Any) -> alt.Axis:
    return alt.Axis(title=title, labelLimit=190, labelPadding=7, ticks=False, domain=False, **more)


def _x(field: str, title: str, span: Span, ticks: Sequence[float]) -> alt.X:
    return alt.X(f"{field}:Q", scale=_log(span), axis=_axis(title, ticks, units.display_size))


def _y(
    field: str, title: str, span: Span, ticks: Sequence[float], text: Callable[[float], str]
) -> alt.Y:
    return alt.Y(f"{field}:Q", scale=_log(span), axis=_axis(title, ticks, text))


def _shown(styles: Mapping[str, Style], frame: pd.DataFrame, field: str) -> dict[str, Style]:
    there = set(frame[field])
    return {name: style for name, style in styles.items() if name in there}


def _legend(names: Sequence[str]) -> alt.Legend:
    longest = max(map(len, names), default=0)
    columns = 3 if longest <= _SHORT_NAME else 2 if longest <= _LONG_NAME else 1
    return alt.Legend(title=None, orient="bottom", columns=columns, symbolSize=70, symbolOpacity=1)


def _colour(
    styles: Mapping[str, Style], frame: pd.DataFrame, field: str = "transport"
) -> alt.Color:
    shown = _shown(styles, frame, field)
    scale = alt.Scale(domain=list(shown), range=[style.colour for style in shown.values()])
    return alt.Color(f"{field}:N", scale=scale, legend=_legend(list(shown)))


def _dash(styles: Mapping[str, Style], frame: pd.DataFrame) -> alt.StrokeDash:
    shown = _shown(styles, frame, "transport")
    scale = alt.Scale(domain=list(shown), range=[list(style.dash) for style in shown.values()])
    return alt.StrokeDash("transport:N", scale=scale, legend=_legend(list(shown)))


def _shape(styles: Mapping[str, Style], frame: pd.DataFrame, field: str = "transport") -> alt.Shape:
    shown = _shown(styles, frame, field)
    scale = alt.Scale(domain=list(shown), range=[style.shape for style in shown.values()])
    return alt.Shape(f"{field}:N", scale=scale, legend=_legend(list(shown)))
