"""The ladder's numbers: what each rung adds to the one below it, and what the family costs there.

Pure: launches in, columns of the frame of cases out. Differences and ratios are those of rounds,
turn by turn, as every other comparison.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from ipcbench.analysis.launch_frame import MACHINE, Measurements, by_round, noise_floor_of
from ipcbench.analysis.stats import (
    Difference,
    Ratio,
    alternating_difference,
    alternating_ratio,
    verdicts,
)
from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.results.metadata import QUESTION_KEY
from ipcbench.rungs import BARE, CLIENT, LEAN, RUNGS, Family
from ipcbench.terms import Term

QUESTION = "ladder"
"""The question that a run of the ladder is made for."""
REFERENCE: Family = "unix"
"""The family that the others are compared with."""

ADDED = (
    "added_s",
    "added_low_s",
    "added_high_s",
    "added_to_below_ratio",
    "added_p_value",
    "added_verdict",
)
"""Columns of what a rung adds to the one below it, of the same family."""

OF_FAMILY = (
    "family_over_unix_s",
    "family_over_unix_low_s",
    "family_over_unix_high_s",
    "family_to_unix_ratio",
    "family_to_unix_low_ratio",
    "family_to_unix_high_ratio",
    "family_to_unix_p_value",
    "family_to_unix_verdict",
)
"""Columns that compare a rung over another family with the same rung over AF_UNIX."""

LADDER_COLUMNS = ("rung", "family", "rung_below", *ADDED, *OF_FAMILY)
"""The columns of a case whose transport is a rung; empty for every other one."""

TOPS = ("http-uvicorn", "http-aiohttp", "http-std", "rpc-grpc", "rpc-xmlrpc", "rpc-zmq")
"""The rungs that the sentence over a table may be about, the best known first."""

_Row = Mapping[Hashable, Any]
_TOLD: tuple[Family, ...] = ("inet", "inet6", REFERENCE)
"""The families that the sentence may be about, the first that was measured."""
_BELOW = {rung.name: rung.below for rung in RUNGS}
_DECIDED: tuple[object, ...] = ("faster", "slower")
_DELAY, _NONE = "delay", "0"
"""The knob of a known wait, and its value for none, as canonical terms spell both."""
_ORDER = {rung.name: place for place, rung in enumerate(RUNGS)}


class Place(NamedTuple):
    """The place of a transport on the ladder."""

    rung: str
    family: Family
    settings: tuple[tuple[str, str], ...] = ()
    """The knobs that are set; with some it stands beside the rung, and adds to that."""

    @property
    def name(self) -> str:
        """The rung, and the knobs that are set: `raw`, or `raw:delay=5us`."""
        return str(Term(self.rung, self.settings))

    @property
    def order(self) -> tuple[int, str]:
        """The place in the order of every table."""
        return _ORDER[self.rung], self.name


_PLACES = {
    transport: Place(rung.name, family)
    for rung in RUNGS
    for family, transport in rung.transports.items()
}


class Headline(NamedTuple):
    """What the sentence over a table says: of the time of a request, how much is the socket."""

    case: Case
    """The request at the best-known rung that was measured, over TCP where that was."""
    rung: str
    family: Family
    total_s: float
    socket_s: float | None
    """The time of the socket alone; None if the request isn't surely slower."""
    saved_s: float | None
    """The time that choosing AF_UNIX saves, below 0 if it costs that much; None if undecided."""
    saved_interval_s: tuple[float, float] | None
    """Its 95 % interval."""
    has_reference: bool
    """Whether the same was measured over AF_UNIX, and this is another family."""


def place_of(transport: str) -> Place | None:
    """The place of this transport on the ladder; None for one that is no rung."""
    try:
        term = Term.parse(transport)
    except UsageError:  # a file's: its names are held to be texts, and not to make sense
        return None
    found = _PLACES.get(term.name)
    return None if found is None else found._replace(settings=term.settings)


def asked_for(results: Measurements) -> bool:
    """Whether any of the results were measured for the ladder."""
    return any(launch.facts.get(QUESTION_KEY) == QUESTION for launch in results.launches())


def ladder_columns(
    groups: Mapping[str, pd.DataFrame], noise_floor: float
) -> dict[str, dict[str, Any]]:
    """The columns LADDER_COLUMNS of each case that is of a rung, by case id.

    `groups` are the launches of each case on one machine. The verdicts of one table (a workload,
    size, placement, loop and interpreter) are computed together, both on rungs and on families.
    """
    tables: dict[Case, list[Case]] = {}
    for case in map(Case.parse, groups):
        if place_of(case.transport) is not None:
            tables.setdefault(case._replace(transport=""), []).append(case)
    found: dict[str, dict[str, Any]] = {}
    for cases in tables.values():
        found |= _table(cases, groups, noise_floor)
    return found


def columns_of_place(case: Case) -> dict[str, Any]:
    """The columns that tell the place of a case, measured or not; empty for one that has none."""
    place = place_of(case.transport)
    return {} if place is None else {"rung": place.name, "family": place.family}


def of_ladder(cases: pd.DataFrame) -> pd.DataFrame:
    """The rows of a frame of cases that are of rungs, round trips alone, in the ladder's order."""
    rows = cases[cases["rung"].notna()]
    found = [
        (place.order, number)
        for number, row in enumerate(rows.to_dict("records"))
        if Term.parse(str(row["workload"])).name == "latency"
        and (place := place_of(str(row["transport"]))) is not None
    ]
    return rows.iloc[[number for _, number in sorted(found)]]


