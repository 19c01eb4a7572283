"""The writer and the reader of a watched pair: what runs in either process.

The writer makes the link and forks the reader, as the client of a measured pair does, so that every
mechanism finds the processes related as it needs them, and neither end holds what is the other's.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ipcbench.errors import explain, explain_with_type
from ipcbench.measure.control import Channel, ChannelClosed
from ipcbench.measure.full.board import (
    DONE,
    ENDED_NS,
    ERRNO,
    FAILED,
    LIMIT,
    SENDING,
    SENT,
    SIGPIPES,
    STATE,
    Board,
)
from ipcbench.measure.full.kernel import open_now, opened_since
from ipcbench.measure.full.watch import Watched
from ipcbench.system import process
from ipcbench.system.cpus import Cpus
from ipcbench.transports.base import Endpoint, Link, Traffic, Transport, Unavailable, Workspace
from ipcbench.transports.shapes import DatagramShape, QueueShape

_CLOSELY = 8192
"""Reads after each of which the writer is looked at; from then on it is done more seldom."""
_LOOKS = 1024
_NO_ERRNO = 0


class Ends:
    """The two ends' common start: channels, and what is to be made."""

    def __init__(
        self, transport: Transport, traffic: Traffic, workspace: Workspace, cpus: Cpus | None
    ) -> None:
        self.transport, self.traffic, self.workspace = transport, traffic, workspace
        self.cpus = cpus or (None, None)
        self.board = Board()
        self.writers, self._writer = Channel.pair()
        self.readers, self._reader = Channel.pair()
        # A pair for the descriptors: a channel's lines have no room for them.
        self.passed, self._passing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def run_writer(self, observer: int) -> NoReturn:
        """Runs the writer, in the child right after the fork; never returns."""
        try:
            process.die_with_parent(observer)
            # A handler that this process has inherited would break into the send that it is
            # blocked in, as its reader ends, and sysv_ipc tells that as an error without a number.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self.writers, self.readers):
                end.close()
            self.passed.close()
            before = open_now()
            link = self.transport.link(self.traffic, self.workspace)
            parent = os.getpid()
            reader = os.fork()
            if reader == 0:
                self._run_reader(link, parent, before)
            self._reader.close()
            process.pin(self.cpus[0])
            link.keep_only("client")
            endpoint = link.client()
            self._hand_over(b"w", before)
            self._writer.send("hello", reader=reader, **_facts(endpoint))
            self._obey_as_writer(endpoint)
        except ChannelClosed:
            pass
        except BaseException as error:
            _report(self._writer, error)
        finally:
            os._exit(0)

    def _run_reader(self, link: Link, writer: int, before: Mapping[int, int]) -> NoReturn:
        try:
            process.die_with_parent(writer)
            self._writer.close()
            process.pin(self.cpus[1])
            link.keep_only("server")
            endpoint = link.server()
            self._hand_over(b"r", before)
            self._reader.send("hello", **_facts(endpoint))
            self._obey_as_reader(endpoint, writer)
        except ChannelClosed:
            pass
        except BaseException as error:
            _report(self._reader, error)
        finally:
            os._exit(0)

    def close_theirs(self) -> None:
        """Closes, in the observer, what the two processes have."""
        self._writer.close()
        self._reader.close()
        self._passing.close()

    def close(self) -> None:
        """Closes all that the observer has of it."""
        self.close_theirs()
        self.writers.close()
        self.readers.close()
        self.passed.close()
        self.board.close()

    def _hand_over(self, name: bytes, before: Mapping[int, int]) -> None:
        """Passes copies of the link's descriptors to the observer, which asks the kernel of them.

        unix(7), SCM_RIGHTS.
        """
        new = opened_since(before)
        socket.send_fds(self._passing, [name], new)
        self._passing.close()

    def _obey_as_writer(self, endpoint: Endpoint) -> None:
        """Sends whenever asked to, and tells that it stopped."""
        words = self.board.words

        def note_signal(*_: object) -> None:
            words[SIGPIPES] += 1

        signal.signal(signal.SIGPIPE, note_signal)
        send = _undirected(endpoint)
        while True:
            self._writer.expect("send")
            refused = send_all(self.board, send)
            self._writer.send("stopped", reason=refused and explain_with_type(refused))

    def _obey_as_reader(self, endpoint: Endpoint, writer: int) -> None:
        """Reads whenever asked to, and tells how much."""
        receive, board, spins = _unchecked(endpoint), self.board, self.transport.spins
        while True:
            kind, asked = self._reader.receive()
            if kind == "drain":
                self._reader.send("read", messages=_drained(endpoint))
                continue
            with Watched(writer, board, spins=spins) as watched:
                self._reader.send("read", **_read_until_woken(receive, watched, asked["held"]))


