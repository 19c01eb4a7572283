"""Every transport, in the order of every list and table.

Importing this module imports no mechanism: a transport's module is imported when the transport is
first asked for, so that a worker loads the one that it measures.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module

from ipcbench.errors import UsageError, unknown_name
from ipcbench.transports.base import CORE, Transport

_VARIANT = re.compile(
    r"(?P<base>[a-z0-9-]+)(?:\+(?P<delay>[0-9]{1,6})(?P<unit>ns|us))?(?:@[0-9]+)?"
)

TRANSPORTS: dict[str, tuple[str, str]] = {
    "unix": (".unix", "Unix"),
    "unix-seqpacket": (".unix", "UnixSeqpacket"),
    "unix-dgram": (".dgram", "UnixDgram"),
    "unix-abstract": (".unix", "UnixAbstract"),
    "socketpair": (".unix", "Socketpair"),
    "inet": (".inet", "Inet"),
    "inet-nagle": (".inet", "InetNagle"),
    "inet-udp": (".dgram", "InetUdp"),
    "inet6": (".inet", "Inet6"),
    "inet6-nagle": (".inet", "Inet6Nagle"),
    "inet6-udp": (".dgram", "Inet6Udp"),
    "pipe": (".pipe", "Pipe"),
    "pipe-1m": (".pipe", "PipeLargest"),
    "fifo": (".pipe", "Fifo"),
    "sysv-shm": (".sysv_shm", "SysvShm"),
    "sysv-shm-spin": (".sysv_shm", "SysvShmSpin"),
    "sysv-msg": (".sysv_msg", "SysvMsg"),
    "sysv-sem": (".sysv_shm", "SysvSem"),
    "posix-shm": (".mapped", "PosixShm"),
    "posix-mq": (".posix_mq", "PosixMq"),
    "mmap-file": (".mapped", "MmapFile"),
    "memfd-eventfd": (".mapped", "MemfdEventfd"),
    "shm-futex": (".mapped", "ShmFutex"),
    "process-vm": (".process_vm", "ProcessVm"),
    "eventfd": (".mapped", "Eventfd"),
    "mp-pipe": (".multiproc", "MpPipe"),
    "mp-connection": (".multiproc", "MpConnection"),
    "mp-connection-inet": (".multiproc", "MpConnectionInet"),
    "mp-queue-pickle": (".multiproc", "MpQueue"),
    "mp-simplequeue-pickle": (".multiproc", "MpSimpleQueue"),
    "mp-shared-memory": (".multiproc", "MpSharedMemory"),
    "memcpy": (".controls", "Memcpy"),
    "null": (".controls", "Null"),
}
"""Module, relative to this package or absolute, and class of each transport, by its name."""

LOADED: dict[str, Transport] = {}
"""The instances made so far: one serves all."""

ALL = "all"


def names() -> tuple[str, ...]:
    """The names of all transports, in the order of every list; imports none of them."""
    return tuple(TRANSPORTS)


def transports() -> tuple[Transport, ...]:
    """All transports, in the order of every list; imports every mechanism."""
    return tuple(map(_loaded, TRANSPORTS))


def groups() -> dict[str, list[str]]:
    """The names of the mechanisms in each group; `all` has every one."""
    found: dict[str, list[str]] = {CORE: []}
    for transport in transports():
        if not transport.is_control:
            for group in (*transport.groups, ALL):
                found.setdefault(group, []).append(transport.name)
    return found


def chosen(asked: Sequence[str]) -> list[str]:
    """Expands names and groups (`@sockets`) to names, in the order of every list.

    Raises UsageError for an unknown name or group, and for a name that is given twice.
    """
    wanted: set[str] = set()
    known = groups()
    for name in asked:
        if name.startswith("@"):
            if name[1:] not in known:
                raise unknown_name("group", name, (f"@{group}" for group in known))
            wanted |= set(known[name[1:]])
        elif name not in TRANSPORTS:
            raise unknown_name("transport", name, names())
        elif list(asked).count(name) > 1:
            raise UsageError(f"transport {name!r} is named twice; name it once")
        else:
            wanted.add(name)
    return [name for name in names() if name in wanted]


def get_transport(name: str) -> Transport:
    """The transport of this name. Raises UsageError with the nearest known name.

    Imports its module only. Two forms exist beside the listed names, for the selftest: `unix@3` is
    `unix` under another name, `pipe+20us` (or `+500ns`) is `pipe` with a server that waits that
    long.
    """
    match = _VARIANT.fullmatch(name)
    base = match["base"] if match else name
    if base not in TRANSPORTS and base not in LOADED:
        raise unknown_name("transport", name, names())
    return _variant(_loaded(base), match)


def removers() -> Mapping[str, Callable[[int], None]]:
    """How to remove what any transport may leave behind, by the kind in a ledger.

    Imports every mechanism, so that whoever asks before a fork needs no import after it.
    """
    found: dict[str, Callable[[int], None]] = {}
    for transport in transports():
        found |= transport.leftovers
    return found


@contextmanager
def standing_in(transport: Transport) -> Iterator[None]:
    """Lets a transport be found by its name in the block, listed or not; for the contract's test.

    A name that is another transport's stays that one's.
    """
    if transport.name in TRANSPORTS or transport.name in LOADED:
        yield
        return
    LOADED[transport.name] = transport
    try:
        yield
    finally:
        del LOADED[transport.name]


def usual() -> list[str]:
    """The names of the transports that are measured by default."""
    return [transport.name for transport in transports() if transport.is_default]


def _loaded(name: str) -> Transport:
    if name not in LOADED:
        module, kind = TRANSPORTS[name]
        LOADED[name] = getattr(import_module(module, __package__), kind)()
    return LOADED[name]


def _variant(transport: Transport, match: re.Match[str] | None) -> Transport:
    if match is None or match["delay"] is None:
        return transport
    from ipcbench.transports.delayed import Delayed

    return Delayed(transport, int(match["delay"]) * (1000 if match["unit"] == "us" else 1))
