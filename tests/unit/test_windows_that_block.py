"""How many may be in flight: the arithmetic against every order of steps of small models."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import pytest

from ipcbench.checks.inflight import most_in_flight, refusal
from ipcbench.measure.full.room import Room
from ipcbench.transports.base import Medium, Traffic
from ipcbench.transports.registry import get_transport

_MOST = 100
"""More than any of the models lets be in flight."""


class Way(Protocol):
    """A state of one direction of a mechanism."""

    def put(self, left: int, *, is_first: bool) -> tuple[Self, int] | None:
        """After a writer's next step, with what is left to write then; None if it sleeps."""

    def take(self, wanted: int) -> tuple[Self, int] | None:
        """After a reader's next step, with what it still wants then; None if it sleeps."""


@dataclass(frozen=True)
class Pages:
    """A pipe of some pages: bytes left in each, and the end of what was written to the last.

    pipe_write and pipe_read of fs/pipe.c.
    """

    page: int
    slots: int
    left: tuple[int, ...] = ()
    end: int = 0

    def put(self, left: int, *, is_first: bool) -> tuple[Self, int] | None:
        pages, end, before = self.left, self.end, left
        odd = left % self.page
        if is_first and pages and odd and end + odd <= self.page:
            pages, end, left = (*pages[:-1], pages[-1] + odd), end + odd, left - odd
        while left and len(pages) < self.slots:
            end = min(self.page, left)
            pages, left = (*pages, end), left - end
        return None if left == before else (replace(self, left=pages, end=end), left)

    def take(self, wanted: int) -> tuple[Self, int] | None:
        if not self.left:
            return None
        pages = self.left
        while pages and wanted:
            count = min(pages[0], wanted)
            wanted -= count
            pages = pages[1:] if count == pages[0] else (pages[0] - count, *pages[1:])
        return replace(self, left=pages, end=self.end if pages else 0), wanted


@dataclass(frozen=True)
class Charged:
    """A buffer that is full by what its messages, each of some pieces, are charged.

    A writer that sleeps is woken when no more than the share is charged: unix_writable.
    """

    pieces: tuple[int, ...]
    room: int
    share: float
    read: int = 0
    held: int = 0
    sleeps: bool = False

    def put(self, left: int, *, is_first: bool) -> tuple[Self, int] | None:
        if self.sleeps:
            return None
        if self._charge() >= self.room:
            return replace(self, sleeps=True), left
        return replace(self, held=self.held + 1), left - 1

    def take(self, wanted: int) -> tuple[Self, int] | None:
        if not self.held:
            return None
        after = replace(self, read=(self.read + 1) % len(self.pieces), held=self.held - 1)
        if after._charge() <= self.room * self.share:
            after = replace(after, sleeps=False)
        return after, wanted - 1

    def _charge(self) -> int:
        count = len(self.pieces)
        return sum(self.pieces[(self.read + place) % count] for place in range(self.held))


@dataclass(frozen=True)
class Ends:
    """A state of both directions and both ends."""

    forth: Way
    back: Way
    in_flight: int
    client: tuple[str, int, bool]
    server: tuple[str, int, bool]


def _steps(now: Ends, whole: int, window: int) -> Iterator[Ends]:
    """All states that may follow: either end may take the next step."""
    begins, waits = ("sends", whole, True), ("receives", whole, True)
    does, left, is_first = now.client
    if does == "sends" and (put := now.forth.put(left, is_first=is_first)):
        forth, left = put
        count = now.in_flight + (not left)
        then = ("sends", left, False) if left else (begins if count < window else waits)
        yield replace(now, forth=forth, in_flight=count, client=then)
    if does == "receives" and (taken := now.back.take(left)):
        back, left = taken
        then = ("receives", left, False) if left else begins
        yield replace(now, back=back, in_flight=now.in_flight - (not left), client=then)
    does, left, is_first = now.server
    if does == "sends" and (put := now.back.put(left, is_first=is_first)):
        back, left = put
        yield replace(now, back=back, server=("sends", left, False) if left else waits)
    if does == "receives" and (taken := now.forth.take(left)):
        forth, left = taken
        yield replace(now, forth=forth, server=("receives", left, False) if left else begins)


def _may_block(way: Way, whole: int, window: int) -> bool:
    """Whether any order of steps leads to a state that no step leads out of."""
    first = Ends(way, way, 0, ("sends", whole, True), ("receives", whole, True))
    seen, to_do = {first}, [first]
    while to_do:
        following = list(_steps(to_do.pop(), whole, window))
        if not following:
            return True
        to_do += [one for one in following if one not in seen]
        seen.update(following)
    return False


def _most(way: Way, whole: int) -> int:
    """The largest window that no order of steps blocks."""
    return next(window for window in range(1, _MOST) if _may_block(way, whole, window + 1))


def _asleep(way: Way) -> Way:
    """The way with its writer asleep."""
    return replace(way, sleeps=True) if isinstance(way, Charged) else way


