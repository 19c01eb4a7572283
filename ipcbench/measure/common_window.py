"""The time in which all clients of a server were at work, and what was done in it. Pure.

Rates of clients over times of their own don't add up, and those that begin first, or go on alone in
the end, have an easier server. So one window is common to all: from the latest start of a client to
the earliest end. All times are nanoseconds of one clock (CLOCK_MONOTONIC), which all processes of a
machine share.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from ipcbench.errors import CheckFailed
from ipcbench.measure.drivers.base import Samples

_TOLERANCE = 0.02
"""Share by which the messages in flight may differ from the clients."""


class RoundTrips(NamedTuple):
    """A client's round trips, each of which began as the one before ended."""

    began_ns: int
    took_ns: Samples

    @property
    def ended_ns(self) -> int:
        """The end of the last one."""
        return self.began_ns + sum(self.took_ns)


class Stream(NamedTuple):
    """A client's messages to a server that replied to none of them."""

    began_ns: int
    sent: int
    """Messages of the batch."""
    marks_ns: Sequence[int]
    """When the server had received each of some equal shares of them."""

    @property
    def ended_ns(self) -> int:
        """When the server had received the last one."""
        return self.marks_ns[-1]


class Window(NamedTuple):
    """The common window of a batch. Empty where no time was common to all."""

    began_ns: int
    ended_ns: int
    counts: tuple[float, ...]
    """Messages of each client that were done in it; a fraction of a stream's where they are many.
    """
    took_ns: Samples
    """Times of the round trips that ended in it, of all clients."""

    @property
    def length_s(self) -> float:
        """Its seconds; 0.0 where no time was common to all."""
        return max(0, self.ended_ns - self.began_ns) * 1e-9

    @property
    def message_s(self) -> float | None:
        """Seconds a message, of all clients together; None where none was done in it."""
        done = sum(self.counts)
        return self.length_s / done if done and self.length_s else None

    @property
    def response_s(self) -> float | None:
        """Seconds of a round trip, in the mean of those that ended in it; None if none did."""
        return sum(self.took_ns) * 1e-9 / len(self.took_ns) if self.took_ns else None


def of_round_trips(clients: Sequence[RoundTrips], *, by_begin: bool = False) -> Window:
    """The common window of clients that wait for each reply.

    The counts are of the round trips that ended in it, and so are the times; `by_begin`: these are
    of those that began in it, since some are as long as the window.

    Raises CheckFailed if they didn't have one message each in flight, all the time.
    """
    began_ns = max(client.began_ns for client in clients)
    ended_ns = min(client.ended_ns for client in clients)
    if ended_ns <= began_ns:
        return Window(began_ns, ended_ns, (0.0,) * len(clients), array("q"))
    counts, pooled, in_flight_ns = [], array("q"), 0
    for client in clients:
        ends_ns = array("q", accumulate(client.took_ns, initial=client.began_ns))
        first, last = (bisect_right(ends_ns, at) for at in (began_ns, ended_ns))
        # The first entry is the start, so that message number i ended at entry i + 1.
        ended = slice(first - 1, last - 1)
        begun = slice(bisect_left(ends_ns, began_ns), bisect_left(ends_ns, ended_ns))
        pooled += client.took_ns[begun if by_begin else ended]
        counts.append(float(last - first))
        in_flight_ns += sum(
            max(0, min(end, ended_ns) - max(begin, began_ns))
            for begin, end in zip(
                ends_ns[first - 1 : last], ends_ns[first : last + 1], strict=False
            )
        )
    _check_in_flight(in_flight_ns / (ended_ns - began_ns), len(clients))
    return Window(began_ns, ended_ns, tuple(counts), pooled)


def of_streams(clients: Sequence[Stream]) -> Window:
    """The common window of clients that stream.

    Between two marks of a client its messages are taken to have come evenly.
    """
    began_ns = max(client.began_ns for client in clients)
    ended_ns = min(client.ended_ns for client in clients)
    counts = tuple(
        max(0.0, _received(client, ended_ns) - _received(client, began_ns)) for client in clients
    )
    return Window(began_ns, ended_ns, counts, array("q"))


def _received(client: Stream, at_ns: int) -> float:
    """Messages of a stream that the server had received at this time."""
    times = [client.began_ns, *client.marks_ns]
    passed = bisect_right(times, at_ns)
    if passed == 0:
        return 0.0
    if passed == len(times):
        return float(client.sent)
    marks = len(client.marks_ns)
    here, there = (client.sent * mark // marks for mark in (passed - 1, passed))
    return here + (there - here) * (at_ns - times[passed - 1]) / (times[passed] - times[passed - 1])


def _check_in_flight(in_flight: float, clients: int) -> None:
    """Checks that each client had one message in flight. Raises CheckFailed."""
    if abs(in_flight - clients) > clients * _TOLERANCE:
        raise CheckFailed(
            f"{in_flight:.2f} messages were in flight in the mean (throughput x response time:"
            f" Little's law), and there are {clients} clients with one each"
        )


class Fairness(NamedTuple):
    """How evenly a server has served its clients."""

    jain: float
    """Jain's index: 1 if all had the same, 1/N if one of N had all. Jain, Chiu and Hawe, 1984."""
    least: float
    """Share of the mean that the client had which had the least."""
    most: float
    least_client: int
    """Number of the client that had the least, from 1; the first of several."""
    most_client: int


def fairness(counts: Sequence[float]) -> Fairness | None:
    """How even these counts of messages are; None where there are none."""
    total = sum(counts)
    if not total:
        return None
    mean = total / len(counts)
    jain = total**2 / (len(counts) * sum(count**2 for count in counts))
    least, most = min(counts), max(counts)
    return Fairness(
        jain=min(1.0, jain),
        least=least / mean,
        most=most / mean,
        least_client=counts.index(least) + 1,
        most_client=counts.index(most) + 1,
    )
