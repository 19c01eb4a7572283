"""The timed loop of an open loop over several links, which carry its messages in turn.

One thread sends all messages by one schedule, and looks for replies at each link that owes some.
Those of a link come in its order; between links there is none.
"""

from array import array
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from ipcbench.case import Case
from ipcbench.errors import CheckFailed
from ipcbench.measure.drivers import blocking, native, open_loop
from ipcbench.measure.drivers.base import Acknowledged, Client, Samples
from ipcbench.measure.drivers.open_loop import LEAD_NS, Batch, Load, Window
from ipcbench.transports.base import Endpoint


class _Replies:
    """Which link has the next reply, and which message that answers."""

    def __init__(self, ready: Sequence[Callable[[], bool]]) -> None:
        self._ready = ready
        self._links = len(ready)
        self._next = list(range(self._links))
        """The message of each link that is answered next."""
        self._at = self._links - 1

    def look(self, sent: int) -> int | None:
        """The link that has a reply, of those that wait for one, with so many messages sent.

        The first one is asked first that comes behind the one with the last reply.
        """
        at, links, following, ready = self._at, self._links, self._next, self._ready
        for _ in range(links):
            at = at + 1 if at + 1 < links else 0
            if following[at] < sent and ready[at]():
                self._at = at
                return at
        return None

    def take(self, link: int) -> int:
        """The message that this link's reply is to; the reply counts as received."""
        message = self._next[link]
        self._next[link] = message + self._links
        return message


def spread_load(
    endpoints: Sequence[Endpoint],
    intended_ns: Samples,
    load: Load,
    ready: Sequence[Callable[[], bool]],
) -> Batch:
    """Sends messages at these times, by each end in turn, and receives the replies to all.

    `ready` has a call of each end that tells whether a reply can be received. Raises CheckFailed
    for a reply out of its link's order.
    """
    sends, receives = ([getattr(one, call) for one in endpoints] for call in ("send", "receive"))
    clock, most, links = perf_counter_ns, load.window, len(endpoints)
    messages = len(intended_ns)
    sent_ns, answered_ns = array("q", bytes(8 * messages)), array("q", bytes(8 * messages))
    stamps = [open_loop.stamps(endpoint, load) for endpoint in endpoints]
    replies, sent, answered = _Replies(ready), 0, 0
    window = Window(waits=ready[0] is open_loop.reply_comes)
    waits, is_numbered = window.in_vain, load.stamp_offset is not None
    start = clock() + LEAD_NS
    due = start + intended_ns[0]
    while answered < messages:
        in_flight = sent - answered
        if in_flight < most and sent < messages and (now := clock()) >= due:
            link = sent % links
            number, _ = stamps[link]
            number[0], number[1] = sent, due - start
            sent_ns[sent] = now - start
            sends[link]()
            sent += 1
            if window.holds or window.was_held_back:
                window.note_sent()
            if in_flight + 1 == most:
                window.fill(clock())
            if sent < messages:
                due = start + intended_ns[sent]
        elif in_flight and (found := replies.look(sent)) is not None:
            receives[found]()
            now = clock()
            message = replies.take(found)
            answered_ns[message] = now - start
            if in_flight == most and sent < messages:
                window.leave(now, due)
            window.in_vain = waits
            _, returned = stamps[found]
            if is_numbered and returned[0] != message:
                raise CheckFailed(open_loop.out_of_order(message, returned[0]))
            answered += 1
        else:
            window.in_vain = True
    return Batch(intended_ns, sent_ns, answered_ns, window.count)


class Generator:
    """The generator in Python over several ends, whose calls block."""

    def __init__(self, endpoints: Sequence[Endpoint], case: Case, load: Load) -> None:
        self._endpoints = endpoints
        self._load = load
        self._schedules = open_loop.Schedules(load)
        self._ready = [open_loop.looking(endpoint, load.window) for endpoint in endpoints]
        self.ends: Sequence[Client] = [
            blocking.Client(endpoint, case.workload_name, load.window) for endpoint in endpoints
        ]
        self.timed: Batch | None = None
        """The times of the last batch."""

    def prepare(self, messages: int) -> None:
        """Makes the schedule of the next batch, of so many messages of each link."""
        self._schedules.prepare(messages * len(self._endpoints))

    def batch(self, messages: int, acknowledged: Sequence[Acknowledged]) -> float:
        """Runs a batch that was prepared; returns the seconds from its start to its last reply."""
        self.timed = timed = self._run(self._schedules.of(messages * len(self._endpoints)))
        for one in acknowledged:
            one.wait()
        return open_loop.batch_s(timed)

    def _run(self, intended_ns: Samples) -> Batch:
        return spread_load(self._endpoints, intended_ns, self._load, self._ready)


class NativeGenerator(Generator):
    """The generator in C."""

    def __init__(self, endpoints: Sequence[native.NativeEndpoint], case: Case, load: Load) -> None:
        super().__init__(endpoints, case, load)
        self._ends_in_c = endpoints

    def _run(self, intended_ns: Samples) -> Batch:
        return open_loop.native_load(self._ends_in_c, intended_ns, self._load)
