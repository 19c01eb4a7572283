"""The kernel's own word for what lies unread between two processes, from their descriptors.

SO_MEMINFO of include/uapi/linux/sock_diag.h; FIONREAD of unix(7), tcp(7), pipe(7);
SIOCOUTQNSD of include/uapi/linux/sockios.h, what TCP hasn't sent yet: the rest is with the reader;
the text of a POSIX queue's descriptor in mq_overview(7).
"""

import errno
import fcntl
import os
import re
import select
import socket
import stat
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ipcbench.system.process import open_descriptors

_SO_MEMINFO = 55
_RMEM, _RCVBUF, _WMEM, _SNDBUF, _QUEUED, _DROPS = 0, 1, 2, 3, 5, 8
"""Places in SO_MEMINFO: memory charged to either end, their limits, TCP's queue, and drops."""
_WORDS = 9
_FIONREAD, _SIOCOUTQNSD = 0x541B, 0x894B
_QUEUE_SIZE = re.compile(rb"QSIZE:([0-9]+)")
_MQ_ATTRIBUTES = 8
"""Longs in struct mq_attr, the reserved ones too."""
_IPC_NOWAIT = 0o4000
_SYSV_QUEUES = Path("/proc/sysvipc/msg")


class Held(NamedTuple):
    """What the kernel tells of unread messages; None where it doesn't."""

    unread_bytes: int | None = None
    """Bytes of the messages, and of what the mechanism puts before them."""
    memory_bytes: int | None = None
    """Memory charged for them."""
    memory_source: str | None = None
    limit_name: str | None = None
    """What bounds the messages."""
    limit: int | None = None
    drops: int = 0
    """Messages that were thrown away for want of room."""


def open_now() -> dict[int, int]:
    """The descriptors open in this process, by the inode: a number may stand for another soon."""
    found = {}
    for one in open_descriptors():
        with suppress(OSError):  # that of the listing itself is closed by now
            found[os.fstat(one).st_ino] = one
    return found


def opened_since(before: Mapping[int, int]) -> list[int]:
    """Descriptors opened since then that may be an end of a mechanism with a queue."""
    now = open_now()
    new = sorted(now[inode] for inode in now.keys() - before.keys())
    return [one for one in new if _kind(one) in ("socket", "pipe", "queue")]


def held(writers: Iterable[int], readers: Iterable[int], sysv_queue: int | None = None) -> Held:
    """What is unread, by descriptors of either end, and the id of a System V queue."""
    if sysv_queue is not None:
        return _in_sysv_queue(sysv_queue)
    found = [_in_queue(one) for one in writers if _kind(one) == "queue"]
    found += [_in_pipe(one) for one in _pipes(writers)]
    sockets = [[one for one in end if _is_connected(one)] for end in (writers, readers)]
    if all(sockets):
        found.append(_in_sockets(sockets[0][0], sockets[1][0]))
    return max(found, key=lambda one: one.unread_bytes or 0, default=Held())


def refuses_with(
    writers: Iterable[int], size_bytes: int, sysv_queue: int | None = None
) -> str | None:
    """The errno of a writer's next message that doesn't wait, or `taken`; None if it isn't told."""
    message = bytes(size_bytes)
    if sysv_queue is not None:
        return _errno_of(lambda: _send_to_sysv_queue(sysv_queue, size_bytes))
    for one in writers:
        kind = _kind(one)
        if kind == "queue":
            return _errno_of(lambda: _send_to_queue(one, message))  # noqa: B023
        if kind == "pipe" and _writes(one):
            return _errno_of(lambda: _write_to_pipe(one, message))  # noqa: B023
        if kind == "socket":
            with socket.socket(fileno=os.dup(one)) as same:
                return _errno_of(lambda: same.send(message, socket.MSG_DONTWAIT))
    return None


def _write_to_pipe(descriptor: int, message: bytes) -> None:
    # A description of its own: the flag would be the blocked writer's, too (open(2)).
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(again, message)
    finally:
        os.close(again)


def _send_to_queue(descriptor: int, message: bytes) -> None:
    """A writer that sleeps in mq_send doesn't look at the flag again (ipc/mqueue.c)."""
    before = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, before | os.O_NONBLOCK)
    try:
        _called("mq_send", descriptor, message, len(message), 0)
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, before)


def _send_to_sysv_queue(identifier: int, size_bytes: int) -> None:
    typed = struct.pack("l", 1) + bytes(size_bytes)
    _called("msgsnd", identifier, typed, size_bytes, _IPC_NOWAIT)


def _called(name: str, descriptor: int, message: bytes, size_bytes: int, last: int) -> None:
    """Calls a function of the C library that takes a message. Raises OSError."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), name)
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    if call(descriptor, message, size_bytes, last) == -1:
        raise OSError(ctypes.get_errno(), name)


def _errno_of(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "taken"


def _kind(descriptor: int) -> str:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return "socket"
    if stat.S_ISFIFO(mode):
        return "pipe"
    return "queue" if stat.S_ISREG(mode) and _queue_text(descriptor) else ""


def _is_connected(descriptor: int) -> bool:
    """Whether it is a socket that may have messages: one that listens has none, and no FIONREAD."""
    if _kind(descriptor) != "socket":
        return False
    with socket.socket(fileno=os.dup(descriptor)) as same:
        return not same.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def _queue_text(descriptor: int) -> "re.Match[bytes] | None":
    try:
        return _QUEUE_SIZE.match(os.pread(descriptor, 80, 0))
    except OSError:
        return None


def _writes(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def _pipes(descriptors: Iterable[int]) -> list[int]:
    """The writing ends of pipes."""
    return [one for one in descriptors if _kind(one) == "pipe" and _writes(one)]


def _count(descriptor: int, request: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, request, bytes(4)))
    return int(count)


def _in_pipe(descriptor: int) -> Held:
    """A pipe takes a page for each slot in use, which are all of them when it is full."""
    unread, capacity = _count(descriptor, _FIONREAD), fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if poll.poll(0):
        return Held(unread, limit_name="F_GETPIPE_SZ", limit=capacity)
    return Held(unread, capacity, "F_GETPIPE_SZ", "F_GETPIPE_SZ", capacity)


def _in_queue(descriptor: int) -> Held:
    text = _queue_text(descriptor)
    return Held(
        unread_bytes=int(text[1]) if text else None,
        limit_name="mq_maxmsg",
        limit=_most_messages(descriptor),
    )


def _most_messages(descriptor: int) -> int | None:
    """The messages that a POSIX queue has room for. mq_getattr(3)."""
    import ctypes

    attributes = (ctypes.c_long * _MQ_ATTRIBUTES)()
    with suppress(AttributeError, OSError):
        if ctypes.CDLL(None).mq_getattr(descriptor, attributes) == 0:
            return int(attributes[1])
    return None


def _in_sysv_queue(identifier: int) -> Held:
    """The row of a queue in /proc/sysvipc/msg; a new queue's limit is kernel.msgmnb. sysvipc(7)."""
    with suppress(OSError, ValueError):
        titles, *rows = (line.split() for line in _SYSV_QUEUES.read_text().splitlines())
        limit = int(Path("/proc/sys/kernel/msgmnb").read_text())
        for row in rows:
            values = dict(zip(titles, row, strict=False))
            if int(values["msqid"]) == identifier:
                return Held(int(values["cbytes"]), limit_name="msg_qbytes", limit=limit)
    return Held()


def _meminfo(end: socket.socket) -> tuple[int, ...]:
    try:
        told = end.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _WORDS)
    except OSError:
        return (0,) * _WORDS
    words = struct.unpack(f"{len(told) // 4}I", told)
    return (*words, *(0,) * (_WORDS - len(words)))


def _in_sockets(writer: int, reader: int) -> Held:
    """Datagrams of UDP are charged to the reader, those of AF_UNIX to the writer, TCP to both."""
    with socket.socket(fileno=os.dup(writer)) as one, socket.socket(fileno=os.dup(reader)) as other:
        ours, theirs = _meminfo(one), _meminfo(other)
        is_ip = one.family in (socket.AF_INET, socket.AF_INET6)
        is_datagram = one.type == socket.SOCK_DGRAM
    unread = None
    if not is_datagram:  # of datagrams only the first one's length is told
        unread = _count(reader, _FIONREAD) + (_count(writer, _SIOCOUTQNSD) if is_ip else 0)
    name, limit = "SO_SNDBUF", ours[_SNDBUF]
    if is_ip and is_datagram:
        name, limit = "SO_RCVBUF", theirs[_RCVBUF]
    memory = max(ours[_WMEM], ours[_QUEUED]) + theirs[_RMEM]
    # TCP counts as drops what came again, or beyond its window, and sends it once more.
    drops = theirs[_DROPS] if is_datagram else 0
    return Held(unread, memory, "SO_MEMINFO", name, limit, drops)
