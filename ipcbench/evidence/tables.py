"""Parses the kernel's tables into rows. Pure. proc(5), proc_net(5), proc_sysvipc(5)."""

import re
import socket
import sys
from collections.abc import Iterator
from typing import NamedTuple

_LISTENS = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix."""
_TCP_LISTEN = 0x0A
_MAPS_FIELDS = 5
"""Columns in front of the path, the only one that may contain spaces."""
_UNIX_ROW = re.compile(
    "[0-9a-f]+: "
    "(?P<numbers>[0-9A-F]+ [0-9A-F]+ (?P<flags>[0-9A-F]+) (?P<kind>[0-9A-F]+) [0-9A-F]+ "
    " *(?P<inode>[0-9]+)) ?(?P<name>.*)",
    re.DOTALL,
)
_IPV4_DIGITS, _WORD_DIGITS = 8, 8


class UnixSocket(NamedTuple):
    """A row of /proc/net/unix. An abstract name begins with @, no name is empty."""

    inode: int
    kind: int
    listens: bool
    name: str
    line: str


class InetSocket(NamedTuple):
    """A row of /proc/net/tcp, tcp6, udp or udp6; addresses with their ports."""

    inode: int
    local: str
    remote: str
    listens: bool
    line: str


class MemoryMapping(NamedTuple):
    """A row of /proc/PID/maps for shared, writable memory."""

    device: str
    inode: int
    path: str
    line: str
    size_bytes: int = 0


class Row(NamedTuple):
    """A row of a table with a header, as /proc/sysvipc has them."""

    numbers: dict[str, int]
    line: str


class FileInfo(NamedTuple):
    """Facts from /proc/PID/fdinfo: access rights, and the number of an eventfd."""

    reads: bool
    writes: bool
    eventfd: int | None


def unix_sockets(text: str) -> Iterator[UnixSocket]:
    """Parses /proc/net/unix; `line` of a row leaves out the kernel's address.

    The kernel doesn't escape a name, which may contain a line break: a line that doesn't look like
    a row is skipped.
    """
    for match in map(_UNIX_ROW.fullmatch, text.split("\n")):
        if match is not None:
            flags, kind = int(match["flags"], 16), int(match["kind"], 16)
            name = match["name"]
            told = f"{match['numbers']} {last_part(name)}".rstrip()
            yield UnixSocket(int(match["inode"]), kind, bool(flags & _LISTENS), name, told)


def inet_sockets(text: str) -> Iterator[InetSocket]:
    """Parses /proc/net/tcp, tcp6, udp or udp6."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        local, remote = (inet_address(field) for field in fields[1:3])
        listens = int(fields[3], 16) == _TCP_LISTEN
        yield InetSocket(int(fields[9]), local, remote, listens, " ".join(fields[:10]))


def inet_address(field: str) -> str:
    """Formats `0100007F:0016` as `127.0.0.1:22`; the address has the machine's byte order."""
    digits, _, port = field.partition(":")
    words = [digits[at : at + _WORD_DIGITS] for at in range(0, len(digits), _WORD_DIGITS)]
    raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if len(digits) == _IPV4_DIGITS:
        return f"{socket.inet_ntop(socket.AF_INET, raw)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]:{int(port, 16)}"


def shared_mappings(text: str) -> Iterator[MemoryMapping]:
    """Parses /proc/PID/maps; yields the shared, writable mappings."""
    for line in text.splitlines():
        fields = line.split(None, _MAPS_FIELDS)
        rights = fields[1]
        if rights[3] == "s" and rights[1] == "w":
            path = fields[_MAPS_FIELDS] if len(fields) > _MAPS_FIELDS else ""
            told = " ".join([*fields[1:_MAPS_FIELDS], last_part(path)]).rstrip()
            begin, _, end = fields[0].partition("-")
            size_bytes = int(end, 16) - int(begin, 16)
            yield MemoryMapping(fields[3], int(fields[4]), path, told, size_bytes)


def protocol_sizes(text: str) -> dict[str, int]:
    """Parses /proc/net/protocols: bytes of a socket's structure, by the protocol's name."""
    fields = (line.split() for line in text.splitlines()[1:])
    return {name: int(size) for name, size, *_ in fields}


def slab_sizes(text: str) -> dict[str, int]:
    """Parses /proc/slabinfo: bytes of an object, by its cache's name. slabinfo(5)."""
    fields = (line.split() for line in text.splitlines()[2:])
    return {name: int(size) for name, _, _, size, *_ in fields}


def tcp_extensions(text: str) -> dict[str, int]:
    """Parses the TcpExt of /proc/net/netstat: a line of names and one of counts."""
    names, counts = (line.split() for line in text.splitlines() if line.startswith("TcpExt:"))
    return {name: int(count) for name, count in zip(names[1:], counts[1:], strict=True)}


def rows(text: str) -> Iterator[Row]:
    """Parses a table of numbers below a header."""
    header, *lines = text.splitlines() or [""]
    names = header.split()
    for line in lines:
        fields = line.split()
        numbers = {name: int(value) for name, value in zip(names, fields, strict=True)}
        yield Row(numbers, " ".join(fields))


def file_info(text: str) -> FileInfo:
    """Parses a file of /proc/PID/fdinfo."""
    said = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    access = int(said["flags"], 8) & 3
    number = said.get("eventfd-id")
    return FileInfo(access != 1, access != 0, None if number is None else int(number))


def last_part(path: str) -> str:
    """The path without its folders, since published evidence shouldn't show a user's folders.

    An abstract name is unchanged, and ` (deleted)`, which the kernel appends, stays.
    """
    return path if path.startswith("@") else path.rpartition("/")[2]
