"""Memory that a link takes in the kernel, and at most may take, by the kernel's own tables.

It is read while nothing is under way. System-wide counts (/proc/net/sockstat, objects in
/proc/slabinfo) are not used: whatever else runs changes them. sock_diag(7), proc_net(5), pipe(7).
"""

import fcntl
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from ipcbench.evidence import tables
from ipcbench.evidence.holdings import Descriptor, Holdings, holdings, mapping_identity
from ipcbench.evidence.sockdiag import Buffers, SocketDiagnosis

_PATIENCE_S = 0.2
"""Seconds for what was sent last to be taken: TCP acknowledges it up to 40 ms later."""
_LOOK_S = 0.01
_PROTOCOLS = Path("/proc/net/protocols")
_SLABS = Path("/proc/slabinfo")

_AROUND_A_SOCKET = ("sock_inode_cache", "dentry", "filp")
_AROUND_A_PIPE = ("inode_cache", "dentry", "filp", "filp")
_AROUND_A_FIFO = ("filp", "filp")
"""Slab caches of what the kernel has around an object, one name an object: inode, directory entry,
open files. Of a FIFO inode and entry are its file's."""


class Part(NamedTuple):
    """One kernel object of a link, and its memory."""

    kind: str
    """Its kind in a sentence, and how its memory was read."""
    idle_bytes: int
    """Memory that it takes while nothing is under way."""
    limit_bytes: int
    """The most that its buffers may take, as they are set now."""
    around: tuple[str, ...] = ()
    """Slab caches of the objects around it."""


class LinkMemory(NamedTuple):
    """Memory of a client's link in the kernel, as plain values. None where nothing tells it."""

    idle_bytes: int | None
    limit_bytes: int | None
    slabs_bytes: int | None
    """Memory of the inodes, directory entries and open files around it."""
    read: str
    """How it was read, or the reason why it wasn't."""


