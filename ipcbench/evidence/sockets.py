"""Finds sockets that join two processes, by their peers. Pure: takes the tables as rows."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, assert_never

from ipcbench.evidence.channels import Carrier, CarrierKind
from ipcbench.evidence.holdings import Holdings
from ipcbench.evidence.tables import InetSocket, UnixSocket, last_part
from ipcbench.transports.base import Medium

InetKind = Literal["tcp4", "tcp6", "udp4", "udp6"]

_UNIX_KINDS: Mapping[int, Medium] = {
    int(socket.SOCK_STREAM): "unix-stream",
    int(socket.SOCK_DGRAM): "unix-dgram",
    int(socket.SOCK_SEQPACKET): "unix-seqpacket",
}


_IPV4_MAPPED = "[::ffff:"
"""Start of an IPv4-mapped address, with which no other begins in this spelling (inet_ntop(3))."""


class TcpFacts(NamedTuple):
    """TCP_NODELAY of the client's end of a connection, and its TCP_INFO. tcp(7)."""

    nodelay: bool
    sent_bytes: int | None


_TRAITS: Mapping[tuple[bool, bool], tuple[Medium, str]] = {
    (True, True): ("nodelay", "TCP_NODELAY"),
    (False, False): ("nagle", "Nagle"),
    (True, False): ("nagle-at-server", "TCP_NODELAY at the client, Nagle at the server"),
    (False, True): ("nagle-at-client", "Nagle at the client, TCP_NODELAY at the server"),
}
"""Traits of a connection, with their words, by whether TCP_NODELAY is set at client and server."""


def unix_carriers(
    client: Holdings,
    server: Holdings,
    sockets: Iterable[UnixSocket],
    peer_of: Callable[[int], int | None],
    file_of: Callable[[str], str],
) -> Iterator[Carrier]:
    """UNIX sockets of the client whose peer the server holds, and the server's listening ones."""
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
) -> Carrier:
    trait: Medium = "no-name"
    if name.startswith("@"):
        trait, text = "abstract-name", f"{text}, abstract name {name}"
    elif name:
        trait, about = "socket-file", f'socket file "{last_part(name)}" ({file_of(name)})'
        text = f"{text}, {about}"
        told = [*told, f"lstat: {about}"]
    kind: CarrierKind = _UNIX_KINDS.get(row.kind, "other-socket")
    return Carrier(kind, text, tuple(told), frozenset((trait,)))


def inet_carriers(
    client: Holdings,
    server: Holdings,
    kind: InetKind,
    table: str,
    sockets: Iterable[InetSocket],
    facts_of: Callable[[int], TcpFacts],
) -> Iterator[Carrier]:
    """Sockets of both whose addresses mirror each other, and the server's listening ones."""
    known = {row.inode: row for row in sockets if row.inode}
    ours, theirs = _sockets(client), _sockets(server)
    nodelay_of = {held.identity: held.nodelay for held in server.descriptors}
    there = {(known[inode].local, known[inode].remote): inode for inode in theirs.keys() & known}
    done: set[frozenset[int]] = set()
    for inode in ours.keys() & known.keys():
        near = known[inode]
        other = there.get((near.remote, near.local))
        if near.listens or other is None or frozenset((inode, other)) in done:
            continue
        done.add(frozenset((inode, other)))
        facts = facts_of(ours[inode]) if kind.startswith("tcp") else None
        nodelay_there = nodelay_of.get(f"socket:[{other}]")
        yield _connection(_on_the_wire(kind, near), near, other, facts, nodelay_there)._replace(
            lines=(
                _held(client, ours[inode], inode),
                _held(server, theirs[other], other),
                f"{table}: {near.line}",
                f"{table}: {known[other].line}",
                *_facts_lines(facts, nodelay_there),
            )
        )
    for inode in theirs.keys() & known.keys():
        row = known[inode]
        if row.listens:
            told = (_held(server, theirs[inode], inode), f"{table}: {row.line}")
            text = f"the server listens at {row.local}, socket {inode}"
            yield Carrier(_on_the_wire(kind, row), text, told, listens=True)


def _on_the_wire(kind: InetKind, row: InetSocket) -> InetKind:
    """The protocol that a socket speaks: IPv4 by an AF_INET6 socket at an IPv4-mapped address.

    RFC 4291, 2.5.5.2; ipv6(7). Some libraries use AF_INET6 for both.
    """
    if not row.local.startswith(_IPV4_MAPPED):
        return kind
    match kind:
        case "tcp6":
            return "tcp4"
        case "udp6":
            return "udp4"
        case "tcp4" | "udp4":
            return kind
        case _:
            assert_never(kind)


def _connection(
    kind: InetKind,
    near: InetSocket,
    other: int,
    facts: TcpFacts | None,
    nodelay_there: bool | None,
) -> Carrier:
    text = f"{near.local} <-> {near.remote}, client's socket {near.inode}, server's {other}"
    if facts is None:
        return Carrier(kind, text, ())
    if nodelay_there is None:  # the server didn't tell: no trait is shown
        return Carrier(kind, text, (), moved_bytes=facts.sent_bytes)
    trait, words = _TRAITS[facts.nodelay, nodelay_there]
    return Carrier(kind, f"{text}, {words}", (), frozenset((trait,)), moved_bytes=facts.sent_bytes)


def _facts_lines(facts: TcpFacts | None, nodelay_there: bool | None) -> Iterator[str]:
    if facts is None:
        return
    for side, nodelay in (("client", facts.nodelay), ("server", nodelay_there)):
        if nodelay is not None:
            yield f"getsockopt: TCP_NODELAY is {'on' if nodelay else 'off'} at the {side}"
    if facts.sent_bytes is not None:
        yield f"getsockopt: TCP_INFO: the client sent {facts.sent_bytes:,} bytes"


def other_sockets(
    client: Holdings, server: Holdings, listed: frozenset[int], has_table: Callable[[int], bool]
) -> Iterator[Carrier]:
    """Sockets of a kind that no table lists, if both processes hold some.

    `has_table` is whether the tables cover the family of a client's descriptor: such a socket is
    missing there only if it is closed, or was never connected.
    """
    ours = [n for n, held in _sockets(client).items() if n not in listed and not has_table(held)]
    theirs = [inode for inode in _sockets(server) if inode not in listed]
    if ours and theirs:
        text = ", ".join(f"inode {inode}" for inode in sorted({*ours, *theirs}))
        yield Carrier("other-socket", text, ())


def socket_inodes(side: Holdings) -> frozenset[int]:
    """The inodes of a process's sockets."""
    return frozenset(_sockets(side))


def _sockets(side: Holdings) -> dict[int, int]:
    """The inodes of a process's sockets, and a descriptor of each."""
    return {
        int(held.identity.removeprefix("socket:[").removesuffix("]")): held.number
        for held in side.descriptors
        if held.kind == "socket"
    }


def _held(side: Holdings, number: int, inode: int) -> str:
    return f"/proc/{side.pid}/fd/{number}: socket:[{inode}]"
