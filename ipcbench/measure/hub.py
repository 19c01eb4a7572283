"""One client, this process, with many links: to the readers of what it writes, or to a server.

A generator of an open loop sends in turn over several links, as if it were that many clients, whose
server serves them as it serves a crowd's. A writer sends each message to all of its readers. Each
link is checked as the link of a client of its own.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from time import monotonic

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.evidence.kernel import held_now
from ipcbench.measure import drivers
from ipcbench.measure.control import Channel, PeerReported
from ipcbench.measure.drivers.open_loop import Batch
from ipcbench.measure.drivers.several import Several
from ipcbench.measure.drivers.spread import Generator
from ipcbench.measure.end_facts import Facts
from ipcbench.measure.many_links import ManyLinks
from ipcbench.measure.member import Broken, Member
from ipcbench.measure.pair import check_clock
from ipcbench.measure.peer import ForkedPeer
from ipcbench.measure.tether import Tether
from ipcbench.measure.usage import Usage, last_cpu, thread_count, together, usage
from ipcbench.system.cpus import Cpus
from ipcbench.system.quota import throttling
from ipcbench.transports.base import Link, Workspace


class Hub(ManyLinks):
    """The running client of a case and the processes at its links. Use as a context manager."""

    def __init__(
        self,
        case: Case,
        cpus: Cpus | None,
        workspace: Workspace,
        tether: Tether | None = None,
        note_phase: Callable[[str], None] = lambda _: None,
        seed: str = "",
    ) -> None:
        """As ManyLinks. `seed` is that of the times at which messages are sent."""
        super().__init__(case, cpus, workspace, tether, note_phase)
        self.client_word = case.clients.word
        if case.clients.are_readers:
            self.server_word = self.client_word
        self._seed = seed
        self._to_each: list[Channel] = []
        self._client: Several | None = None
        self._members: list[Member] = []
        self._delivered = 0
        self._messages = 0
        self._wall_s = 0.0
        self._used = Usage()
        self._cpus_seen: set[int] = set()

    def run(self, messages: int) -> float:
        """Times a batch of so many messages of each link, in seconds.

        Raises CheckFailed, PeerDied if a process ended, LaunchFailed for any other failure.
        """
        return self._guarded(partial(self._run, messages))

    @property
    def last_batch(self) -> Batch:
        """The times of the last batch's messages, of an open loop. Raises LaunchFailed."""
        timed = self._client.timed if isinstance(self._client, Generator) else None
        if timed is None:
            raise LaunchFailed("no batch of messages with times of their own has been run")
        return timed

    @property
    def delivered_count(self) -> int:
        """Messages of the last batch, by the counts of those who received them."""
        return self._delivered

    def facts(self) -> Facts:
        """Facts about the client and its links as pyperf metadata, none an empty value."""
        members, _ = self._started()
        reports = [one.conversation.report for one in members]
        facts = self._facts_of(members[0], sum(one.conversation.checked for one in members))
        if self._messages:
            # What one tells of its server is of its part alone, and of all batches.
            server_used = together((one.usage for one in reports), self._wall_s)
            facts |= self._used.facts("client", self._messages)
            facts |= server_used.facts("server", self._messages)
        server_cpus = {cpu for report in reports for cpu in report.cpus}
        for side, cpus in (("client", self._cpus_seen), ("server", server_cpus)):
            if cpus:
                facts[f"cpus_seen_{side}"] = ",".join(map(str, sorted(cpus)))
        for side, threads in (("client", thread_count()), ("server", reports[0].threads)):
            if threads is not None:
                facts[f"threads_{side}_count"] = threads
        return facts

    def _start(self) -> None:
        case = self._case
        self._prepare()
        lines = self._make_servers()
        self._make_links()
        self._start_processes(lines)
        self._to_each = [ours for ours, _ in lines]
        for link in self._links:
            link.keep_only("client")
        self._client = client = drivers.client_of_many(case, self._opened_in_turn(), self._seed)
        if any(end.collects_garbage for end in client.ends):
            gc.enable()
        for number, (end, channel) in enumerate(zip(client.ends, self._to_each, strict=True)):
            of_others = self._not_of(number)
            member = Member(number, case, end, channel, self._server_pid(number), of_others)
            self._members.append(member)
            member.conversation.greet()

    def _opened_in_turn(self) -> Iterator[Link]:
        """The links; what each has made is noted once this process has opened its end."""
        held = held_now()
        for number, link in enumerate(self._links):
            yield link
            so_far = held_now()
            self._made_for[number] |= so_far - held
            held = so_far

    def _started(self) -> tuple[Sequence[Member], Several]:
        if self._client is None:
            raise LaunchFailed("the links aren't open: use it as a context manager")
        return self._members, self._client

    def _close_ends(self) -> None:
        client, self._client = self._client, None
        for end in client.ends if client is not None else ():
            end.close()

    def _to_servers(self, servers: Sequence[ForkedPeer]) -> Iterable[Channel]:
        return self._to_each or super()._to_servers(servers)

    def _run(self, messages: int) -> float:
        members, client = self._started()
        self._enter("timed batch")
        client.prepare(messages)
        for member in members:
            member.conversation.fill()
        acknowledged = [member.conversation.begin(messages) for member in members]
        stopped_before, before, began_s = throttling(self._quotas), usage(), monotonic()
        elapsed = client.batch(messages, acknowledged)
        around_s = monotonic() - began_s
        self._used = self._used + (usage() - before)
        check_clock(elapsed, around_s)
        self._throttling += throttling(self._quotas) - stopped_before
        self._wall_s += around_s
        # A writer's message goes to all of its readers, and a generator's over one of its links.
        together_count = 1 if self._case.clients.are_readers else self._count
        self._messages += messages * together_count
        cpu = last_cpu()
        if cpu is not None:
            self._cpus_seen.add(cpu)
        self._enter("payload check")
        self._delivered = sum(one.conversation.verify_batch(messages) for one in members)
        return elapsed

    def _check(self) -> None:
        members, _ = self._started()
        self._finding = self._found([member.check() for member in members])
        self._memory = members[0].link_memory()

    def _told_here(self, error: Exception) -> list[tuple[int, Broken]]:
        # Which of them has told it isn't known here; all that have are asked.
        return [] if isinstance(error, PeerReported) else super()._told_here(error)
