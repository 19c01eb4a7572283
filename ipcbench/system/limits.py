"""Capacity for pairs at once under this machine's limits on memory, files and processes.

Cases are compared best if their pairs alternate, so as many run at once as fit. If not even one
fits, a UsageError says so before the first launch.
"""

import os
import resource
from collections.abc import Sequence
from itertools import accumulate

import psutil

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.system.cgroups import Allowance, allowances
from ipcbench.transports.base import DEV_SHM, Traffic
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_amount, format_size

_BUFFERS_PER_MESSAGE = 8
"""Message-sized buffers that a pair may hold at once: private ones, ring, input of digests."""
_TABLES_BYTES = 256 * 1024**2
"""Address space that this process takes with the tables' libraries loaded; measured: 160 MB."""
_RESIDENT_TABLES_BYTES = 64 * 1024**2
"""Memory that the tables' libraries add to this process at the end of a run; measured: 48 MB."""
_RESIDENT_PAIR_BYTES = 24 * 1024**2
"""Memory of a pair's two interpreters, without what all of them share; measured: 17 MB."""
_FILES_ONCE = 20
"""Descriptors beside the workers': standard streams, lock, janitor, a save, a start's pipes."""
_FILES_PER_WORKER = 3
_RESIDENT_CLIENT_BYTES = 4 * 1024**2
"""Memory of each client beside the first, without what it shares; measured: 3.2 MB."""
_FILES_PER_CLIENT = 8
"""Descriptors of a worker for each client beside the first while it forks them: both ends of two
control channels, and of a link's pipes."""
_FILES_OF_CROWD = 40
"""Descriptors of such a worker beside those."""
_PROCESSES_PER_CLIENT = 2
"""A client, and its server's thread or process."""
_PROCESSES_PER_PAIR = 4
"""Client and server, and the feeder thread of a multiprocessing queue in each."""
_FEWEST_PROCESSES = 2
_JANITOR = 1
_UNLIMITED = 2**62


def pairs_at_once(cases: Sequence[Case], most: int) -> int:
    """The number of pairs of these cases that may exist at once, from 1 to `most`."""
    sizes = [case.message_size_bytes for case in cases]
    shared = max(map(_shared_by_ends, cases), default=0)
    largest = max(sizes, default=1) or 1  # a transport that only signals has messages of 0 bytes
    many = [case.clients for case in cases]
    clients = max((one.number for one in many), default=1)
    for one in dict.fromkeys(many):
        _check_clients(one.number, f"{one.word}s")
    taken = clients * (2 * largest * _BUFFERS_PER_MESSAGE + shared)
    resident = _RESIDENT_PAIR_BYTES + (clients - 1) * _RESIDENT_CLIENT_BYTES + taken
    fitting = (
        _memory(sizes) // taken,
        (_resident(_tightest_group()) - _RESIDENT_TABLES_BYTES) // resident,
        _pairs_of_files(),
        _pairs_of_processes(clients),
        _pairs_in_shared_memory(cases),
    )
    return max(1, min(most, *fitting))


def too_large(size_bytes: int, shared_bytes: int = 0) -> str | None:
    """Reason why messages of this size don't fit into memory; None if one pair's do.

    `shared_bytes`: of the memory that a pair shares, like a ring of slots.
    """
    needed, group = size_bytes * _BUFFERS_PER_MESSAGE + shared_bytes, _tightest_group()
    available = _available(group)
    if needed <= available:
        return None
    under = f" under {group}" if group and group.free_bytes == available else ""
    ring = "" if shared_bytes < size_bytes * _BUFFERS_PER_MESSAGE else " or fewer slots"
    return (
        f"messages of {format_size(size_bytes)} need {display_amount(needed)} of memory"
        f" and {display_amount(available)} is free{under}; choose a smaller size{ring}"
    )


def _memory(sizes: Sequence[int]) -> int:
    """Bytes that messages may take. Raises UsageError if the tables or one message don't fit."""
    limit = _limit(resource.RLIMIT_AS)
    if limit < _TABLES_BYTES:
        raise UsageError(
            f"this process may map {display_amount(limit)} of memory and its tables need"
            f" {display_amount(_TABLES_BYTES)}; raise the limit (ulimit -v {_TABLES_BYTES // 1024})"
        )
    for size in sizes:
        reason = too_large(size)
        if reason is not None:
            raise UsageError(reason)
    group, fewest = _tightest_group(), _RESIDENT_TABLES_BYTES + _RESIDENT_PAIR_BYTES
    if group is not None and group.free_bytes < fewest:
        raise UsageError(
            f"measuring takes {display_amount(fewest)} of memory and"
            f" {display_amount(group.free_bytes)} is free under {group}; raise that limit"
        )
    return _available(group)


def _available(group: Allowance | None) -> int:
    """Bytes that a process may still take, where this group leaves the least memory.

    What is free changes all the time: whoever names the group has to go by the same reading.
    """
    return min(_resident(group), _limit(resource.RLIMIT_AS))


def _resident(group: Allowance | None) -> int:
    """Bytes that all processes of a run may still take: of the machine's, and of their group's."""
    free = psutil.virtual_memory().available
    return free if group is None else min(free, group.free_bytes)


def _tightest_group() -> Allowance | None:
    """The limit of a control group that leaves the least memory; None where none has a limit."""
    return min(allowances(), key=lambda one: one.free_bytes, default=None)


def _pairs_of_files() -> int:
    """Number of pairs that the limit on open files allows. Raises UsageError if there is none."""
    limit = _limit(resource.RLIMIT_NOFILE)
    pairs = (limit - _FILES_ONCE) // _FILES_PER_WORKER
    if pairs < 1:
        raise UsageError(
            f"this process may open {limit} files and measuring takes"
            f" {_FILES_ONCE + _FILES_PER_WORKER}; raise the limit with ulimit -n 256"
        )
    return pairs


def _check_clients(clients: int, word: str) -> None:
    """Checks that one launch of so many fits. Raises UsageError, which says how many do."""
    if clients == 1:
        return
    files = _limit(resource.RLIMIT_NOFILE)
    fit = (files - _FILES_OF_CROWD) // _FILES_PER_CLIENT + 1
    if fit < clients:
        needed = _FILES_OF_CROWD + (clients - 1) * _FILES_PER_CLIENT
        raise UsageError(
            f"a process may open {files} files, which fits {max(1, fit)} {word}, not {clients};"
            f" raise the limit with ulimit -n {needed}"
        )
    left = _processes_left()
    fit = (left - _PROCESSES_PER_PAIR - _JANITOR) // _PROCESSES_PER_CLIENT + 1
    if fit < clients:
        raise UsageError(
            f"this user may start {max(0, left)} more processes, which fits {max(1, fit)} {word},"
            f" not {clients}; end some, or raise the limit with ulimit -u"
        )
    free = _resident(_tightest_group()) - _RESIDENT_TABLES_BYTES - _RESIDENT_PAIR_BYTES
    fit = free // _RESIDENT_CLIENT_BYTES + 1
    if fit < clients:
        raise UsageError(
            f"{display_amount(max(0, free))} of memory is free, which fits {max(1, fit)} {word},"
            f" not {clients}; ask for fewer"
        )


def _processes_left() -> int:
    """Processes that this user may still start."""
    limit = _limit(resource.RLIMIT_NPROC)
    if os.geteuid() == 0 or limit == _UNLIMITED:
        return _UNLIMITED  # the kernel exempts root (getrlimit(2))
    return limit - _processes_of(os.getuid())


def _pairs_of_processes(clients: int) -> int:
    """Number of pairs that the limit on processes allows. Raises UsageError if there is none.

    Each of them may have so many clients.
    """
    limit = _limit(resource.RLIMIT_NPROC)
    if os.geteuid() == 0 or limit == _UNLIMITED:
        return _UNLIMITED  # the kernel exempts root (getrlimit(2))
    mine = _processes_of(os.getuid())
    each = _PROCESSES_PER_PAIR + (clients - 1) * _PROCESSES_PER_CLIENT
    pairs = (limit - mine - _JANITOR) // each
    if limit - mine < _JANITOR + _FEWEST_PROCESSES:
        raise UsageError(
            f"this user has {mine} processes of at most {limit} and measuring takes"
            f" {_JANITOR + _FEWEST_PROCESSES} more; end some, or raise the limit with ulimit -u"
        )
    return pairs


def _processes_of(user: int) -> int:
    """Number of a user's processes; each thread counts, as it does for the limit."""
    count = 0
    for process in psutil.process_iter():
        try:
            if process.uids().real == user:
                count += process.num_threads()
        except psutil.Error:
            continue  # it ended just now
    return count


def _shared_memory() -> int:
    """Bytes free in /dev/shm; unlimited without one: transports that need it can't run then."""
    try:
        stat = os.statvfs(DEV_SHM)
    except OSError:
        return _UNLIMITED
    return stat.f_bavail * stat.f_frsize or _UNLIMITED  # if it is full, what needs it is n/a


def _pairs_in_shared_memory(cases: Sequence[Case]) -> int:
    """Number of pairs, whichever of the cases they are of, that /dev/shm has room for."""
    needs = sorted(map(_in_dev_shm, cases), reverse=True)
    sums, room = list(accumulate(needs)), _shared_memory()
    return sum(needed <= room for needed in sums) if sums and sums[-1] > room else _UNLIMITED


def _in_dev_shm(case: Case) -> int:
    """Bytes of /dev/shm that the case's pair takes."""
    traffic = Traffic.of(case)
    return get_transport(case.transport).dev_shm_bytes(traffic)


def _shared_by_ends(case: Case) -> int:
    """Bytes of memory that the ends of the case's pair share."""
    traffic = Traffic.of(case)
    return get_transport(case.transport).memory_bytes(traffic)


def _limit(kind: int) -> int:
    soft, _ = resource.getrlimit(kind)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft
