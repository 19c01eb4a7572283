"""A writer and a reader that the observer watches, fills, wakes and bereaves; see `ends`."""

import errno
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NamedTuple, Self

from ipcbench.errors import LaunchFailed
from ipcbench.measure.control import Channel, ChannelClosed, NoAnswer, PeerReported
from ipcbench.measure.full import kernel
from ipcbench.measure.full.board import ENDED_NS, ERRNO, FAILED, SENDING, SIGPIPES, Board
from ipcbench.measure.full.ends import Ends
from ipcbench.measure.full.kernel import Held
from ipcbench.measure.full.watch import Watched
from ipcbench.system.cpus import Cpus
from ipcbench.system.process import close_quietly, describe_exit
from ipcbench.transports.base import Traffic, Transport, Workspace

_START_S = 10.0
"""Seconds for the link to be made: for one that waits for ever."""
_FILL_S = 10.0
"""Seconds for a mechanism to fill, or to take all messages that are allowed."""
_WAKE_S = 10.0
_NOTICE_S = 0.03
"""Seconds to learn of a death once the reader is gone: the kernel tells it in the same moment."""
_SETTLE_S = 0.01
"""Seconds of sleep after which a writer is blocked: only its reader can wake it."""
_SETTLE_TCP_S = 0.06
"""The same over TCP, whose acknowledgements may be delayed by 40 ms: TCP_DELACK_MIN of
include/net/tcp.h."""
_LOOK_S = 0.1
"""Seconds between two looks whether anything was dropped of what a writer sends."""
_NO_LIMIT = 2**62
_ENDING_S = 5.0
_POLL_S = 0.001
_MOST_PASSED = 64


class Filled(NamedTuple):
    """A mechanism after its writer has sent all that it could."""

    when_full: str
    """`blocks`, `refuses`, `drops`, or `not-full` after the messages that were allowed."""
    sent: int
    held: Held
    refused_with: str | None = None
    """The errno of the send that was refused, or else the reason that Python gives."""


class Notice(NamedTuple):
    """What a writer learned of its reader's death."""

    how: str
    """An errno's name, `EOF`, `nothing`; or `blocks` if it sends until it is blocked."""
    after_s: float | None = None
    sigpipe: bool = False
    sends: int = 0
    """Sends that still seemed to succeed."""


