"""Many clients at each rung of the ladder: tables with a column a number of them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from ipcbench import units
from ipcbench.analysis.bounds import Bound
from ipcbench.analysis.floors import within_run
from ipcbench.analysis.frame import MEASURED, Analysis
from ipcbench.analysis.judging import Judgement, judged
from ipcbench.analysis.ladder_crowds import CrowdLadder, CrowdRung, Serving, crowd_ladders
from ipcbench.analysis.launch_frame import MACHINE
from ipcbench.reporters.model import (
    EMPTY,
    Blank,
    Cell,
    Grid,
    GridColumn,
    GridRow,
    Line,
    Part,
    Value,
)
from ipcbench.reporters.tables.claims import claim_parts
from ipcbench.reporters.tables.ladder import FAMILY_NAMES, ladder_parts
from ipcbench.reporters.tables.sweeps import ratio_text
from ipcbench.reporters.tables.words import MOST_NAMED, listed
from ipcbench.rungs import CLIENT
from ipcbench.text import counted

LEGENDS = (
    "/s: messages a second of all clients; x: over those of the first column, paired by round",
    "~: chance or noise may be all of it; ?: too few launches to tell",
    "p50, p99: of the round trips of all clients, in which they wait for their CPU, too",
    "CPU: the server's share of one; out: the end that ran out of CPU",
    "Jain: index of the messages of each client, 1 if all had the same",
)


def whole_ladder(analysis: Analysis) -> Iterator[Part]:
    """Yields the ladder of one client, and then that of many, of whichever there is any."""
    parts = list(ladder_parts(analysis))
    yield from parts
    crowds = crowd_ladders(analysis.cases, analysis.launches)
    if parts and crowds:
        yield Blank()
    yield from crowd_parts(crowds)


def crowd_claims(analysis: Analysis) -> Iterator[Part]:
    """Yields the answers to the claims that a ladder of many clients is about, where it is one."""
    if analysis.launches.empty or analysis.launches[MACHINE].nunique() > 1:
        return  # each is judged on one machine
    found = [one for one in judged(analysis) if one.claim.crowd and _has_many(one)]
    if found:
        yield from claim_parts(found, within_run(analysis.launches))


def _has_many(judgement: Judgement) -> bool:
    """Whether any of what is compared is of many clients."""
    return any(one.comparison.subject.clients.number > 1 for one in judgement.compared)


def crowd_parts(found: Sequence[CrowdLadder]) -> Iterator[Part]:
    """Yields, for each ladder, three tables and the sentences on who ran out; then a legend."""
    for one in found:
        yield _rates(one)
        yield _times(one)
        yield _servers(one)
        if said := list(who_ran_out(one)):
            yield from map(Line, said)
            yield Blank()
    if found:
        yield from map(Line, LEGENDS)
        yield Blank()


def who_ran_out(found: CrowdLadder) -> Iterator[str]:
    """Yields, for each number of clients, the rungs at which the server ran out of its CPU.

    For example: `With 8 clients the server runs out of its CPU from asyncio-sock on; the clients
    run out of theirs at raw and framed.`
    """
    for clients in found.numbers:
        known = [(rung.name, one) for rung, one in found.measured(clients)]
        if known and all(one.ran_out is not None for _, one in known):
            yield _ran_out(clients, _short(known))


def _short(known: Sequence[tuple[str, Serving]]) -> list[tuple[str, Serving]]:
    """The same by the names without the kind of client, where no two of them have one."""
    names = [_without_client(name) for name, _ in known]
    if len(set(names)) < len(names):
        return list(known)
    return [(name, one) for name, (_, one) in zip(names, known, strict=True)]


def _without_client(name: str) -> str:
    rung, *knobs = name.split(":")
    return ":".join([rung, *(knob for knob in knobs if not knob.startswith(f"{CLIENT}="))])


def _ran_out(clients: int, known: Sequence[tuple[str, Serving]]) -> str:
    told = []
    for who, words in _RUNS_OUT.items():
        is_so = [_who(one) == who for _, one in known]
        if any(is_so):
            where = "at any rung" if who == "neither" and all(is_so) else _where(known, is_so)
            told.append(f"{words} {where}")
    return f"With {counted(clients, 'client')} {'; '.join(told)}."


_RUNS_OUT: Mapping[Bound | Literal["server"], str] = {
    "server": "the server runs out of its CPU",
    "server-bound": "the server waits for its CPU",
    "client-bound": "the clients run out of their CPU",
    "both": "both ends share a CPU that is full",
    "neither": "neither end runs out",
}
"""Words for the end that ran out; `server` is one that had all of a CPU, `server-bound` one that
also waited for it."""


def _who(one: Serving) -> Bound | Literal["server"] | None:
    return "server" if one.is_saturated else one.ran_out


def _where(known: Sequence[tuple[str, Serving]], is_so: Sequence[bool]) -> str:
    """The rungs of which something is so: all, or from one on, or by name."""
    names = [name for (name, _), so in zip(known, is_so, strict=True) if so]
    if all(is_so):
        return "at every rung"
    if len(names) > 1 and all(is_so[is_so.index(True) :]):
        return f"from {names[0]} on"
    return f"at {listed(names) if len(names) <= MOST_NAMED else f'{len(names)} rungs'}"


def _rates(found: CrowdLadder) -> Grid:
    """The table of messages a second, each number of clients beside the first."""
    heads = [
        GridColumn(_title(clients), f"clients_{clients}_messages_per_s")
        for clients in found.numbers
    ]
    rows = [
        _row(rung, [_rate_cell(rung.at(clients), clients) for clients in found.numbers])
        for rung in found.rungs
    ]
    return _grid("messages a second", found, heads, rows)


def _rate_cell(one: Serving | None, clients: int) -> Cell:
    if one is None or one.rate is None:
        return _empty(one)
    texts = [units.display_rate(one.rate.value)]
    prefix = f"clients_{clients}_messages"
    low, high = one.rate.interval or (None, None)
    also: dict[str, Value] = {f"{prefix}_low_per_s": low, f"{prefix}_high_per_s": high}
    if one.to_first is not None:
        texts.append(ratio_text(one.to_first.value, one.verdict))
        low, high = one.to_first.interval or (None, None)
        also |= {
            f"{prefix}_to_first_ratio": one.to_first.value,
            f"{prefix}_to_first_low_ratio": low,
            f"{prefix}_to_first_high_ratio": high,
            f"{prefix}_verdict": one.verdict,
        }
    return Cell(" ".join(texts), one.rate.value, also)


def _times(found: CrowdLadder) -> Grid:
    """The table of percentiles of round trips."""
    heads, keys = [], ("p50", "p99")
    for clients in found.numbers:
        heads += [
            GridColumn(f"{clients}: {key}", f"clients_{clients}_round_trip_{key}_s") for key in keys
        ]
    rows = []
    for rung in found.rungs:
        cells: list[Cell] = []
        for one in map(rung.at, found.numbers):
            cells += [_empty(one), EMPTY] if one is None or one.p50_s is None else _percentiles(one)
        rows.append(_row(rung, cells))
    return _grid("round trips by number of clients", found, heads, rows)


def _percentiles(one: Serving) -> Iterator[Cell]:
    for value in (one.p50_s, one.p99_s):
        yield EMPTY if value is None else Cell(units.display_time(value), value)


def _servers(found: CrowdLadder) -> Grid:
    """The table of the server's share of its CPU, who ran out, and fairness."""
    many = [clients for clients in found.numbers if clients > 1]
    heads = [GridColumn("served by", "server_model", is_number=False)]
    for clients in found.numbers:
        heads.append(GridColumn(f"{clients}: CPU", f"clients_{clients}_cpu_busy_server_ratio"))
        heads.append(GridColumn("out", f"clients_{clients}_ran_out", is_number=False))
    heads += [
        GridColumn(f"{clients}: Jain", f"clients_{clients}_fairness_jain_ratio") for clients in many
    ]
    rows = []
    for rung in found.rungs:
        model = rung.server_model
        cells = [EMPTY if model is None else Cell(model, model)]
        for one in map(rung.at, found.numbers):
            cells += _used(one)
        for clients in many:
            cells.append(_fairness(rung.at(clients), clients))
        rows.append(_row(rung, cells))
    return _grid("the server's CPU, and fairness", found, heads, rows)


