"""One server of many clients: a thread for each, or one thread that waits for all.

A process for each is `measure.server`, once for each of them.
"""

import gc
import os
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure import drivers
from ipcbench.measure.control import RAN, READY, Channel, ChannelClosed
from ipcbench.measure.drivers import many
from ipcbench.measure.server import Server, report_failure, take_leave
from ipcbench.measure.usage import Usage, cpu_usage, thread_usage, usage
from ipcbench.system import process
from ipcbench.transports.base import Link


class Served(NamedTuple):
    """A client, as its server sees it."""

    link: Link
    channel: Channel


def serve_by_threads(
    case: Case, clients: Sequence[Served], cpu: int | None, parent: int, keeps: frozenset[int]
) -> NoReturn:
    """Runs a server with a thread for each client, right after the fork; never returns.

    It closes all descriptors but those that it `keeps`.
    """
    code = 1
    try:
        _settle_in(clients, cpu, parent, keeps)
        meter = Meter()
        threads = [
            threading.Thread(target=_serve_one, args=(case, *one, meter.of_thread()), daemon=True)
            for one in clients
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        code = 0
    except BaseException as error:
        _report_to_all(clients, error)
    finally:
        os._exit(code)


def serve_by_readiness(
    case: Case, clients: Sequence[Served], cpu: int | None, parent: int, keeps: frozenset[int]
) -> NoReturn:
    """Runs a server with one thread for all clients, right after the fork; never returns."""
    code = 1
    try:
        _settle_in(clients, cpu, parent, keeps)
        server = drivers.server_of_many(case, [one.link for one in clients])
        if any(end.collects_garbage for end in server.ends):
            gc.enable()
        _ByReadiness(server, [one.channel for one in clients]).obey()
        code = 0
    except ChannelClosed:
        pass  # a client is gone: the first one notices, and ends all
    except BaseException as error:
        _report_to_all(clients, error)
    finally:
        os._exit(code)


def _settle_in(
    clients: Sequence[Served], cpu: int | None, parent: int, keeps: frozenset[int]
) -> None:
    channels = {one.channel.fileno() for one in clients}
    take_leave(parent, process.open_descriptors() - keeps - channels)
    process.pin(cpu)
    for one in clients:
        one.link.keep_only("server")


class Meter:
    """What a server of threads uses while any of them serves, with the threads of its libraries.

    The last thread to end a batch tells of the CPU time of the whole process since the first began
    it, and each one of its own waits for a CPU: the sum of these would be of one CPU many times.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._serving = 0
        self._before = Usage()

    def of_thread(self) -> Callable[[], Usage]:
        """A function for one thread, which calls it at the begin of each batch and at its end."""
        serves, told = False, Usage()

        def used() -> Usage:
            nonlocal serves, told
            serves = not serves
            told = told + (self._begun() if serves else self._ended())
            own = thread_usage()
            return told._replace(queued_s=own.queued_s, wall_s=own.wall_s)

        return used

    def _begun(self) -> Usage:
        with self._lock:
            if not self._serving:
                self._before = cpu_usage()
            self._serving += 1
        return Usage()

    def _ended(self) -> Usage:
        with self._lock:
            self._serving -= 1
            return Usage() if self._serving else cpu_usage() - self._before


def _serve_one(case: Case, link: Link, channel: Channel, used: Callable[[], Usage]) -> None:
    """Serves one client, in a thread of its own."""
    try:
        end = drivers.server(case, link)
        if end.collects_garbage:
            gc.enable()
        Server(end, channel, used=used).obey()
    except ChannelClosed:
        pass  # the client is gone: nobody to report to
    except BaseException as error:
        report_failure(channel, error)


def _report_to_all(clients: Sequence[Served], error: BaseException) -> None:
    for one in clients:
        report_failure(one.channel, error)


class _ByReadiness:
    """A server that serves a batch of all its clients at once, and everything else one by one."""

    def __init__(self, server: many.Server, channels: Sequence[Channel]) -> None:
        self._server = server
        self._channels = channels
        self._each = [
            Server(end, channel, received=self._received)
            for end, channel in zip(server.ends, channels, strict=True)
        ]
        self._armed: dict[int, tuple[int, int]] = {}
        """Messages and marks of the clients that have asked for a batch."""

    def obey(self) -> None:
        """Says hello to each client, then serves until all have sent stop."""
        for one in self._each:
            one.greet()
        waiting = select.poll()
        numbers = {channel.fileno(): number for number, channel in enumerate(self._channels)}
        for descriptor in numbers:
            waiting.register(descriptor, select.POLLIN)
        while numbers:
            for descriptor, _ in waiting.poll():
                if not self._answer(numbers[descriptor]):
                    waiting.unregister(descriptor)
                    del numbers[descriptor]

    def _answer(self, number: int) -> bool:
        """Serves a request of a client; returns whether another may follow."""
        channel = self._channels[number]
        try:
            kind, values = channel.receive()
        except ChannelClosed:
            return False
        if kind != "run":
            return self._each[number].answer(kind, values)
        channel.send_line(READY)
        self._armed[number] = values["messages"], values["marks"]
        if len(self._armed) == len(self._each):
            batches = set(self._armed.values())
            self._armed.clear()
            if len(batches) != 1:
                raise LaunchFailed(f"the clients want batches of their own: {sorted(batches)}")
            self._run(*batches.pop())
        return True

    def _run(self, messages: int, marks: int) -> None:
        before = usage()
        marks_ns = self._server.serve(messages, marks, self._acknowledge)
        used = usage() - before
        for number, one in enumerate(self._each):
            one.count(messages, Usage() if number else used, marks_ns[number])

    def _received(self) -> Mapping[str, int]:
        return self._server.received

    def _acknowledge(self, number: int) -> None:
        """Tells a client that its batch is served."""
        self._channels[number].send_line(RAN)
