"""One of many clients of a server: its end of its own link, and what it does in a batch.

The first client is the worker's process itself, which bids the others what to do; each of those is
a process of its own, which obeys here.
"""

import gc
import os
import select
from array import array
from time import monotonic, perf_counter_ns
from typing import Any, NamedTuple, NoReturn, Self

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed, PeerDied, explain_with_type
from ipcbench.evidence.holdings import holdings
from ipcbench.evidence.memory import LinkMemory, link_memory
from ipcbench.evidence.verdict import Expected, Finding
from ipcbench.evidence.witness import inspect
from ipcbench.measure import drivers
from ipcbench.measure.control import Channel, ChannelClosed, PeerReported
from ipcbench.measure.conversation import Conversation
from ipcbench.measure.drivers.base import Acknowledged, Client, Samples, Watched
from ipcbench.measure.meeting import Meeting
from ipcbench.measure.pair import check_clock
from ipcbench.measure.server import take_leave
from ipcbench.measure.usage import Usage, last_cpu, thread_count, usage
from ipcbench.system import process
from ipcbench.transports.base import Link, Traffic
from ipcbench.transports.registry import get_transport

MARKS = 16
"""Times at which a server notes how much of a stream it has received."""
PATIENCE_S = 0.2
"""Seconds for a server to report its failure, once a client has met it."""
_OF_OTHERS = (EOFError, ConnectionError, ChannelClosed)
"""Errors that only tell of the end of somebody else."""


class Ran(NamedTuple):
    """A client's batch, as plain values: they go through the control channel."""

    began_ns: int
    used: Usage
    cpu: int | None
    threads: int | None
    server_used: Usage
    """Of all batches so far."""
    server_cpus: list[int]
    server_threads: int | None
    marks_ns: list[int]

    @classmethod
    def of(cls, values: Any) -> Self:
        """The batch that these values of JSON are of."""
        ran = cls(*values)
        return ran._replace(used=Usage(*ran.used), server_used=Usage(*ran.server_used))


class Sibling:
    """The server of a client that isn't its parent, for an event loop that watches it."""

    def __init__(self, pid: int) -> None:
        self._pidfd = os.pidfd_open(pid)

    def fileno(self) -> int:
        """A pidfd: readable once the server has ended. pidfd_open(2)."""
        return self._pidfd

    def watch(self) -> None:
        """Raises PeerDied if the server has ended."""
        if select.select([self._pidfd], [], [], 0)[0]:
            raise PeerDied("the server ended")


class Member:
    """A client: its end, and what it and its server tell each other."""

    def __init__(
        self,
        number: int,
        case: Case,
        client: Client,
        channel: Channel,
        server_pid: int,
        of_others: frozenset[str],
    ) -> None:
        """`of_others` is what this process holds that isn't of this link, by identity."""
        self.client = client
        self.number = number
        self._case = case
        self._traffic = Traffic.of(case)
        self.conversation = Conversation(client, channel, self._traffic)
        self._server_pid = server_pid
        self._of_others = of_others
        self._message_s: float | None = None
        self._batches = 0

    def arm(self, messages: int) -> "Armed":
        """Gets ready for a batch, server included."""
        if self._traffic.connects:  # nothing but the payload tells whose a connection is
            self._batches += 1
            self.conversation.fill_with((self._batches + self.number) % 256)
        else:
            self.conversation.fill()
        acknowledged = self.conversation.begin(messages, 0 if self._traffic.echoes else MARKS)
        return Armed(self, messages, acknowledged)

    def room(self, messages: int) -> Samples:
        """Room for the times of a batch's round trips; none of a stream."""
        return array("q", bytes(8 * messages) if self._traffic.echoes else b"")

    def run(self, messages: int, took_ns: Samples, acknowledged: Acknowledged) -> int:
        """Runs a batch; returns when it began, and fills in the times of its round trips."""
        if not took_ns:
            began_ns = perf_counter_ns()
            elapsed_s = self.client.batch(messages, acknowledged)
            self._message_s = elapsed_s / messages
            return began_ns
        began_s = monotonic()
        began_ns = self.client.sample(took_ns)[0]
        elapsed_s = sum(took_ns) * 1e-9
        check_clock(elapsed_s, monotonic() - began_s)
        acknowledged.wait()
        self._message_s = elapsed_s / messages
        return began_ns

    def check(self) -> Finding:
        """Checks that distinct messages arrive whole, and looks its link up in the kernel's tables.

        Raises CheckFailed.
        """
        conversation, traffic = self.conversation, self._traffic
        conversation.verify_each(self._message_s)
        expected = Expected(
            get_transport(self._case.transport).mediums,
            is_control=False,
            replies=traffic.goes_back,
            connects=traffic.connects,
            sent_bytes=conversation.messages * traffic.message_size_bytes,
        )
        finding = inspect(
            lambda: conversation.told_options(holdings(self._server_pid)),
            self._of_others,
            expected,
        )
        if finding.outcome == "refuted":
            conversation.confirm()  # it is alive: a server that ended holds nothing any more
            raise CheckFailed(f"evidence {finding.digest}")
        return finding

    def link_memory(self) -> LinkMemory:
        """The memory of its link in the kernel, while nothing is under way.

        Of one that connects over and over none is left then.
        """
        return link_memory(self._server_pid, self._of_others)


