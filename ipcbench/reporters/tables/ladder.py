"""The ladder as parts of the model: a sentence, and a table for each size and family. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ipcbench import units
from ipcbench.analysis.frame import MEASURED, Analysis
from ipcbench.analysis.ladder import REFERENCE, Headline, headline, of_ladder
from ipcbench.reporters.model import Blank, Grid, Heading, Line, Part, Value
from ipcbench.reporters.tables.cases import TABLE_KEYS, case_grid
from ipcbench.reporters.tables.columns import (
    Column,
    by_whom,
    common,
    interval_text,
    ratio_text,
)
from ipcbench.rungs import Family
from ipcbench.workloads import clients_of

FAMILY_NAMES: Mapping[Family, str] = {
    "unix": "AF_UNIX",
    "inet": "AF_INET",
    "inet6": "AF_INET6",
}
"""The name of each family in a sentence."""

THREADS = ("threads_client_count", "threads_server_count")
"""Facts of launches: threads of an end."""

_SWITCHES = tuple(
    f"{kind}_switches_{side}_per_message"
    for side in ("client", "server")
    for kind in ("voluntary", "involuntary")
)
_ADDED = "added: the time over that of the rung below, paired within each round (docs/ladder.md)"
_COSTS = (
    "CPU: user and system time of a round trip, all threads of an end; switches: those of both ends"
)


def ladder_parts(analysis: Analysis) -> Iterator[Part]:
    """Yields, for each size and placement, the sentence over it and a table a family; a legend.

    Those are of one client at a time.
    """
    rungs = of_ladder(analysis.cases)
    rungs = rungs[~rungs["workload"].map(_has_many_clients).astype(bool)]
    rungs = rungs.assign(**_more(rungs, analysis.launches))
    for _, table in rungs.groupby(TABLE_KEYS, sort=False):
        found = headline(table, analysis.launches)
        if found is not None:
            yield Heading(headline_text(found), _facts(found))
            yield Blank()
        for _, group in table.groupby("family", sort=False):
            yield _grid(group)
    if len(rungs):
        yield Line(_ADDED)
        yield Line(_COSTS)
    yield from _signs(rungs)


def _has_many_clients(workload: object) -> bool:
    """Whether a server has several clients: those tables are `ladder_crowds`."""
    return clients_of(str(workload)).number > 1


def _facts(found: Headline) -> dict[str, Value]:
    return {
        "case": found.case.id,
        "rung": found.rung,
        "family": found.family,
        "time_median_s": found.total_s,
        "socket_s": found.socket_s,
        "saved_s": found.saved_s,
        "saved_low_s": found.saved_interval_s and found.saved_interval_s[0],
        "saved_high_s": found.saved_interval_s and found.saved_interval_s[1],
    }


def headline_text(found: Headline) -> str:
    """The sentence: what of a request is the socket, and what another family would save.

    For example: `of 297 µs a request (http-uvicorn, 64 B, AF_INET), 20.0 µs are the socket;
    choosing AF_UNIX saves 4.00 µs of them (1.3%; 95%: 3.11 to 4.87 µs)`.
    """
    size = units.display_size(found.case.message_size_bytes)
    name = FAMILY_NAMES[found.family]
    total = units.display_time(found.total_s)
    text = f"of {total} a request ({found.rung}, {size}, {name}), "
    if found.socket_s is None:
        text += "no difference to the socket alone can be told"
    else:
        text += f"{units.display_time(found.socket_s)} are the socket"
    reference = FAMILY_NAMES[REFERENCE]
    if not found.has_reference:
        return text
    if found.saved_s is None or found.saved_interval_s is None:
        return f"{text}; no difference to {reference} can be told"
    time = units.display_time(abs(found.saved_s))
    does = f"saves {time} of them" if found.saved_s > 0 else f"costs {time} more"
    share = units.display_percent(abs(found.saved_s) / found.total_s)
    bounds = _interval_text(*sorted(map(abs, found.saved_interval_s)))
    return f"{text}; choosing {reference} {does} ({share}; 95%: {bounds})"


def added_text(added_s: float, verdict: Any = None) -> str:
    """What a rung adds: `+4.10 µs`, `~ +0.02 µs` if that may be chance, `?` if nothing tells."""
    sign = "-" if added_s < 0 else "+"
    text = f"{sign}{units.display_time(abs(added_s))}"
    if verdict is None:
        return f"? {text}"
    return f"~ {text}" if verdict == "~" else text


def added_interval_text(low_s: float, high_s: float | None) -> str:
    """The interval of a difference, both bounds with their sign."""
    if high_s is None:
        return ""
    return _span_text(added_text(low_s, ""), added_text(high_s, ""))


def _interval_text(low_s: float, high_s: float) -> str:
    return _span_text(units.display_time(low_s), units.display_time(high_s))


def _span_text(low: str, high: str) -> str:
    """Both bounds, the unit once where it is that of both: `3.97 to 4.10 µs`."""
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low} to {high}"


def _grid(group: pd.DataFrame) -> Grid:
    """The table of one family, a row a rung."""
    first = group.iloc[0]
    size = units.display_size(first["message_size_bytes"])
    where = f"{first['placement']}, {first['loop']} loop{by_whom(group)}"
    what = "round trip" if first["workload"] == "latency" else first["workload"]
    title = f"Ladder over {FAMILY_NAMES[first['family']]}, {what}, {size}, {where}"
    grid = case_grid(title, group, _columns(group))
    rows = [
        replace(row, cells=[replace(row.cells[0], text=rung), *row.cells[1:]])
        for row, rung in zip(grid.rows, group["rung"], strict=True)
    ]
    return replace(grid, rows=rows, about=common(group, [*TABLE_KEYS, "family"]))


def _columns(group: pd.DataFrame) -> Sequence[Column]:
    """The columns of a family's table; those of threads and ratios only where there are any."""
    bounds = ("time_interval_low_s", "time_interval_high_s")
    ratio_bounds = ("family_to_unix_low_ratio", "family_to_unix_high_ratio", "family_to_unix_ratio")
    columns = [
        RUNG_COLUMN,
        Column("round trip", ("time_median_s",), units.display_time),
        Column("95%", bounds, _interval_text),
        Column("added", ("added_s", "added_verdict"), added_text),
        Column("95%", ("added_low_s", "added_high_s"), added_interval_text),
        Column(f"vs {REFERENCE}", ("family_to_unix_ratio", "family_to_unix_verdict"), ratio_text),
        Column("95%", ratio_bounds, interval_text),
        Column("client CPU", ("cpu_client_s_per_message",), units.display_time),
        Column("server CPU", ("cpu_server_s_per_message",), units.display_time),
        Column("threads", THREADS, _threads_text),
        Column("switches", ("switches_per_message",), units.three_digits),
        Column("over", ("rung_below",), str, is_number=False),
    ]
    needed = (THREADS[0], "family_to_unix_ratio", ratio_bounds[0])
    empty = {key for key in needed if group[key].isna().all()}
    return [column for column in columns if column.keys[0] not in empty]


