"""One worker and the processes that it is joined to by many links: what is told and made of them.

The worker makes a link for each, forks them, notices the end of any, and names it. Who sends what
is of the classes that build on this: `crowd` has many clients of one server, `hub` many ends of one
client. No end of a process is waited for long.
"""

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn, Self, TypeVar

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
from ipcbench.evidence.memory import LinkMemory
from ipcbench.evidence.verdict import Finding
from ipcbench.measure import drivers, memory
from ipcbench.measure.control import Channel, ChannelClosed, PeerReported
from ipcbench.measure.drivers.many import model_of
from ipcbench.measure.end_facts import Facts, of_ends, of_throttling
from ipcbench.measure.member import PATIENCE_S, Broken, Member, broken, reported
from ipcbench.measure.pair import refused
from ipcbench.measure.peer import ForkedPeer
from ipcbench.measure.server import serve
from ipcbench.measure.servers import Served, serve_by_readiness, serve_by_threads
from ipcbench.measure.tether import Tether, note_names
from ipcbench.measure.watch import Watch
from ipcbench.system import process
from ipcbench.system.cpus import Cpus
from ipcbench.system.deaths import Death
from ipcbench.system.quota import Quota, Throttling, quotas
from ipcbench.transports.base import Link, Traffic, Unavailable, Workspace
from ipcbench.transports.registry import get_transport

T = TypeVar("T")

LOOK_S = 0.002
"""Seconds between two looks at a process, and for a channel that may have a message."""
_GRACE_S = 0.5
"""Seconds in which the process that was killed is found, once others notice that it is gone."""

Line = tuple[Channel, Channel | None]
"""Both ends of a control channel to a server; the server's where it isn't its process's own."""


class ManyLinks(ABC):
    """The processes of a launch with many links. Use as a context manager."""

    client_word, server_word = "client", "server"
    """What the processes of each side are called in a sentence."""

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
        """Processes on this one's side."""
        self._bidding: list[Channel] = []
        """The channels on which they are bidden what to do."""
        self._links: list[Link] = []
        self._keeps: list[frozenset[int]] = []
        """The descriptors of each link."""
        self._held_before: frozenset[str] = frozenset()
        """What this process held before there was a link, by identity."""
        self._made_for: list[frozenset[str]] = []
        """What each link has made since; what is made before the forks is in all processes."""
        self._is_started = self._has_failed = False
        self._quotas: list[Quota] = []
        self._throttling = Throttling()
        self._finding: Finding | None = None
        self._memory: LinkMemory | None = None
        """The memory of the first link, in the kernel; all are made alike."""

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
        """Waits while the other launches of the group run their batches.

        Raises CheckFailed, PeerDied if a process ended, LaunchFailed for any other failure.
        """
        if self._tether is not None:
            self._enter("wait for its turn")
            self._guarded(self._tether.wait_for_turn)

    def check(self) -> None:
        """Checks, untimed, the payload of each link, and then it in the kernel's tables.

        Raises as `wait_for_turn`.
        """
        self._enter("payload check")
        self._guarded(self._check)

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
        self._close_ends()
        links, self._links = self._links, []
        for link in dict.fromkeys(links):
            link.close()
        for peer in [*peers, *servers]:
            peer.close()
        self._made.close()
        if self._is_started:
            gc.unfreeze()
            gc.enable()

    @abstractmethod
    def _start(self) -> None:
        """Starts all processes, and this one's ends."""

    @abstractmethod
    def _check(self) -> None:
        """Does what `check` says; leaves what the tables told in `_finding` and `_memory`."""

    @abstractmethod
    def _close_ends(self) -> None:
        """Closes this process's ends. Allowed twice."""

    def _facts_of(self, member: Member, checked: int) -> Facts:
        """Facts of all links, of which `member` has one; so many messages were checked."""
        facts: Facts = {
            "messages_checked": checked,
            f"{self._case.clients.word}s_count": self._count,
        }
        if not self._traffic.connects:  # one process accepts all connections
            facts["server_model"] = self._model
        if self._finding is not None:
            facts["evidence_outcome"] = self._finding.outcome
            facts["evidence"] = self._finding.digest
        facts |= of_ends(self._transport, member.client, member.conversation.report)
        if self._quotas:
            facts |= of_throttling(self._throttling)
        if self._cpus is not None:
            facts["cpu_client"], facts["cpu_server"] = self._cpus
        pids = (peer.pid for peer in self._servers if peer.pid is not None)
        facts |= memory.of_server(pids)
        if self._memory is not None and not self._traffic.connects:  # none of those is there by now
            facts |= memory.of_link(self._memory)
        return facts

    def _found(self, findings: Sequence[Finding]) -> Finding:
        """What the tables told of all links: of the first, or of the worst."""
        worst = next((one for one in findings if one.outcome != "proved"), findings[0])
        more = f"; so for each of {self._count} {self.client_word}s" if worst is findings[0] else ""
        return worst._replace(reason=worst.reason + more)

    def _bid_farewell(self, servers: Sequence[ForkedPeer]) -> None:
        """Tells the others to stop, and each server that has a channel to this process."""
        for channel in [*self._bidding, *self._to_servers(servers)]:
            try:
                channel.send("stop")
            except ChannelClosed:
                pass  # it ended already; the wait that follows finds out

    def _to_servers(self, servers: Sequence[ForkedPeer]) -> Iterable[Channel]:
        """This process's channels to these servers, in the order of the links."""
        return [server.channel for server in servers]

    def _enter(self, phase: str) -> None:
        """Begins a phase, which later error messages name."""
        self._phase = phase
        self._note_phase(phase)

    def _prepare(self) -> None:
        """What comes before anything is made."""
        drivers.load(self._case.loop)
        self._quotas = quotas()

    def _start_processes(self, lines: Sequence[Line]) -> None:
        """Forks all that was made, and keeps this process's ends of the channels alone."""
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
        process.pin(self._cpus[0] if self._cpus else None)

    def _make_servers(self) -> list[Line]:
        """Makes the server, or those of a process each, with a channel for each link."""
        cpu = self._cpus[1] if self._cpus else None
        make = self._make_server
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
        for end in (end for both in more for end in both):
            self._made.callback(end.close)
        serving = serve_by_threads if self._model == "threads" else serve_by_readiness

        def begin(channel: Channel, parent: int, _: frozenset[int]) -> NoReturn:
            channels = [channel, *(theirs for _, theirs in more)]
            clients = [Served(*one) for one in zip(self._links, channels, strict=True)]
            keeps = frozenset().union(kept, *self._keeps)
            serving(self._case, clients, cpu, parent, keeps)

        self._servers = [make(0, begin)]
        return [(self._servers[0].channel, None), *more]

    def _make_server(
        self, number: int, begin: Callable[[Channel, int, frozenset[int]], NoReturn]
    ) -> ForkedPeer:
        return self._peer(lambda: self._server_name(number), begin)

    def _peer(
        self,
        name: Callable[[], str],
        begin: Callable[[Channel, int, frozenset[int]], NoReturn],
    ) -> ForkedPeer:
        def on_end(death: Death) -> NoReturn:
            raise BrokenInto(death.told(name(), f"in the {self._phase}"))

        return ForkedPeer(begin, on_end, watch=self._watch, open_before={})

    def _server_name(self, number: int) -> str:
        """The name in a sentence of the server at this link."""
        if len(self._servers) == 1:
            return f"the {self.server_word}"
        return f"{self.server_word} {number + 1} of {self._count}"

    def _client_name(self, number: int) -> str:
        return f"{self.client_word} {number + 1} of {self._count}"

    def _named(self) -> list[tuple[str, ForkedPeer]]:
        """The processes that this one has forked, with their names."""
        servers = [(self._server_name(number), one) for number, one in enumerate(self._servers)]
        others = [(self._client_name(number), one) for number, one in enumerate(self._others, 1)]
        return servers + others

    def _make_links(self) -> None:
        """Makes a link for each client, or the one to which all of them connect."""
        self._held_before = held = held_now()
        if self._traffic.connects:
            before = process.open_files()
            link = self._transport.link(self._traffic, self._workspace)
            self._links = [link] * self._count
            self._keeps = [frozenset(process.open_files().keys() - before.keys())] * self._count
            return
        before = process.open_files()  # without the listing's own, whose number is free again
        for number in range(self._count):
            directory = self._workspace.directory / f"client-{number + 1}"
            directory.mkdir(mode=0o700)
            self._made.callback(_remove_folder, directory)
            self._links.append(self._transport.link(self._traffic, Workspace(directory)))
            now = process.open_files()
            self._keeps.append(frozenset(now.keys() - before.keys()))
            before = now
            so_far = held_now()
            self._made_for.append(so_far - held)
            held = so_far

    def _not_of(self, number: int) -> frozenset[str]:
        """What this process holds that isn't of this link: that of others, and from before."""
        others = (made for at, made in enumerate(self._made_for) if at != number)
        return self._held_before.union(*others)

    def _server_pid(self, number: int) -> int:
        server = self._servers[number if len(self._servers) > 1 else 0]
        if server.pid is None:
            raise LaunchFailed("there is no server: start the processes first")
        return server.pid

    def _guarded(self, work: Callable[[], T]) -> T:
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
        told = [*self._told_here(error), *self._told_by_servers()]
        told.sort(key=lambda one: (not one[1].is_wrong, one[1].is_of_others))
        if told:
            number, why = told[0]
            if why.is_wrong:
                return CheckFailed(f"{self._client_name(number)}: {why.reason}")
            name = self._server_name(number) if why.by_server else self._client_name(number)
            return LaunchFailed(f"{name} failed {where}: {why.reason}")
        if isinstance(error, BrokenInto):
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
            sleep(LOOK_S)

    def _told_here(self, error: Exception) -> list[tuple[int, Broken]]:
        """What this process's error tells, and the others on its side: links, and reasons."""
        return [(0, broken(error))] if isinstance(error, PeerReported) else []

    def _told_by_servers(self) -> list[tuple[int, Broken]]:
        """What servers have told this process that isn't read yet: links, and reasons."""
        found = []
        for number, channel in enumerate(self._to_servers(self._servers)):
            # The first one may be about to tell; by then, the others have.
            report = reported(channel, LOOK_S if number else PATIENCE_S)
            if report is not None:
                found.append((number, broken(report)))
        return found


class BrokenInto(PeerDied):
    """A process's end, as it breaks into whatever the worker does."""


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
