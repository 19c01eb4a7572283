"""Who comes through a listening socket: the client of this launch, and no stranger.

Anybody on the machine can see a port of 127.0.0.1 in /proc/net/tcp and connect to it. So a link
makes a random token before the fork: its two processes know it, and nobody else can, since it is in
no file, on no command line, and on no channel but the connection itself. The client says it first.
A connection that says anything else, or nothing, is closed and counted.
"""

import os
import selectors
import signal
import socket
import threading
from collections.abc import Iterable
from typing import Protocol

TOKEN_BYTES = 16
BACKLOG = 128
"""Connections that may wait: with room for one, a stranger there would cost our client a second,
the time after which TCP asks again."""
STRANGERS = "strangers_count"
"""The fact that says how many connections were not ours."""

_MOST_CANDIDATES = 16
_LOOK_EVERY_S = 1.0


class Open(Protocol):
    """A socket, or what wraps one."""

    def fileno(self) -> int:
        """Its descriptor; -1 or OSError once it is closed."""


def new_token() -> bytes:
    """What nobody can guess."""
    return os.urandom(TOKEN_BYTES)


class Gate:
    """A listening socket and the proof that it asks for.

    `opening` is what our client says first, the token included; so many more bytes follow at once.
    """

    def __init__(self, listener: socket.socket, opening: bytes, more_bytes: int = 0) -> None:
        from hmac import compare_digest  # loads OpenSSL: every start of the command line would pay

        self.same = compare_digest
        """Whether two strings of bytes are equal, in a time that doesn't tell where they differ."""
        self.facts: dict[str, int] = {}
        """Of the endpoint behind it; it changes when a stranger comes."""
        self._listener = listener
        self._opening = opening
        self._whole_bytes = len(opening) + more_bytes

    def admit(self) -> tuple[socket.socket, bytes]:
        """The first connection that proves itself, blocking, and what it said behind the proof.

        It waits for all that have come at once: a silent stranger keeps nobody waiting. There is no
        time limit for each, which a slow machine would turn against our own client; of too many
        that have proved nothing, the oldest goes. All that remain go when ours is there.
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
        """Closes a connection that isn't ours, and counts it."""
        stranger.close()
        self.count_stranger()

    def count_stranger(self) -> None:
        """Notes that there was a stranger, who is gone."""
        self.facts[STRANGERS] = self.facts.get(STRANGERS, 0) + 1

    def _take(self, said: dict[socket.socket, bytes]) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # whoever it was is gone
        connection.setblocking(False)
        said[connection] = b""
        if len(said) > _MOST_CANDIDATES:
            oldest = next(iter(said))
            del said[oldest]
            self.turn_away(oldest)

    def _proves_itself(self, connection: socket.socket, said: dict[socket.socket, bytes]) -> bool:
        """Hears what a candidate says; who can't be ours any more is turned away."""
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
    """Ends the wait for a connection that says nothing, at no cost to those that speak.

    A time limit on each connection would be a system call more in what is timed (a UNIX socket
    doesn't inherit its listener's). So a timer looks, once a second, whether the connection is the
    same as the last time, and shuts it down for reading: then the wait returns with nothing.
    """

    def __init__(self) -> None:
        self.connection: Open | None = None
        """The one that is waited for."""
        self._seen: Open | None = None
        self._looks = False

    def start(self) -> None:
        """Looks from now on, in a process of its own; a server in a thread has no such watch."""
        if threading.current_thread() is threading.main_thread():
            self._looks = True
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, _LOOK_EVERY_S, _LOOK_EVERY_S)

    def stop(self) -> None:
        """Looks no more. Allowed twice."""
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
    """Waits until there are some."""
    with selectors.PollSelector() as selector:  # epoll would take a descriptor
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select()]  # type: ignore[misc]
