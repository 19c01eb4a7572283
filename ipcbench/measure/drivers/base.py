"""The contract of a driver: what runs the messages of one end, and at the client reads the clock.

A driver owns its end of the link. The rules:

- Only the work of the workload is between two clock reads. A time ends, for round trips, with the
  last reply; for a stream, with the receiver's acknowledgement of the last message.
- A client or server is made after the fork and on its CPU, with all that drives it: an event loop,
  its self-pipe, a thread. What is made before the fork is shared with the other end, and the
  kernel's tables then show it as one more medium.
- The death of the peer is the driver's to deliver: it ends any wait with `PeerDied`. A blocking
  driver need do nothing, since SIGCHLD's handler raises in it. An event loop catches what a handler
  raises, and only logs it: it has to watch the peer's descriptor (`Peer.fileno`), and to end its
  task when that gets readable.
"""

from array import array
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol, TypeAlias

Samples: TypeAlias = "array[int]"
"""Array of type `q`: nanoseconds."""


class Acknowledged(Protocol):
    """The receiver's acknowledgement of a batch's last message."""

    @property
    def wait(self) -> Callable[[], object]:
        """A call that returns when the last message is acknowledged; to be looked up untimed."""

    def fileno(self) -> int | None:
        """The descriptor that gets readable with the acknowledgement; None if none is waited for.

        Nothing is buffered in front of it: until then the peer sends nothing.
        """


class End(Protocol):
    """What the two ends have in common."""

    collects_garbage: ClassVar[bool]
    """Whether Python's garbage collector runs: for a driver that makes cyclic garbage."""

    @property
    def outgoing(self) -> memoryview:
        """The message that is sent next."""

    @property
    def incoming(self) -> memoryview:
        """The message that was received last."""

    @property
    def facts(self) -> Mapping[str, int]:
        """Effective buffer sizes and counts, by a name that ends in its unit; they may change."""

    def close(self) -> None:
        """Closes this end. Allowed twice."""


class Client(End, Protocol):
    """The end that sends first, in the worker's process."""

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times this many messages, in seconds; returns once they are acknowledged."""

    def sample(self, samples_ns: Samples) -> None:
        """Fills the array with the times of single round trips."""

    def exchange(self) -> None:
        """Sends one message, untimed, and receives the reply if the workload has replies."""


class Server(End, Protocol):
    """The end that receives first, in the server's process."""

    def serve(self, messages: int) -> None:
        """Receives this many messages, and replies if the workload has replies."""

    def exchange(self, look: Callable[[], None]) -> None:
        """Receives one message, calls `look` while `incoming` has it, and replies.

        In this order, since with the reply the next message may already overwrite it.
        """
