"""What joins two processes, found by matching what both hold. Pure: the tables come in as rows."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from ipcbench.evidence.holdings import Descriptor, Holdings, mapping_identity
from ipcbench.evidence.tables import InetSocket, Row, UnixSocket, last_part
from ipcbench.evidence.tables import Mapping as SharedMapping
from ipcbench.transports.base import Claim

Kind = Claim | Literal["other-socket", "open-file"]
InetKind = Literal["tcp4", "tcp6", "udp4", "udp6"]

_UNIX_KINDS: Mapping[int, Claim] = {
    int(socket.SOCK_STREAM): "unix-stream",
    int(socket.SOCK_DGRAM): "unix-dgram",
    int(socket.SOCK_SEQPACKET): "unix-seqpacket",
}
TITLES: Mapping[Kind, str] = {
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


class Channel(NamedTuple):
    """One thing that joins the two, and the lines of the kernel's tables that say so."""

    kind: Kind
    text: str
    lines: tuple[str, ...]
    traits: frozenset[Claim] = frozenset()
    forth: bool = True
    """Whether the client can reach the server by it."""
    back: bool = True
    moved_bytes: int | None = None
    """What the kernel counted from client to server, where it counts."""
    listens: bool = False
    """It joins nothing now: the server waits at it for connections."""


class Seen(NamedTuple):
    """Where was looked, and what was found to join the two."""

    looked_at: tuple[str, ...]
    channels: tuple[Channel, ...]


class TcpFacts(NamedTuple):
    """What the client's kernel says of a connection: tcp(7), TCP_NODELAY and TCP_INFO."""

    nodelay: bool
    sent_bytes: int | None


def unix_channels(
    client: Holdings,
    server: Holdings,
    sockets: Iterable[UnixSocket],
    peer_of: Callable[[int], int | None],
    file_of: Callable[[str], str],
) -> Iterator[Channel]:
    """UNIX sockets of the client whose peer the server holds, and those the server listens at."""
    known = {row.inode: row for row in sockets}
    ours, theirs = _sockets(client), _sockets(server)
    done: set[frozenset[int]] = set()
    for inode in ours.keys() & known.keys():
        peer = None if known[inode].listens else peer_of(inode)
        if peer is None or peer not in theirs or frozenset((inode, peer)) in done:
            continue
        done.add(frozenset((inode, peer)))
        near, far = known[inode], known.get(peer)
        name = near.name or (far.name if far else "")
        told = [_held(client, ours[inode], inode), _held(server, theirs[peer], peer)]
        told += [f"sock_diag: the peer of {inode} is {peer}"]
        told += [f"/proc/net/unix: {row.line}" for row in (near, far) if row is not None]
        yield _named(near, f"client's socket {inode}, peer of server's {peer}", name, told, file_of)
    for inode in theirs.keys() & known.keys():
        if known[inode].listens:
            row = known[inode]
            told = [_held(server, theirs[inode], inode), f"/proc/net/unix: {row.line}"]
            text = f"the server listens at socket {inode}"
            yield _named(row, text, row.name, told, file_of)._replace(listens=True)


def _named(
    row: UnixSocket, text: str, name: str, told: list[str], file_of: Callable[[str], str]
) -> Channel:
    trait: Claim = "no-name"
    if name.startswith("@"):
        trait, text = "abstract-name", f"{text}, abstract name {name}"
    elif name:
        trait, about = "socket-file", f'socket file "{last_part(name)}" ({file_of(name)})'
        text = f"{text}, {about}"
        told = [*told, f"lstat: {about}"]
    kind: Kind = _UNIX_KINDS.get(row.kind, "other-socket")
    return Channel(kind, text, tuple(told), frozenset((trait,)))


