"""Finds the windows that would block both ends of a pair, before any of them is launched.

The client of a window of W sends W messages before it waits for a reply. Each way holds some
messages unread, and the server has one in its hands: with more in flight both ends may sleep in a
send, each until the other reads. How many that takes is measured with a pair whose reader doesn't
read, as in `ipcbench full`; docs/load.md has the arithmetic. Prints nothing.
"""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ipcbench.case import Case
from ipcbench.checks.answers import answer_of
from ipcbench.errors import LaunchFailed
from ipcbench.measure.full.room import Room, room
from ipcbench.run.plan import Preflight
from ipcbench.system.scratch import Scratch, scratch
from ipcbench.text import counted
from ipcbench.transports.base import Medium, Traffic, Transport
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_size

_LIMIT_S = 40.0
"""Seconds to measure a pair: for what none of the limits of its steps catches."""
_ONE_PIECE_BYTES = 32 * 1024
"""A longer message of a UNIX stream is sent in pieces: unix_stream_sendmsg, UNIX_SKB_FRAGS_SZ."""
_LARGER = ("sndbuf", "size")
"""Knobs that give a mechanism more room."""


class _Probe(NamedTuple):
    """What is measured once, for every window of it."""

    transport: str
    message_size_bytes: int


def preflight(cases: Iterable[Case]) -> Preflight:
    """The cases that would block both ends, with the reasons, and notes on what isn't known.

    Each transport and size is measured once, with the largest window that is asked of it. One that
    can't be measured is let go on: its launches tell what is wrong.
    """
    refused: dict[Case, str] = {}
    notes: list[str] = []
    for probe, windowed, found in _rooms(cases):
        if isinstance(found, Room):
            refused.update(_refused(get_transport(probe.transport), found, windowed))
        else:
            notes.append(
                f"what {probe.transport} holds of {display_size(probe.message_size_bytes)}"
                f" in flight isn't known: {found}"
            )
    return Preflight(refused, tuple(notes))


def depths(cases: Sequence[Case]) -> dict[Case, int]:
    """Most messages in flight of each case, up to the window that its workload has.

    What can't be measured counts as one: its launches tell what is wrong.
    """
    found = {case: case.flow.window for case in cases}
    for probe, windowed, room_found in _rooms(cases):
        most: int | None = 1
        if isinstance(room_found, Room):
            mediums = get_transport(probe.transport).mediums
            most = most_in_flight(room_found, probe.message_size_bytes, mediums)
        if most is not None:
            found.update({case: min(case.flow.window, most) for case in windowed})
    return found


def refusal(transport: Transport, traffic: Traffic, found: Room) -> str | None:
    """The reason why so many can't be in flight, by what the mechanism holds; None if they can."""
    size_bytes = traffic.message_size_bytes
    most = most_in_flight(found, size_bytes, transport.mediums)
    if most is None or traffic.window <= most:
        return None
    asked = f"window={traffic.window} of {display_size(size_bytes)}"
    knob = next((one.name for one in transport.knobs if one.name in _LARGER), None)
    remedy = f"write window={most} or less" if most > 1 else "leave window out"
    if knob is not None:
        remedy += f", or raise {knob}"
    return (
        f"{asked} {_effect(found, transport)}: {_fit(found, transport)}, so"
        f" {f'at most {most}' if most > 1 else 'only one'} can be in flight; {remedy}"
    )


