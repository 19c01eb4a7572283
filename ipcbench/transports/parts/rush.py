"""Connections that many clients make at once to one listener, whose queue may be full.

connect(2) to a full queue fails at once with EAGAIN over AF_UNIX, where it would wait if it may
block (unix(7)). Over TCP the SYN is dropped, and sent again after a second (tcp(7)): nothing fails,
and the connection takes that much longer. Where what is dropped is the last step of the hand-shake,
the client has a connection that the server doesn't know, and its data may be answered by a reset.
"""

import errno
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

_TRIED_AGAIN = frozenset((errno.EAGAIN, errno.ETIMEDOUT, errno.ECONNRESET))
"""Errors of a queue that is full, after which the same connection may be made a moment later."""
_DROPPED = frozenset((errno.ECONNRESET, errno.EPIPE))
"""Errors of a connection that the server doesn't know."""
LOOK_EVERY_S = 10.0
"""Seconds between two looks at a connection that says nothing: its client may wait for a CPU on
which all others try to connect."""

_FACT = ("connect_", "_count")


def failures_of(facts: Mapping[str, int]) -> dict[str, int]:
    """The failures of connect(2) among an endpoint's facts: their number, by errno's name."""
    begin, end = _FACT
    return {
        name.removeprefix(begin).removesuffix(end).upper(): count
        for name, count in facts.items()
        if name.startswith(begin) and name.endswith(end)
    }


def count_failure(facts: dict[str, int], code: int) -> None:
    """Counts a connection that failed with this errno among an endpoint's facts."""
    name = errno.errorcode[code].lower().join(_FACT)
    facts[name] = facts.get(name, 0) + 1


def was_dropped(connection: socket.socket, error: OSError) -> bool:
    """Whether a connection that failed is one that its listener had no room for, over TCP."""
    return connection.family != socket.AF_UNIX and error.errno in _DROPPED


def connected(
    make: Callable[[], socket.socket], address: str | tuple[Any, ...], facts: dict[str, int]
) -> socket.socket:
    """Connects a socket that `make` makes, and tries again at once if the queue is full.

    The socket is in blocking mode. Each failure is counted in `facts`, by errno. Raises OSError for
    any that another try doesn't mend.
    """
    connection = make()
    waits = connection.family != socket.AF_UNIX
    try:
        connection.setblocking(waits)
        while code := connection.connect_ex(address):
            if code not in _TRIED_AGAIN:
                raise OSError(code, os.strerror(code))
            count_failure(facts, code)
            if waits:  # a connection that failed can't be made again: connect(2)
                connection.close()
                connection = make()
            os.sched_yield()  # whom it waits for may need this CPU
        connection.setblocking(True)
    except BaseException:
        connection.close()
        raise
    return connection
