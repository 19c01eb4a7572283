"""The contract of a driver: what runs the messages of one end, and at the client reads the clock.

A driver owns its end of the link. The rules:

- Only the work of the workload is between two clock reads. A time ends, for round trips, with the
  last reply; for a stream, with the receiver's acknowledgement of the last message.
- A driver runs the workloads that it names, and refuses the others: it chooses its loops by a
  `match` that ends in `assert_never`, so that a new one is never run in the way of another.
- A client or server is made after the fork and on its CPU, with all that drives it: an event loop,
  its self-pipe, a thread. What is made before the fork is shared with the other end, and the
  kernel's tables then show it as one more medium.
- What a driver imports, `drivers.load` imports before the fork: an import shares no descriptor, and
  neither end then waits for it, nor has memory of its own for it.
- The descriptors of an end are its driver's, and so is their mode: it may make a stream's or a
  datagram socket's non-blocking, and need not set them back, since the other end has an open file
  description of its own (open(2)). An eventfd is one for both ends: its mode stays as it is.
- What a signal handler raises ends any wait of an end and comes out of the driver's call as it was
  raised: at the client `PeerDied`, from SIGCHLD's handler, and `Interrupted`, from those of the
  signals that end a run. A blocking driver need do nothing. Nothing is run with the end after
  that; it is only closed.
- An event loop catches what a handler raises in a callback, and only logs it. Its exception handler
  has to keep that error, and to stop the loop; the driver's call then raises it. To cancel the task
  is not enough: where the handler raises in the loop before a callback is called, that callback is
  lost, and a cancellation that waits for it is never delivered. An error may come out of the loop
  itself, too: the loop isn't run again, and the coroutine is closed. It also watches the peer's
  descriptor (`Peer.fileno`), since a signal may come just before it waits.
"""

from array import array
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

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


class Watched(Protocol):
    """The process at the other end, as far as an event loop sees it; `Peer` says more."""

    def fileno(self) -> int:
        """A descriptor that gets readable when the process ends."""

    def watch(self) -> None:
        """Raises what tells of the process's end, if it has ended."""


class End(Protocol):
    """One end of a link with its driver: the part that client and server share."""

    @property
    def collects_garbage(self) -> bool:
        """Whether Python's garbage collector runs: for an end that makes cyclic garbage."""

    @property
    def outgoing(self) -> memoryview:
        """The message that is sent next."""

    @property
    def incoming(self) -> memoryview:
        """The message that was received last."""

    @property
    def facts(self) -> Mapping[str, int]:
        """Effective buffer sizes and counts, by a name that ends in its unit; they may change."""

    @property
    def effective(self) -> Mapping[str, str]:
        """The values of the transport's knobs in force at this end; asked between batches."""

    def close(self) -> None:
        """Closes this end. Allowed twice."""


class Client(End, Protocol):
    """The end that sends first, in the worker's process."""

    def batch(self, messages: int, acknowledged: Acknowledged) -> float:
        """Times this many messages, in seconds; returns once they are acknowledged.

        With a window of several, one less than those are sent ahead, and as many replies received
        at the end: the time is of a window that is full.
        """

    def sample(self, samples_ns: Samples) -> Samples:
        """Fills the array with the times of single round trips.

        Returns when they began, by the same clock (CLOCK_MONOTONIC, in nanoseconds): with a window
        of several, when each did; else when the first did, since each ends where the next begins.
        With a gap between them nobody asks.
        """

    def exchange(self, look: Callable[[], None]) -> None:
        """Sends one message, untimed, and does what the workload does before the next one.

        So the check goes in the workload's own pattern: a reply is received after as many messages
        as in a timed batch, and a stream doesn't wait. `look` is called while `incoming` has a
        message that came back, once for each.
        """


class Server(End, Protocol):
    """The end that receives first, in the server's process."""

    def serve(self, messages: int) -> None:
        """Receives this many messages, and replies if the workload has replies."""

    def exchange(self, look: Callable[[], None]) -> None:
        """Receives one message, calls `look` while `incoming` has it, and replies if it is due.

        In this order, since with the reply the next message may already overwrite it.
        """