class WatchedPair:
    """A running writer and reader. Use as a context manager."""

    def __init__(
        self, transport: Transport, traffic: Traffic, workspace: Workspace, cpus: Cpus | None
    ) -> None:
        self._transport = transport
        self._size_bytes = traffic.message_size_bytes
        self._ends = Ends(transport, traffic, workspace, cpus)
        self._board: Board = self._ends.board
        self._writer: int | None = None
        self._reader: int | None = None
        self._passed: dict[bytes, list[int]] = {b"w": [], b"r": []}
        self._sysv_queue: int | None = None
        self.is_plain = False
        """Whether what is sent is the message alone."""
        self._phase = "set-up"
        self.facts: dict[str, int] = {}
        """Facts of the writer's endpoint, and of the credit that is left out here."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fill(self, most_messages: int) -> Filled:
        """Lets the writer send until it can't, and tells how that shows. Raises LaunchFailed."""
        self._enter("filling")
        before = self._held()
        self._begin(most_messages)
        deadline_s = time.monotonic() + _FILL_S
        while (now_s := time.monotonic()) < deadline_s and self._board.state <= SENDING:
            if self._is_blocked(min(deadline_s, now_s + _LOOK_S)):
                return self._blocked()
            if self._held().drops > before.drops:
                break
        return self._stopped(before.drops)

    def refill(self) -> None:
        """Waits until the writer, woken in between, is blocked again. Raises LaunchFailed."""
        self._enter("filling once more")
        if not self._is_blocked(time.monotonic() + _FILL_S):
            raise LaunchFailed(f"{self._phase}: the writer isn't blocked again")

    def refused_with(self) -> str | None:
        """The errno of one more message, sent without waiting; None where it isn't told.

        Over TCP it may be taken. So a mechanism that puts more than the message on a stream is only
        asked where the kernel is sure to refuse it, and one that is full by a count, not at all.
        """
        mediums = self._transport.mediums
        if not (self.is_plain or (mediums and mediums[0].startswith("unix-"))):
            return None
        return kernel.refuses_with(self._passed[b"w"], self._size_bytes, self._sysv_queue)

    def read_until_woken(self, held: int) -> dict[str, int]:
        """Has the reader read until the blocked writer wakes: `messages`, `step`, `woken`."""
        self._enter("waking")
        return self._ask_reader("read", held=held)

    def drain(self) -> int:
        """Has the reader take all datagrams that are there; returns their number."""
        return self._ask_reader("drain")["messages"]

    def kill_reader(self, more_messages: int = 0) -> Notice:
        """Kills the reader; tells what the writer learns, and from how many more sends.

        A blocked writer sends no more: it learns from the send that it is blocked in.
        """
        self._enter("the reader's death")
        self.forget()
        if self._reader is None:
            raise LaunchFailed("the reader isn't there any more")
        watch = os.pidfd_open(self._reader)
        try:
            killed_ns = time.monotonic_ns()
            os.kill(self._reader, signal.SIGKILL)
            if not select.select([watch], [], [], _START_S)[0]:
                raise LaunchFailed("the reader didn't end when it was killed")
        finally:
            os.close(watch)
        self._reader = None
        sent = self._board.sent
        if more_messages:
            self._begin(sent + more_messages)
        with Watched(self._living_writer(), self._board, spins=self._transport.spins) as watched:
            watched.await_block(_NOTICE_S, time.monotonic() + _FILL_S)
        sends = self._board.sent - sent
        if self._board.state != FAILED:
            self._check_ends()
            how = "blocks" if more_messages and sends < more_messages else "nothing"
            return Notice(how, None, sends=sends)
        words = self._board.words
        after_s = (words[ENDED_NS] - killed_ns) / 1e9
        return Notice(self._errno() or "EOF", after_s, words[SIGPIPES] > 0, sends)

    def forget(self) -> None:
        """Closes the observer's copies of the pair's descriptors, which would keep them open."""
        for descriptors in self._passed.values():
            close_quietly(frozenset(descriptors))
            descriptors.clear()

    def close(self) -> None:
        """Kills both processes. Allowed twice."""
        self.forget()
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(ProcessLookupError):
                os.kill(reader, signal.SIGKILL)
        writer, self._writer = self._writer, None
        if writer is not None:
            os.kill(writer, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(writer, 0)
        self._ends.close()

    def _start(self) -> None:
        observer = os.getpid()
        writer = os.fork()
        if writer == 0:
            self._ends.run_writer(observer)
        self._writer = writer
        self._ends.close_theirs()
        writers = self._greeted()
        self._reader = writers["reader"]
        self._sysv_queue = writers.get("sysv_queue")
        self.is_plain = writers["is_plain"]
        self.facts = writers["facts"]
        if "credit_messages" in writers:
            self.facts["credit_messages"] = writers["credit_messages"]
        for _ in range(2):
            name, descriptors, *_flags = socket.recv_fds(self._ends.passed, 1, _MOST_PASSED)
            self._passed[name] = descriptors

    def _greeted(self) -> dict[str, Any]:
        """The writer's hello, once the reader has said its own. Raises LaunchFailed."""
        self._ends.passed.settimeout(_START_S)
        waiting = [self._ends.writers, self._ends.readers]  # a failing writer closes both
        writers: dict[str, Any] = {}
        while waiting:
            ready, _, _ = select.select(waiting, [], [], _START_S)
            if not ready:
                raise LaunchFailed(f"the link wasn't made in {_START_S:g} s")
            channel = self._ends.writers if self._ends.writers in ready else self._ends.readers
            hello = self._expect(channel, "hello")
            writers = hello if channel is self._ends.writers else writers
            waiting.remove(channel)
        return writers

    def _begin(self, most_messages: int) -> None:
        self._board.allow(most_messages)
        self._board.begin()
        self._ends.writers.send("send")

    def _is_blocked(self, deadline_s: float) -> bool:
        is_tcp = any(medium.startswith("tcp") for medium in self._transport.mediums)
        settle_s = _SETTLE_TCP_S if is_tcp else _SETTLE_S
        self._check_ends()
        with Watched(self._living_writer(), self._board, spins=self._transport.spins) as watched:
            return watched.await_block(settle_s, deadline_s)

    def _blocked(self) -> Filled:
        """What a blocked writer has sent; once it is woken, it sends until it is blocked again."""
        self._board.allow(_NO_LIMIT)
        return Filled("blocks", self._board.sent, self._held())

    def _stopped(self, drops_before: int) -> Filled:
        """Ends the sending of a writer that wasn't found blocked, and tells why."""
        self._board.allow(0)
        if self._board.state == SENDING and self._is_blocked(time.monotonic() + _LOOK_S):
            return self._blocked()
        self._ends.writers.wait_at_most(_FILL_S)
        reason = self._expect(self._ends.writers, "stopped")["reason"]
        held = self._held()
        if self._board.state == FAILED:
            return Filled("refuses", self._board.sent, held, self._errno() or reason)
        if held.drops > drops_before:
            return Filled("drops", self.drain(), held)
        return Filled("not-full", self._board.sent, held)

    def _held(self) -> Held:
        return kernel.held(self._passed[b"w"], self._passed[b"r"], self._sysv_queue)

    def _errno(self) -> str | None:
        return errno.errorcode.get(self._board.words[ERRNO])

    def _ask_reader(self, kind: str, **values: Any) -> dict[str, int]:
        self._ends.readers.wait_at_most(_WAKE_S)
        self._ends.readers.send(kind, **values)
        answer: dict[str, int] = self._expect(self._ends.readers, "read")
        return answer

    def _expect(self, channel: Channel, kind: str) -> dict[str, Any]:
        """The next message. Raises LaunchFailed with what is known of the sender's end."""
        try:
            return channel.expect(kind)
        except PeerReported as error:
            raise LaunchFailed(f"{self._phase}: {error}") from error
        except ChannelClosed as error:
            self._check_ends(0.0 if isinstance(error, NoAnswer) else _ENDING_S)
            raise LaunchFailed(f"{self._phase}: an end gave no answer: {error}") from error

    def _living_writer(self) -> int:
        if self._writer is None:
            raise LaunchFailed(f"{self._phase}: the writer isn't there any more")
        return self._writer

    def _check_ends(self, patience_s: float = 0.0) -> None:
        """Raises LaunchFailed if an end has ended by itself, or was killed by somebody else.

        `patience_s`: how long to look. One that has closed its channel is ending.
        """
        deadline_s = time.monotonic() + patience_s
        while True:
            pid, status = os.waitpid(self._living_writer(), os.WNOHANG)
            if pid:
                self._writer = None
                how = describe_exit(os.waitstatus_to_exitcode(status))
                raise LaunchFailed(f"the writer {how} in the {self._phase}")
            if self._reader is not None and _has_ended(self._reader):
                raise LaunchFailed(f"the reader ended in the {self._phase}")
            if time.monotonic() >= deadline_s:
                return
            time.sleep(_POLL_S)

    def _enter(self, phase: str) -> None:
        self._phase = phase


def _has_ended(pid: int) -> bool:
    """Whether a process that is no child of this one is gone, or a zombie."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], 0)[0])
    finally:
        os.close(watch)
