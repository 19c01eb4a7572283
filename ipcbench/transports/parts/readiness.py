"""Readiness of a descriptor: whether a read of it would return at once. poll(2)."""

import select
from collections.abc import Callable


def readable(descriptor: int) -> Callable[[], bool]:
    """Makes a call that tells whether a read of the descriptor would return at once.

    It is one poll(2), which doesn't wait. A read that would end or fail at once counts, too: poll
    reports the end of a stream (POLLHUP) and an error (POLLERR) unasked.
    """
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    poll = poller.poll

    def is_readable() -> bool:
        return bool(poll(0))

    return is_readable
