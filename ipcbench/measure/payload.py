"""Payloads that can be recognised: what was sent is what must arrive."""

import hashlib
import os
import random

_CHUNK_BYTES = 1024 * 1024
_DIGEST_BYTES = 16
_MOST_MESSAGES = 32
_FEWEST_MESSAGES = 2
_CHECKED_BYTES = 1024 * 1024


class Payloads:
    """An endless row of pseudo-random payloads, each different from all before it."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))

    def fill(self, buffer: memoryview) -> None:
        """Fills the buffer with the next payload."""
        for start in range(0, len(buffer), _CHUNK_BYTES):
            part = buffer[start : start + _CHUNK_BYTES]
            part[:] = self._random.randbytes(len(part))


def digest(buffer: memoryview) -> str:
    """What two processes compare instead of sending a payload a second time (BLAKE2b)."""
    return hashlib.blake2b(buffer, digest_size=_DIGEST_BYTES).hexdigest()


def messages_to_check(message_size_bytes: int) -> int:
    """How many messages a full check sends: about 1 MiB, at least 2 and at most 32."""
    return max(_FEWEST_MESSAGES, min(_MOST_MESSAGES, _CHECKED_BYTES // max(1, message_size_bytes)))
