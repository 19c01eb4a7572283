"""Rules about `ready`, for ends that have it: it tells of a message that waits, and takes none."""

import time
from collections.abc import Callable

from ipcbench.case import LOOPS, Loop
from ipcbench.measure.payload import Payloads
from ipcbench.testing.messages import BURST, MESSAGES, WINDOW
from ipcbench.testing.subject import (
    Broken,
    NotTried,
    Rule,
    Subject,
    beside,
    joined,
    over,
    require,
    within,
)
from ipcbench.transports.base import Endpoint
from ipcbench.transports.shapes import StreamShape

SIZES = (0, 64, 65_537)
_LOOKS = 3
"""How often a message that waits is looked at, which must not take it."""


class _Watched:
    """An end, and what it says of messages that wait; nothing is required of one that can't."""

    def __init__(self, subject: Subject, name: str, end: Endpoint) -> None:
        self._patience_s = subject.patience_s
        self._name = name
        self._ready: Callable[[], object] | None = end.ready

    @property
    def tells(self) -> bool:
        """Whether it can tell."""
        return self._ready is not None

    def is_ready(self) -> bool:
        """Whether it says that a message waits. Raises Broken if that is no bool."""
        said = self._ready and self._ready()
        require(said is True or said is False, f"`ready` returned {said!r}, which is no bool")
        return said is True

    def has_none(self, moment: str) -> None:
        """Requires that nothing waits to be received."""
        require(not self.tells or not self.is_ready(), f"the {self._name} is ready {moment}")

    def has_one(self, moment: str) -> None:
        """Requires that a message waits to be received, soon, and however often one looks."""
        if not self.tells:
            return
        self.gets_ready(moment)
        for _ in range(_LOOKS):
            require(
                self.is_ready(),
                f"the {self._name} is ready {moment}, and isn't a moment later: nothing was"
                " received meanwhile",
            )

    def gets_ready(self, moment: str) -> None:
        """Waits until the end is ready. Raises Broken if it doesn't get so."""
        deadline_s = time.monotonic() + self._patience_s
        while not self.is_ready():
            if time.monotonic() > deadline_s:
                waited = f"waited {self._patience_s:g} s in vain"
                raise Broken(f"the {self._name} isn't ready {moment}: {waited}")
            time.sleep(0)  # whoever sends may be a thread of this process


def _watched(subject: Subject, client: Endpoint, server: Endpoint) -> tuple[_Watched, _Watched]:
    """Both ends. Raises NotTried if neither can tell."""
    near, far = _Watched(subject, "client", client), _Watched(subject, "server", server)
    if not (near.tells or far.tells):
        raise NotTried("neither end can tell whether a message waits")
    return near, far


def _telling(subject: Subject, server: Endpoint) -> _Watched:
    """The server, where it alone matters. Raises NotTried if it can't tell."""
    far = _Watched(subject, "server", server)
    if not far.tells:
        raise NotTried("its server can't tell whether a message waits")
    return far


def _round_trips(subject: Subject, loop: Loop, size: int) -> None:
    subject.mechanism  # noqa: B018  (raises for a control)
    payloads = Payloads()
    with joined(subject, size, "latency", loop) as (client, server):
        near, far = _watched(subject, client, server)
        near.has_none("before anything was sent")
        far.has_none("before anything was sent")
        for _ in range(MESSAGES):
            payloads.fill(client.outgoing)
            sending = beside(client.send)
            far.has_one("after the client has sent")
            server.receive()
            require(
                server.incoming == client.outgoing,
                "another message was received than was sent, after a look whether one waits",
            )
            far.has_none("after the only message was received")
            replying = beside(server.send)
            near.has_one("after the server has sent")
            client.receive()
            within(subject, sending, "the sender of a message that was received")
            within(subject, replying, "the sender of a reply that was received")
            near.has_none("after the only reply was received")


def _in_flight(subject: Subject, loop: Loop, size: int) -> None:
    subject.mechanism  # noqa: B018
    with joined(subject, size, WINDOW, loop) as (client, server):
        near, far = _watched(subject, client, server)
        for _ in range(MESSAGES):
            for _ in range(BURST):
                client.send()
            for left in range(BURST, 0, -1):
                far.has_one(f"with {left} of {BURST} messages to be received")
                server.receive()
            far.has_none(f"after all of {BURST} messages were received")
            near.has_none("before a reply was sent")
            for _ in range(BURST):
                server.send()
            for left in range(BURST, 0, -1):
                near.has_one(f"with {left} of {BURST} replies to be received")
                client.receive()
            near.has_none(f"after all of {BURST} replies were received")


def _streams(subject: Subject, loop: Loop, size: int) -> None:
    subject.mechanism  # noqa: B018
    with joined(subject, size, "throughput", loop) as (client, server):
        far = _telling(subject, server)
        far.has_none("before anything was sent")

        def pour() -> None:
            for _ in range(MESSAGES):
                client.send()

        pouring = beside(pour)
        for number in range(1, MESSAGES + 1):
            far.has_one(f"for message {number} of {MESSAGES} of a stream")
            server.receive()
        within(subject, pouring, "the sender of a stream that was received")
        far.has_none(f"after all of {MESSAGES} messages of a stream were received")


def _other_end_closed(subject: Subject, loop: Loop) -> None:
    mechanism = subject.mechanism
    with joined(subject, mechanism.size_of("latency", 64), "latency", loop) as (client, server):
        far = _telling(subject, server)
        client.close()
        if isinstance(server.shape, StreamShape):
            far.gets_ready("after the client has closed its end of a stream")
        elif not far.is_ready():
            raise NotTried("its mechanism doesn't tell that the other end is closed")
        receiving = beside(server.receive)
        try:
            within(subject, receiving, "`receive` to tell that the client is closed")
        except (OSError, EOFError):
            return
    raise Broken("the server's `receive` brings a message of a client that is closed")


RULES = (
    Rule(
        "ready",
        "`ready` is True from a message's coming until it is received",
        over(_round_trips, loop=LOOPS, size=SIZES),
    ),
    Rule(
        "ready-in-flight",
        "`ready` is True until the last message in flight is received",
        over(_in_flight, loop=LOOPS, size=(0, 64)),
    ),
    Rule(
        "ready-in-stream",
        "`ready` is True until the last message of a stream is received",
        over(_streams, loop=LOOPS, size=SIZES),
    ),
    Rule(
        "ready-at-the-end",
        "`ready` is True once the other end is closed, and `receive` raises",
        over(_other_end_closed, loop=LOOPS),
    ),
)
"""The rules about `ready`."""