def most_in_flight(found: Room, size_bytes: int, mediums: Sequence[Medium]) -> int | None:
    """Most round trips in flight with which the two ends can't block each other; None for any.

    With A messages unread each way and one in the server's hands that is 2 A + 1 where a blocked
    end goes on after each read. One that sleeps until more of them are read may sleep beside a way
    that isn't full, which takes as many away. A page of a pipe is free when all of it is read:
    the least that is unread of a full pipe counts, whose first and last pages are in parts.

    Half of A counts where it isn't the same twice: TCP's buffers grow and shrink with what is
    acknowledged, and layers that add bytes of their own to a message may send it in pieces.
    """
    fit, woken = found.messages_count, found.woken_after_messages_count
    if found.when_full == "not-full":
        return None
    if found.when_full != "blocks":
        return max(1, fit)
    if not _is_sure(found, mediums):
        return max(1, min(2 * (fit // 2) + 1, 2 * fit + 1 - woken))
    if _is_paged(mediums):
        if size_bytes <= mmap.PAGESIZE:
            least = fit - woken + 1
        else:
            pages = -(-size_bytes // mmap.PAGESIZE)
            least = fit * size_bytes // (pages * mmap.PAGESIZE)
        return 2 * max(0, least) + 1
    in_pieces = mediums[:1] == ("unix-stream",) and size_bytes > _ONE_PIECE_BYTES
    return max(1, 2 * fit + 2 - woken - in_pieces)


def _rooms(
    cases: Iterable[Case],
) -> Iterator[tuple[_Probe, list[Case], Room | LaunchFailed | OSError]]:
    """Yields what each mechanism holds of the cases that may block, or why it isn't known."""
    asked: dict[_Probe, list[Case]] = {}
    for case in filter(_may_block, cases):
        asked.setdefault(_Probe(case.transport, case.message_size_bytes), []).append(case)
    if not asked:
        return
    with scratch() as private:
        for probe, windowed in asked.items():
            traffic = max(map(Traffic.of, windowed), key=lambda one: one.window)
            try:
                yield probe, windowed, _measured(get_transport(probe.transport), traffic, private)
            except (LaunchFailed, OSError) as error:
                yield probe, windowed, error


def _may_block(case: Case) -> bool:
    """Whether what is in flight depends on the room that the mechanism has."""
    transport, traffic = get_transport(case.transport), Traffic.of(case)
    return (
        traffic.window > 1
        and traffic.echoes
        and not transport.is_control
        and not transport.holds_in_flight
    )


def _measured(transport: Transport, traffic: Traffic, private: Scratch) -> Room:
    """What a fresh pair holds, up to the traffic's window. Raises LaunchFailed, OSError.

    A pipe has to hold more: with its pages begun elsewhere it is full of up to a page less.
    """
    most = traffic.window
    if _is_paged(transport.mediums):
        most = 2 * most + mmap.PAGESIZE
    found = answer_of(lambda place: room(transport, traffic, place, most), private, _LIMIT_S)
    return Room(*found)


def _refused(
    transport: Transport, found: Room, windowed: Iterable[Case]
) -> Iterator[tuple[Case, str]]:
    for case in windowed:
        reason = refusal(transport, Traffic.of(case), found)
        if reason is not None:
            yield case, reason


def _is_sure(found: Room, mediums: Sequence[Medium]) -> bool:
    """Whether the mechanism holds as many messages in each launch, whatever came before."""
    return found.is_plain and not any(one.startswith("tcp") for one in mediums)


def _is_paged(mediums: Sequence[Medium]) -> bool:
    """Whether the messages are in pages that are free only as a whole: pipe_write of fs/pipe.c."""
    return mediums[:1] in (("pipe",), ("fifo",))


def _effect(found: Room, transport: Transport) -> str:
    """What so many messages would do."""
    match found.when_full:
        case "drops":
            return f"would lose messages over {transport.name}"
        case "refuses":
            return f"would be refused by {transport.name}"
        case _:
            return f"would block both ends of {transport.name}"


def _fit(found: Room, transport: Transport) -> str:
    """How many messages fit, with a `~` where it varies, and how long a blocked end sleeps."""
    fit, woken = found.messages_count, found.woken_after_messages_count
    if not fit:
        return "no whole message fits unread"
    about = "" if _is_sure(found, transport.mediums) else "~"
    told = f"{about}{counted(fit, 'message fits', 'messages fit')} unread each way"
    if woken > 1 and found.when_full == "blocks":
        told += f" and a blocked end sleeps until {about}{woken} of them are read"
    return told
