"""The timed loop of an open loop: `load`. Messages are sent at times that no reply puts off.

One thread spins to each time, sends, and receives replies in between. A message that can't be sent
at its time, since the thread was at another one or a window of messages is unanswered, is sent late
and timed from when it was to be sent: otherwise a server that stalls would stop the questions, too
(coordinated omission). Nothing waits asleep where the end can look for a reply: the wake-up of the
generator would be in every time.
"""

from array import array
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import NamedTuple

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed
from ipcbench.measure.drivers import blocking, native
from ipcbench.measure.drivers.base import Acknowledged, Samples
from ipcbench.measure.schedule import schedule
from ipcbench.transports.base import Endpoint
from ipcbench.transports.ends import CallbackEndpoint, CoroutineEndpoint
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import Arrivals, Workload

STAMP_BYTES = 16
"""Length of what each message carries: its number, and when it was to be sent, as 8-byte words."""
_NUMBER_BYTES = 8
"""Bytes in front of it, of a transport that numbers messages itself."""
LEAD_NS = 200_000
"""Nanoseconds from the start of a batch to its first message: all of them are still to come."""


class Batch(NamedTuple):
    """The times of a batch's messages, in nanoseconds from one instant, in the order of sending."""

    intended_ns: Samples
    sent_ns: Samples
    answered_ns: Samples
    held_back_count: int
    """Messages that were late since a window of others was unanswered."""


class Load(NamedTuple):
    """The messages of an open loop, as its client has to know them."""

    arrivals: Arrivals
    window: int
    """Most messages in flight."""
    seed: str
    """Seed of random schedules: each batch has another one of it."""
    stamp_offset: int | None
    """Bytes in front of a message's number; None if it carries none that could come back."""


class Window:
    """The messages in flight, as they fill a window; tells which are late since it was full.

    A message is held back if a full window had no reply to receive when it was due, and it waits
    for one for longer than the generator was late as it filled the window, or behind one that was
    held back. So are those behind it while the generator catches up: it may be disturbed meanwhile,
    but where they get twice as late as those that waited, it doesn't catch up. Others are late by
    the generator's own doing: replies that wait for it fill a window as well.
    """

    __slots__ = ("_filled", "_waited_ns", "_waits", "count", "holds", "in_vain", "was_held_back")

    def __init__(self, *, waits: bool) -> None:
        """`waits`: an end is waited at that can't look, so that each look is in vain."""
        self.count = 0
        """Messages that were held back."""
        self.in_vain = self._waits = waits
        """Whether a reply was looked for in vain since the window was filled."""
        self.holds = self.was_held_back = False
        """Whether the next message is held back, and whether the last one was."""
        self._filled = self._waited_ns = 0

    def fill(self, now: int) -> None:
        """Notes that the window is full from now on."""
        self._filled, self.in_vain = now, self._waits

    def leave(self, now: int, due: int) -> None:
        """Notes that a reply came while it was full; the next message was due then."""
        late_ns, filled = now - due, self._filled
        waited = self.in_vain and (now - filled >= filled - due or self.was_held_back)
        if waited:
            self._waited_ns = max(late_ns, self._waited_ns) if self.was_held_back else late_ns
        catches_up = self.was_held_back and late_ns <= 2 * self._waited_ns
        self.holds = late_ns >= 0 and (waited or catches_up)

    def note_sent(self) -> None:
        """Counts the message that was sent, if it was held back."""
        self.count += self.holds
        self.was_held_back, self.holds = self.holds, False


def client_load(
    endpoint: Endpoint, intended_ns: Samples, load: Load, ready: Callable[[], bool]
) -> Batch:
    """Sends messages at these times after a start, and receives the replies to all of them.

    `ready` tells whether a reply can be received; `Window` which messages are held back. Raises
    CheckFailed for a reply out of its order.
    """
    send, receive, clock, most = endpoint.send, endpoint.receive, perf_counter_ns, load.window
    messages = len(intended_ns)
    sent_ns, answered_ns = array("q", bytes(8 * messages)), array("q", bytes(8 * messages))
    number, returned = stamps(endpoint, load)
    sent = answered = 0
    window = Window(waits=ready is reply_comes)  # an end that can't look waits in `receive`
    waits, is_numbered = window.in_vain, load.stamp_offset is not None
    start = clock() + LEAD_NS
    due = start + intended_ns[0]
    while answered < messages:
        in_flight = sent - answered
        if in_flight < most and sent < messages and (now := clock()) >= due:
            number[0], number[1] = sent, due - start
            sent_ns[sent] = now - start
            send()
            sent += 1
            if window.holds or window.was_held_back:
                window.note_sent()
            if in_flight + 1 == most:
                window.fill(clock())
            if sent < messages:
                due = start + intended_ns[sent]
        elif in_flight and ready():
            receive()
            now = clock()
            answered_ns[answered] = now - start
            if in_flight == most and sent < messages:
                window.leave(now, due)
            window.in_vain = waits
            if is_numbered and returned[0] != answered:
                raise CheckFailed(out_of_order(answered, returned[0]))
            answered += 1
        else:
            window.in_vain = True
    return Batch(intended_ns, sent_ns, answered_ns, window.count)


