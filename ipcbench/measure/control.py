"""The control channel between client and server: a separate socket pair, one line a message.

It carries requests and answers outside the timed sections. The exception is the server's `ran`,
which stops the clock of a throughput batch: that line is a constant and is not parsed.

A signal's handler may raise between any two steps of a read. So a line is looked at while it is
still in the socket, and taken out last; the report of a failure stays there. It can be read again,
and is the same, whatever broke into the first reading.
"""

import json
import socket
from functools import partial
from typing import Any

READY = b'["ready", {}]\n'
RAN = b'["ran", {}]\n'
_MOST_LINE_BYTES = 64 * 1024
_SEEN_AT_ONCE_BYTES = 16 * 1024
_MOST_REASON = 2_000
"""Characters of a report. In JSON they fit what is seen at once, and the kernel takes that in one
piece (net/unix/af_unix.c cuts at 32 KiB or more)."""


class ChannelClosed(Exception):
    """The other process closed its end, or didn't answer in time."""


class NoAnswer(ChannelClosed):
    """The other process has its end open, and didn't answer in time."""


class PeerReported(Exception):
    """The other process reported a failure; the message is the reason."""


class Acknowledgement:
    """The server's word that it has every message of a batch; `drivers.base` has the contract."""

    __slots__ = ("_channel", "wait")

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel
        self.wait = partial(channel.expect_line, RAN)
        """Waits for the word. Raises ChannelClosed or PeerReported."""

    def fileno(self) -> int:
        """The channel's descriptor: between `ready` and `ran` the server says nothing else."""
        return self._channel.fileno()


class NoAcknowledgement:
    """Stands for one where nobody receives: with a control."""

    __slots__ = ()

    @staticmethod
    def wait() -> None:
        """Returns at once."""

    def fileno(self) -> None:
        """No descriptor."""


class Channel:
    """One end of the control channel."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._begun = b""
        """The beginning of a line that is longer than what came at once."""

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Both ends of a new channel, one for each process."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    def send(self, kind: str, **values: Any) -> None:
        """Sends one message of this kind. Raises ChannelClosed."""
        self.send_line(json.dumps([kind, values]).encode("ascii") + b"\n")

    def send_line(self, line: bytes) -> None:
        """Sends one of the constant lines. Raises ChannelClosed."""
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def report(self, reason: str) -> None:
        """Sends the reason of a failure, as the last message. Raises ChannelClosed."""
        self.send("failed", reason=reason[:_MOST_REASON])

    def receive(self) -> tuple[str, dict[str, Any]]:
        """The next message's kind and values. Raises ChannelClosed or PeerReported."""
        line = self._seen_line()
        message = _parsed(line)
        self._take(line)
        return message

    def expect(self, kind: str) -> dict[str, Any]:
        """The values of the next message. Raises ChannelClosed if it is of another kind."""
        got, values = self.receive()
        if got != kind:
            raise ChannelClosed(f"expected {kind!r} on the control channel and got {got!r}")
        return values

    def expect_line(self, expected: bytes) -> None:
        """Waits for one of the constant lines. Raises ChannelClosed for any other."""
        line = self._seen_line()
        if line != expected:
            kind, _ = _parsed(line)
            raise ChannelClosed(f"expected {expected!r} on the control channel and got {kind!r}")
        self._take(line)

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._socket.fileno()

    def wait_at_most(self, seconds: float) -> None:
        """Limits every later wait for a message to this many seconds."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Closes this end; allowed twice."""
        self._socket.close()

    def _seen_line(self) -> bytes:
        """The next line, of which the part that came last is still in the socket."""
        while True:
            try:
                seen = self._socket.recv(_SEEN_AT_ONCE_BYTES, socket.MSG_PEEK)
            except TimeoutError as error:
                raise NoAnswer(str(error)) from error
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not seen:
                raise ChannelClosed("the control channel closed")
            line, end, _ = seen.partition(b"\n")
            if end:
                return self._begun + line + end
            self._begun += self._socket.recv(len(seen))
            if len(self._begun) > _MOST_LINE_BYTES:
                raise ChannelClosed("a line on the control channel is too long")

    def _take(self, line: bytes) -> None:
        """Takes the rest of the line that was seen out of the socket."""
        self._socket.recv(len(line) - len(self._begun))
        self._begun = b""


def _parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        kind, values = json.loads(line)
    except ValueError as error:
        raise ChannelClosed(f"no message on the control channel: {error}") from error
    if kind == "failed":
        raise PeerReported(values["reason"])
    return kind, values