def _room(way: Way, whole: int) -> Room:
    """What is seen of a way whose reader doesn't read, and then reads until its writer wakes."""
    fit, left, is_first = 0, whole, True
    while (put := way.put(left, is_first=is_first)) and put[0] != _asleep(way):
        way, left = put
        is_first = not left
        fit, left = fit + (not left), left or whole
    way = _asleep(way)
    woken = 0
    while way.put(left, is_first=is_first) is None:
        wanted = whole
        while wanted and (taken := way.take(wanted)):
            way, wanted = taken
        woken += 1
    return Room("blocks", fit, woken, is_plain=True)


@pytest.mark.parametrize("slots", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 9, 12, 16, 17, 24])
def test_no_order_of_steps_blocks_a_pipe_by_as_many_as_may_be_in_flight(
    slots: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmap.PAGESIZE", 8)
    pipe = Pages(8, slots)
    told = most_in_flight(_room(pipe, size), size, ("pipe",))
    most = _most(pipe, size)
    assert told is not None
    assert told <= most
    if size <= 8 or size % 8 == 0:
        assert told == most


@pytest.mark.parametrize("share", [0.25, 2 / 3])
@pytest.mark.parametrize("room", [3, 4, 7, 8, 12, 16, 26])
@pytest.mark.parametrize("charge", [1, 3, 4])
def test_the_limit_of_what_is_charged_by_the_message_is_exact(
    charge: int, room: int, share: float
) -> None:
    way = Charged((charge,), room, share)
    assert most_in_flight(_room(way, 1), 64, ("unix-stream",)) == _most(way, 1)


@pytest.mark.parametrize("share", [0.25, 2 / 3])
@pytest.mark.parametrize("room", [3, 4, 8, 17, 25, 26, 30])
@pytest.mark.parametrize("pieces", [(4, 3), (4, 4, 2), (5, 5, 5)])
def test_a_message_in_pieces_blocks_nobody_by_as_many_as_may_be_in_flight(
    pieces: tuple[int, ...], room: int, share: float
) -> None:
    way = Charged(pieces, room, share)
    told = most_in_flight(_room(way, len(pieces)), 64 * 1024, ("unix-stream",))
    most = _most(way, len(pieces))
    assert told is not None
    assert max(1, most - 1) <= told <= most


QUEUE = Room("blocks", 10, 1, is_plain=True)


@pytest.mark.parametrize(
    ("found", "mediums", "most"),
    [
        (QUEUE, ("posix-mq",), 21),
        (QUEUE._replace(messages_count=0), ("posix-mq",), 1),
        (QUEUE._replace(when_full="not-full"), ("unix-stream",), None),
        (QUEUE._replace(when_full="drops"), ("udp4",), 10),
        (QUEUE._replace(when_full="refuses"), ("sysv-sem",), 10),
        (QUEUE, ("tcp4", "nodelay"), 11),
        (QUEUE._replace(messages_count=11), ("tcp4", "nodelay"), 11),
        (QUEUE._replace(messages_count=1), ("tcp4", "nodelay"), 1),
        (QUEUE._replace(is_plain=False), ("unix-stream",), 11),
        (QUEUE._replace(is_plain=False, woken_after_messages_count=11), ("pipe",), 10),
    ],
)
def test_the_limit_is_by_what_is_sure(
    found: Room, mediums: Sequence[Medium], most: int | None
) -> None:
    assert most_in_flight(found, 64, tuple(mediums)) == most


def _refusal(name: str, window: int, found: Room, size: int = 64 * 1024) -> str | None:
    return refusal(get_transport(name), Traffic(size, "latency", window=window), found)


def test_a_refusal_tells_the_limit_and_what_to_write() -> None:
    found = Room("blocks", 3, 3, is_plain=True)
    assert _refusal("unix", 4, found) is None
    assert _refusal("unix", 64, found) == (
        "window=64 of 64 KiB would block both ends of unix: 3 messages fit unread each way and a"
        " blocked end sleeps until 3 of them are read, so at most 4 can be in flight; write"
        " window=4 or less, or raise sndbuf"
    )
    assert _refusal("pipe", 4, Room("blocks", 1, 1, is_plain=True)) == (
        "window=4 of 64 KiB would block both ends of pipe: 1 message fits unread each way, so at"
        " most 3 can be in flight; write window=3 or less, or raise size"
    )
    assert _refusal("sysv-msg", 4, Room("blocks", 0, 1, is_plain=True)) == (
        "window=4 of 64 KiB would block both ends of sysv-msg: no whole message fits unread, so"
        " only one can be in flight; leave window out"
    )
    assert _refusal("inet", 100, Room("blocks", 60, 12, is_plain=True)) == (
        "window=100 of 64 KiB would block both ends of inet: ~60 messages fit unread each way and a"
        " blocked end sleeps until ~12 of them are read, so at most 61 can be in flight; write"
        " window=61 or less, or raise sndbuf"
    )
