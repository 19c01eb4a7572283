"""Recognisable payloads, to check that the message received is the message sent."""

import hashlib
import os
import random

_CHUNK_BYTES = 1024 * 1024
_DIGEST_BYTES = 16
_MOST_MESSAGES = 32
_FEWEST_MESSAGES = 2
_CHECKED_BYTES = 1024 * 1024
_CHECKED_S = 0.25
"""Seconds that a full check takes, about, where messages are slow."""


class Payloads:
    """An endless sequence of pseudo-random payloads, all different."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))

    def fill(self, buffer: memoryview) -> None:
        """Fills the buffer with the next payload."""
        for start in range(0, len(buffer), _CHUNK_BYTES):
            part = buffer[start : start + _CHUNK_BYTES]
            part[:] = self._random.randbytes(len(part))


def digest(buffer: memoryview) -> str:
    """A digest (BLAKE2b) of a payload, which two processes compare in its place."""
    return hashlib.blake2b(buffer, digest_size=_DIGEST_BYTES).hexdigest()


def messages_to_check(
    message_size_bytes: int, in_flight: int | None, message_s: float | None = None
) -> int:
    """Number of messages of a full check: about 1 MiB, at least 2 and at most 32.

    `message_s` is the time of one, if it is known: there are fewer of 40 ms each.
    Where a reply waits for `in_flight` messages, a multiple of them: no check ends before a reply.
    """
    wanted = _CHECKED_BYTES // max(1, message_size_bytes)
    if message_s:
        wanted = min(wanted, int(_CHECKED_S / message_s))
    messages = max(_FEWEST_MESSAGES, min(_MOST_MESSAGES, wanted))
    return messages if in_flight is None else -(-messages // in_flight) * in_flight
