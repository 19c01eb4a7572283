"""Carriers: the kernel objects that may join two processes, as data."""

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
    """A kernel object that joins the two processes, with the lines of the tables that show it."""

    kind: CarrierKind
    text: str
    lines: tuple[str, ...]
    traits: frozenset[Medium] = frozenset()
    to_server: bool = True
    """Whether it carries data from client to server; `to_client`: the other way."""
    to_client: bool = True
    moved_bytes: int | None = None
    """Bytes that the kernel counted from client to server; None where it doesn't count."""
    listens: bool = False
    """Whether it is a listening socket of the server, which joins nothing by itself."""


class Seen(NamedTuple):
    """Result of a look: the tables read, and the carriers found."""

    looked_at: tuple[str, ...]
    carriers: tuple[Carrier, ...]
