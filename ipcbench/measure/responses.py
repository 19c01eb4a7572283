"""The responses of an open loop's launch: its batches together, as values, samples and facts."""

from array import array
from collections.abc import Mapping, Sequence
from statistics import fmean

from ipcbench.errors import CheckFailed
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.drivers.open_loop import Batch
from ipcbench.measure.tether import LATENESS, SAMPLES, SAMPLES_FROM_SENDING


class Responses:
    """The batches of a launch that count."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._delivered = 0
        """Messages by the server's own count, where there is a server."""

    def add(self, batch: Batch, delivered: int | None) -> None:
        """Adds a batch, of which the server has received so many messages; None of a control.

        Raises CheckFailed if the times of its messages can't be, or not all were delivered.
        """
        if delivered is not None and delivered != len(batch.sent_ns):
            raise CheckFailed(f"{len(batch.sent_ns)} messages were sent and {delivered} delivered")
        _check_order(batch)
        self._batches.append(batch)
        self._delivered += delivered or 0

    def samples_ns(self) -> Mapping[str, Samples]:
        """The times of all messages, by the name of their file in a launch's directory.

        Those from the intended and from the actual time of sending to the reply, and what is
        between these two.
        """
        return {
            SAMPLES: self._spans_ns("intended_ns", "answered_ns"),
            SAMPLES_FROM_SENDING: self._spans_ns("sent_ns", "answered_ns"),
            LATENESS: self._spans_ns("intended_ns", "sent_ns"),
        }

    def _spans_ns(self, begin: str, end: str) -> Samples:
        """Nanoseconds from one time of each message to another; the times are fields of a batch."""
        spans_ns = array("q")
        for batch in self._batches:
            times = zip(getattr(batch, begin), getattr(batch, end), strict=True)
            spans_ns.extend(ended - began for began, ended in times)
        return spans_ns

    def facts(self) -> dict[str, int | float]:
        """Counts, and rates and the slope of the delay where they are known; empty for no batch."""
        if not self._batches:
            return {}
        sent = sum(len(batch.sent_ns) for batch in self._batches)
        facts: dict[str, int | float] = {
            "load_offered_count": sum(len(batch.intended_ns) for batch in self._batches),
            "load_sent_count": sent,
            "load_delivered_count": self._delivered,
            "load_answered_count": sum(map(_answered, self._batches)),
            "load_window_full_count": sum(batch.held_back_count for batch in self._batches),
        }
        for name, times in (("offered", "intended_ns"), ("achieved", "answered_ns")):
            rate_per_s = _rate_per_s([getattr(batch, times) for batch in self._batches])
            if rate_per_s is not None:
                facts[f"load_{name}_per_s"] = rate_per_s
        slopes = [slope for batch in self._batches if (slope := _slope(batch)) is not None]
        if slopes:
            facts["load_delay_slope_ratio"] = fmean(slopes)
        return facts


def mean_response_s(batch: Batch) -> float:
    """Seconds from the intended time of a message to its reply, in the mean of a batch."""
    return (sum(batch.answered_ns) - sum(batch.intended_ns)) * 1e-9 / len(batch.intended_ns)


def _check_order(batch: Batch) -> None:
    """Checks that each message was sent at its time or later, and answered after that."""
    early = sum(map(int.__lt__, batch.sent_ns, batch.intended_ns))
    unanswered = sum(map(int.__lt__, batch.answered_ns, batch.sent_ns))
    if early or unanswered:
        raise CheckFailed(
            f"of {len(batch.sent_ns)} messages {early} were sent before their time and"
            f" {unanswered} have no reply"
        )


def _answered(batch: Batch) -> int:
    """Messages whose reply has come: no time of one is 0, since the first message is sent later."""
    return len(batch.answered_ns) - batch.answered_ns.count(0)


def _rate_per_s(batches: Sequence[Samples]) -> float | None:
    """Messages a second between the first and the last of each batch; None for an instant."""
    span_ns = sum(times[-1] - times[0] for times in batches)
    count = sum(len(times) - 1 for times in batches)
    return count * 1e9 / span_ns if span_ns > 0 else None


def _slope(batch: Batch) -> float | None:
    """Seconds of response time gained a second, by least squares; None for fewer than 2 messages.

    0 where the server keeps up; behind it, the messages wait longer and longer.
    """
    times, count = batch.intended_ns, len(batch.intended_ns)
    if times[-1] <= times[0]:
        return None
    responses = (end - begin for begin, end in zip(times, batch.answered_ns, strict=True))
    middle = sum(times) / count
    spread = sum((at - middle) ** 2 for at in times)
    both = sum((at - middle) * one for at, one in zip(times, responses, strict=True))
    return both / spread