RUNG_COLUMN = Column("rung", ("rung",), str, is_number=False, is_of_case=True)
"""The first column of the ladder's tables."""


def _threads_text(client: float, server: float | None) -> str:
    return f"{client:.0f}+{0 if server is None else server:.0f}"


def _more(rungs: pd.DataFrame, launches: pd.DataFrame) -> dict[str, "pd.Series[Any]"]:
    """Columns for the tables alone: sums of both modes of CPU time, of switches, and threads."""
    more = {
        f"cpu_{side}_s_per_message": rungs[f"cpu_user_{side}_s_per_message"]
        + rungs[f"cpu_system_{side}_s_per_message"]
        for side in ("client", "server")
    }
    more["switches_per_message"] = rungs[list(_SWITCHES)].sum(axis="columns", min_count=1)
    for key in THREADS:
        told = launches.groupby("case")[key].median() if key in launches else pd.Series(dtype=float)
        more[key] = rungs["case"].map(told)
    return more


def _signs(rungs: pd.DataFrame) -> Iterator[Line]:
    """Yields lines that explain the signs in the tables of the ladder."""
    measured = rungs[(rungs["status"] == MEASURED).astype(bool)]
    found = [
        measured[verdict][measured[value].notna()]
        for value, verdict in (
            ("added_s", "added_verdict"),
            ("family_to_unix_ratio", "family_to_unix_verdict"),
        )
    ]
    if any(verdicts.isna().any() for verdicts in found):
        yield Line("?: too few launches for a verdict; it takes 6 (--rounds, --budget)")
    if any((verdicts == "~").any() for verdicts in found):
        yield Line("~: no difference that chance or this machine's noise can't explain")
