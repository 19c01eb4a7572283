"""The control channel between client and server: a separate socket pair, one line a message.

It carries requests and answers outside the timed sections. The exception is the server's `ran`,
which stops the clock of a throughput batch: that line is a constant and is not parsed.
"""

import json
import socket
from functools import partial
from typing import Any

READY = b'["ready", {}]\n'
RAN = b'["ran", {}]\n'
_MOST_LINE_BYTES = 64 * 1024


class ChannelClosed(Exception):
    """The other process closed its end, or didn't answer in time."""


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
        self._lines = end.makefile("rb")

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

    def receive(self) -> tuple[str, dict[str, Any]]:
        """The next message's kind and values. Raises ChannelClosed or PeerReported."""
        return _parsed(self._read_line())

    def expect(self, kind: str) -> dict[str, Any]:
        """The values of the next message. Raises ChannelClosed if it is of another kind."""
        got, values = self.receive()
        if got != kind:
            raise ChannelClosed(f"expected {kind!r} on the control channel and got {got!r}")
        return values

    def expect_line(self, expected: bytes) -> None:
        """Waits for one of the constant lines. Raises ChannelClosed for any other."""
        line = self._read_line()
        if line != expected:
            kind, _ = _parsed(line)
            raise ChannelClosed(f"expected {expected!r} on the control channel and got {kind!r}")

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._socket.fileno()

    def wait_at_most(self, seconds: float) -> None:
        """Limits every later wait for a message to this many seconds."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Closes this end; allowed twice."""
        self._lines.close()
        self._socket.close()

    def _read_line(self) -> bytes:
        try:
            line = self._lines.readline(_MOST_LINE_BYTES)
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not line:
            raise ChannelClosed("the control channel closed")
        return line


def _parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    kind, values = json.loads(line)
    if kind == "failed":
        raise PeerReported(values["reason"])
    return kind, values
