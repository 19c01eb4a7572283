"""The words in shared memory by which a writer is watched while it can't answer."""

import mmap

SENT, STATE, ERRNO, ENDED_NS, SIGPIPES, LIMIT = range(6)
"""Places of the words: messages sent; state; errno and time of the failure; SIGPIPEs that came; and
the number of messages to stop at, which the observer may lower at any time."""

IDLE, SENDING, DONE, FAILED = range(4)
"""Values of the state."""


class Board:
    """Words that a writer sets and its observer reads; made before the fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.words = memoryview(self._memory).cast("Q")

    @property
    def sent(self) -> int:
        """Messages that the writer's `send` has returned for."""
        return self.words[SENT]

    @property
    def state(self) -> int:
        """What the writer does: one of the values above."""
        return self.words[STATE]

    def allow(self, messages: int) -> None:
        """Lets the writer send until so many messages are sent in all."""
        self.words[LIMIT] = messages

    def begin(self) -> None:
        """Marks the writer as asked to send: by its observer, before it asks."""
        self.words[STATE] = IDLE

    def close(self) -> None:
        """Unmaps the words. Allowed twice."""
        self.words.release()
        self._memory.close()
