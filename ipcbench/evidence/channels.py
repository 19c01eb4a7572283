"""What may join two processes, as data."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ipcbench.transports.base import Medium

CarrierKind = Medium | Literal["other-socket", "open-file"]

TITLES: Mapping[CarrierKind, str] = {
    "unix-stream": "AF_UNIX stream",
    "unix-seqpacket": "AF_UNIX seqpacket",
    "unix-dgram": "AF_UNIX datagram",
    "tcp4": "TCP over IPv4",
    "tcp6": "TCP over IPv6",
    "udp4": "UDP over IPv4",
    "udp6": "UDP over IPv6",
    "pipe": "pipe",
    "fifo": "FIFO",
    "eventfd": "eventfd",
    "posix-mq": "POSIX queue",
    "posix-shm": "POSIX shared memory",
    "posix-sem": "POSIX semaphore",
    "memfd": "memfd",
    "mapped-file": "mapped file",
    "anonymous-memory": "anonymous shared memory",
    "sysv-shm": "System V segment",
    "sysv-sem": "System V semaphore",
    "sysv-msg": "System V queue",
    "other-socket": "socket of a family that no table here lists",
    "open-file": "file that both have open",
}


class Carrier(NamedTuple):
    """One thing that joins the two, and the lines of the kernel's tables that say so."""

    kind: CarrierKind
    text: str
    lines: tuple[str, ...]
    traits: frozenset[Medium] = frozenset()
    to_server: bool = True
    """Whether the client can reach the server by it."""
    to_client: bool = True
    moved_bytes: int | None = None
    """What the kernel counted from client to server, where it counts."""
    listens: bool = False
    """It joins nothing now: the server waits at it for connections."""


class Seen(NamedTuple):
    """Where was looked, and what was found to join the two."""

    looked_at: tuple[str, ...]
    carriers: tuple[Carrier, ...]
