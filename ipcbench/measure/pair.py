"""One client (this process) and one forked server, joined by a transport and a control channel.

The server lives as long as the pair, so that the warm-up is done by the processes that are
measured. The client notices the server's death at once: SIGCHLD's handler raises, which breaks any
blocking call. The client's death ends the server by PR_SET_PDEATHSIG and by the closed control
channel.
"""

import gc
import os
import signal
import time
from array import array
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Self, TypeVar

from ipcbench.case import Case
from ipcbench.errors import (
    CheckFailed,
    Interrupted,
    LaunchFailed,
    PeerDied,
    explain,
    explain_start,
    explain_with_type,
)
from ipcbench.evidence.kernel import held_now
from ipcbench.evidence.verdict import Expected, Finding
from ipcbench.evidence.witness import inspect
from ipcbench.measure.control import RAN, READY, Channel, ChannelClosed, PeerReported
from ipcbench.measure.loops import Loops, Samples
from ipcbench.measure.native import driven_by
from ipcbench.measure.payload import Payloads, digest, messages_to_check
from ipcbench.measure.server import serve
from ipcbench.measure.tether import Tether
from ipcbench.measure.usage import Usage, last_cpu, usage
from ipcbench.system import process
from ipcbench.system.cpus import Cpus
from ipcbench.system.signals import forget_children, signals_held_back
from ipcbench.transports.base import Endpoint, Link, Unavailable, Workspace
from ipcbench.transports.registry import get_transport

_PATIENCE_S = 1.0
"""Seconds for a server to end by itself, or to report its failure, before it is killed."""

_T = TypeVar("_T")


class Pair:
    """A running client and server for one case. Use as a context manager."""

    def __init__(
        self,
        case: Case,
        cpus: Cpus | None,
        workspace: Workspace,
        tether: Tether | None = None,
        note_phase: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`note_phase` is called with the name of each phase as it begins."""
        self._case = case
        self._cpus = cpus
        self._workspace = workspace
        self._tether = tether
        self._transport = get_transport(case.transport)
        self._payloads = Payloads()
        self._note_phase = note_phase
        self._messages = 0
        self._messages_checked = 0
        self._messages_timed = 0
        self._usage = Usage()
        self._server_usage = Usage()
        self._client_cpus: set[int | None] = set()
        self._server_cpus: list[int] = []
        self._server_pid: int | None = None
        self._server_facts: Mapping[str, int] = {}
        self._held_before: frozenset[str] = frozenset()
        self._evidence: Finding | None = None
        self._link: Link | None = None
        self._channel: Channel
        self._endpoint: Endpoint
        self._loops: Loops

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

    def sample(self, messages: int) -> Samples:
        """Times this many single round trips, in nanoseconds. Raises as `run`.

        Only for latency: the sender of a one-way stream can't time a single message.
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
        """Looks this pair up in the kernel's tables; messages must have gone through it before."""
        if self._server_pid is None:
            raise LaunchFailed("there is no server to look at: start the pair first")
        transport, case = self._transport, self._case
        sent_bytes = self._messages * case.message_size_bytes
        expected = Expected(transport.mediums, transport.is_control, case.workload, sent_bytes)
        self._evidence = inspect(self._server_pid, self._held_before, expected)
        return self._evidence

    def facts(self) -> dict[str, int | float | str]:
        """Facts about the pair as pyperf metadata, none of them an empty value."""
        facts: dict[str, int | float | str] = {"messages_checked": self._messages_checked}
        if self._evidence is not None:
            facts["evidence_outcome"] = self._evidence.outcome
            facts["evidence"] = self._evidence.digest
        for side, values in (("client", self._endpoint.facts), ("server", self._server_facts)):
            facts |= {f"{side}_{name}": value for name, value in values.items()}
        if self._messages_timed:
            facts |= self._usage.facts("client", self._messages_timed)
            facts |= self._server_usage.facts("server", self._messages_timed)
        if self._cpus is not None:
            facts["cpu_client"], facts["cpu_server"] = self._cpus
        client_cpus = sorted(cpu for cpu in self._client_cpus if cpu is not None)
        for side, cpus in (("client", client_cpus), ("server", self._server_cpus)):
            if cpus:
                facts[f"cpus_seen_{side}"] = ",".join(map(str, cpus))
        return facts

    def close(self) -> None:
        """Ends the server and removes all that the pair made. Allowed twice."""
        forget_children()
        if self._server_pid is not None:
            try:
                self._channel.send("stop")
            except ChannelClosed:
                pass  # it ended already; the wait below finds out how
            self._reap(self._server_pid)
        if self._link is not None:
            if hasattr(self, "_endpoint"):
                self._endpoint.close()
            self._link.close()
            self._channel.close()
            self._link = None
            gc.unfreeze()
            gc.enable()

    def _enter(self, phase: str) -> None:
        """Begins a phase, which later error messages name."""
        self._phase = phase
        self._note_phase(phase)

    def _start(self) -> None:
        case = self._case
        inherited = process.open_descriptors()
        kept = self._tether.descriptors if self._tether else frozenset()
        self._channel, theirs = Channel.pair()
        self._held_before = held_now()
        self._link = self._transport.link(case.message_size_bytes, case.workload, self._workspace)
        client_cpu, server_cpu = self._cpus or (None, None)
        self._enter("hand-shake")
        signal.signal(signal.SIGCHLD, self._on_child)
        # For both processes at once: frozen before the fork, the server's collector never writes
        # to (and so never copies) the pages they share.
        gc.disable()
        gc.freeze()
        client_pid = os.getpid()
        try:
            # A signal between the fork and its own handlers would send the server through ours.
            with signals_held_back():
                pid = os.fork()
                if pid == 0:
                    self._channel.close()
                    serve(case, self._link, theirs, server_cpu, client_pid, inherited - kept)
                self._server_pid = pid
        except OSError as error:
            theirs.close()
            raise LaunchFailed(explain_start(error)) from error
        theirs.close()
        if self._tether:
            self._tether.leave_to_server()
        process.pin(client_cpu)
        self._link.keep_only("client")
        self._endpoint, self._loops = driven_by(case.loop, self._link.client())
        hello = self._channel.expect("hello")
        if hello["message_size_bytes"] != case.message_size_bytes:
            raise CheckFailed(f"the server expects messages of {hello['message_size_bytes']} bytes")
        self._server_facts = hello["facts"]

    def _run(self, messages: int) -> float:
        self._enter("timed batch")
        self._payloads.fill(self._endpoint.outgoing)
        before = usage()
        elapsed = self._timed(messages)
        self._usage = self._usage + (usage() - before)
        self._messages_timed += messages
        self._client_cpus.add(last_cpu())
        if not self._transport.is_control:
            self._enter("payload check")
            self._messages += messages
            self._verify_batch()
        return elapsed

    def _sample(self, messages: int) -> Samples:
        self._enter("sampled burst")
        samples_ns = array("q", bytes(8 * messages))
        if self._transport.is_control:
            self._loops.client_latency_sampled(self._endpoint, samples_ns)
            return samples_ns
        self._channel.send("run", messages=messages)
        self._channel.expect_line(READY)
        self._loops.client_latency_sampled(self._endpoint, samples_ns)
        self._channel.expect_line(RAN)
        self._messages += messages
        return samples_ns

    def _timed(self, messages: int) -> float:
        endpoint, loops, channel = self._endpoint, self._loops, self._channel
        throughput = self._case.workload == "throughput"
        if self._transport.is_control:
            if throughput:
                return loops.client_throughput(endpoint, messages, _nothing)
            return loops.client_latency(endpoint, messages)
        ran = partial(channel.expect_line, RAN)
        channel.send("run", messages=messages)
        channel.expect_line(READY)
        if throughput:
            return loops.client_throughput(endpoint, messages, ran)
        elapsed = loops.client_latency(endpoint, messages)
        ran()
        return elapsed

    def _verify_batch(self) -> None:
        """Checks that both ends have the batch's last message intact, and the same count."""
        self._channel.send("report")
        report = self._channel.expect("report")
        self._server_cpus = report["cpus"]
        self._server_usage = Usage(*report["usage"])
        self._server_facts = report["facts"]
        if report["messages"] != self._messages:
            raise CheckFailed(
                f"the client sent {self._messages} messages"
                f" and the server received {report['messages']}"
            )
        self._compare(report["digest"], "the batch's last message")
        self._messages_checked += 1

    def _verify_each(self) -> None:
        self._enter("payload check")
        messages = messages_to_check(self._case.message_size_bytes)
        endpoint, comes_back = self._endpoint, self._case.workload != "throughput"
        self._channel.send("check", messages=messages)
        self._channel.expect_line(READY)
        sent = []
        for number in range(messages):
            self._payloads.fill(endpoint.outgoing)
            endpoint.send()
            sent.append(digest(endpoint.outgoing))  # now: some number a message as they send it
            if comes_back:
                endpoint.receive()
                self._compare(sent[-1], f"message {number + 1} of the check")
        received = self._channel.expect("checked")["digests"]
        if received != sent:
            wrong = sum(one != other for one, other in zip(sent, received, strict=False))
            raise CheckFailed(f"{wrong} of {messages} messages reached the server changed")
        self._messages += messages
        self._messages_checked += messages

    def _check_evidence(self) -> None:
        evidence = self.inspect()
        if evidence.outcome == "refuted":
            self._channel.send("report")
            self._channel.expect(
                "report"
            )  # it is alive: a server that ended holds nothing any more
            raise CheckFailed(f"evidence {evidence.digest}")

    def _compare(self, server_digest: str, what: str) -> None:
        endpoint = self._endpoint
        if server_digest != digest(endpoint.outgoing):
            raise CheckFailed(f"{what} reached the server changed")
        if self._case.workload != "throughput" and endpoint.incoming != endpoint.outgoing:
            raise CheckFailed(f"{what} came back changed")

    def _on_child(self, _signal: int, _frame: FrameType | None) -> None:
        """Handles SIGCHLD: raises PeerDied, once, if the server ended."""
        pid = self._server_pid
        if pid is None:
            return  # between fork and its return: the broken channel will tell
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            forget_children()
            raise PeerDied(f"the server {process.describe_end(ended)} in the {self._phase}")

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Does the work and returns its result; turns any failure into the fitting LaunchFailed."""
        try:
            return work()
        except Interrupted:
            raise
        except Exception as error:
            try:
                failure = self._explained(error)
            except PeerDied as died:
                # The broken channel was seen first, and the signal came while it was looked into.
                failure = self._explained(died)
            raise failure from error

    def _explained(self, error: Exception) -> LaunchFailed:
        """The LaunchFailed for an error, with the server's own reason or exit if it has one."""
        if isinstance(error, CheckFailed):
            return error
        forget_children()
        if isinstance(error, Unavailable) or self._server_pid is None:
            return LaunchFailed(f"{self._phase}: {explain(error)}")
        reason = str(error) if isinstance(error, PeerReported) else self._last_words()
        status = self._reap(self._server_pid)
        if reason is not None:
            return LaunchFailed(f"the server failed in the {self._phase}: {reason}")
        if status is not None:
            how = process.describe_exit(os.waitstatus_to_exitcode(status))
            return PeerDied(f"the server {how} in the {self._phase}")
        return LaunchFailed(f"{self._phase}: {explain_with_type(error)}")

    def _last_words(self) -> str | None:
        """The reason a failing server left on the channel, if it left one."""
        self._channel.wait_at_most(_PATIENCE_S)
        try:
            while True:
                self._channel.receive()
        except PeerReported as report:
            return str(report)
        except ChannelClosed:
            return None

    def _reap(self, pid: int) -> int | None:
        """The wait status of the server if it ended by itself; None if it had to be killed."""
        self._server_pid = None
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return None


def _nothing() -> None:
    """No-op acknowledgement, for controls, whose messages go nowhere."""
