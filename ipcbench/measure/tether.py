"""What ties a worker to the driver that started it: a process id and two pipes' write ends.

`run` is held by every process of a run: its end of file tells the janitor that all are gone.
`server` is held by the server alone once it is forked: its end of file tells the driver that the
server is gone, even if the client misses its signal.
"""

import os
from pathlib import Path
from typing import NamedTuple, Self

SAMPLES = "samples"
"""The file in the launch's directory that holds its single round trips: 8-byte nanoseconds."""

_PHASE = "phase"
_PHASE_WIDTH = 24

WANTS_TURN = b"r"
GO = b"g"
_TURN = 0
"""Standard input is a socket that the driver keeps the other end of."""


class PhaseNote:
    """Where a worker notes what it is doing, so that its driver can tell where it was killed."""

    def __init__(self, directory: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(directory / _PHASE, flags, 0o600)

    def write(self, phase: str) -> None:
        """Notes the phase that begins."""
        os.pwrite(self._descriptor, phase.encode("ascii").ljust(_PHASE_WIDTH), 0)


def noted_phase(directory: Path) -> str | None:
    """What the worker of this directory did last; None if it hadn't begun."""
    try:
        return (directory / _PHASE).read_text(encoding="ascii").strip() or None
    except OSError:
        return None


class Tether(NamedTuple):
    """The driver's process id, and the descriptors of the pipes called `run` and `server`."""

    driver_pid: int
    run: int
    server: int

    @property
    def descriptors(self) -> frozenset[int]:
        """The descriptors that a forked server keeps."""
        return frozenset((self.run, self.server))

    def wait_for_turn(self) -> None:
        """Tells the driver, on standard input, that this worker wants a turn, and waits for it.

        Raises EOFError if the driver no longer wants it.
        """
        os.write(_TURN, WANTS_TURN)
        if os.read(_TURN, len(GO)) != GO:
            raise EOFError("the driver gave this launch up")

    def leave_to_server(self) -> None:
        """Closes the client's copy of what only the server should hold."""
        os.close(self.server)

    def __str__(self) -> str:
        return f"{self.driver_pid},{self.run},{self.server}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The tether that `str` wrote; ValueError otherwise."""
        driver_pid, run, server = map(int, text.split(","))
        return cls(driver_pid, run, server)
