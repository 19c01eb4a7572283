"""Sweeps as parts of the model: tables over the values of a knob, and sentences on them. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from ipcbench import units
from ipcbench.analysis.frame import MEASURED
from ipcbench.analysis.stats import Estimate, Verdict
from ipcbench.analysis.sweeps import Point, Sweep, SweepLine, Swept, rate_to_first
from ipcbench.reporters.model import (
    EMPTY,
    Blank,
    Cell,
    Grid,
    GridColumn,
    GridRow,
    Heading,
    Line,
    Part,
    RowKind,
    Value,
)
from ipcbench.reporters.tables.client_facts import FAILURES_LEGEND, LEGEND, ClientFact, client_facts
from ipcbench.reporters.tables.client_words import counted_words
from ipcbench.reporters.tables.sweep_words import (
    WORDS,
    sentences,
    time_words,
    title_of,
    value_text,
    where_of,
)
from ipcbench.reporters.tables.words import range_text
from ipcbench.results.metadata import MECHANISM
from ipcbench.workloads import definition_of

_NAME = GridColumn("transport", "transport", is_number=False)


def sweep_parts(found: Sequence[Sweep]) -> Iterator[Part]:
    """Yields, for each sweep, a table with a column a value, and the sentences on it; a legend."""
    for sweep in found:
        yield _compact(sweep)
        if sweep.knob == "clients":
            yield _clients(sweep)
        if said := sentences(sweep):
            yield from map(Line, said)
            yield Blank()
    knobs = dict.fromkeys(sweep.knob for sweep in found)
    yield from (Line(_cell_words(knob, found)) for knob in knobs)
    yield from _legends(found)
    if knobs:
        yield Blank()


def section_parts(found: Sequence[Sweep]) -> Iterator[Part]:
    """Yields, for each sweep, its title, the sentences on it, and a table with a row a case."""
    for sweep in found:
        yield Heading(title_of(sweep))
        yield from map(Line, sentences(sweep))
        yield _full(sweep)
    yield from _legends(found)


def _cell_words(knob: Swept, found: Sequence[Sweep]) -> str:
    """What the cells of the compact tables of a knob have, in the words of all its sweeps."""
    counted = dict.fromkeys(counted_words(sweep) for sweep in found if sweep.knob == knob)
    return WORDS[knob].cell.replace("messages", " or ".join(counted))


def _legends(found: Sequence[Sweep]) -> Iterator[Line]:
    """Yields what the columns about clients mean, if any of these sweeps has them."""
    over_clients = [sweep for sweep in found if sweep.knob == "clients"]
    if over_clients:
        yield Line(LEGEND)
    if any(definition_of(sweep.place.workload).connects for sweep in over_clients):
        yield Line(FAILURES_LEGEND)


def ratio_text(ratio: float, verdict: Verdict | None) -> str:
    """A ratio to the first value: `2.40x`, `~1.02x` if that may be chance, `?1.02x` if untold."""
    sign = "?" if verdict is None else "~" if verdict == "~" else ""
    return f"{sign}{units.three_digits(ratio)}x"


def _about(sweep: Sweep) -> dict[str, Value]:
    place = sweep.place
    return {
        "knob": sweep.knob,
        "workload": place.workload,
        "message_size_bytes": place.message_size_bytes,
        "placement": place.placement,
        "loop": place.loop,
        **({"interpreter": place.interpreter} if place.interpreter else {}),
    }


def _compact(sweep: Sweep) -> Grid:
    """The table with a row a transport: at each value its time, and what that comes to."""
    heads = [
        GridColumn(value_text(sweep.knob, value), f"{sweep.knob}_{spelled}_time_median_s")
        for value, spelled in sweep.values.items()
    ]
    rows = []
    for line in sweep.lines:
        points = map(line.at, sweep.values)
        cells = [EMPTY if one is None else _compact_cell(sweep.knob, line, one) for one in points]
        rows.append(GridRow([_label(sweep, line), *cells], _kind(line), MEASURED))
    return Grid(title_of(sweep), [_NAME, *heads], rows, _about(sweep))


def _compact_cell(knob: Swept, line: SweepLine, point: Point) -> Cell:
    """A time with the number beside it that the sweep is about, and all numbers for programs."""
    also: dict[str, Value] = {} if point is line.first else {"verdict": point.verdict}
    for name, unit, estimate in (
        ("time_median", "s", point.time),
        ("added", "s", point.added),
        ("time_to_first", "ratio", line.time_to_first(point)),
        ("mechanism_share", "ratio", point.share),
        ("messages", "per_s", point.rate),
        ("messages_to_first", "ratio", rate_to_first(point)),
    ):
        also |= {} if estimate is None else _values(name, unit, estimate)
    text = [units.display_time(point.time.value), _beside(knob, line, point)]
    if knob == "clients":  # the times have a table of their own
        text = text[1:]
    prefix = f"{knob}_{point.spelled}"
    return Cell(
        " ".join(filter(None, text)),
        point.time.value,
        {f"{prefix}_{key}": value for key, value in also.items()},
    )


def _beside(knob: Swept, line: SweepLine, point: Point) -> str:
    """The second number of a cell; empty where there is none."""
    match knob:
        case "gap" | "readers":
            ratio = line.time_to_first(point)
            return "" if ratio is None else ratio_text(ratio.value, point.verdict)
        case "work":
            return "" if point.share is None else units.display_percent(point.share.value)
        case "window":
            return "" if point.rate is None else units.display_rate(point.rate.value)
        case "clients":
            rate = "" if point.rate is None else units.display_rate(point.rate.value)
            ratio = rate_to_first(point)
            return rate if ratio is None else f"{rate} {ratio_text(ratio.value, point.verdict)}"
        case _:
            assert_never(knob)


def _values(name: str, unit: str, estimate: Estimate) -> dict[str, Value]:
    """A number and its interval by name, for programs."""
    low, high = (None, None) if estimate.interval is None else estimate.interval
    return {
        f"{name}_{unit}": estimate.value,
        f"{name}_low_{unit}": low,
        f"{name}_high_{unit}": high,
    }


def _clients(sweep: Sweep) -> Grid:
    """The table with a row a transport and number of clients: times, fairness, CPU and memory.

    The number is beside the transport, since a narrow terminal repeats the first column.
    """
    facts = client_facts(sweep)
    heads = [
        GridColumn("transport, clients", "transport", is_number=False),
        GridColumn(time_words(sweep), "time_median_s"),
        *(fact.head for fact in facts),
    ]
    rows = []
    for line in sweep.lines:
        for point in line.points:
            label = _label(sweep, line)
            cell = Cell(f"{label.text} {point.value:.0f}", label.value, {"clients": point.value})
            time = Cell(units.display_time(point.time.value), point.time.value)
            rows.append(
                GridRow([cell, time, *(one.cell(point) for one in facts)], _kind(line), MEASURED)
            )
    title = f"{time_words(sweep).capitalize()}, fairness and memory against clients"
    return Grid(f"{title}, {where_of(sweep)}", heads, rows, _about(sweep))


def _full(sweep: Sweep) -> Grid:
    """The table with a row a transport and value, and all intervals."""
    words = WORDS[sweep.knob]
    heads = [
        _NAME,
        GridColumn(words.value, sweep.knob),
        GridColumn(time_words(sweep), "time_median_s"),
        GridColumn("95%", "time_interval"),
    ]
    first = value_text(sweep.knob, min(sweep.values))
    match sweep.knob:
        case "gap" | "readers":
            heads += [
                GridColumn("longer by", "added_s"),
                GridColumn("95%", "added_interval"),
                GridColumn(f"vs {first}", "time_to_first_ratio"),
            ]
        case "work":
            heads += [GridColumn("share of the request", "mechanism_share_ratio")]
        case "window" | "clients":
            heads += [
                GridColumn("messages", "messages_per_s"),
                GridColumn("95%", "messages_interval"),
                GridColumn(f"messages vs {first}", "messages_to_first_ratio"),
            ]
        case _:
            assert_never(sweep.knob)
    heads.append(GridColumn("95%", "last_interval"))
    facts: tuple[ClientFact, ...] = client_facts(sweep) if sweep.knob == "clients" else ()
    heads += [fact.head for fact in facts]
    rows = [
        GridRow(
            [
                _label(sweep, line),
                Cell(value_text(sweep.knob, point.value), point.value),
                *_estimate_cells(point.time, units.display_time),
                *_last_cells(sweep.knob, line, point),
                *(fact.cell(point) for fact in facts),
            ],
            _kind(line),
            MEASURED,
        )
        for line in sweep.lines
        for point in line.points
    ]
    return Grid(title_of(sweep), heads, rows, _about(sweep))


def _last_cells(knob: Swept, line: SweepLine, point: Point) -> Iterator[Cell]:
    """Yields the cells behind the times: what a sweep of this knob is about."""
    match knob:
        case "gap" | "readers":
            yield from _estimate_cells(point.added, units.display_time)
            yield from _ratio_cells(line.time_to_first(point), point.verdict)
        case "work":
            yield from _estimate_cells(point.share, units.display_percent)
        case "window" | "clients":
            yield from _estimate_cells(point.rate, units.display_rate)
            yield from _ratio_cells(rate_to_first(point), point.verdict)
        case _:
            assert_never(knob)


def _estimate_cells(estimate: Estimate | None, text: Callable[[float], str]) -> Iterator[Cell]:
    """Yields a number and its interval; both are empty where there is none."""
    if estimate is None:
        yield from (EMPTY, EMPTY)
        return
    yield Cell(text(estimate.value), estimate.value)
    bounds = estimate.interval
    yield EMPTY if bounds is None else Cell(f"{text(bounds.low)} to {text(bounds.high)}")


def _ratio_cells(ratio: Estimate | None, verdict: Verdict | None) -> Iterator[Cell]:
    """Yields a ratio to the first value and its interval; both are empty at that one."""
    if ratio is None:
        yield from (EMPTY, EMPTY)
        return
    yield Cell(ratio_text(ratio.value, verdict), ratio.value)
    yield EMPTY if ratio.interval is None else Cell(range_text(*ratio.interval))


def _label(sweep: Sweep, line: SweepLine) -> Cell:
    name = sweep.label(line)
    return Cell(name if line.role == MECHANISM else f"{name} ({line.role})", name)


def _kind(line: SweepLine) -> RowKind:
    return "normal" if line.role == MECHANISM else "control"