def stamps(endpoint: Endpoint, load: Load) -> tuple[memoryview, memoryview]:
    """Words of the message that is sent, and of the one that came back.

    Where a message can't carry them, or none comes back, they are of no message.
    """
    if load.stamp_offset is None:
        return memoryview(array("q", (0, 0))), memoryview(array("q", (0, 0)))
    words = slice(load.stamp_offset, load.stamp_offset + STAMP_BYTES)
    return endpoint.outgoing[words].cast("q"), endpoint.incoming[words].cast("q")


def out_of_order(expected: int, number: int) -> str:
    """What is wrong with a reply that carries another number than the next one's."""
    return f"the reply to message {expected} carries the number {number}"


def reply_comes() -> bool:
    """Takes it that a reply can be received: with one message in flight to wait for it is right."""
    return True


class Schedules:
    """The schedules of a launch's batches."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._batches = 0
        self._intended_ns = array("q")

    def prepare(self, messages: int) -> None:
        """Makes the schedule of the next batch, which is no work of its messages.

        Even times are the same in each batch.
        """
        load = self._load
        self._batches += 1
        if load.arrivals.is_random or len(self._intended_ns) != messages:
            self._intended_ns = schedule(load.arrivals, messages, f"{load.seed}/{self._batches}")

    def of(self, messages: int) -> Samples:
        """The schedule that was prepared. Raises LaunchFailed if it is of other messages."""
        if len(self._intended_ns) != messages:
            raise LaunchFailed(f"no schedule of {messages} messages was prepared")
        return self._intended_ns


def batch_s(timed: Batch) -> float:
    """Seconds from a batch's start to its last reply."""
    return (max(timed.answered_ns) + LEAD_NS) * 1e-9


class Client(blocking.Client):
    """The generator in Python, over an end whose calls block."""

    def __init__(self, endpoint: Endpoint, workload: Workload, load: Load) -> None:
        super().__init__(endpoint, workload, load.window)
        self._load = load
        self._schedules = Schedules(load)
        self.prepare = self._schedules.prepare
        self.timed: Batch | None = None
        """The times of the last batch."""
        self._ready = looking(endpoint, load.window)

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Runs a batch that was prepared; returns the seconds from its start to its last reply."""
        self.timed = timed = self._run(self._schedules.of(messages))
        acknowledged.wait()
        return batch_s(timed)

    def _run(self, intended_ns: Samples) -> Batch:
        return client_load(self._endpoint, intended_ns, self._load, self._ready)


def looking(endpoint: Endpoint, window: int) -> Callable[[], bool]:
    """A call that tells whether a reply can be received. Raises LaunchFailed for ends without one.

    With one message in flight an end without it waits for the reply, as clients do.
    """
    match endpoint:
        case CoroutineEndpoint() | CallbackEndpoint():
            raise LaunchFailed("an event loop can't be the generator of a load")
        case Endpoint(ready=None) if window > 1:
            raise LaunchFailed("this end can't look for a reply; leave window out")
        case _:
            return endpoint.ready or reply_comes


def native_load(
    endpoints: Sequence[native.NativeEndpoint], intended_ns: Samples, load: Load
) -> Batch:
    """The loop in C: the ends carry the messages in turn. As `client_load`, and `spread_load`."""
    from ipcbench.measure import _native

    size = 8 * len(intended_ns)
    sent_ns, answered_ns = array("q", bytes(size)), array("q", bytes(size))
    offset = -1 if load.stamp_offset is None else load.stamp_offset
    cores = [endpoint.core for endpoint in endpoints]
    held_back, wrong = _native.client_load(
        cores, intended_ns, sent_ns, answered_ns, load.window, offset, LEAD_NS
    )
    if wrong is not None:
        raise CheckFailed(out_of_order(*wrong))
    return Batch(intended_ns, sent_ns, answered_ns, held_back)


class NativeClient(Client):
    """The generator in C."""

    def __init__(self, endpoint: native.NativeEndpoint, workload: Workload, load: Load) -> None:
        super().__init__(endpoint, workload, load)
        self._endpoints = [endpoint]

    def _run(self, intended_ns: Samples) -> Batch:
        return native_load(self._endpoints, intended_ns, self._load)


def rejects(case: Case) -> str | None:
    """The reason why the case's messages can't be sent by a schedule; None if they can, or aren't.

    A generator beside an event loop would wait for it, and in one it would wait for the other end.
    """
    transport = get_transport(case.transport)
    if case.arrivals is None or transport.client_blocks:
        return None
    return (
        f"the client of {transport.name} is in an event loop, which can't send by a schedule;"
        " write client=lean behind it"
    )


def load_of(case: Case, seed: str) -> Load:
    """The messages of a case with a schedule, as its client has to know them. Raises LaunchFailed.

    They are numbered where they have the room and come back.
    """
    arrivals, transport = case.arrivals, get_transport(case.transport)
    if arrivals is None:
        raise LaunchFailed(f"{case.id} has no schedule")
    offset = _NUMBER_BYTES if transport.numbers_messages else 0
    fits = not transport.is_control and case.message_size_bytes >= offset + STAMP_BYTES
    return Load(arrivals, case.flow.window, seed, offset if fits else None)


def client(endpoint: Endpoint, case: Case, seed: str) -> Client:
    """The generator of a case over this end; closes the end if there is none for it.

    Raises LaunchFailed.
    """
    try:
        load = load_of(case, seed)
        if isinstance(endpoint, native.NativeEndpoint):
            return NativeClient(endpoint, case.workload_name, load)
        return Client(endpoint, case.workload_name, load)
    except BaseException:
        endpoint.close()  # nobody else has it yet
        raise
