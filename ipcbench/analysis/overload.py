"""Folds launches of `ipcbench full` into facts, and computes what the kernel's rules let expect.

A fact is to be the same in each launch; one that differs is told with its least and most. The rules
are in docs/full.md, with their sources.
"""

import mmap
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median, median_low
from typing import Any

from ipcbench.results.overload import Ends, Fill, Number

_PAGE_BYTES = mmap.PAGESIZE
_PARTS = 4
"""Parts of a ring of slots, each of which is given back as a whole."""
SEMVMX = 32_767
"""The greatest value of a System V semaphore: semop(2), ERANGE."""
_TIMES = ("blocked_notice_s", "connect_retry_s")
"""Facts that are times, and never the same twice."""


def fill_of(transport: str, mediums: Sequence[str], seen: Sequence[Mapping[str, Any]]) -> Fill:
    """One size of a transport, from what each launch saw of it."""
    facts, varies = folded(seen)
    fill = Fill(
        transport=transport, status="measured", launches_count=len(seen), varies=varies, **facts
    )
    due = {
        "expected_messages_count": expected(fill, mediums),
        "expected_woken_messages_count": expected_to_wake(fill, mediums),
    }
    return Fill(**{**_fields(fill), **due})


def ends_of(transport: str, seen: Sequence[Mapping[str, Any]]) -> Ends:
    """The ends of a transport, from what each launch saw of them."""
    facts, varies = folded(seen)
    return Ends(
        transport=transport, status="measured", launches_count=len(seen), varies=varies, **facts
    )


def folded(
    seen: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, tuple[Number, Number]]]:
    """The facts that all launches share; and the least and most of numbers that differ.

    Of words that differ the most frequent is taken, and its least and most are the numbers of
    launches with each of two words, so that it is flagged, too.
    """
    facts: dict[str, Any] = {}
    varies: dict[str, tuple[Number, Number]] = {}
    for name in seen[0]:
        values = [one[name] for one in seen]
        known = [value for value in values if value is not None]
        numbers = [value for value in known if isinstance(value, int | float)]
        if name in _TIMES:
            facts[name] = median(numbers) if numbers else None
        elif len(set(values)) == 1:
            facts[name] = values[0]
        elif numbers and len(numbers) == len(known) and not isinstance(numbers[0], bool):
            facts[name] = median_low(numbers)
            varies[name] = (min(numbers), max(numbers))
        else:
            counted = Counter(values).most_common()
            facts[name] = counted[0][0]
            varies[name] = (counted[-1][1], counted[0][1])
    return facts, varies


def expected(fill: Fill, mediums: Sequence[str]) -> int | None:
    """Messages that fit by the kernel's rule; None where it is none of arithmetic."""
    size, limit = fill.message_size_bytes, fill.limit
    if tuple(mediums) == ("sysv-sem",):
        return SEMVMX
    if fill.when_full == "not-full" or limit is None:
        return None
    match fill.limit_name:
        case "slots" | "mq_maxmsg":
            return limit
        case "msg_qbytes":
            return limit // max(1, size)
        case "F_GETPIPE_SZ" if set(mediums) <= {"pipe", "fifo", "largest"}:
            return pipe_messages(limit, size)
        case "SO_SNDBUF" if mediums[0].startswith("unix-"):
            charge = _charge(fill)
            return None if charge is None else -(-limit // charge)
        case "SO_RCVBUF":
            charge = _charge(fill)
            return None if charge is None else limit // charge
        case _:
            return None


def expected_to_wake(fill: Fill, mediums: Sequence[str]) -> int | None:
    """Messages that are read until a blocked writer wakes, by the rule; None without such a rule.

    A writer to a UNIX socket sleeps until no more than a quarter of its buffer is charged
    (unix_writable of net/unix/af_unix.c); one to a pipe, until a slot is free.
    """
    size, limit = fill.message_size_bytes, fill.limit
    if fill.when_full != "blocks" or limit is None or not fill.messages_count:
        return None
    match fill.limit_name:
        case "mq_maxmsg" | "msg_qbytes":
            return 1
        case "slots" if limit % _PARTS == 0:
            return limit // _PARTS
        case "F_GETPIPE_SZ" if set(mediums) <= {"pipe", "fifo", "largest"}:
            return max(1, _PAGE_BYTES // size)
        case "SO_SNDBUF" if mediums[0].startswith("unix-"):
            charge = _charge(fill)
            return None if charge is None else fill.messages_count - limit // 4 // charge
        case _:
            return None


def pipe_messages(capacity_bytes: int, size_bytes: int) -> int:
    """Whole messages in a pipe of as many slots as it has pages: pipe_write of fs/pipe.c.

    The odd bytes of a write go to the last page in use if they fit there as a whole; the rest of it
    takes a page each.
    """
    slots, used, last, messages = capacity_bytes // _PAGE_BYTES, 0, _PAGE_BYTES, 0
    while True:
        left, odd = size_bytes, size_bytes % _PAGE_BYTES
        if used and odd and last + odd <= _PAGE_BYTES:
            last, left = last + odd, left - odd
        while left > 0:
            if used == slots:
                return messages
            used, last = used + 1, min(_PAGE_BYTES, left)
            left -= last
        messages += 1


def _charge(fill: Fill) -> int | None:
    """Memory charged for a message; None if they aren't all charged alike."""
    memory, messages = fill.memory_bytes, fill.messages_count
    if not memory or not messages or memory % messages:
        return None
    return memory // messages


def _fields(fill: Fill) -> dict[str, Any]:
    return {name: getattr(fill, name) for name in fill.__slots__}
