"""Whole messages over a byte stream."""

import mmap
from collections.abc import Callable

Count = Callable[[memoryview], int | None]
"""A `read` into or `write` from a view; returns the bytes moved, 0 or None at the end."""


_MOST_VIEWS = 4096


class Tails:
    """Views of the remainders of one message buffer, by the number of bytes already moved.

    Pipes and sockets usually move whole pages, so the views at page boundaries are made beforehand
    (for messages up to 16 MiB); any other is made when it is needed.
    """

    __slots__ = ("_cut", "_message")

    def __init__(self, message: memoryview) -> None:
        self._message = message
        pages = range(mmap.PAGESIZE, len(message), mmap.PAGESIZE)
        self._cut = {offset: message[offset:] for offset in pages[:_MOST_VIEWS]}

    def after(self, moved: int) -> memoryview:
        """The remainder of the message after `moved` bytes."""
        return self._cut.get(moved) or self._message[moved:]


def whole_receiver(
    read_into: Count, message: memoryview, read_rest: Count | None = None
) -> Callable[[], None]:
    """Makes a call that fills `message` by as many reads as needed; EOFError at the end.

    `read_rest`, if given, reads the rest after the first read.
    """
    size = len(message)
    after = Tails(message).after
    read_rest = read_rest or read_into

    def receive() -> None:
        moved = read_into(message)
        while moved != size:
            more = read_rest(after(moved)) if moved else None
            if not more:
                raise EOFError(f"the stream ended after {moved or 0} of {size} bytes")
            moved += more  # type: ignore[operator]  # moved is an int above 0 here

    return receive


def whole_sender(write: Count, message: memoryview) -> Callable[[], None]:
    """Makes a call that writes all of `message` by as many writes as needed."""
    size = len(message)
    after = Tails(message).after

    def send() -> None:
        moved = write(message)
        while moved != size:
            more = write(after(moved)) if moved else None
            if not more:
                raise EOFError(f"the stream took {moved or 0} of {size} bytes")
            moved += more  # type: ignore[operator]  # moved is an int above 0 here

    return send
