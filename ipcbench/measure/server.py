"""The forked server, from the fork to its exit."""

import gc
import os
import signal
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from time import perf_counter_ns
from typing import Any, NoReturn

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed, explain_with_type
from ipcbench.evidence.holdings import own_nodelay
from ipcbench.measure import drivers
from ipcbench.measure.control import RAN, READY, Channel, ChannelClosed
from ipcbench.measure.drivers import base
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.payload import Payloads, digest
from ipcbench.measure.usage import Usage, last_cpu, thread_count, usage
from ipcbench.system import process
from ipcbench.system.signals import accept_signals
from ipcbench.transports.base import Link, Traffic


def serve(
    case: Case, link: Link, channel: Channel, cpu: int | None, parent: int, unwanted: frozenset[int]
) -> NoReturn:
    """Runs the server, in the child right after the fork; never returns.

    `unwanted` are descriptors the child inherited and must not keep: with an open copy of the
    client's output, its reader would wait for this process too.
    """
    code = 1
    try:
        take_leave(parent, unwanted)
        process.pin(cpu)
        link.keep_only("server")
        end = drivers.server(case, link)
        if end.collects_garbage:
            gc.enable()
        payloads = Payloads() if Traffic.of(case).duplex else None
        Server(end, channel, payloads).obey()
        code = 0
    except ChannelClosed:
        pass  # the client is gone: nobody to report to
    except BaseException as error:
        report_failure(channel, error)
    finally:
        os._exit(code)


class Server:
    """The server's end of the link, and the requests of the control channel that it serves."""

    def __init__(
        self,
        end: base.Server,
        channel: Channel,
        payloads: Payloads | None = None,
        used: Callable[[], Usage] = usage,
        received: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`payloads` are those of its own messages, where it sends some.

        `used` tells what it has used until now: its process, or its thread beside others.
        `received` tells the messages of the last batch by digest, where it can't tell whose they
        are.
        """
        self._payloads = payloads
        self._end = end
        self._channel = channel
        self._used = used
        self._received = received
        self._messages = 0
        self._marks_ns: Samples = array("q")
        """When it had received each share of the last batch, where somebody asked for that."""
        self._usage = Usage()
        self._cpus: set[int | None] = set()

    def obey(self) -> None:
        """Sends the hello, then serves requests until the client sends stop."""
        self.greet()
        while self.answer(*self._channel.receive()):
            pass

    def greet(self) -> None:
        """Sends the hello."""
        self._channel.send(
            "hello",
            message_size_bytes=len(self._end.incoming),
            facts=dict(self._end.facts),
        )

    def answer(self, kind: str, values: Mapping[str, Any]) -> bool:
        """Serves one request; returns whether another may follow."""
        match kind:
            case "run":
                self._run(values["messages"], values.get("marks", 0))
            case "check":
                self._check(values["messages"])
            case "report":
                self._report()
            case "sockets":
                self._channel.send("sockets", nodelay=own_nodelay())
            case "stop":
                return False
            case _:
                raise LaunchFailed(f"unknown request {kind!r} on the control channel")
        return True

    def _run(self, messages: int, marks: int) -> None:
        channel, serve, used = self._channel, self._end.serve, self._used
        if self._payloads is not None:
            self._payloads.fill(self._end.outgoing)
        marks_ns = array("q")
        before = used()
        channel.send_line(READY)
        if marks:
            for share in shares(messages, marks):
                serve(share)
                marks_ns.append(perf_counter_ns())
        else:
            serve(messages)
        channel.send_line(RAN)
        self.count(messages, used() - before, marks_ns)

    def count(self, messages: int, used: Usage, marks_ns: Samples) -> None:
        """Counts a batch that was served."""
        self._usage = self._usage + used
        self._messages += messages
        self._marks_ns = marks_ns
        self._cpus.add(last_cpu())

    def _check(self, messages: int) -> None:
        """Receives messages one by one; answers with their digests, and with those of its own."""
        end, digests, sent = self._end, list[str](), list[str]()

        def look() -> None:
            digests.append(digest(end.incoming))

        self._channel.send_line(READY)
        for _ in range(messages):
            if self._payloads is not None:
                self._payloads.fill(end.outgoing)
                sent.append(digest(end.outgoing))
            end.exchange(look)
        self._messages += messages
        self._channel.send("checked", digests=digests, sent=sent)

    def _report(self) -> None:
        self._channel.send(
            "report",
            messages=self._messages,
            digest=digest(self._end.incoming),
            sent="" if self._payloads is None else digest(self._end.outgoing),
            usage=list(self._usage),
            cpus=sorted(cpu for cpu in self._cpus if cpu is not None),
            threads=thread_count(),
            facts=dict(self._end.facts),
            effective=dict(self._end.effective),
            marks_ns=self._marks_ns.tolist(),
            received=dict(self._received()),
        )


def shares(messages: int, marks: int) -> Sequence[int]:
    """Parts of a batch of as equal length as can be; none of them is empty."""
    ends = [messages * mark // marks for mark in range(marks + 1)]
    parts = (end - begin for begin, end in pairwise(ends))
    return [part for part in parts if part]


def take_leave(parent: int, unwanted: frozenset[int]) -> None:
    """Drops the signal handlers, descriptors and terminal inherited from the client."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's to handle
    accept_signals()  # they were held back for the fork
    process.die_with_parent(parent)
    process.silence_standard_streams()
    process.close_quietly(unwanted - {0, 1, 2})


def report_failure(channel: Channel, error: BaseException) -> None:
    """Tells the client why this server fails, if there still is one."""
    try:
        channel.report(explain_with_type(error))
    except ChannelClosed:
        pass  # the client is gone: nobody to report to
