"""The forked server, from the fork to its exit."""

import os
import signal
from typing import NoReturn

from ipcbench.case import Case
from ipcbench.errors import explain_with_type
from ipcbench.measure.control import RAN, READY, Channel, ChannelClosed
from ipcbench.measure.native import driven_by
from ipcbench.measure.payload import digest
from ipcbench.measure.usage import Usage, last_cpu, usage
from ipcbench.system import process
from ipcbench.system.signals import accept_signals
from ipcbench.transports.base import Endpoint, Link


def serve(
    case: Case, link: Link, channel: Channel, cpu: int | None, parent: int, unwanted: frozenset[int]
) -> NoReturn:
    """Runs the server, in the child right after the fork; never returns.

    `unwanted` are descriptors the child inherited and must not keep: with an open copy of the
    client's output, its reader would wait for this process too.
    """
    code = 1
    try:
        _take_leave(parent, unwanted)
        process.pin(cpu)
        link.keep_only("server")
        server = Server(case, link.server(), channel)
        server.obey()
        code = 0
    except ChannelClosed:
        pass  # the client is gone: nobody to report to
    except BaseException as error:
        _report(channel, error)
    finally:
        os._exit(code)


class Server:
    """The server's endpoint, and the requests of the control channel that it serves."""

    def __init__(self, case: Case, endpoint: Endpoint, channel: Channel) -> None:
        self._case = case
        self._endpoint, loops = driven_by(case.loop, endpoint)
        self._channel = channel
        streams = case.workload == "throughput"
        self._loop = loops.server_throughput if streams else loops.server_latency
        self._messages = 0
        self._usage = Usage()
        self._cpus: set[int | None] = set()

    def obey(self) -> None:
        """Sends the hello, then serves requests until the client sends stop."""
        self._channel.send(
            "hello",
            message_size_bytes=len(self._endpoint.incoming),
            facts=dict(self._endpoint.facts),
        )
        while True:
            kind, values = self._channel.receive()
            if kind == "run":
                self._run(values["messages"])
            elif kind == "check":
                self._check(values["messages"])
            elif kind == "report":
                self._report()
            else:
                return

    def _run(self, messages: int) -> None:
        channel, loop, endpoint = self._channel, self._loop, self._endpoint
        before = usage()
        channel.send_line(READY)
        loop(endpoint, messages)
        channel.send_line(RAN)
        self._usage = self._usage + (usage() - before)
        self._messages += messages
        self._cpus.add(last_cpu())

    def _check(self, messages: int) -> None:
        """Receives messages one by one and answers with their digests."""
        endpoint = self._endpoint
        digests = []
        self._channel.send_line(READY)
        for _ in range(messages):
            endpoint.receive()
            digests.append(digest(endpoint.incoming))
            if self._case.workload != "throughput":
                endpoint.send()
        self._messages += messages
        self._channel.send("checked", digests=digests)

    def _report(self) -> None:
        self._channel.send(
            "report",
            messages=self._messages,
            digest=digest(self._endpoint.incoming),
            usage=list(self._usage),
            cpus=sorted(cpu for cpu in self._cpus if cpu is not None),
            facts=dict(self._endpoint.facts),
        )


def _take_leave(parent: int, unwanted: frozenset[int]) -> None:
    """Drops the signal handlers, descriptors and terminal inherited from the client."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's to handle
    accept_signals()  # they were held back for the fork
    process.die_with_parent(parent)
    process.silence_standard_streams()
    process.close_quietly(unwanted - {0, 1, 2})


def _report(channel: Channel, error: BaseException) -> None:
    try:
        channel.send("failed", reason=explain_with_type(error))
    except ChannelClosed:
        pass  # the client is gone: nobody to report to