def inet_channels(
    client: Holdings,
    server: Holdings,
    kind: InetKind,
    table: str,
    sockets: Iterable[InetSocket],
    facts_of: Callable[[int], TcpFacts],
) -> Iterator[Channel]:
    """Sockets of both whose addresses mirror each other, and those the server listens at."""
    known = {row.inode: row for row in sockets if row.inode}
    ours, theirs = _sockets(client), _sockets(server)
    there = {(known[inode].local, known[inode].remote): inode for inode in theirs.keys() & known}
    done: set[frozenset[int]] = set()
    for inode in ours.keys() & known.keys():
        near = known[inode]
        other = there.get((near.remote, near.local))
        if near.listens or other is None or frozenset((inode, other)) in done:
            continue
        done.add(frozenset((inode, other)))
        facts = facts_of(ours[inode]) if kind.startswith("tcp") else None
        yield _connection(kind, near, other, facts)._replace(
            lines=(
                _held(client, ours[inode], inode),
                _held(server, theirs[other], other),
                f"{table}: {near.line}",
                f"{table}: {known[other].line}",
                *_facts_lines(facts),
            )
        )
    for inode in theirs.keys() & known.keys():
        row = known[inode]
        if row.listens:
            told = (_held(server, theirs[inode], inode), f"{table}: {row.line}")
            text = f"the server listens at {row.local}, socket {inode}"
            yield Channel(kind, text, told, listens=True)


def _connection(kind: Kind, near: InetSocket, other: int, facts: TcpFacts | None) -> Channel:
    text = f"{near.local} <-> {near.remote}, client's socket {near.inode}, server's {other}"
    if facts is None:
        return Channel(kind, text, ())
    trait: Claim = "nodelay" if facts.nodelay else "nagle"
    text += ", TCP_NODELAY" if facts.nodelay else ", Nagle"
    return Channel(kind, text, (), frozenset((trait,)), moved_bytes=facts.sent_bytes)


def _facts_lines(facts: TcpFacts | None) -> tuple[str, ...]:
    if facts is None:
        return ()
    set_to = "on" if facts.nodelay else "off"
    nodelay = f"getsockopt: TCP_NODELAY is {set_to} at the client"
    if facts.sent_bytes is None:
        return (nodelay,)
    return (nodelay, f"getsockopt: TCP_INFO: the client sent {facts.sent_bytes:,} bytes")


def other_sockets(client: Holdings, server: Holdings, listed: frozenset[int]) -> Iterator[Channel]:
    """Sockets that no table lists, if both hold some: what they are can't be told."""
    odd = [[n for n in _sockets(side) if n not in listed] for side in (client, server)]
    if all(odd):
        text = ", ".join(f"inode {inode}" for inode in sorted({*odd[0], *odd[1]}))
        yield Channel("other-socket", text, ())


def descriptor_channels(
    client: Holdings,
    server: Holdings,
    capacity_of: Callable[[int], int | None],
    largest_bytes: int | None,
) -> Iterator[Channel]:
    """Pipes, FIFOs, eventfds, queues and files that both processes have open."""
    mapped = {mapping_identity(mapping) for mapping in client.mappings}
    ours, theirs = _by_identity(client), _by_identity(server)
    for identity, near in ours.items():
        far = theirs.get(identity)
        one = near[0]
        if far is None or one.kind in {"socket", "other"} or identity in mapped:
            continue
        forth = any(held.writes for held in near) and any(held.reads for held in far)
        back = any(held.reads for held in near) and any(held.writes for held in far)
        if not (forth or back):
            continue
        text, traits = _name_of(one), frozenset[Claim]()
        if one.kind in {"pipe", "fifo"}:
            capacity = capacity_of(one.number)
            text += f" {_way(forth, back)}"
            if capacity is not None:
                text += f", {capacity:,} bytes"
                traits = frozenset(("largest",) if capacity == largest_bytes else ())
        told = (*(_open(client, held) for held in near), *(_open(server, held) for held in far))
        kind: Kind = "open-file" if one.kind == "file" else one.kind  # type: ignore[assignment]
        yield Channel(kind, text, told, traits, forth, back)


def mapping_channels(
    client: Holdings, server: Holdings, segments: Iterable[Row]
) -> Iterator[Channel]:
    """Memory that both map, by where it is from."""
    theirs = {mapping_identity(mapping): mapping for mapping in server.mappings}
    attached = {row.numbers["shmid"]: row for row in segments}
    for mapping in client.mappings:
        far = theirs.pop(mapping_identity(mapping), None)
        if far is None:
            continue
        kind = mapping_kind(mapping)
        told = [f"/proc/{client.pid}/maps: {mapping.line}", f"/proc/{server.pid}/maps: {far.line}"]
        text = f"inode {mapping.inode} in both maps"
        row = attached.get(mapping.inode) if kind == "sysv-shm" else None
        if row is not None:
            text = f"shmid {mapping.inode} in both maps, {row.numbers['nattch']} attached"
            told.append(f"/proc/sysvipc/shm: {row.line}")
        yield Channel(kind, text, tuple(told))