class Armed:
    """A batch of a client that only waits for the others."""

    def __init__(self, member: Member, messages: int, acknowledged: Acknowledged) -> None:
        self._member = member
        self._messages = messages
        self._acknowledged = acknowledged
        self._took_ns = member.room(messages)
        self._before = usage()

    def run(self, meeting: Meeting) -> Ran:
        """Runs it, and checks that all of it arrived. Raises CheckFailed."""
        member = self._member
        took_ns = self._took_ns
        began_ns = member.run(self._messages, took_ns, self._acknowledged)
        used = usage() - self._before
        if took_ns:
            meeting.write(member.number, took_ns)
        member.conversation.verify_batch(self._messages)
        report = member.conversation.report
        return Ran(
            began_ns,
            used,
            last_cpu(),
            thread_count(),
            report.usage,
            list(report.cpus),
            report.threads,
            list(report.marks_ns),
        )


class Place(NamedTuple):
    """All that a client needs which is a process of its own."""

    number: int
    case: Case
    link: Link
    channel: Channel
    """The control channel to its server."""
    server_pid: int
    meeting: Meeting
    of_others: frozenset[str]
    cpu: int | None
    keeps: frozenset[int]
    """Descriptors that it keeps; it closes all others."""


def take_part(place: Place, bidden: Channel, parent: int) -> NoReturn:
    """Runs a client, in the child right after the fork; never returns.

    `bidden` is the channel through which the first client bids it what to do.
    """
    code = 1
    try:
        keeps = place.keeps | {bidden.fileno(), place.channel.fileno()}
        take_leave(parent, process.open_descriptors() - keeps)
        _Obeying(place, bidden).obey()
        code = 0
    except BaseException as error:
        _tell(bidden, _first_told(place.channel, error))
    finally:
        os._exit(code)


def _first_told(channel: Channel, error: BaseException) -> BaseException:
    """The error of a client, or the one that its server has told of and that has led to it."""
    if not isinstance(error, (*_OF_OTHERS, OSError)):
        return error
    return reported(channel, PATIENCE_S) or error


def reported(channel: Channel, patience_s: float) -> PeerReported | None:
    """The failure that a server has reported on its channel, or reports in this time."""
    channel.wait_at_most(patience_s)
    try:
        while True:
            channel.receive()
    except PeerReported as report:
        return report
    except ChannelClosed:
        return None


class _Obeying:
    """A client that does what it is bidden."""

    def __init__(self, place: Place, bidden: Channel) -> None:
        case = place.case
        process.pin(place.cpu)
        place.link.keep_only("client")
        watched: Watched = Sibling(place.server_pid)
        client = drivers.client(case, place.link, watched)
        if client.collects_garbage:
            gc.enable()
        self._meeting = place.meeting
        self._bidden = bidden
        self._member = Member(
            place.number,
            case,
            client,
            place.channel,
            place.server_pid,
            place.of_others,
        )
        self._member.conversation.greet()

    def obey(self) -> None:
        """Says hello, then does what it is bidden until that is to stop."""
        bidden, member = self._bidden, self._member
        bidden.send("hello")
        while True:
            kind, values = bidden.receive()
            match kind:
                case "run":
                    armed = member.arm(values["messages"])
                    bidden.send("armed")
                    self._meeting.wait()
                    bidden.send("ran", ran=armed.run(self._meeting))
                case "check":
                    finding = member.check()
                    checked = member.conversation.checked
                    bidden.send(
                        "checked",
                        outcome=finding.outcome,
                        reason=finding.reason,
                        facts=dict(member.client.facts),
                        checked=checked,
                    )
                case "stop":
                    member.client.close()
                    return
                case _:
                    raise LaunchFailed(f"unknown bidding {kind!r} on the control channel")


class Broken(NamedTuple):
    """Why a client can't go on, as it tells the first one."""

    reason: str
    by_server: bool = False
    """Whether it is its server that has told it the reason."""
    is_wrong: bool = False
    """Whether a check failed."""
    is_of_others: bool = False
    """Whether it only tells that somebody else is gone."""


def broken(error: BaseException) -> Broken:
    """What an error of a client tells."""
    if isinstance(error, PeerReported):
        reason = str(error)
        return Broken(reason, by_server=True, is_of_others=reason.startswith(_names(_OF_OTHERS)))
    if isinstance(error, CheckFailed):
        return Broken(str(error), is_wrong=True)
    is_of_others = isinstance(error, (*_OF_OTHERS, PeerDied))
    return Broken(explain_with_type(error), is_of_others=is_of_others)


def _names(errors: tuple[type[Exception], ...]) -> tuple[str, ...]:
    """How a reason begins that is of one of these errors."""
    every = {*errors, *(one for error in errors for one in error.__subclasses__())}
    return tuple(f"{error.__name__}: " for error in every)


def _tell(bidden: Channel, error: BaseException) -> None:
    told = broken(error)
    try:
        bidden.send("broken", broken=told._replace(reason=told.reason[:2_000]))
    except ChannelClosed:
        pass  # the first client is gone: nobody to report to