def _used(one: Serving | None) -> tuple[Cell, Cell]:
    """The cells of the server's share of its CPU, and of who ran out."""
    if one is None or one.server_busy is None:
        return _empty(one), EMPTY
    busy = Cell(units.display_percent(one.server_busy), one.server_busy)
    if one.ran_out is None:
        return busy, EMPTY
    return busy, Cell(one.ran_out.removesuffix("-bound"), one.ran_out)


def _fairness(one: Serving | None, clients: int) -> Cell:
    if one is None or one.jain is None:
        return _empty(one)
    also: dict[str, Value] = {
        f"clients_{clients}_fairness_least_ratio": one.least,
        f"clients_{clients}_fairness_most_ratio": one.most,
    }
    return Cell(f"{one.jain:.3f}", one.jain, also)


def _empty(one: Serving | None) -> Cell:
    """The cell of a number that there isn't: it says so where the case was to be measured."""
    return EMPTY if one is None or one.status == MEASURED else Cell(one.status)


def _row(rung: CrowdRung, cells: Sequence[Cell]) -> GridRow:
    also: dict[str, Value] = {"transport": rung.transport}
    is_measured = any(one.status == MEASURED for one in rung.servings)
    status = MEASURED if is_measured else rung.servings[0].status
    return GridRow([Cell(rung.name, rung.name, also), *cells], "normal", status)


def _title(clients: int) -> str:
    return counted(clients, "client")


def _grid(
    what: str, found: CrowdLadder, heads: Sequence[GridColumn], rows: Sequence[GridRow]
) -> Grid:
    where = f"{found.placement}, {found.loop} loop"
    where += f", {found.interpreter}" if found.interpreter else ""
    size = units.display_size(found.message_size_bytes)
    title = f"Ladder over {FAMILY_NAMES[found.family]}, {what}, {size}, {where}"
    about: dict[str, Value] = {
        "workload": found.workload,
        "message_size_bytes": found.message_size_bytes,
        "placement": found.placement,
        "loop": found.loop,
        "family": found.family,
        **({"interpreter": found.interpreter} if found.interpreter else {}),
    }
    return Grid(title, [GridColumn("rung", "rung", is_number=False), *heads], rows, about)