def mapping_kind(mapping: SharedMapping) -> Claim:
    """What the kernel's name for a mapping says that it is. proc_pid_maps(5), shm_overview(7)."""
    path = mapping.path
    if path.startswith("/SYSV"):
        return "sysv-shm"
    if path.startswith("/memfd:"):
        return "memfd"
    if path.startswith(("/dev/zero", "/anon_hugepage")):
        return "anonymous-memory"
    folder, _, name = path.rpartition("/")
    if folder == "/dev/shm":  # noqa: S108  (where the C library keeps them)
        return "posix-sem" if name.startswith("sem.") else "posix-shm"
    return "mapped-file"


def semaphore_channels(
    client: Holdings, server: Holdings, sets: Iterable[tuple[Row, tuple[int, ...]]]
) -> Iterator[Channel]:
    """System V sets that one of the two used last, if the server used any: rows and last users."""
    names = {client.pid: "the client", server.pid: "the server"}
    used = [(row, users) for row, users in sets if names.keys() & set(users)]
    if not any(server.pid in users for _, users in used):
        return
    for row, users in used:
        by = ", ".join(names.get(user, f"process {user}") for user in users)
        told = (
            f"/proc/sysvipc/sem: {row.line}",
            f"semctl: GETPID of {row.numbers['semid']} is {', '.join(map(str, users))}",
        )
        yield Channel("sysv-sem", f"semid {row.numbers['semid']} last used by {by}", told)


def queue_channels(client: Holdings, server: Holdings, queues: Iterable[Row]) -> Iterator[Channel]:
    """System V queues that one of the two sent to last and the other received from last."""
    for row in queues:
        ends = (row.numbers["lspid"], row.numbers["lrpid"])
        forth, back = ends == (client.pid, server.pid), ends == (server.pid, client.pid)
        if forth or back:
            text = f"msqid {row.numbers['msqid']} {_way(forth, back)}"
            told = (f"/proc/sysvipc/msg: {row.line}",)
            yield Channel("sysv-msg", text, told, forth=forth, back=back)


def _sockets(side: Holdings) -> dict[int, int]:
    """The inodes of a process's sockets, and a descriptor of each."""
    return {
        int(held.identity.removeprefix("socket:[").removesuffix("]")): held.number
        for held in side.descriptors
        if held.kind == "socket"
    }


def socket_inodes(side: Holdings) -> frozenset[int]:
    """The inodes of a process's sockets."""
    return frozenset(_sockets(side))


def _by_identity(side: Holdings) -> dict[str, list[Descriptor]]:
    held: dict[str, list[Descriptor]] = {}
    for descriptor in side.descriptors:
        held.setdefault(descriptor.identity, []).append(descriptor)
    return held


def _held(side: Holdings, number: int, inode: int) -> str:
    return f"/proc/{side.pid}/fd/{number}: socket:[{inode}]"


def _open(side: Holdings, held: Descriptor) -> str:
    how = {(True, True): "reads and writes", (True, False): "reads", (False, True): "writes"}
    name = held.identity if held.kind == "eventfd" else last_part(held.target)
    rights = how[held.reads, held.writes]
    where = " (statfs: mqueue)" if held.kind == "posix-mq" else ""
    return f"/proc/{side.pid}/fd/{held.number}: {name}{where}, {rights}"


def _name_of(held: Descriptor) -> str:
    """What a descriptor leads to, without the folders of a path."""
    if held.kind in {"pipe", "eventfd"}:
        number = held.identity.partition("[")[2].removesuffix("]")
        return f"inode {number}" if held.kind == "pipe" else f"id {number}"
    return f"inode {held.identity.split()[1]}"


def _way(forth: bool, back: bool) -> str:
    if forth and back:
        return "both ways"
    return "to the server" if forth else "to the client"
