"""Memory of many clients' server, and of a link, as pyperf metadata."""

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ipcbench.evidence.memory import LinkMemory
from ipcbench.measure.end_facts import Facts

_KILOBYTE = 1024


class ProcessMemory(NamedTuple):
    """Memory of a process in RAM, in bytes. proc_pid_smaps(5)."""

    proportional: int
    """Each page divided by the number of processes that map it (PSS)."""
    private: int
    """Pages that no other process maps (USS)."""


def of_server(pids: Iterable[int]) -> Facts:
    """The memory of a server's processes; without what the kernel doesn't tell."""
    every = list(pids)
    facts: Facts = {}
    resident = [one for one in map(resident_bytes, every) if one is not None]
    if resident and len(resident) == len(every):
        facts["rss_server_bytes"] = sum(resident)
    found = [one for one in map(_memory_of, every) if one is not None]
    if found and len(found) == len(every):
        facts["pss_server_bytes"] = sum(one.proportional for one in found)
        facts["private_server_bytes"] = sum(one.private for one in found)
    return facts


def of_link(link: LinkMemory) -> Facts:
    """The memory of a link, and how it was read."""
    facts: Facts = {"link_memory": link.read}
    for name, number in (
        ("link_idle_bytes", link.idle_bytes),
        ("link_limit_bytes", link.limit_bytes),
        ("link_slabs_bytes", link.slabs_bytes),
    ):
        if number is not None:
            facts[name] = number
    return facts


def rolled_up(text: str) -> ProcessMemory:
    """The memory that /proc/PID/smaps_rollup tells. Raises LookupError or ValueError."""
    lines = (line.split() for line in text.splitlines()[1:])
    told = {name: int(kilobytes) * _KILOBYTE for name, kilobytes, *_ in lines}
    return ProcessMemory(told["Pss:"], told["Private_Clean:"] + told["Private_Dirty:"])


def resident_bytes(pid: int) -> int | None:
    """Memory of a process that is in RAM, shared pages too; None if that can't be read.

    proc_pid_statm(5).
    """
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return None


def _memory_of(pid: int) -> ProcessMemory | None:
    """The memory of a process; None if it can't be read (Linux 4.14)."""
    try:
        return rolled_up(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (OSError, ValueError, LookupError):
        return None
