"""One client (this process) and one forked server, joined by a transport and a control channel.

The server lives as long as the pair, so that the warm-up is done by the processes that are
measured. `drivers` run the messages; `peer` starts the server and notices its end.
"""

import gc
from array import array
from collections.abc import Callable, Sequence
from time import monotonic
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
from ipcbench.evidence.holdings import Holdings
from ipcbench.evidence.kernel import held_now
from ipcbench.evidence.verdict import Expected, Finding
from ipcbench.evidence.witness import inspect
from ipcbench.measure import drivers
from ipcbench.measure.control import (
    Channel,
    ChannelClosed,
    NoAcknowledgement,
    PeerReported,
)
from ipcbench.measure.conversation import Conversation
from ipcbench.measure.drivers.base import Acknowledged, Client, Samples
from ipcbench.measure.drivers.open_loop import Batch
from ipcbench.measure.drivers.open_loop import Client as OpenLoopClient
from ipcbench.measure.end_facts import of_ends, of_throttling
from ipcbench.measure.peer import ForkedPeer, Peer
from ipcbench.measure.server import serve
from ipcbench.measure.tether import Tether
from ipcbench.measure.usage import Usage, last_cpu, thread_count, usage
from ipcbench.system import process
from ipcbench.system.cpus import Cpus
from ipcbench.system.deaths import Death
from ipcbench.system.idle import Idling, added, idle_text, idling
from ipcbench.system.quota import Quota, Throttling, quotas, throttling
from ipcbench.transports.base import (
    SIDES,
    Link,
    Traffic,
    Unavailable,
    Workspace,
)
from ipcbench.transports.registry import get_transport

_T = TypeVar("_T")

_FEW_MESSAGES = 32
"""Messages of a batch in which the first one still counts: some 3 % of the mean."""
_UNTOLD_S = 0.001
"""Seconds that no difference is made of, whatever the clocks."""
_LATE_S = 1.0
"""Most seconds that the end of a batch may be told late."""
_IN_FLIGHT_TOLERANCE = 0.02
"""Share by which the messages in flight may differ from the window."""
_OVERSLEPT_S = 0.01
"""Most seconds that a sleeping client wakes up late in the mean, beside as long as it sleeps."""


def refused(case: Case) -> str | None:
    """The reason why the case's driver or its transport can't run it; None if both can."""
    traffic = Traffic.of(case)
    return drivers.rejects(case) or get_transport(case.transport).rejects(traffic)


class Pair:
    """A running client and server for one case. Use as a context manager."""

    def __init__(
        self,
        case: Case,
        cpus: Cpus | None,
        workspace: Workspace,
        tether: Tether | None = None,
        note_phase: Callable[[str], None] = lambda _: None,
        seed: str = "",
    ) -> None:
        """`note_phase` is called with the name of each phase as it begins.

        `seed` is that of what is random about the messages: when they are sent.

        Raises LaunchFailed if the transport or the driver refuses the case; nothing is made then.
        """
        reason = refused(case)
        if reason is not None:
            raise LaunchFailed(f"{case.id} can't be measured: {reason}")
        self._case = case
        self._cpus = cpus
        self._workspace = workspace
        self._tether = tether
        self._transport = get_transport(case.transport)
        self._traffic = Traffic.of(case)
        self._seed = seed
        self._ahead = self._traffic.window - 1 if case.arrivals is None else 0
        """Messages beside those of a batch: a window is filled before it, and emptied after it."""
        self._note_phase = note_phase
        self._phase = "set-up"
        self._delivered: int | None = None
        self._messages_timed = 0
        self._gaps_s = 0.0
        self._in_flight: float | None = None
        """Messages in flight in the mean, of a sampled burst with a window of several."""
        self._idled: dict[str, Idling] = {}
        self._message_s: float | None = None
        """Seconds a round trip of the last batch; None for a stream."""
        self._usage = Usage()
        self._quotas: list[Quota] = []
        self._throttling = Throttling()
        self._client_cpus: set[int | None] = set()
        self._client_threads: int | None = None
        self._held_before: frozenset[str] = frozenset()
        self._evidence: Finding | None = None
        self._peer: Peer | None = None
        self._channel: Channel | None = None
        self._link: Link | None = None
        self._client: Client | None = None
        self._conversation: Conversation | None = None

    def __enter__(self) -> Self:
        self._enter("set-up")
        try:
            self._guarded(self._start)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close()
        except PeerDied:
            self.close()  # the server's death broke into the first try; it is told only once

    def wait_for_turn(self) -> None:
        """Waits while the other pairs of the group run their batches. Raises as `run`."""
        if self._tether is not None:
            self._enter("wait for its turn")
            self._guarded(self._tether.wait_for_turn)

    def run(self, messages: int) -> float:
        """Times one batch, in seconds, then checks, untimed, that its payload arrived.

        Raises CheckFailed, PeerDied if the server ended, LaunchFailed for any other failure.
        """
        return self._guarded(lambda: self._run(messages))

    @property
    def server_pid(self) -> int:
        """The server's process id. Raises LaunchFailed without a server."""
        pid = None if self._peer is None else self._peer.pid
        if pid is None:
            raise LaunchFailed("there is no server: start the pair first")
        return pid

    @property
    def last_batch(self) -> Batch:
        """The times of the last batch's messages, of an open loop. Raises LaunchFailed."""
        timed = self._client.timed if isinstance(self._client, OpenLoopClient) else None
        if timed is None:
            raise LaunchFailed("no batch of messages with times of their own has been run")
        return timed

    @property
    def delivered_count(self) -> int | None:
        """Messages of the last batch by the server's own count; None of a control, without one."""
        return self._delivered

    def sample(self, messages: int) -> Samples:
        """Times this many single round trips, in nanoseconds. Raises as `run`.

        Only for a workload that has samples: the sender of a stream can't time a single message.
        """
        return self._guarded(lambda: self._sample(messages))

    def check(self) -> None:
        """Checks, untimed, that distinct messages arrive whole, and then the kernel's evidence.

        The kernel's tables must show that the transport's mediums, and no others, join the pair.
        Raises as `run`.
        """
        if not self._transport.is_control:
            self._guarded(self._verify_each)
        self._guarded(self._check_evidence)

    def inspect(self) -> Finding:
        """Looks this pair up in the kernel's tables; messages must have gone through it before.

        Raises as `run`.
        """
        if self._peer is None or not self._peer.is_started:
            raise LaunchFailed("there is no server to look at: start the pair first")
        return self._guarded(self._inspect)

    def server_holdings(self) -> Holdings:
        """What the server holds now, with the options that it told of its sockets.

        Raises OSError if it isn't visible.
        """
        _, conversation = self._ends()
        if self._peer is None:
            raise LaunchFailed("there is no server to look at: start the pair first")
        return conversation.told_options(self._peer.holdings())

    def _inspect(self) -> Finding:
        transport, traffic = self._transport, self._traffic
        _, conversation = self._ends()
        expected = Expected(
            transport.mediums,
            transport.is_control,
            replies=traffic.goes_back,
            connects=traffic.connects,
            sent_bytes=conversation.messages * traffic.message_size_bytes,
        )
        self._evidence = inspect(self.server_holdings, self._held_before, expected)
        return self._evidence

    def facts(self) -> dict[str, int | float | str]:
        """Facts about the pair as pyperf metadata, none of them an empty value."""
        client, conversation = self._ends()
        report = conversation.report
        facts: dict[str, int | float | str] = {"messages_checked": conversation.checked}
        if self._evidence is not None:
            facts["evidence_outcome"] = self._evidence.outcome
            facts["evidence"] = self._evidence.digest
        facts |= of_ends(self._transport, client, report)
        if self._in_flight is not None:
            facts["window_filled_ratio"] = self._in_flight / self._traffic.window
        if self._messages_timed and self._case.rhythm.gap_s:
            facts["gap_in_force_s"] = self._gaps_s / self._messages_timed
        facts |= {
            f"cpuidle_{side}": idle_text(states) for side, states in self._idled.items() if states
        }
        if self._messages_timed:
            facts |= self._usage.facts("client", self._messages_timed)
            facts |= report.usage.facts("server", self._messages_timed)
        if self._quotas:
            facts |= of_throttling(self._throttling)
        if self._cpus is not None:
            facts["cpu_client"], facts["cpu_server"] = self._cpus
        client_cpus = sorted(cpu for cpu in self._client_cpus if cpu is not None)
        for side, cpus in (("client", client_cpus), ("server", report.cpus)):
            if cpus:
                facts[f"cpus_seen_{side}"] = ",".join(map(str, cpus))
        for end, count in zip(SIDES, (self._client_threads, report.threads), strict=True):
            if count is not None:
                facts[f"threads_{end}_count"] = count
        return facts

    def close(self) -> None:
        """Ends the server and removes all that the pair made. Allowed twice."""
        peer = self._peer
        if peer is None:
            return
        peer.expect_end()
        if peer.is_started:
            self._send_stop()
            peer.wait()
        if self._client is not None:
            self._client.close()
        if self._link is not None:
            self._link.close()
        peer.close()
        self._peer = None
        gc.unfreeze()
        gc.enable()

    def _send_stop(self) -> None:
        if self._channel is not None:
            try:
                self._channel.send("stop")
            except ChannelClosed:
                pass  # it ended already; the wait that follows finds out

    def _enter(self, phase: str) -> None:
        """Begins a phase, which later error messages name."""
        self._phase = phase
        self._note_phase(phase)

    def _start(self) -> None:
        case, tether = self._case, self._tether
        client_cpu, server_cpu = self._cpus or (None, None)

        def serve_case(channel: Channel, parent: int, unwanted: frozenset[int]) -> NoReturn:
            serve(case, link, channel, server_cpu, parent, unwanted)

        kept = tether.descriptors if tether else frozenset()
        drivers.load(case.loop)
        self._peer = peer = ForkedPeer(serve_case, self._on_end, kept)
        self._quotas = quotas()
        self._held_before = held_now()
        self._link = link = self._transport.link(self._traffic, self._workspace)
        self._enter("hand-shake")
        # For both processes at once: frozen before the fork, the server's collector never writes
        # to (and so never copies) the pages they share.
        gc.disable()
        gc.freeze()
        self._channel = channel = peer.start()
        if tether:
            tether.leave_to_server()
        process.pin(client_cpu)
        link.keep_only("client")
        self._client = client = drivers.client(case, link, peer, self._seed)
        if client.collects_garbage:
            gc.enable()
        self._conversation = Conversation(client, channel, self._traffic)
        self._conversation.greet()

    def _ends(self) -> tuple[Client, Conversation]:
        """The client's end of the link and of the control channel. Raises LaunchFailed."""
        if self._client is None or self._conversation is None:
            raise LaunchFailed("the pair isn't started: use it as a context manager")
        return self._client, self._conversation

    def _run(self, messages: int) -> float:
        client, conversation = self._ends()
        self._enter("timed batch")
        conversation.fill()
        if messages <= _FEW_MESSAGES:
            self._end_the_pause(conversation)
        if isinstance(client, OpenLoopClient):
            client.prepare(messages)
        stopped_before = throttling(self._quotas)  # of no quota: nothing is read
        idled_before = self._idling()
        before = usage()
        elapsed = self._timed(client, conversation, messages)
        self._usage = self._usage + (usage() - before)
        for side, after in self._idling().items():
            self._idled[side] = added(self._idled.get(side, {}), idled_before[side], after)
        self._throttling += throttling(self._quotas) - stopped_before
        self._messages_timed += messages + self._ahead
        if self._traffic.alternates and self._case.arrivals is None:
            self._message_s = elapsed / messages
        self._client_cpus.add(last_cpu())
        self._client_threads = thread_count()
        if not self._transport.is_control:
            self._enter("payload check")
            self._delivered = conversation.verify_batch(messages + self._ahead)
        return elapsed

    def _idling(self) -> dict[str, Idling]:
        """The idle states of each end's CPU; read where the client lets CPUs idle, and pinned."""
        if self._cpus is None or not self._case.rhythm.gap_s:
            return {}
        return {
            side: idling(cpu) for side, cpu in zip(("client", "server"), self._cpus, strict=True)
        }

    def _end_the_pause(self, conversation: Conversation) -> None:
        """Exchanges one message, untimed, so that a small batch doesn't begin after a pause.

        The first message after one may be far faster than the others or far slower, and the pauses
        are the turns of other cases: TCP, which after a pause acknowledges at once, would show a
        delayed ACK in all messages but the first.
        """
        if self._transport.is_control or not self._traffic.alternates or self._traffic.connects:
            return
        conversation.exchange_one()

    def _sample(self, messages: int) -> Samples:
        client, conversation = self._ends()
        self._enter("sampled burst")
        samples_ns = array("q", bytes(8 * messages))
        if self._transport.is_control:
            client.sample(samples_ns)
            return samples_ns
        conversation.begin(messages)
        sent_ns = client.sample(samples_ns)
        conversation.end()
        conversation.messages += messages
        window = self._traffic.window
        if messages > window > 1:
            self._in_flight = messages_in_flight(sent_ns, samples_ns, window)
            _check_in_flight(self._in_flight, window)
        return samples_ns

    def _timed(self, client: Client, conversation: Conversation, messages: int) -> float:
        acknowledged: Acknowledged = NoAcknowledgement()
        if not self._transport.is_control:
            acknowledged = conversation.begin(messages + self._ahead)
        began_s = monotonic()
        elapsed = client.batch(messages, acknowledged)
        around_s = monotonic() - began_s
        check_clock(elapsed, around_s, messages, self._case.rhythm.gap_s)
        self._gaps_s += max(0.0, around_s - elapsed)
        return elapsed

    def _verify_each(self) -> None:
        _, conversation = self._ends()
        self._enter("payload check")
        conversation.verify_each(self._message_s)

    def _check_evidence(self) -> None:
        evidence = self._inspect()
        if evidence.outcome == "refuted":
            _, conversation = self._ends()
            conversation.confirm()  # it is alive: a server that ended holds nothing any more
            raise CheckFailed(f"evidence {evidence.digest}")

    def _on_end(self, death: Death) -> NoReturn:
        """Breaks into whatever the client does: its server ended."""
        raise _BrokenInto(death.told("the server", f"in the {self._phase}"))

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Does the work and returns its result; turns any failure into the fitting LaunchFailed.

        The server's end breaks in anywhere inside, also while the broken channel is met, and
        nowhere else: it is explained only when it can't break in any more.
        """
        try:
            try:
                if self._peer is not None:
                    self._peer.watch()
                return work()
            finally:
                if self._peer is not None:
                    self._peer.unwatch()
        except Interrupted:
            raise
        except Exception as error:
            raise self._explained(_first(error)) from error

    def _explained(self, error: Exception) -> LaunchFailed:
        """The LaunchFailed for an error, with the server's own reason or exit if it has one."""
        if isinstance(error, CheckFailed):
            return error
        peer = self._peer
        if peer is not None:
            peer.expect_end()
        if isinstance(error, Unavailable) or peer is None or not peer.is_started:
            return LaunchFailed(f"{self._phase}: {explain(error)}")
        reason = str(error) if isinstance(error, PeerReported) else peer.last_words()
        death = peer.wait()
        vanished = self._link and self._link.vanished()
        if vanished is not None and not (death is not None and death.by_signal):
            return LaunchFailed(f"{self._phase}: {vanished}")  # each end has met it in its own way
        if reason is not None:
            return LaunchFailed(f"the server failed in the {self._phase}: {reason}")
        if death is not None:
            return PeerDied(death.told("the server", f"in the {self._phase}"))
        return LaunchFailed(f"{self._phase}: {explain_with_type(error)}")


class _BrokenInto(PeerDied):
    """The server's end, as it breaks into whatever the client does."""


def _first(error: Exception) -> Exception:
    """The error to tell: the one that the server's end broke into, if that ends the launch anyway.

    Raises Interrupted if that was what it broke into.
    """
    met = error.__context__
    while isinstance(error, _BrokenInto) and met is not None:
        if isinstance(met, Interrupted):
            raise met
        if isinstance(met, CheckFailed):
            return met
        met = met.__context__
    return error


def messages_in_flight(sent_ns: Sequence[int], samples_ns: Sequence[int], window: int) -> float:
    """Messages in flight in the mean: throughput x response time (Little's law).

    From the message that fills the window to the last one that is sent while it is full. Of the
    response times, what lies outside of that doesn't count. 0.0 for an instant.
    """
    began, ended = sent_ns[window - 1], sent_ns[-1]
    if ended <= began:
        return 0.0
    responses = zip(sent_ns, samples_ns, strict=True)
    inside = (min(at + took, ended) - max(at, began) for at, took in responses)
    return sum(filter(lambda span: span > 0, inside)) / (ended - began)


def _check_in_flight(in_flight: float, window: int) -> None:
    """Checks that a window was kept full. Raises CheckFailed."""
    if abs(in_flight - window) > window * _IN_FLIGHT_TOLERANCE:
        raise CheckFailed(
            f"{in_flight:.2f} messages were in flight in the mean (throughput x response time:"
            f" Little's law), and the window is {window}"
        )


def check_clock(elapsed_s: float, around_s: float, messages: int = 1, gap_s: float = 0.0) -> None:
    """Checks a batch's time by another clock, read around it. Raises CheckFailed.

    The gaps that the client waits aren't in the time, and none is shorter than it was asked for.

    Code of the transport runs in this process, and might change the clock that is read. Between the
    two pairs of readings are some calls, and in turns the acknowledgement, which may come late.
    """
    around_s -= messages * gap_s
    late_s = _LATE_S + messages * (gap_s + _OVERSLEPT_S if gap_s else 0.0)
    too_long = elapsed_s > around_s * 1.01 + _UNTOLD_S
    too_short = around_s > 2 * elapsed_s + late_s or (elapsed_s <= 0 and around_s > _UNTOLD_S)
    if too_long or too_short:
        raise CheckFailed(
            f"the timed loop says {elapsed_s:.6f} s of a batch that took {around_s:.6f} s"
            " by another clock"
        )
