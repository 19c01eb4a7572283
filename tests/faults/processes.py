"""Signals to processes of a run that a fault is injected into, and what a run has left."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from ipcbench.system import process
from tests.leaks import own_objects


def signal_one(pid: int, number: signal.Signals) -> bool:
    """Signals a process; whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def signal_each(pids: Sequence[int], number: signal.Signals) -> bool:
    """Signals each process; whether any was there."""
    return sum(signal_one(pid, number) for pid in pids) > 0


def descendants(pid: int) -> list[int]:
    """A process and all its descendants, in any session."""
    found = [pid]
    for parent in found:
        found += process.children(parent)
    return found


def left(before: set[str], folder: Path) -> set[str]:
    """What a run has left in the kernel, and of directories below its temporary folder."""
    inside = {str(path) for path in (folder / "tmp").glob("ipcbench-*")}
    return own_objects(before, [folder]) | inside
