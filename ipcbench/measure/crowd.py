"""Many clients, each a process with a link of its own, and their one server.

The first client is this process, the worker. It forks the server, then the other clients, and bids
them what to do: `member` is what each of them does, `servers` how they are served. All begin a
batch together and send the same number of messages; `common_window` tells what was done while all
were at work. No end of a process is waited for long, and whoever fails is named.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn, Self, TypeVar

from ipcbench.case import Case
from ipcbench.errors import (
    CheckFailed,
    Interrupted,
    LaunchFailed,
    PeerDied,
    explain,
    explain_with_type,
)
from ipcbench.evidence.kernel import held_now
from ipcbench.evidence.verdict import Finding
from ipcbench.measure import drivers
from ipcbench.measure.common_window import RoundTrips, Stream, Window, of_round_trips, of_streams
from ipcbench.measure.control import Channel, ChannelClosed, PeerReported
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.drivers.many import model_of
from ipcbench.measure.end_facts import Facts, of_ends, of_throttling
from ipcbench.measure.meeting import Meeting
from ipcbench.measure.member import (
    PATIENCE_S,
    Broken,
    Member,
    Place,
    Ran,
    broken,
    reported,
    take_part,
)
from ipcbench.measure.pair import refused
from ipcbench.measure.peer import ForkedPeer
from ipcbench.measure.server import serve
from ipcbench.measure.servers import Served, serve_by_readiness, serve_by_threads
from ipcbench.measure.tally import Tally
from ipcbench.measure.tether import Tether, note_names
from ipcbench.measure.usage import resident_bytes
from ipcbench.measure.watch import Watch
from ipcbench.system import process
from ipcbench.system.cpus import Cpus
from ipcbench.system.deaths import Death
from ipcbench.system.quota import Quota, Throttling, quotas, throttling
from ipcbench.transports.base import Link, Traffic, Unavailable, Workspace
from ipcbench.transports.registry import get_transport

_T = TypeVar("_T")

_GRACE_S = 0.5
"""Seconds in which the process that was killed is found, once others notice that it is gone."""
_LOOK_S = 0.002
_TRIES = 6
"""Times that a batch is run until all clients are at work together: on a busy machine one of them
may begin when others are done."""
_FEWEST = 8
"""Messages of a client, in the mean of all, that the time common to all has to hold."""


class Crowd:
    """The running clients of a case and their server. Use as a context manager."""

    def __init__(
        self,
        case: Case,
        cpus: Cpus | None,
        workspace: Workspace,
        tether: Tether | None = None,
        note_phase: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`note_phase` is called with the name of each phase as it begins.

        Raises LaunchFailed if the transport or the driver refuses the case; nothing is made then.
        """
        reason = refused(case)
        if reason is not None:
            raise LaunchFailed(f"{case.id} can't be measured: {reason}")
        self._case = case
        self._count = case.clients.number
        self._model = model_of(case)
        self._cpus = cpus
        self._workspace = workspace
        self._tether = tether
        self._note_phase = note_phase
        self._phase = "set-up"
        self._transport = get_transport(case.transport)
        self._traffic = Traffic.of(case)
        self._made = ExitStack()
        self._watch = Watch()
        self._servers: list[ForkedPeer] = []
        self._others: list[ForkedPeer] = []
        """The other clients."""
        self._bidding: list[Channel] = []
        """The channels on which they are bidden what to do."""
        self._links: list[Link] = []
        self._member: Member | None = None
        self._meeting: Meeting
        self._held_before: frozenset[str] = frozenset()
        self._keeps: list[frozenset[int]] = []
        """The descriptors of each link."""
        self._is_started = self._has_failed = False
        self._quotas: list[Quota] = []
        self._throttling = Throttling()
        self._tally = Tally()
        self._checked_by_others = 0
        self._finding: Finding | None = None

    def __enter__(self) -> Self:
        self._enter("set-up")
        try:
            self._guarded(self._start)
        except BaseException:
            self._has_failed = True
            self.close()
            raise
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._has_failed = self._has_failed or error is not None
        self.close()

    def wait_for_turn(self) -> None:
        """Waits while the other launches of the group run their batches. Raises as `run`."""
        if self._tether is not None:
            self._enter("wait for its turn")
            self._guarded(self._tether.wait_for_turn)

    def calibrate(self, messages: int) -> float:
        """Runs a batch of so many messages of each client; returns the seconds common to all.

        0.0 if there were none. What makes that long enough makes a batch so. Raises as `run`.
        """
        return self._guarded(lambda: self._run(messages)).length_s

    def run(self, messages: int, *, is_kept: bool = True) -> float:
        """Runs a batch of so many messages of each client.

        Returns the seconds of a round trip, or of a stream's message, in the time that is common to
        all. A batch with hardly any is run again, and is twice as long then. `is_kept`: the window
        is one of the launch's.

        Raises CheckFailed, PeerDied if a process ended, LaunchFailed for any other failure.
        """
        for _ in range(_TRIES):
            window = self._guarded(partial(self._run, messages))
            value_s = window.response_s if self._traffic.echoes else window.message_s
            if value_s is not None and sum(window.counts) >= _FEWEST * self._count:
                if is_kept:
                    self._tally.keep(window)
                return value_s
            messages *= 2
            self._tally.repeated += 1
        raise LaunchFailed(
            f"the {self._count} clients were at work at no common time: some were done before"
            f" others began, {_TRIES} times; ask for longer batches (--min-time)"
        )

    def samples_ns(self) -> Samples:
        """The round trips of all clients in the windows that were kept."""
        return self._tally.samples_ns()

    def check(self) -> None:
        """Checks, untimed, each client's payload, and then its link in the kernel's tables.

        Raises as `run`.
        """
        self._enter("payload check")
        self._guarded(self._check)

    def facts(self) -> Facts:
        """Facts about the clients and their server as pyperf metadata, none an empty value."""
        member = self._started_member()
        facts: Facts = {
            "messages_checked": member.conversation.checked + self._checked_by_others,
            "clients_count": self._count,
            "server_model": self._model,
        }
        if self._finding is not None:
            facts["evidence_outcome"] = self._finding.outcome
            facts["evidence"] = self._finding.digest
        facts |= of_ends(self._transport, member.client, member.conversation.report)
        facts |= self._tally.facts()
        if self._quotas:
            facts |= of_throttling(self._throttling)
        if self._cpus is not None:
            facts["cpu_client"], facts["cpu_server"] = self._cpus
        resident = [resident_bytes(peer.pid) for peer in self._servers if peer.pid is not None]
        if resident and None not in resident:
            facts["rss_server_bytes"] = sum(one or 0 for one in resident)
        return facts

    def close(self) -> None:
        """Ends all processes and removes all that was made. Allowed twice."""
        peers, self._others, servers, self._servers = self._others, [], self._servers, []
        for peer in [*peers, *servers]:
            peer.expect_end()
        if not self._has_failed:
            self._bid_farewell(servers)
        for peer in [*peers, *servers]:
            if peer.is_started:
                if self._has_failed:
                    peer.kill()
                else:
                    peer.wait()
        member, self._member = self._member, None
        if member is not None:
            member.client.close()
        links, self._links = self._links, []
        for link in links:
            link.close()
        for peer in [*peers, *servers]:
            peer.close()
        self._made.close()
        if self._is_started:
            gc.unfreeze()
            gc.enable()

    def _bid_farewell(self, servers: Sequence[ForkedPeer]) -> None:
        """Tells the clients to stop, and each server that has a channel to this process."""
        for channel in [*self._bidding, *(server.channel for server in servers)]:
            try:
                channel.send("stop")
            except ChannelClosed:
                pass  # it ended already; the wait that follows finds out

    def _enter(self, phase: str) -> None:
        """Begins a phase, which later error messages name."""
        self._phase = phase
        self._note_phase(phase)

    def _start(self) -> None:
        case, count = self._case, self._count
        client_cpu, server_cpu = self._cpus or (None, None)
        drivers.load(case.loop)
        self._quotas = quotas()
        self._meeting = Meeting(count)
        self._made.callback(self._meeting.close)
        lines = self._make_servers(server_cpu)
        self._make_others(lines, client_cpu)
        self._held_before = held_now()
        self._make_links()
        self._enter("hand-shake")
        # For all processes at once: frozen before the forks, no collector writes to the pages that
        # they share.
        gc.disable()
        gc.freeze()
        self._is_started = True
        for server in self._servers:
            server.start()
        if self._tether:
            self._tether.leave_to_server()
        for other in self._others:
            self._bidding.append(other.start())
        note_names(
            self._workspace.directory,
            {peer.pid: name for name, peer in self._named() if peer.pid is not None},
        )
        for _, theirs in lines:
            if theirs is not None:
                theirs.close()
        process.pin(client_cpu)
        self._links[0].keep_only("client")
        for link in self._links[1:]:
            for side in ("client", "server"):
                link.keep_only(side)
        channel = self._servers[0].channel
        client = drivers.client(case, self._links[0], self._servers[0])
        if client.collects_garbage:
            gc.enable()
        self._member = Member(0, case, client, channel, self._server_pid(0), self._held_before)
        self._member.conversation.greet()
        if self._model != "fork":
            for ours, _ in lines[1:]:
                ours.close()
        for _ in self._heard("hello"):
            pass

    def _make_servers(self, cpu: int | None) -> list[tuple[Channel, Channel | None]]:
        """Makes the server, or those of a process each, with a channel for each client.

        Returns both ends of each channel; those of the server where it isn't its process's own.
        """
        make = partial(self._peer, "server")
        kept = self._tether.descriptors if self._tether else frozenset()
        run = frozenset((self._tether.run,)) if self._tether else frozenset()
        if self._model == "fork":

            def serve_one(number: int) -> Callable[[Channel, int, frozenset[int]], NoReturn]:
                def begin(channel: Channel, parent: int, _: frozenset[int]) -> NoReturn:
                    # The driver is told of the first one's end, at once.
                    keeps = self._keeps[number] | (run if number else kept) | {channel.fileno()}
                    others = process.open_descriptors() - keeps
                    serve(self._case, self._links[number], channel, cpu, parent, others)

                return begin

            self._servers = [make(number, serve_one(number)) for number in range(self._count)]
            return [(server.channel, None) for server in self._servers]
        more = [Channel.pair() for _ in range(self._count - 1)]
        serving = serve_by_threads if self._model == "threads" else serve_by_readiness

        def begin(channel: Channel, parent: int, _: frozenset[int]) -> NoReturn:
            channels = [channel, *(theirs for _, theirs in more)]
            clients = [Served(*one) for one in zip(self._links, channels, strict=True)]
            keeps = frozenset().union(kept, *self._keeps)
            serving(self._case, clients, cpu, parent, keeps)

        self._servers = [make(0, begin)]
        return [(self._servers[0].channel, None), *more]

    def _make_others(
        self, lines: Sequence[tuple[Channel, Channel | None]], cpu: int | None
    ) -> None:
        """Makes the other clients, which are forked later."""
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
                    self._held_before,
                    cpu,
                    keeps,
                )
                take_part(place, channel, parent)

            return begin

        self._others = [
            self._peer("client", number, take_part_as(number)) for number in range(1, self._count)
        ]

    def _peer(
        self,
        side: str,
        number: int,
        begin: Callable[[Channel, int, frozenset[int]], NoReturn],
    ) -> ForkedPeer:
        def on_end(death: Death) -> NoReturn:
            raise _BrokenInto(death.told(self._name(side, number), f"in the {self._phase}"))

        return ForkedPeer(begin, on_end, watch=self._watch, open_before={})

    def _name(self, side: str, number: int) -> str:
        """A process's name in a sentence."""
        if side == "server" and len(self._servers) == 1:
            return "the server"
        return f"{side} {number + 1} of {self._count}"

    def _named(self) -> list[tuple[str, ForkedPeer]]:
        """The processes that this one has forked, with their names."""
        servers = [(self._name("server", number), one) for number, one in enumerate(self._servers)]
        others = [(self._name("client", number), one) for number, one in enumerate(self._others, 1)]
        return servers + others

    def _make_links(self) -> None:
        """Makes a link for each client."""
        before = process.open_files()  # without the listing's own, whose number is free again
        for number in range(self._count):
            directory = self._workspace.directory / f"client-{number + 1}"
            directory.mkdir(mode=0o700)
            self._made.callback(_remove_folder, directory)
            self._links.append(self._transport.link(self._traffic, Workspace(directory)))
            now = process.open_files()
            self._keeps.append(frozenset(now.keys() - before.keys()))
            before = now

    def _server_pid(self, number: int) -> int:
        server = self._servers[number if len(self._servers) > 1 else 0]
        if server.pid is None:
            raise LaunchFailed("there is no server: start the crowd first")
        return server.pid

    def _started_member(self) -> Member:
        if self._member is None:
            raise LaunchFailed("the crowd isn't started: use it as a context manager")
        return self._member

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
        meeting.open_gate()
        ran = [armed.run(meeting)]
        ran += [Ran.of(values["ran"]) for values in self._heard("ran")]
        self._throttling += throttling(self._quotas) - stopped_before
        clients: Sequence[RoundTrips | Stream]
        if self._traffic.echoes:
            clients = trips = [
                RoundTrips(one.began_ns, meeting.read(number, messages))
                for number, one in enumerate(ran)
            ]
            window = of_round_trips(trips)
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
        for values in self._heard("checked"):
            findings.append(Finding(values["outcome"], values["reason"]))
            self._checked_by_others += values["checked"]
        worst = next((one for one in findings if one.outcome != "proved"), findings[0])
        more = f"; so for each of {self._count} clients" if worst is findings[0] else ""
        self._finding = worst._replace(reason=worst.reason + more)

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Does the work and returns its result; turns any failure into the fitting LaunchFailed."""
        try:
            try:
                if self._is_started:
                    self._watch.watch()
                return work()
            finally:
                self._watch.unwatch()
        except Interrupted:
            raise
        except Exception as error:
            self._has_failed = True
            _raise_interruption(error)
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> LaunchFailed:
        """The LaunchFailed for an error: who was killed, or else who failed first, and why."""
        if isinstance(error, CheckFailed):
            return error
        if isinstance(error, Unavailable) or not self._is_started:
            return LaunchFailed(f"{self._phase}: {explain(error)}")
        for peer in [*self._servers, *self._others]:
            peer.expect_end()
        where = f"in the {self._phase}"
        killed = self._killed()
        if killed is not None:
            name, death = killed
            return PeerDied(death.told(name, where))
        for link in self._links:
            vanished = link.vanished()
            if vanished is not None:
                return LaunchFailed(f"{self._phase}: {vanished}")
        told = self._told(error)
        if told is not None:
            number, why = told
            if why.is_wrong:
                return CheckFailed(f"{self._name('client', number)}: {why.reason}")
            name = self._name(*(("server", number) if why.by_server else ("client", number)))
            return LaunchFailed(f"{name} failed {where}: {why.reason}")
        if isinstance(error, _BrokenInto):
            return PeerDied(str(error))
        return LaunchFailed(f"{self._phase}: {explain_with_type(error)}")

    def _killed(self) -> tuple[str, Death] | None:
        """The process that a signal has ended, if there is one; it may take a moment to end."""
        named = self._named()
        deadline = monotonic() + _GRACE_S
        while True:
            for name, peer in named:
                death = peer.ended()
                if death is not None and death.by_signal:
                    return name, death
            if monotonic() >= deadline:
                return None
            sleep(_LOOK_S)

    def _told(self, error: Exception) -> tuple[int, Broken] | None:
        """The reason that comes first of all that are told: by this process and by the others."""
        found: list[tuple[int, Broken]] = []
        if isinstance(error, _Failed):
            found.append((error.number, error.broken))
        elif isinstance(error, PeerReported):
            found.append((0, broken(error)))
        for number, channel in enumerate(self._bidding, 1):
            channel.wait_at_most(_LOOK_S)
            try:
                while True:
                    kind, values = channel.receive()
                    if kind == "broken":
                        found.append((number, Broken(*values["broken"])))
            except (ChannelClosed, PeerReported):
                pass  # it has told all
        for number, server in enumerate(self._servers):
            # This process's own server may be about to tell; the others have told their clients.
            patience_s = _LOOK_S if number else PATIENCE_S
            report = reported(server.channel, patience_s)
            if report is not None:
                found.append((number, broken(report)))
        found.sort(key=lambda one: (not one[1].is_wrong, one[1].is_of_others))
        return found[0] if found else None


class _BrokenInto(PeerDied):
    """A process's end, as it breaks into whatever the first client does."""


class _Failed(Exception):
    """Another client has told that it can't go on."""

    def __init__(self, number: int, why: Broken) -> None:
        super().__init__(why.reason)
        self.number = number
        self.broken = why


def _raise_interruption(error: BaseException | None) -> None:
    """Raises the Interrupted that a process's end broke into, if that was what it broke into."""
    while error is not None:
        if isinstance(error, Interrupted):
            raise error
        error = error.__context__


def _remove_folder(directory: Path) -> None:
    """Removes a client's folder, if its link has left nothing in it that is to be swept later."""
    try:
        directory.rmdir()
    except OSError:
        pass  # a ledger is in it: whoever removes the launch's directory reads that first
