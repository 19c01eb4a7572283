"""The tether from a worker to its driver: the driver's process id and two pipes' write ends.

Every process of a run holds `run`: its end of file tells the janitor that all are gone. Only the
server, once it is forked, holds `server`: its end of file tells the driver that the server is gone,
even if the client misses its signal.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

PROTOCOL = 1
"""Version of what a driver and the workers of another installation must agree on.

That is the worker's arguments, its turns, what it leaves in its directory, and the names of its
facts; raised when a driver of before could not use a worker of now, or the other way round.
"""

SAMPLES = "samples"
"""Name of the file of single round trips in a launch's directory: 8-byte nanoseconds."""

SAMPLES_FROM_SENDING = "samples-from-sending"
"""Name of the file of the same times, but from when each message was sent, of an open loop."""
LATENESS = "lateness"
"""Name of the file of how late each of its messages was sent."""

_PHASE = "phase"
_NAMES = "names"
_PHASE_WIDTH = 24

WANTS_TURN = b"r"
GO = b"g"
_TURN = 0
"""Standard input: a socket whose other end the driver keeps."""


class PhaseNote:
    """The file in which a worker notes its phase, so that the driver knows it after a kill."""

    def __init__(self, directory: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(directory / _PHASE, flags, 0o600)

    def write(self, phase: str) -> None:
        """Writes the name of the phase that begins."""
        os.pwrite(self._descriptor, phase.encode("ascii").ljust(_PHASE_WIDTH), 0)


def noted_phase(directory: Path) -> str | None:
    """The last phase that the worker of this directory noted; None if it hadn't begun."""
    try:
        return (directory / _PHASE).read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def note_names(directory: Path, names: Mapping[int, str]) -> None:
    """Notes the names of a worker's children, by their process ids, for the driver."""
    lines = (f"{pid} {name}\n" for pid, name in names.items())
    (directory / _NAMES).write_text("".join(lines), encoding="ascii")


def noted_names(directory: Path) -> dict[int, str]:
    """The names that the worker of this directory noted; none if its only child is the server."""
    try:
        lines = (directory / _NAMES).read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    parts = (line.partition(" ") for line in lines)
    return {int(pid): name for pid, _, name in parts}


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
        """Asks the driver for a turn, on standard input, and waits for it.

        Raises EOFError if the driver gave the launch up.
        """
        os.write(_TURN, WANTS_TURN)
        if os.read(_TURN, len(GO)) != GO:
            raise EOFError("the driver gave this launch up")

    def leave_to_server(self) -> None:
        """Closes the client's copy of the descriptor that only the server should hold."""
        os.close(self.server)

    def __str__(self) -> str:
        return f"{self.driver_pid},{self.run},{self.server}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses the text that `str` makes. Raises ValueError."""
        driver_pid, run, server = map(int, text.split(","))
        return cls(driver_pid, run, server)
