"""Reads the kernel's tables while a pair is alive, and finds the carriers that join it."""

import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from ipcbench.evidence import objects, sockets, tables
from ipcbench.evidence.channels import Carrier, Seen
from ipcbench.evidence.holdings import Holdings, has_nodelay, holdings
from ipcbench.evidence.sockdiag import SocketDiagnosis
from ipcbench.evidence.sockets import InetKind, TcpFacts

_GETPID = 11
"""semctl(2): the command that returns the process that last changed a semaphore."""
_TCP_INFO_SENT = 200
"""Offset of tcpi_bytes_sent (64 bits, Linux 4.19) in struct tcp_info of linux/tcp.h."""
_TCP_INFO_BYTES = 256
_INET_TABLES: tuple[tuple[InetKind, str], ...] = (
    ("tcp4", "tcp"),
    ("tcp6", "tcp6"),
    ("udp4", "udp"),
    ("udp6", "udp6"),
)
_SYSVIPC = Path("/proc/sysvipc")


class CannotLook(Exception):
    """The needed tables aren't visible here; the message is the reason."""


def held_now() -> frozenset[str]:
    """Identities of all that this process holds now; taken before a link is made, to exclude them.

    Empty where they aren't visible; then `look` fails too.
    """
    try:
        return holdings(os.getpid()).identities
    except OSError:
        return frozenset()


def look(server_holdings: Callable[[], Holdings], known: frozenset[str]) -> Seen:
    """Finds all that joins this process, the client, to its server, except what is `known`.

    Each side may look for itself: `server_holdings` reads what the server holds, and has asked it
    for the options of its sockets (`own_nodelay`). Raises CannotLook.
    """
    _check_proc()
    try:
        client = holdings(os.getpid()).without(known)
        server = server_holdings().without(known)
        looked = [
            f"/proc/{client.pid}/fd and maps (the client)",
            f"/proc/{server.pid}/fd and maps (the server)",
        ]
        found: list[Carrier] = []
        for search in (_sockets, _descriptors, _memory, _system_v):
            seen = search(client, server)
            looked += seen.looked_at
            found += seen.carriers
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise CannotLook(f"{error.strerror or error}{where}") from error
    return Seen(tuple(looked), tuple(found))


def _check_proc() -> None:
    try:
        here = Path("/proc/self").readlink()
    except OSError as error:
        raise CannotLook("there is no /proc here") from error
    if str(here) != str(os.getpid()):
        raise CannotLook("/proc shows another process namespace than this one")


def _sockets(client: Holdings, server: Holdings) -> Seen:
    """Finds sockets, reading one table after the other until each socket is found."""
    ours, theirs = sockets.socket_inodes(client), sockets.socket_inodes(server)
    if not ours | theirs:
        return Seen((), ())
    unix = list(tables.unix_sockets(Path("/proc/net/unix").read_text(errors="replace")))
    listed = {row.inode for row in unix}
    looked, found = ["/proc/net/unix"], list[Carrier]()
    if (ours | theirs) & listed:
        looked.append("sock_diag")
        found += _unix(client, server, unix)
    for kind, name in _INET_TABLES:
        path = Path("/proc/net", name)
        if not ours | theirs <= listed and path.exists():
            rows = list(tables.inet_sockets(path.read_text()))
            found += sockets.inet_carriers(client, server, kind, str(path), rows, _tcp_facts)
            listed |= {row.inode for row in rows}
            looked.append(str(path))
    found += sockets.other_sockets(client, server, frozenset(listed), _has_table)
    return Seen(tuple(looked), tuple(found))


def _unix(client: Holdings, server: Holdings, rows: list[tables.UnixSocket]) -> list[Carrier]:
    with _diagnosis() as diagnosis:
        try:
            found = sockets.unix_carriers(client, server, rows, diagnosis.unix_peer, _socket_file)
            return list(found)
        except FileNotFoundError as error:
            raise CannotLook("this kernel doesn't tell the peer of a UNIX socket") from error


def _diagnosis() -> SocketDiagnosis:
    try:
        return SocketDiagnosis()
    except OSError as error:
        raise CannotLook(f"no sock_diag here: {error.strerror}") from error


def _descriptors(client: Holdings, server: Holdings) -> Seen:
    """Finds pipes, FIFOs, eventfds, POSIX queues and files."""
    largest = _number(Path("/proc/sys/fs/pipe-max-size"))
    return Seen((), tuple(objects.descriptor_carriers(client, server, _capacity, largest)))


def _memory(client: Holdings, server: Holdings) -> Seen:
    """Finds shared mappings of every kind, including System V segments."""
    segments = _sysv_rows("shm")
    found = tuple(objects.mapping_carriers(client, server, segments))
    return Seen((str(_SYSVIPC / "shm"),), found)


def _system_v(client: Holdings, server: Holdings) -> Seen:
    """Finds System V semaphores and queues by their last users, since no process holds them."""
    mine = [row for row in _sysv_rows("sem") if row.numbers["uid"] == os.geteuid()]
    sets = [(row, tuple(_last_users(row))) for row in mine]
    found = [*objects.semaphore_carriers(client, server, sets)]
    found += objects.queue_carriers(client, server, _sysv_rows("msg"))
    return Seen((str(_SYSVIPC / "sem"), str(_SYSVIPC / "msg")), tuple(found))


def _sysv_rows(kind: str) -> list[tables.Row]:
    """Reads the rows of a System V table; none where this kernel has no System V IPC."""
    path = _SYSVIPC / kind
    return list(tables.rows(path.read_text())) if path.exists() else []


def _last_users(row: tables.Row) -> Iterator[int]:
    """Yields the process that last changed each semaphore of a set. semctl(2), GETPID."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(row.numbers["nsems"]):
        pid = libc.semctl(row.numbers["semid"], number, _GETPID)
        if pid > 0:
            yield pid
        elif pid < 0 and ctypes.get_errno() not in (errno.EINVAL, errno.EIDRM, errno.EACCES):
            raise OSError(ctypes.get_errno(), "semctl")


def _tcp_facts(descriptor: int) -> TcpFacts:
    """TCP_NODELAY and the bytes sent, of a connection of this process."""
    with socket.socket(fileno=os.dup(descriptor)) as same:
        nodelay = has_nodelay(same)
        info = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    told = len(info) >= _TCP_INFO_SENT + 8
    return TcpFacts(nodelay, struct.unpack_from("=Q", info, _TCP_INFO_SENT)[0] if told else None)


def _has_table(descriptor: int) -> bool:
    """Whether sockets of this family and protocol are in a table that is read here."""
    with socket.socket(fileno=os.dup(descriptor)) as same:
        if same.family in (socket.AF_INET, socket.AF_INET6):
            return same.proto in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
        return same.family == socket.AF_UNIX


def _capacity(descriptor: int) -> int | None:
    """The capacity of a pipe of this process."""
    return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)


def _socket_file(name: str) -> str:
    """Type, mode and size of a socket's file, which may be gone."""
    try:
        about = os.lstat(name)
    except OSError:
        return "no longer there"
    kind = "" if stat.S_ISSOCK(about.st_mode) else " (not a socket)"
    return f"{stat.filemode(about.st_mode)}, {about.st_size} bytes{kind}"


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