def send_all(board: Board, send: Callable[[], None]) -> Exception | None:
    """Sends up to the limit on the board, and counts there; returns the error that ended it."""
    words = board.words
    sent = words[SENT]
    words[STATE] = SENDING
    try:
        while sent < words[LIMIT]:
            send()
            sent += 1
            words[SENT] = sent
    except Exception as error:
        words[ENDED_NS] = time.monotonic_ns()
        number = getattr(error, "errno", None)
        words[ERRNO] = number if isinstance(number, int) else _NO_ERRNO
        words[STATE] = FAILED
        return error
    words[STATE] = DONE
    return None


def _read_until_woken(receive: Callable[[], None], watched: Watched, held: int) -> dict[str, int]:
    """Reads one message at a time until the blocked writer is woken, or all `held` are read."""
    seldom, since = max(1, held // _LOOKS), watched.mark()
    # One more than were held: a writer that waits for its reader is woken by a read that waits.
    for number in range(1, held + 2):
        receive()
        step = 1 if number <= _CLOSELY else seldom
        if (number % step == 0 or number == held) and watched.has_woken(since):
            return {"messages": number, "step": step, "woken": 1}
        if number >= max(1, held):
            break
    return {"messages": max(1, held), "step": 1, "woken": 0}


def _drained(endpoint: Endpoint) -> int:
    """Takes all datagrams that are there, without waiting, and counts them."""
    shape, count = endpoint.shape, 0
    if not isinstance(shape, DatagramShape):
        return 0
    with socket.socket(fileno=os.dup(shape.descriptor)) as same:
        while True:
            try:
                same.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return count
            count += 1


def _undirected(endpoint: Endpoint) -> Callable[[], None]:
    """The endpoint's `send`; of datagrams without the credit that a stream of them waits for."""
    shape = endpoint.shape
    if not isinstance(shape, DatagramShape) or not shape.half_window:
        return endpoint.send
    descriptor, message = shape.descriptor, endpoint.outgoing

    def send() -> None:
        os.write(descriptor, message)

    return send


def _unchecked(endpoint: Endpoint) -> Callable[[], None]:
    """The endpoint's `receive`; of datagrams that come without numbers, and ask for no credit."""
    shape = endpoint.shape
    if not isinstance(shape, DatagramShape) or not shape.half_window:
        return endpoint.receive
    descriptor, size = shape.descriptor, len(endpoint.incoming)

    def receive() -> None:
        os.read(descriptor, size)

    return receive


def _facts(endpoint: Endpoint) -> dict[str, Any]:
    shape = endpoint.shape
    facts: dict[str, Any] = {"facts": dict(endpoint.facts), "is_plain": shape is not None}
    if isinstance(shape, QueueShape) and shape.system == "sysv":
        facts["sysv_queue"] = max(shape.sends, shape.receives)
    if isinstance(shape, DatagramShape) and shape.half_window:
        facts["credit_messages"] = 2 * shape.half_window
    return facts


def _report(channel: Channel, error: BaseException) -> None:
    try:
        told = explain if isinstance(error, Unavailable) else explain_with_type
        channel.report(told(error))
    except ChannelClosed:
        pass
