"""Every transport, in the order of every list and table."""

import re
from collections.abc import Sequence

from ipcbench.errors import UsageError, unknown_name
from ipcbench.transports.base import CORE, Transport
from ipcbench.transports.controls import Memcpy, Null
from ipcbench.transports.delayed import Delayed
from ipcbench.transports.dgram import Inet6Udp, InetUdp, UnixDgram
from ipcbench.transports.inet import Inet, Inet6, Inet6Nagle, InetNagle
from ipcbench.transports.mapped import Eventfd, MemfdEventfd, MmapFile, PosixShm, ShmFutex
from ipcbench.transports.multiproc import (
    MpConnection,
    MpConnectionInet,
    MpPipe,
    MpQueue,
    MpSharedMemory,
    MpSimpleQueue,
)
from ipcbench.transports.pipe import Fifo, Pipe, PipeLargest
from ipcbench.transports.posix_mq import PosixMq
from ipcbench.transports.process_vm import ProcessVm
from ipcbench.transports.sysv_msg import SysvMsg
from ipcbench.transports.sysv_shm import SysvSem, SysvShm, SysvShmSpin
from ipcbench.transports.unix import Socketpair, Unix, UnixAbstract, UnixSeqpacket

_VARIANT = re.compile(
    r"(?P<base>[a-z0-9-]+)(?:\+(?P<delay>[0-9]{1,6})(?P<unit>ns|us))?(?:@[0-9]+)?"
)


TRANSPORTS: tuple[Transport, ...] = (
    Unix(),
    UnixSeqpacket(),
    UnixDgram(),
    UnixAbstract(),
    Socketpair(),
    Inet(),
    InetNagle(),
    InetUdp(),
    Inet6(),
    Inet6Nagle(),
    Inet6Udp(),
    Pipe(),
    PipeLargest(),
    Fifo(),
    SysvShm(),
    SysvShmSpin(),
    SysvMsg(),
    SysvSem(),
    PosixShm(),
    PosixMq(),
    MmapFile(),
    MemfdEventfd(),
    ShmFutex(),
    ProcessVm(),
    Eventfd(),
    MpPipe(),
    MpConnection(),
    MpConnectionInet(),
    MpQueue(),
    MpSimpleQueue(),
    MpSharedMemory(),
    Memcpy(),
    Null(),
)


ALL = "all"


def groups() -> dict[str, list[str]]:
    """The names of the mechanisms in each group; `all` has every one."""
    found: dict[str, list[str]] = {CORE: []}
    for transport in TRANSPORTS:
        if not transport.is_control:
            for group in (*transport.groups, ALL):
                found.setdefault(group, []).append(transport.name)
    return found


def chosen(asked: Sequence[str]) -> list[str]:
    """Expands names and groups (`@sockets`) to names, in the order of TRANSPORTS.

    Raises UsageError for an unknown name or group, and for a name that is given twice.
    """
    wanted: set[str] = set()
    known = groups()
    for name in asked:
        if name.startswith("@"):
            if name[1:] not in known:
                raise unknown_name("group", name, (f"@{group}" for group in known))
            wanted |= set(known[name[1:]])
        elif name not in {transport.name for transport in TRANSPORTS}:
            raise unknown_name("transport", name, (transport.name for transport in TRANSPORTS))
        elif list(asked).count(name) > 1:
            raise UsageError(f"transport {name!r} is named twice; name it once")
        else:
            wanted.add(name)
    return [transport.name for transport in TRANSPORTS if transport.name in wanted]


def get_transport(name: str) -> Transport:
    """The transport of this name. Raises UsageError with the nearest known name.

    Two forms exist beside the listed names, for the selftest: `unix@3` is `unix` under another
    name, `pipe+20us` (or `+500ns`) is `pipe` with a server that waits that long.
    """
    match = _VARIANT.fullmatch(name)
    base = match["base"] if match else name
    for transport in TRANSPORTS:
        if transport.name == base:
            return _variant(transport, match)
    raise unknown_name("transport", name, (transport.name for transport in TRANSPORTS))


def _variant(transport: Transport, match: re.Match[str] | None) -> Transport:
    if match is None or match["delay"] is None:
        return transport
    return Delayed(transport, int(match["delay"]) * (1000 if match["unit"] == "us" else 1))


def usual() -> list[str]:
    """The names of the transports that are measured by default."""
    return [transport.name for transport in TRANSPORTS if transport.is_default]
