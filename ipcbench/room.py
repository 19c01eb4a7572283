"""How many pairs may exist at once on what this machine grants: memory, files, processes.

Pairs that take turns are compared best, so there are as many as fit. Where not even one fits, a
UsageError says so before the first launch.
"""

import os
import resource
from collections.abc import Sequence

import psutil

from ipcbench.errors import UsageError
from ipcbench.transports.base import DEV_SHM
from ipcbench.transports.slots import memory_size
from ipcbench.units import display_size, format_size

_BUFFERS_PER_MESSAGE = 8
"""Message-sized pieces of memory a pair may hold at once: private buffers, ring, digests' input."""
_TABLES_BYTES = 256 * 1024**2
"""Address space that this process takes with the tables' libraries loaded; seen: 160 MB."""
_FILES_ONCE = 20
"""Descriptors beside the workers': standard streams, lock, janitor, a save, a start's pipes."""
_FILES_PER_WORKER = 3
_PROCESSES_PER_PAIR = 4
"""Client and server, and a thread in each where a queue feeds itself."""
_FEWEST_PROCESSES = 2
_JANITOR = 1
_SEMAPHORES_BYTES = 8 * 4096
"""Each is a page in /dev/shm, and a pair of queues has most of them."""
_UNLIMITED = 2**62


def pairs_at_once(sizes: Sequence[int], most: int) -> int:
    """How many pairs of these message sizes may exist at once, from 1 to `most`."""
    largest = max(sizes, default=1) or 1  # what only signals has messages of 0 bytes
    fitting = (
        _memory(sizes) // (2 * largest * _BUFFERS_PER_MESSAGE),
        _pairs_of_files(),
        _pairs_of_processes(),
        _shared_memory() // (memory_size(largest, "throughput") + _SEMAPHORES_BYTES),
    )
    return max(1, min(most, *fitting))


def too_large(size_bytes: int) -> str | None:
    """Why there isn't memory for one pair with messages of this size; None if there is."""
    needed, available = size_bytes * _BUFFERS_PER_MESSAGE, _available()
    if needed <= available:
        return None
    return (
        f"messages of {format_size(size_bytes)} need {display_size(needed)} of memory"
        f" and {display_size(available)} is free; choose a smaller size"
    )


def _memory(sizes: Sequence[int]) -> int:
    """Bytes that messages may take. UsageError where the tables or one message don't fit."""
    limit = _limit(resource.RLIMIT_AS)
    if limit < _TABLES_BYTES:
        raise UsageError(
            f"this process may map {display_size(limit)} of memory and its tables need"
            f" {display_size(_TABLES_BYTES)}; raise the limit (ulimit -v {_TABLES_BYTES // 1024})"
        )
    for size in sizes:
        reason = too_large(size)
        if reason is not None:
            raise UsageError(reason)
    return _available()


def _available() -> int:
    return min(psutil.virtual_memory().available, _limit(resource.RLIMIT_AS))


def _pairs_of_files() -> int:
    """Pairs whose descriptors this process may open. UsageError where there is not even one."""
    limit = _limit(resource.RLIMIT_NOFILE)
    pairs = (limit - _FILES_ONCE) // _FILES_PER_WORKER
    if pairs < 1:
        raise UsageError(
            f"this process may open {limit} files and measuring takes"
            f" {_FILES_ONCE + _FILES_PER_WORKER}; raise the limit with ulimit -n 256"
        )
    return pairs


def _pairs_of_processes() -> int:
    """Pairs whose processes this user may start. UsageError where there is not even one."""
    limit = _limit(resource.RLIMIT_NPROC)
    if os.geteuid() == 0 or limit == _UNLIMITED:
        return _UNLIMITED  # the kernel holds only ordinary users to it (getrlimit(2))
    mine = _processes_of(os.getuid())
    pairs = (limit - mine - _JANITOR) // _PROCESSES_PER_PAIR
    if limit - mine < _JANITOR + _FEWEST_PROCESSES:
        raise UsageError(
            f"this user has {mine} processes of at most {limit} and measuring takes"
            f" {_JANITOR + _FEWEST_PROCESSES} more; end some, or raise the limit with ulimit -u"
        )
    return pairs


def _processes_of(user: int) -> int:
    """How many processes a user has, each thread counted, as the limit does."""
    count = 0
    for process in psutil.process_iter():
        try:
            if process.uids().real == user:
                count += process.num_threads()
        except psutil.Error:
            continue  # it ended just now
    return count


def _shared_memory() -> int:
    """Bytes free in /dev/shm; where there is none, what needs it says so by itself."""
    try:
        stat = os.statvfs(DEV_SHM)
    except OSError:
        return _UNLIMITED
    return stat.f_bavail * stat.f_frsize or _UNLIMITED  # in a full one nothing is tried


def _limit(kind: int) -> int:
    soft, _ = resource.getrlimit(kind)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft
