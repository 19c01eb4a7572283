"""Many clients, each a process with a link of its own, and their one server.

The first client is this process, the worker. It forks the server, then the other clients, and bids
them what to do: `member` is what each of them does, `servers` how they are served. All begin a
batch together and send the same number of messages; `common_window` tells what was done while all
were at work.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.evidence.verdict import Finding
from ipcbench.measure import connecting, drivers
from ipcbench.measure.common_window import RoundTrips, Stream, Window, of_round_trips, of_streams
from ipcbench.measure.control import Channel, ChannelClosed, PeerReported
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.end_facts import Facts
from ipcbench.measure.many_links import LOOK_S, Line, ManyLinks
from ipcbench.measure.meeting import Meeting
from ipcbench.measure.member import Broken, Member, Place, Ran, take_part
from ipcbench.measure.tally import Tally
from ipcbench.measure.tether import Tether
from ipcbench.system.cpus import Cpus
from ipcbench.system.quota import throttling
from ipcbench.transports.base import Workspace
from ipcbench.transports.parts.rush import failures_of

_TRIES = 11
"""Times that a batch is run until all clients are at work together: on a busy machine one of them
may begin when others are done."""
_FEWEST = 8
"""Messages of a client, in the mean of all, that the time common to all has to hold."""


class Crowd(ManyLinks):
    """The running clients of a case and their server. Use as a context manager."""

    def __init__(
        self,
        case: Case,
        cpus: Cpus | None,
        workspace: Workspace,
        tether: Tether | None = None,
        note_phase: Callable[[str], None] = lambda _: None,
    ) -> None:
        """As ManyLinks."""
        super().__init__(case, cpus, workspace, tether, note_phase)
        self._member: Member | None = None
        self._meeting: Meeting
        self._tally = Tally()
        self._checked_by_others = 0
        self._failures: list[dict[str, int]] = []
        """Failures of connect(2) of each client, by errno's name."""
        self._dropped: connecting.Dropped | None = None
        """Connections that listeners dropped in the batches, where the kernel tells them."""

    def calibrate(self, messages: int) -> float:
        """Runs a batch of so many messages of each client; returns the seconds common to all.

        0.0 if there were hardly any. What makes that long enough makes a batch so. Raises as `run`.
        """
        window = self._guarded(lambda: self._run(messages))
        return window.length_s if self._is_long(window) else 0.0

    def run(self, messages: int, *, is_kept: bool = True) -> float:
        """Runs a batch of so many messages of each client.

        Returns the seconds of a round trip, or else from one message of a stream, or one
        connection, to the next of all, in the time that is common to all. A batch with hardly any
        is run again, and is twice as long then. `is_kept`: the window is one of the launch's.

        Raises CheckFailed, PeerDied if a process ended, LaunchFailed for any other failure.
        """
        for _ in range(_TRIES):
            window = self._guarded(partial(self._run, messages))
            is_own = self._case.definition.quantity == "round_trip"
            value_s = window.response_s if is_own else window.message_s
            if value_s is not None and self._is_long(window):
                if is_kept:
                    self._tally.keep(window)
                return value_s
            messages *= 2
            self._tally.repeated += 1
        raise LaunchFailed(
            f"the {self._count} clients were at work at no common time: some were done before"
            f" others began, {_TRIES} times; ask for longer batches (--min-time)"
        )

    def _is_long(self, window: Window) -> bool:
        """Whether enough was done while all clients were at work."""
        return sum(window.counts) >= _FEWEST * self._count

    def samples_ns(self) -> Samples:
        """The round trips of all clients in the windows that were kept."""
        return self._tally.samples_ns()

    def facts(self) -> Facts:
        """Facts about the clients and their server as pyperf metadata, none an empty value."""
        member = self._started_member()
        checked = member.conversation.checked + self._checked_by_others
        facts = self._facts_of(member, checked) | self._tally.facts()
        if self._traffic.connects:
            facts = connecting.without_failures(facts) | connecting.of_failures(self._failures)
        return facts | connecting.of_dropped(self._dropped)

    def _start(self) -> None:
        case, count = self._case, self._count
        self._prepare()
        self._meeting = Meeting(count)
        self._made.callback(self._meeting.close)
        lines = self._make_servers()
        self._make_others(lines)
        self._make_links()
        self._start_processes(lines)
        self._links[0].keep_only("client")
        for link in self._links[1:]:
            for side in ("client", "server"):
                link.keep_only(side)
        channel = self._servers[0].channel
        client = drivers.client(case, self._links[0], self._servers[0])
        if client.collects_garbage:
            gc.enable()
        self._member = Member(0, case, client, channel, self._server_pid(0), self._not_of(0))
        self._member.conversation.greet()
        if self._model != "fork":
            for ours, _ in lines[1:]:
                ours.close()
        for _ in self._heard("hello"):
            pass

    def _make_others(self, lines: Sequence[Line]) -> None:
        """Makes the other clients, which are forked later."""
        cpu = self._cpus[0] if self._cpus else None
        run = frozenset((self._tether.run,)) if self._tether else frozenset()

        def take_part_as(number: int) -> Callable[[Channel, int, frozenset[int]], NoReturn]:
            def begin(channel: Channel, parent: int, _: frozenset[int]) -> NoReturn:
                keeps = self._keeps[number] | run | self._meeting.descriptors
                place = Place(
                    number,
                    self._case,
                    self._links[number],
                    lines[number][0],
                    self._server_pid(number),
                    self._meeting,
                    self._not_of(number),
                    cpu,
                    keeps,
                )
                take_part(place, channel, parent)

            return begin

        self._others = [
            self._peer(partial(self._client_name, number), take_part_as(number))
            for number in range(1, self._count)
        ]

    def _started_member(self) -> Member:
        if self._member is None:
            raise LaunchFailed("the crowd isn't started: use it as a context manager")
        return self._member

    def _close_ends(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            member.client.close()

    def _heard(self, kind: str) -> Iterator[dict[str, Any]]:
        """The next message of each other client, which is of this kind. Raises _Failed."""
        for number, channel in enumerate(self._bidding, 1):
            got, values = channel.receive()
            if got == "broken":
                raise _Failed(number, Broken(*values["broken"]))
            if got != kind:
                raise ChannelClosed(f"expected {kind!r} on the control channel and got {got!r}")
            yield values

    def _bid(self, kind: str, **values: int) -> None:
        for channel in self._bidding:
            channel.send(kind, **values)

    def _run(self, messages: int) -> Window:
        member, meeting = self._started_member(), self._meeting
        self._enter("timed batch")
        self._bid("run", messages=messages)
        armed = member.arm(messages)
        for _ in self._heard("armed"):
            pass
        stopped_before = throttling(self._quotas)
        dropped_before = connecting.Dropped.until_now() if self._counts_dropped else None
        meeting.open_gate()
        ran = [armed.run(meeting)]
        ran += [Ran.of(values["ran"]) for values in self._heard("ran")]
        self._throttling += throttling(self._quotas) - stopped_before
        if dropped_before is not None:
            so_far = self._dropped or connecting.Dropped()
            self._dropped = so_far.plus(dropped_before, connecting.Dropped.until_now())
        clients: Sequence[RoundTrips | Stream]
        if self._traffic.echoes:
            clients = trips = [
                RoundTrips(one.began_ns, meeting.read(number, messages))
                for number, one in enumerate(ran)
            ]
            window = of_round_trips(trips, by_begin=self._traffic.connects)
        else:
            clients = streams = [Stream(one.began_ns, messages, one.marks_ns) for one in ran]
            window = of_streams(streams)
        began_ns = min(client.began_ns for client in clients)
        elapsed_s = (max(client.ended_ns for client in clients) - began_ns) * 1e-9
        self._tally.add(ran, messages, elapsed_s)
        return window

    def _check(self) -> None:
        member = self._started_member()
        self._bid("check")
        findings = [member.check()]
        self._memory = member.link_memory()
        self._failures = [failures_of(member.client.facts)]
        for values in self._heard("checked"):
            findings.append(Finding(values["outcome"], values["reason"]))
            self._failures.append(failures_of(values["facts"]))
            self._checked_by_others += values["checked"]
        self._finding = self._found(findings)

    @property
    def _counts_dropped(self) -> bool:
        """Whether the kernel counts connections for which the listener's queue has no room."""
        is_tcp = bool({"tcp4", "tcp6"} & set(self._transport.mediums))
        return is_tcp and self._traffic.connects

    def _told_here(self, error: Exception) -> list[tuple[int, Broken]]:
        found = super()._told_here(error)
        if isinstance(error, _Failed):
            found.append((error.number, error.broken))
        for number, channel in enumerate(self._bidding, 1):
            channel.wait_at_most(LOOK_S)
            try:
                while True:
                    kind, values = channel.receive()
                    if kind == "broken":
                        found.append((number, Broken(*values["broken"])))
            except (ChannelClosed, PeerReported):
                pass  # it has told all
        return found


class _Failed(Exception):
    """Another client has told that it can't go on."""

    def __init__(self, number: int, why: Broken) -> None:
        super().__init__(why.reason)
        self.number = number
        self.broken = why
