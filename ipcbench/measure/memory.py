"""Memory of many clients' server, and of their links, as pyperf metadata."""

import mmap
import statistics
from collections.abc import Iterable, Sequence
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


def of_links(links: Sequence[LinkMemory]) -> Facts:
    """The memory of a link in the mean of these; how it was read is told of the first."""
    if not links:
        return {}
    facts: Facts = {"link_memory": links[0].read}
    for name, each in (
        ("link_idle_bytes", [one.idle_bytes for one in links]),
        ("link_limit_bytes", [one.limit_bytes for one in links]),
        ("link_slabs_bytes", [one.slabs_bytes for one in links]),
    ):
        known = [one for one in each if one is not None]
        if len(known) == len(links):
            facts[name] = round(statistics.fmean(known))
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
