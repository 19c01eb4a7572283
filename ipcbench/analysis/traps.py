"""Known traps in measured times: what sets one off shows in a case's launches and its neighbours.

Neighbours are the same case at other message sizes. docs/traps.md shows each trap sprung. Pure.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from ipcbench.analysis.launch_frame import settings_of
from ipcbench.case import Case, is_on_one_cpu
from ipcbench.results.metadata import CLIENT_KNOBS_KEY, EVIDENCE_KEY, SERVER_KNOBS_KEY
from ipcbench.units import display_size, display_time, format_size, parse_size

_STALL_S = (0.036, 0.050)
"""Shortest and longest stall of a delayed ACK: TCP_DELACK_MIN, 40 ms, in ticks of 4 or 10 ms."""
_MOST_STALLS = 2
"""Most stalls in a round trip: one on each way."""
_LEAST_STALLED = 0.1
"""Least share of round trips with a stall, for a mean to tell."""
_MOST_BUSY = 0.1
"""Most CPU time of both ends, of a time that was spent waiting for a timer."""
_FAR = 5.0
"""Factor by which a time is far off: more than caches or one more system call explain."""
_LEAST_SLEEPS = 0.5
"""Sleeps a message, beyond the one for a reply, from which the sender waits for room."""

_Groups = Mapping[Case, pd.DataFrame]
_Timed = list[tuple[Case, float]]
"""The same case at every size, with its time, the smallest first."""


class Trapped(NamedTuple):
    """A case that is in a trap."""

    flag: str
    case: str
    says: str


def trapped(launches: pd.DataFrame) -> Iterator[Trapped]:
    """Yields the traps that mechanisms of one machine are in, from launches of cases with a number.

    A case whose trap has a name isn't called off its neighbours besides.
    """
    groups = {Case.parse(str(name)): own for name, own in launches.groupby("case", sort=False)}
    by_size = _by_size(groups)
    delayed = dict(_delayed_ack(groups, by_size))
    filled = dict(_filled(groups))
    off = dict(_off_its_neighbours(by_size, {*delayed, *filled}))
    flags = {"delayed-ack": delayed, "one-message-fills-it": filled, "off-its-neighbours": off}
    for flag, found in flags.items():
        yield from (Trapped(flag, case.id, says) for case, says in found.items())


def _delayed_ack(groups: _Groups, by_size: Collection[_Timed]) -> Iterator[tuple[Case, str]]:
    """Cases of TCP with Nagle's algorithm whose ends sleep through the timer of a delayed ACK.

    A stream meets it once, at the end of a batch. Where the mean is less than one stall, since only
    some messages met it, a far faster neighbour must tell.
    """
    for case, time_s, alike in ((*one, timed) for timed in by_size for one in timed):
        group = groups[case]
        if not _has_nagle(group) or not _is_idle(group, time_s):
            continue
        count = _messages_at_once(case, group)
        fast, fast_s = min(alike, key=lambda one: one[1])
        has_fast = fast_s * _FAR < time_s
        has_part = has_fast and _is_stalled(time_s, _LEAST_STALLED)
        if not has_part and not _is_stalled(time_s * count, 1.0):
            continue
        what = "it takes" if count == 1 else f"{count:,} messages take"
        beside = _beside(fast, fast_s) if has_fast and count == 1 else ""
        says = (
            f"{what} {display_time(time_s * count)}{beside}: Nagle's algorithm holds the rest of a"
            " message back until a delayed ACK comes, after 40 ms; set nodelay=on at both ends, or"
            " send each message in one write"
        )
        yield case, says


def _messages_at_once(case: Case, group: pd.DataFrame) -> int:
    """Messages that share a stall: those of a batch, where no reply is waited for."""
    if case.definition.replies:
        return 1
    return int((group["messages_count"] / group["values_count"]).median())


def _is_stalled(time_s: float, least_stalls: float) -> bool:
    """Whether a mean is one of this many stalls to _MOST_STALLS."""
    shortest_s, longest_s = _STALL_S
    return least_stalls * shortest_s <= time_s <= _MOST_STALLS * longest_s


def _has_nagle(group: pd.DataFrame) -> bool:
    """Whether either end had TCP_NODELAY off; early files say it in the evidence only."""
    told = [settings_of(group, key) for key in (CLIENT_KNOBS_KEY, SERVER_KNOBS_KEY)]
    if any(told):
        return any("off" in knobs.get("nodelay", ()) for knobs in told)
    if EVIDENCE_KEY not in group:
        return False
    return bool(group[EVIDENCE_KEY].astype("string").str.endswith(", Nagle").any())


def _is_idle(group: pd.DataFrame, time_s: float) -> bool:
    """Whether both ends slept for most of the time; False where their CPU time isn't known."""
    names = [
        f"cpu_{mode}_{side}_s_per_message"
        for mode in ("user", "system")
        for side in ("client", "server")
    ]
    if not set(names) <= set(group.columns):
        return False
    return bool(group[names].sum(axis=1, skipna=False).median() < _MOST_BUSY * time_s)