def link_memory(server_pid: int, known: frozenset[str]) -> LinkMemory:
    """Reads the memory of all that joins this process, the client, to its server.

    `known` is what the client holds of other things than its link. Raises nothing: a table that
    can't be read is an outcome.
    """
    try:
        client, server = holdings(os.getpid()).without(known), holdings(server_pid).without(known)
        with SocketDiagnosis() as diagnosis:
            parts = list(_parts(client, server, diagnosis))
    except (OSError, ValueError, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return LinkMemory(None, None, None, f"not read: {' '.join(reason.split())}")
    return added_up(parts, *_slab_sizes())


def added_up(
    parts: Iterable[Part], sizes: Mapping[str, int], unread: str | None = None
) -> LinkMemory:
    """The memory of a link of these parts, with the sizes of slab objects by their cache's name.

    `unread` is the reason why these sizes aren't known.
    """
    every = list(parts)
    if not every:
        return LinkMemory(None, None, None, "not read: no table tells the size of such a link")
    around = [name for part in every for name in part.around]
    missing = sorted(set(around) - sizes.keys())
    if missing and unread is None:
        unread = f"/proc/slabinfo lists no {', '.join(missing)}"
    read = "; ".join(dict.fromkeys(part.kind for part in every))
    if around:
        read += f"; around them: {unread or 'sizes of /proc/slabinfo'}"
    return LinkMemory(
        sum(part.idle_bytes for part in every),
        sum(part.limit_bytes for part in every),
        None if unread or not around else sum(sizes[name] for name in around),
        read,
    )


def of_unix(size_bytes: int, buffers: Buffers) -> Part:
    """One end of AF_UNIX: what it sends is charged to it until the other end takes it. unix(7)."""
    idle_bytes = size_bytes + buffers.charged
    return Part(_SOCKETS, idle_bytes, size_bytes + buffers.send_limit, _AROUND_A_SOCKET)


def of_inet(size_bytes: int, buffers: Buffers) -> Part:
    """One end of TCP or UDP: it is charged for what it sends and for what it receives."""
    limit_bytes = size_bytes + buffers.send_limit + buffers.receive_limit
    return Part(_SOCKETS, size_bytes + buffers.charged, limit_bytes, _AROUND_A_SOCKET)


def of_pipe(capacity_bytes: int, *, has_name: bool = False) -> Part:
    """A pipe or FIFO, which has pages only while something is in it."""
    around = _AROUND_A_FIFO if has_name else _AROUND_A_PIPE
    return Part("pipes: F_GETPIPE_SZ, empty", 0, capacity_bytes, around)


def of_mapping(size_bytes: int) -> Part:
    """Shared memory: all of it is there from the beginning."""
    return Part("shared memory: its size in /proc/PID/maps", size_bytes, size_bytes)


_SOCKETS = "sockets: SK_MEMINFO of sock_diag, structures by /proc/net/protocols"


def _parts(client: Holdings, server: Holdings, diagnosis: SocketDiagnosis) -> Iterator[Part]:
    theirs = server.identities
    ours = {held.identity: held for held in client.descriptors}
    sizes: Mapping[str, int] = {}
    if any(held.kind == "socket" for held in ours.values()):
        sizes = tables.protocol_sizes(_PROTOCOLS.read_text())
    for identity, held in ours.items():
        if held.kind == "socket":
            yield from _of_socket(held, theirs, diagnosis, sizes)
        elif held.kind in {"pipe", "fifo"} and identity in theirs:
            capacity_bytes = fcntl.fcntl(held.number, fcntl.F_GETPIPE_SZ)
            yield of_pipe(capacity_bytes, has_name=held.kind == "fifo")
    for mapping in client.mappings:
        if mapping_identity(mapping) in theirs:
            yield of_mapping(mapping.size_bytes)


def _of_socket(
    held: Descriptor,
    theirs: frozenset[str],
    diagnosis: SocketDiagnosis,
    sizes: Mapping[str, int],
) -> Iterator[Part]:
    """Yields both ends of a socket whose other end the server holds."""
    inode = int(held.identity.removeprefix("socket:[").removesuffix("]"))
    with socket.socket(fileno=os.dup(held.number)) as same:
        family, kind, protocol = same.family, same.type, same.proto
        if family == socket.AF_UNIX:
            peer = diagnosis.unix_peer(inode)
            if peer is None or f"socket:[{peer}]" not in theirs:
                return
            streams = kind == socket.SOCK_STREAM and "UNIX-STREAM" in sizes  # Linux 5.15
            size_bytes = sizes["UNIX-STREAM" if streams else "UNIX"]
            for end in (inode, peer):
                found = _once_idle(partial(diagnosis.unix_buffers, end))
                yield of_unix(size_bytes, found)
        elif protocol in _NAMES:
            local, remote = same.getsockname()[:2], same.getpeername()[:2]
            version = "v6" if family == socket.AF_INET6 else ""
            size_bytes = sizes[_NAMES[protocol] + version]
            for near, far in ((local, remote), (remote, local)):
                found = _once_idle(partial(diagnosis.inet_buffers, family, protocol, near, far))
                yield of_inet(size_bytes, found)


_NAMES: Mapping[int, str] = {socket.IPPROTO_TCP: "TCP", socket.IPPROTO_UDP: "UDP"}


def _once_idle(read: Callable[[], Buffers | None]) -> Buffers:
    """The memory of a socket once nothing waits in it; of one that stays busy, as it is.

    Raises LookupError where the kernel doesn't tell it.
    """
    deadline = monotonic() + _PATIENCE_S
    while True:
        found = read()
        if found is None:
            raise LookupError("this kernel doesn't tell a socket's memory")
        if not found.waiting or monotonic() >= deadline:
            return found
        sleep(_LOOK_S)


def _slab_sizes() -> tuple[Mapping[str, int], str | None]:
    """Sizes of slab objects, and the reason where they can't be read."""
    try:
        return tables.slab_sizes(_SLABS.read_text()), None
    except PermissionError:
        return {}, "left out, since /proc/slabinfo needs root"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "other form"
        return {}, f"left out (/proc/slabinfo: {reason})"