def has_rungs(cases: pd.DataFrame) -> bool:
    """Whether round trips of a rung above the socket itself were measured."""
    rungs = of_ladder(cases)
    measured = rungs[(rungs["status"] == "measured").astype(bool)]
    return any(Term.parse(str(name)).name != RUNGS[0].name for name in measured["rung"])


def headline(table: pd.DataFrame, launches: pd.DataFrame) -> Headline | None:
    """The headline of one table of `of_ladder`; None without any of TOPS and its socket.

    There is none either where two machines measured: no sentence is about both.
    """
    measured = table[table["status"] == "measured"]
    if measured[MACHINE].nunique() != 1:
        return None
    by_place = {(row["rung"], row["family"]): row for row in measured.to_dict("records")}
    for rung in TOPS:
        for family in _TOLD:
            top, socket = by_place.get((rung, family)), by_place.get(("raw", family))
            if top is not None and socket is not None:
                return _headline(rung, family, top, socket, launches)
    return None


def _headline(
    rung: str, family: Family, top: _Row, socket: _Row, launches: pd.DataFrame
) -> Headline:
    counted = launches[launches["is_counted"]]
    both = (by_round(counted[counted["case"] == str(row["case"])]) for row in (top, socket))
    (verdict,) = verdicts([alternating_ratio(*both)], noise_floor_of(launches))
    is_decided = top["family_to_unix_verdict"] in _DECIDED
    return Headline(
        Case.parse(str(top["case"])),
        rung,
        family,
        float(top["time_median_s"]),
        float(socket["time_median_s"]) if verdict == "slower" else None,
        float(top["family_over_unix_s"]) if is_decided else None,
        (float(top["family_over_unix_low_s"]), float(top["family_over_unix_high_s"]))
        if is_decided
        else None,
        has_reference=bool(pd.notna(top["family_to_unix_ratio"])),
    )


class _Pair(NamedTuple):
    """Two cases to compare: the columns that the answer fills, and its numbers."""

    case: Case
    columns: tuple[str, ...]
    below: str | None
    """Name of the rung below, where that is the other one."""
    difference: Difference
    ratio: Ratio


def _table(
    cases: Iterable[Case], groups: Mapping[str, pd.DataFrame], noise_floor: float
) -> dict[str, dict[str, Any]]:
    by_place = {place: case for case in cases if (place := place_of(case.transport)) is not None}
    pairs: list[_Pair] = []
    for place, case in by_place.items():
        below = next((one for one in _below(place) if one in by_place), None)
        if below is not None:
            pairs += _compared(case, by_place[below], ADDED, groups, below.name)
        reference = by_place.get(place._replace(family=REFERENCE))
        if reference is not None and place.family != REFERENCE:
            pairs += _compared(case, reference, OF_FAMILY, groups)
    said = verdicts([pair.ratio for pair in pairs], noise_floor)
    found = {case.id: columns_of_place(case) for case in by_place.values()}
    for pair, verdict in zip(pairs, said, strict=True):
        row = found[pair.case.id]
        values = _values(pair)
        if pair.below is not None:
            row["rung_below"] = pair.below
        row |= dict(zip(pair.columns, (*values, verdict), strict=True))
    return found


def _below(place: Place) -> Iterator[Place]:
    """Yields the places that one adds to, the nearest first: all of its family.

    A rung with knobs adds to the one without. With a delay it adds first to the same with a delay
    of nothing, which has the delay's own calls, as in the selftest. With a lean client it adds to a
    lower one with such a client, too.
    """
    knobs = dict(place.settings)
    if knobs.get(_DELAY, _NONE) != _NONE:
        yield place._replace(settings=tuple({**knobs, _DELAY: _NONE}.items()))
    client = tuple(one for one in place.settings if one[0] == CLIENT)
    if client and client != place.settings:
        yield place._replace(settings=client)
    if place.settings:
        yield place._replace(settings=())
    below = _BELOW[place.rung]
    while below is not None:
        for kind in (BARE, LEAN) if client else ():
            yield Place(below, place.family, ((CLIENT, kind),))
        yield Place(below, place.family)
        below = _BELOW[below]


def _compared(
    case: Case,
    other: Case,
    columns: tuple[str, ...],
    groups: Mapping[str, pd.DataFrame],
    below: str | None = None,
) -> Iterator[_Pair]:
    """Yields the comparison of both cases, if they have a round in common."""
    times, others = by_round(groups[case.id]), by_round(groups[other.id])
    difference = alternating_difference(times, others)
    ratio = alternating_ratio(times, others)
    if difference is not None and ratio is not None:
        yield _Pair(case, columns, below, difference, ratio)


def _values(pair: _Pair) -> tuple[float | None, ...]:
    """The values of the columns of a comparison, but for its verdict."""
    difference, ratio = pair.difference, pair.ratio
    low, high = (None, None) if difference.interval is None else difference.interval
    if pair.columns is ADDED:
        return difference.estimate, low, high, ratio.estimate, ratio.p_value
    bounds = (None, None) if ratio.interval is None else ratio.interval
    return difference.estimate, low, high, ratio.estimate, *bounds, ratio.p_value
