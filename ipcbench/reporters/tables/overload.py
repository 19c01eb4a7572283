"""The tables of `ipcbench full`, and its CSV. Pure.

A number that wasn't the same in each launch has a ~ in front, and its least and most below.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

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
)
from ipcbench.results.overload import Ends, Fill, Overload
from ipcbench.text import counted
from ipcbench.units import display_amount, display_size, display_time

_DASH = Cell("-")
_NEXT = {
    "blocks": "blocks",
    "refuses": "refused",
    "drops": "dropped, sender not told",
    "not-full": "not full",
}
_NOT_IN_CSV = {"transport", "status", "reason", "launches_count", "varies"}
"""Fields of the ends that are those of the row, too."""


def overload_parts(found: Overload) -> Iterator[Part]:
    """Yields a table for each size, one of connections and one of deaths, and what to know."""
    yield Heading(f"What happens when nobody reads, {found.kernel}", {"kernel": found.kernel})
    yield Blank()
    for size in _sizes(found):
        rows = [fill for fill in found.fills if fill.message_size_bytes == size]
        measured = [fill for fill in rows if fill.status == "measured"]
        if measured:
            yield _fill_grid(size, measured)
    yield from _connection_grids(found.ends)
    yield from _death_grids(found.ends)
    yield from _notes(found)


def csv_text(found: Overload) -> str:
    """The CSV: a row a transport and size, with what its ends meet repeated in each."""
    of_fill = [one.name for one in fields(Fill) if one.name != "varies"]
    of_ends = [one.name for one in fields(Ends) if one.name not in _NOT_IN_CSV]
    ends = {one.transport: one for one in found.ends}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*of_fill, *of_ends, "varies"])
    for fill in found.fills:
        of_both = ends[fill.transport]
        values = [getattr(fill, name) for name in of_fill]
        values += [getattr(of_both, name) for name in of_ends]
        writer.writerow([*map(_plain, values), _varying(fill, of_both)])
    return text.getvalue()


def _plain(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return value


def _varying(*rows: Fill | Ends) -> str:
    return "; ".join(
        f"{name} {least} to {most}" for row in rows for name, (least, most) in row.varies.items()
    )


def _sizes(found: Overload) -> list[int]:
    return sorted({fill.message_size_bytes for fill in found.fills})


def _fill_grid(size_bytes: int, rows: Sequence[Fill]) -> Grid:
    title = f"Unread messages of {display_size(size_bytes)}"
    if not size_bytes:
        title = "Unread signals, without a payload"
    heads = [
        GridColumn("transport", "transport", is_number=False),
        GridColumn("messages", "messages_count"),
        GridColumn("by rule", "expected_messages_count"),
        GridColumn("unread", "unread_bytes"),
        GridColumn("memory", "memory_bytes"),
        GridColumn("the next one", "when_full", is_number=False),
        GridColumn("non-blocking", "nonblocking_errno", is_number=False),
        GridColumn("wakes after", "woken_after_messages_count"),
    ]
    return Grid(title, heads, [GridRow(_fill_cells(row)) for row in rows])


def _fill_cells(fill: Fill) -> list[Cell]:
    next_one = _NEXT[fill.when_full or "not-full"]
    if fill.refused_with and fill.refused_with.isalpha():  # an errno's name: the rest is a note
        next_one += f" ({fill.refused_with})"
    return [
        Cell(fill.transport, fill.transport),
        _number(fill, "messages_count"),
        _number(fill, "expected_messages_count"),
        _number(fill, "unread_bytes", display_amount),
        _number(fill, "memory_bytes", display_amount),
        Cell(_marked(fill, "when_full", next_one), fill.when_full),
        _word(fill, "nonblocking_errno"),
        _number(fill, "woken_after_messages_count"),
    ]


def _connection_grids(ends: Sequence[Ends]) -> Iterator[Grid]:
    rows = [one for one in ends if one.connections_count is not None]
    heads = [
        GridColumn("transport", "transport", is_number=False),
        GridColumn("connections", "connections_count"),
        GridColumn("the next one", "next_connection", is_number=False),
    ]
    if rows:
        cells = ([Cell(one.transport, one.transport), *_connection_cells(one)] for one in rows)
        yield Grid("Connections while nobody accepts", heads, [GridRow(one) for one in cells])


def _connection_cells(one: Ends) -> tuple[Cell, Cell]:
    fate = one.next_connection or "-"
    if one.connect_retry_s is not None:
        fate = f"waits in silence, tried again after {display_time(one.connect_retry_s)}"
    also = {"connect_retry_s": one.connect_retry_s}
    return (
        _number(one, "connections_count"),
        Cell(_marked(one, "next_connection", fate), one.next_connection, also),
    )


def _death_grids(ends: Sequence[Ends]) -> Iterator[Grid]:
    rows = [one for one in ends if one.status == "measured"]
    heads = [
        GridColumn("transport", "transport", is_number=False),
        GridColumn("a blocked writer", "blocked_notice", is_number=False),
        GridColumn("after", "blocked_notice_s"),
        GridColumn("a writer's later sends", "idle_notice", is_number=False),
    ]
    if rows:
        cells = ([Cell(one.transport, one.transport), *_death_cells(one)] for one in rows)
        yield Grid("The reader is killed", heads, [GridRow(one) for one in cells])


def _death_cells(one: Ends) -> tuple[Cell, Cell, Cell]:
    blocked, after_s = _with_signal(one.blocked_notice, one.blocked_sigpipe), one.blocked_notice_s
    later = _with_signal(one.idle_notice, one.idle_sigpipe)
    sends = one.idle_sends_count or 0
    match one.idle_notice:
        case "nothing":
            later = f"nothing, in {counted(sends, 'send')}"
        case "blocks":
            later = f"nothing; blocks after {counted(sends, 'send')}"
        case _ if sends:
            later += f", at send {sends + 1}"
    also = {"idle_sends_count": sends, "idle_sigpipe": one.idle_sigpipe}
    return (
        Cell(
            _marked(one, "blocked_notice", blocked),
            one.blocked_notice,
            {"blocked_sigpipe": one.blocked_sigpipe},
        ),
        _DASH if after_s is None else Cell(display_time(after_s), after_s),
        Cell(_marked(one, "idle_notice", later), one.idle_notice, also),
    )


def _with_signal(notice: str | None, sigpipe: bool | None) -> str:
    if notice is None:
        return "never blocked"
    return f"{notice}, SIGPIPE" if sigpipe else notice


def _number(row: Fill | Ends, name: str, display: Callable[[float], str] = "{:,}".format) -> Cell:
    value = getattr(row, name)
    if value is None:
        return _DASH
    if name not in row.varies:
        return Cell(display(value), value)
    least, most = row.varies[name]
    also = {f"{name}_least": least, f"{name}_most": most}
    return Cell(f"~{display(value)}", value, also)


def _word(row: Fill | Ends, name: str) -> Cell:
    value = getattr(row, name)
    return EMPTY if value is None else Cell(_marked(row, name, value), value)


def _marked(row: Fill | Ends, name: str, text: str) -> str:
    return f"~{text}" if name in row.varies else text


def _notes(found: Overload) -> Iterator[Line]:
    """What differed between launches; what isn't by the rule; and what couldn't be measured."""
    rows: list[Fill | Ends] = [*found.fills, *found.ends]
    varying = list(dict.fromkeys(row.transport for row in rows if row.varies))
    each = f"each of {counted(found.launches_count, 'launch', 'launches')}"
    if varying:
        names = ", ".join(varying)
        text = f"~ not the same in {each}: {names}; least and most are in CSV and JSON"
        yield Line(text, "warning")
    elif any(row.status == "measured" for row in rows):
        yield Line(f"every number is the same in {each}", "quiet")
    most = f"{found.most_messages_count:,} messages or {display_size(found.most_bytes)}"
    if any(fill.when_full == "not-full" for fill in found.fills):
        yield Line(f"not full: after {most}; --most-messages goes on", "quiet")
    for fill in found.fills:
        told, due = fill.messages_count, fill.expected_messages_count
        if due is not None and told != due:
            yield Line(f"{_named(fill)}: {told:,} messages, and {due:,} by the rule", "warning")
        told, due = fill.woken_after_messages_count, fill.expected_woken_messages_count
        if due is not None and told != due:
            text = f"wakes after {told or 'no'} messages, and after {due:,} by the rule"
            yield Line(f"{_named(fill)}: {text}", "warning")
    for fill in found.fills:
        if fill.refused_with and not fill.refused_with.isalpha():
            yield Line(f"{fill.transport} refuses with: {fill.refused_with}", "quiet")
    for fill in found.fills:
        if fill.status != "measured":
            text = f"{_named(fill)}: {fill.status}: {fill.reason}"
            yield Line(text, "bad" if fill.status == "failed" else "quiet")


def _named(fill: Fill) -> str:
    return f"{fill.transport}, {display_size(fill.message_size_bytes)}"
