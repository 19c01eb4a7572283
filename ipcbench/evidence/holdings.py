"""Descriptors and shared memory of a process, from /proc. proc(5)."""

import ctypes
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from ipcbench.evidence import tables

DescriptorKind = Literal["socket", "pipe", "fifo", "eventfd", "posix-mq", "file", "other"]

_MQUEUE_MAGIC = 0x19800202
"""Type of the file system of POSIX message queues, in statfs(2)."""
_STATFS_BYTES = 256
"""Buffer size, larger than any struct statfs, whose first field is the type."""


class Descriptor(NamedTuple):
    """An open descriptor; equal identities, in any processes, are the same kernel object."""

    number: int
    kind: DescriptorKind
    identity: str
    target: str
    reads: bool = True
    writes: bool = True
    nodelay: bool | None = None
    """Whether TCP_NODELAY is set; None for what isn't TCP, and where nobody asked its holder."""


class Holdings(NamedTuple):
    """Descriptors and shared mappings by which a process could reach another."""

    pid: int
    descriptors: tuple[Descriptor, ...]
    mappings: tuple[tables.MemoryMapping, ...]

    @property
    def identities(self) -> frozenset[str]:
        """The identities of all descriptors and mappings."""
        held = {descriptor.identity for descriptor in self.descriptors}
        return frozenset(held | {mapping_identity(mapping) for mapping in self.mappings})

    def with_nodelay(self, told: Mapping[str, bool]) -> "Holdings":
        """Returns the holdings with what their process told of its sockets, by their identity."""
        descriptors = (held._replace(nodelay=told.get(held.identity)) for held in self.descriptors)
        return self._replace(descriptors=tuple(descriptors))

    def without(self, known: frozenset[str]) -> "Holdings":
        """Returns the holdings without these identities."""
        return Holdings(
            self.pid,
            tuple(held for held in self.descriptors if held.identity not in known),
            tuple(held for held in self.mappings if mapping_identity(held) not in known),
        )


def mapping_identity(mapping: tables.MemoryMapping) -> str:
    """The identity of a mapping: device, inode and path, since a System V id is also an inode."""
    return f"{mapping.device} {mapping.inode} {mapping.path}"


def holdings(pid: int) -> Holdings:
    """Reads what a process holds now. Raises OSError if it isn't visible."""
    folder = Path(f"/proc/{pid}")
    maps = (folder / "maps").read_text(encoding="utf-8", errors="replace")
    descriptors = []
    for path in (folder / "fd").iterdir():
        try:
            descriptors.append(_descriptor(folder, path.name))
        except FileNotFoundError:
            continue  # closed since: at least the listing's own
    return Holdings(pid, tuple(descriptors), tuple(tables.shared_mappings(maps)))


def own_nodelay() -> dict[str, bool]:
    """TCP_NODELAY of each of this process's TCP sockets, by their identity.

    No table of the kernel shows it, and only who holds a socket can ask for its options. tcp(7).
    """
    told = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = str(path.readlink())
            if target.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(path.name))) as same:
                    if same.proto == socket.IPPROTO_TCP:
                        told[target] = has_nodelay(same)
        except OSError:
            continue  # closed since
    return told


def has_nodelay(connection: socket.socket) -> bool:
    """Whether TCP_NODELAY is set."""
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def _descriptor(folder: Path, name: str) -> Descriptor:
    path, number = folder / "fd" / name, int(name)
    target = str(path.readlink())
    if target.startswith("socket:"):
        return Descriptor(number, "socket", target, target)
    info = tables.file_info((folder / "fdinfo" / name).read_text())
    if target.startswith("pipe:"):
        return Descriptor(number, "pipe", target, target, info.reads, info.writes)
    if info.eventfd is not None:
        return Descriptor(number, "eventfd", f"eventfd:[{info.eventfd}]", target)
    about = path.stat()
    if target.startswith("anon_inode:"):
        # All of them share an inode, so this one can't be told from others of its kind.
        return Descriptor(number, "other", f"{target} {folder.name} {number}", target)
    device = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}"
    identity = f"{device} {about.st_ino} {target}"
    return Descriptor(number, _kind(path, about), identity, target, info.reads, info.writes)


def _kind(path: Path, about: os.stat_result) -> DescriptorKind:
    if stat.S_ISFIFO(about.st_mode):
        return "fifo"
    if not stat.S_ISREG(about.st_mode):
        return "other"
    return "posix-mq" if file_system(path) == _MQUEUE_MAGIC else "file"


def file_system(path: Path) -> int:
    """The type of the file system that a file is in. statfs(2)."""
    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None).statfs(os.fsencode(path), answer) != 0:
        return 0
    return ctypes.c_long.from_buffer(answer).value
