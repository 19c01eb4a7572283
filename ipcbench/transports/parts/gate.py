"""Authenticates connections: a listening socket admits only the client of this launch.

Any user of the machine can find a port of 127.0.0.1 in /proc/net/tcp and connect to it. So a link
makes a random token before the fork. Only its two processes know it, since it is in no file, on no
command line, and on no channel but the connection itself. The client sends it first. A connection
that sends anything else, or nothing, is closed and counted.
"""

import os
import selectors
import signal
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

TOKEN_BYTES = 16
BACKLOG = 128
"""Length of the accept queue. With 1, an unauthenticated connection in it would cost the client a
second, until TCP's retry."""
STRANGERS = "strangers_count"
"""Name of the fact that counts unauthenticated connections."""

_MOST_CANDIDATES = 16
_LOOK_EVERY_S = 1.0


class Open(Protocol):
    """A socket, or an object that wraps one."""

    def fileno(self) -> int:
        """The descriptor; -1 or OSError once it is closed."""


def new_token() -> bytes:
    """Makes a random token."""
    return os.urandom(TOKEN_BYTES)


class Gate:
    """A listening socket that asks for a token.

    `opening` is the start of the client's first message, including the token; `more_bytes` follow
    at once. `refusal` is said, if it can be, to an unauthenticated connection before it is closed.
    """

    def __init__(
        self, listener: socket.socket, opening: bytes, more_bytes: int = 0, refusal: bytes = b""
    ) -> None:
        from hmac import compare_digest  # loads OpenSSL: every start of the command line would pay

        self.same = compare_digest
        """Compares two byte strings in constant time."""
        self.facts: dict[str, int] = {}
        """Facts of the endpoint: the count of unauthenticated connections, once there is one."""
        self._listener = listener
        self._opening = opening
        self._whole_bytes = len(opening) + more_bytes
        self._refusal = refusal

    def admit(self) -> tuple[socket.socket, bytes]:
        """Waits for the first authenticated connection; returns it, blocking, and its payload.

        All waiting connections are polled together, so a silent one delays nobody. None has a time
        limit, which might hit our own client on a slow machine; of too many that are
        unauthenticated, the oldest is closed. The rest is closed when the client is admitted.
        """
        said: dict[socket.socket, bytes] = {}
        self._listener.setblocking(False)
        try:
            while True:
                for ready in _readable((self._listener, *said)):
                    if ready is self._listener:
                        self._take(said)
                    elif ready in said and self._proves_itself(ready, said):
                        ready.setblocking(True)
                        return ready, said.pop(ready)[len(self._opening) :]
        finally:
            for stranger in said:
                self.turn_away(stranger)
            self._listener.setblocking(True)

    def turn_away(self, stranger: socket.socket) -> None:
        """Closes an unauthenticated connection, and counts it."""
        if self._refusal:
            with suppress(OSError):
                stranger.send(self._refusal, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        stranger.close()
        self.count_stranger()

    def count_stranger(self) -> None:
        """Counts an unauthenticated connection that is closed already."""
        self.facts[STRANGERS] = self.facts.get(STRANGERS, 0) + 1

    def _take(self, said: dict[socket.socket, bytes]) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it was closed in the meantime
        connection.setblocking(False)
        said[connection] = b""
        if len(said) > _MOST_CANDIDATES:
            oldest = next(iter(said))
            del said[oldest]
            self.turn_away(oldest)

    def _proves_itself(self, connection: socket.socket, said: dict[socket.socket, bytes]) -> bool:
        """Reads from a candidate; whether it is authenticated. Closes one that fails."""
        try:
            heard = connection.recv(self._whole_bytes - len(said[connection]))
        except BlockingIOError:
            return False
        except OSError:
            heard = b""
        said[connection] += heard
        told = said[connection]
        length = len(self._opening)
        false = len(told) >= length and not self.same(told[:length], self._opening)
        if false or not heard:
            del said[connection]
            self.turn_away(connection)
            return False
        return len(told) == self._whole_bytes


class Watch:
    """Ends the wait for a silent connection, without a cost for the others.

    A time limit on each connection would add a system call to the timed section (a UNIX socket
    doesn't inherit its listener's limit). So a timer checks once a second whether the connection is
    still the same, and shuts it down for reading: then the wait returns empty.
    """

    def __init__(self, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._every_s = look_every_s
        self.connection: Open | None = None
        """The connection that the server waits for now."""
        self._seen: Open | None = None
        self._looks = False

    def start(self) -> None:
        """Starts the timer if the server has a process of its own; one in a thread has none."""
        if threading.current_thread() is threading.main_thread():
            self._looks = True
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, self._every_s, self._every_s)

    def stop(self) -> None:
        """Stops the timer. Allowed twice."""
        if self._looks:
            self._looks = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _look(self, *_: object) -> None:
        waiting, seen_before = self.connection, self._seen
        self._seen = waiting
        if waiting is None or waiting is not seen_before:
            return
        try:
            with socket.socket(fileno=os.dup(waiting.fileno())) as same:
                same.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # it ended in the meantime


def _readable(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    """Waits until at least one socket is readable; returns all that are."""
    with selectors.PollSelector() as selector:  # epoll would take a descriptor
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select()]  # type: ignore[misc]
