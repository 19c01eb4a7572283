"""Where the clients of a crowd meet: a gate that opens for all at once, and a board for times.

Both are made before any link, so that nobody takes them for a part of one.
"""

import os
from array import array

from ipcbench.measure.drivers.base import Samples

_WORD_BYTES = 8


class Meeting:
    """A gate and a board, shared by the processes that are forked after it was made."""

    def __init__(self, clients: int) -> None:
        self._clients = clients
        # One write lets all pass that wait: they begin as close together as the scheduler allows.
        self._gate = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_CLOEXEC)
        self._board = os.memfd_create("ipcbench-times")

    @property
    def descriptors(self) -> frozenset[int]:
        """The descriptors that every client keeps."""
        return frozenset((self._gate, self._board))

    def wait(self) -> None:
        """Waits until the gate is opened."""
        os.eventfd_read(self._gate)

    def open_gate(self) -> None:
        """Lets the clients pass, but for the one that calls this."""
        os.eventfd_write(self._gate, self._clients - 1)

    def write(self, client: int, times_ns: Samples) -> None:
        """Leaves a client's times, of which each client has as many."""
        os.pwrite(self._board, times_ns, client * len(times_ns) * _WORD_BYTES)

    def read(self, client: int, count: int) -> Samples:
        """The times that a client left."""
        times_ns = array("q")
        times_ns.frombytes(os.pread(self._board, count * _WORD_BYTES, client * count * _WORD_BYTES))
        return times_ns

    def close(self) -> None:
        """Closes both. Allowed once."""
        os.close(self._gate)
        os.close(self._board)
