"""One launch: a fresh pair for every size of a transport, and one for each death."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ipcbench.measure.full.connects import connects, unconnected_datagrams
from ipcbench.measure.full.kernel import Held
from ipcbench.measure.full.pair import Filled, WatchedPair
from ipcbench.system.cpus import Cpus
from ipcbench.transports.base import Traffic, Transport, Workspace
from ipcbench.workloads import Workload

MOST_BYTES = 256 * 1024 * 1024
"""Bytes after which a mechanism counts as one that doesn't fill."""
_SENDS_AFTER_DEATH = 16
_DEATH_BYTES = 4096
"""Most bytes of a message in flight at a death: what is sent in one piece, or not at all."""


Facts = dict[str, Any]
"""What was seen, by the names of the fields that `results.overload` has."""

ENDS = (
    *("connections_count", "next_connection", "connect_retry_s", "unconnected_messages_count"),
    *("blocked_notice", "blocked_notice_s", "blocked_sigpipe"),
    *("idle_notice", "idle_sends_count", "idle_sigpipe"),
)
"""Names of what is seen once, whatever the size of messages."""


class Launch(NamedTuple):
    """What one launch saw: facts of each size, and those of the ends."""

    fills: list[Facts]
    ends: Facts


def traffic_of(transport: Transport, size_bytes: int) -> Traffic:
    """The traffic to fill a transport with: a stream, or the signals of one that has no other."""
    workload: Workload = "throughput" if transport.streams else "latency"
    return Traffic(transport.size_of(workload, size_bytes), workload)


def measured(
    transport: Transport,
    sizes: Sequence[int],
    directory: Path,
    cpus: Cpus | None,
    most_messages: int,
) -> Launch:
    """Does one launch, each pair in a folder of its own; raises LaunchFailed, OSError.

    `sizes` are those that the transport takes.
    """
    dying = max((size for size in sizes if size <= _DEATH_BYTES), default=min(sizes))
    places = (directory / str(number) for number in range(len(sizes) + 3))
    fills: list[Facts] = []
    ends: Facts = dict.fromkeys(ENDS)
    for size in sizes:
        traffic = traffic_of(transport, size)
        with WatchedPair(transport, traffic, _made(places), cpus) as pair:
            fills.append(_filled(transport, traffic, pair, most_messages))
            if size == dying and fills[-1]["when_full"] == "blocks":
                ends |= _blocked_death(pair)
    with WatchedPair(transport, traffic_of(transport, dying), _made(places), cpus) as pair:
        notice = pair.kill_reader(_SENDS_AFTER_DEATH)
        ends |= {"idle_notice": notice.how, "idle_sends_count": notice.sends}
        ends["idle_sigpipe"] = notice.sigpipe
    if transport.connects:
        found = connects(transport, _made(places))
        if found is not None:
            ends["connections_count"], ends["next_connection"], ends["connect_retry_s"] = found
    if "unix-dgram" in transport.mediums:
        ends["unconnected_messages_count"] = unconnected_datagrams(_made(places).directory)
    return Launch(fills, ends)


def _made(places: Iterator[Path]) -> Workspace:
    place = next(places)
    place.mkdir(mode=0o700)
    return Workspace(place)


def _filled(transport: Transport, traffic: Traffic, pair: WatchedPair, most_messages: int) -> Facts:
    size = traffic.message_size_bytes
    most = min(most_messages, max(1, MOST_BYTES // size)) if size else most_messages
    filled = pair.fill(most)
    held, mapped_bytes = filled.held, transport.memory_bytes(traffic)
    if mapped_bytes:
        slots = pair.facts.get("ring_slots_count")
        held = Held(None, mapped_bytes, "mapping", "slots", slots)
    blocks = filled.when_full == "blocks"
    refused = pair.refused_with() if blocks else None
    woken = pair.read_until_woken(filled.sent) if blocks else {}
    return {
        "message_size_bytes": size,
        "when_full": filled.when_full,
        "refused_with": filled.refused_with,
        "nonblocking_errno": refused,
        "messages_count": filled.sent,
        "unread_bytes": _unread_bytes(filled, size),
        "memory_bytes": held.memory_bytes,
        "memory_source": held.memory_source,
        "limit_name": held.limit_name,
        "limit": held.limit,
        "woken_after_messages_count": woken.get("messages") if woken.get("woken") else None,
        "woken_step_messages_count": woken.get("step"),
    }


def _unread_bytes(filled: Filled, size: int) -> int:
    """The kernel's count, with what the mechanism adds and what is sent of the blocked message."""
    told = filled.held.unread_bytes
    return told if told and told > filled.sent * size else filled.sent * size


def _blocked_death(pair: WatchedPair) -> Facts:
    pair.refill()
    notice = pair.kill_reader()
    return {
        "blocked_notice": notice.how,
        "blocked_notice_s": notice.after_s,
        "blocked_sigpipe": notice.sigpipe,
    }