def _by_size(groups: _Groups) -> list[_Timed]:
    """The cases that differ in size alone, together."""
    found: dict[Case, _Timed] = {}
    for case, group in groups.items():
        alike = case._replace(message_size_bytes=0)
        found.setdefault(alike, []).append((case, float(group["time_s"].median())))
    return [sorted(timed, key=lambda one: one[0].message_size_bytes) for timed in found.values()]


def _beside(case: Case, time_s: float) -> str:
    """A neighbour's time, in words."""
    return f", and {display_time(time_s)} at {_exact(case.message_size_bytes)}"


def _exact(size_bytes: int) -> str:
    """A size for people, to the byte where it isn't round: neighbours may be one byte apart."""
    is_round = not size_bytes % 1024
    return display_size(size_bytes) if is_round else f"{size_bytes:,} B"


class _Room(NamedTuple):
    """What a message may fill: a pipe or a send buffer."""

    knob: str
    what: str
    who: str
    fact: str
    """The metadata of its size, which early files have, too."""
    factor: int
    """How many times a message's size the knob has to be; the kernel doubles a socket's itself."""


_ROOMS = (
    _Room("size", "pipe", "writer", "client_pipe_size_bytes", 2),
    _Room("sndbuf", "send buffer", "sender", "client_so_sndbuf_bytes", 1),
)


def _filled(groups: _Groups) -> Iterator[tuple[Case, str]]:
    """Cases of which one message fills the pipe or the send buffer, so that its sender sleeps.

    On one CPU that costs nothing to speak of: the ends take turns there anyway.
    """
    for case, group in groups.items():
        if is_on_one_cpu(case.placement):
            continue
        for room in _ROOMS:
            size_bytes = _size_in_force(room, group)
            if size_bytes is None or case.message_size_bytes < size_bytes:
                continue
            sleeps = _sleeps_for_room(case, group)
            if sleeps is not None and sleeps < _LEAST_SLEEPS:
                continue
            often = "for room" if sleeps is None else f"{sleeps:.1f} times a message"
            larger = format_size(case.message_size_bytes * room.factor)
            says = (
                f"one message of {_exact(case.message_size_bytes)} fills the {room.what} of"
                f" {_exact(size_bytes)}: its {room.who} sleeps {often}; try"
                f" {room.knob}={larger}, or smaller messages"
            )
            yield case, says
            break


def _size_in_force(room: _Room, group: pd.DataFrame) -> int | None:
    """The least size that any launch had; None where no launch tells it."""
    told = [parse_size(value) for value in settings_of(group, CLIENT_KNOBS_KEY).get(room.knob, ())]
    if not told and room.fact in group:
        told = [int(value) for value in group[room.fact].dropna()]
    return min(told, default=None)


def _sleeps_for_room(case: Case, group: pd.DataFrame) -> float | None:
    """How often a sender sleeps in a message, besides for its reply and in gaps; None if untold."""
    if "voluntary_switches_client_per_message" not in group:
        return None
    sleeps = float(group["voluntary_switches_client_per_message"].median())
    in_gaps = case.rhythm.gap_s > 0 and not case.rhythm.spins
    return sleeps - case.definition.replies - in_gaps


def _off_its_neighbours(
    by_size: Collection[_Timed], explained: Collection[Case]
) -> Iterator[tuple[Case, str]]:
    """Cases that are far slower than a larger message, or than the smaller ones let expect.

    The most that a smaller one lets expect is a time that grows as the size does.
    """
    for case, time_s, place, alike in (
        (*one, place, timed) for timed in by_size for place, one in enumerate(timed)
    ):
        if case in explained:
            continue
        for other, expected_s in _expectations(alike, place):
            if other not in explained and time_s > _FAR * expected_s:
                says = (
                    f"it takes {display_time(time_s)}{_beside(other, dict(alike)[other])}, which"
                    f" is {time_s / expected_s:,.0f}x what that lets expect; measure sizes between"
                    " them, and don't draw a line through it"
                )
                yield case, says
                break


def _expectations(by_size: _Timed, place: int) -> Iterator[tuple[Case, float]]:
    """Yields both neighbours in size, with the longest time that each lets expect."""
    if place + 1 < len(by_size):
        yield by_size[place + 1]
    if place > 0:
        smaller, time_s = by_size[place - 1]
        size_bytes = by_size[place][0].message_size_bytes
        if smaller.message_size_bytes:
            yield smaller, time_s * size_bytes / smaller.message_size_bytes
