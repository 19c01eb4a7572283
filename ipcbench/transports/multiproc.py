"""Mechanisms of Python's multiprocessing, used as its documentation does. No native loop.

`send_bytes` puts the length in front of a message, and from 16 KiB on writes it separately. Two
writes are slow over TCP, where multiprocessing leaves Nagle's algorithm on. Transports that pickle
have `-pickle` in their name.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from ipcbench.case import Loop
from ipcbench.terms import Knob, Whole
from ipcbench.transports.base import (
    DEV_SHM,
    WHOLE,
    Endpoint,
    Link,
    Medium,
    Traffic,
    Transport,
    Workspace,
    buffer_pair,
    momentary_name,
    no_native_loop,
)
from ipcbench.transports.parts.connections import ListenerLink, connection_endpoint, set_options
from ipcbench.transports.parts.counters import (
    SEMAPHORES,
    SEMAPHORES_PER_LINK,
    PosixSemaphores,
    semaphores_explained,
)
from ipcbench.transports.parts.dev_shm import InDevShm, dev_shm_bytes, remove_from_dev_shm
from ipcbench.transports.parts.joined import JoinedLink
from ipcbench.transports.parts.options import BUFFERS, SocketOptions, TcpOptions, tcp_knobs
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.shared import InSharedMemory
from ipcbench.transports.parts.slots import Counters, Memory, reserve
from ipcbench.transports.parts.sockets import (
    SocketPath,
    ip_unavailable,
)
from ipcbench.transports.parts.traps import FILLS_SOCKET, tcp_traps

SEGMENT_KIND = "posix-shm"
"""Kind of a segment in the ledger; the number beside it is part of its name."""

_QUEUE_MESSAGES = 16

PICKLE = (Knob("protocol", Whole(0, 5), None, "the pickle protocol of its items"),)


class _ByPython(Transport):
    """Base of the transports that only Python can drive."""

    source = "Python's library reference: multiprocessing"
    groups = ("python",)
    overlaps = True

    def rejects_driver(self, driver: Loop) -> str | None:
        return no_native_loop(driver, "Python by nature: there is no native loop")


class PickleQueueLink(Link):
    """A multiprocessing queue in each direction, which pickles its items."""

    def __init__(
        self, traffic: Traffic, make: Callable[[], Any], protocol: str | None = None
    ) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        self._pickling = Pickling(protocol)
        try:
            with semaphores_explained():
                self._to_server, self._to_client = make(), make()
        except BaseException:
            self._pickling.close()
            raise

    def client(self) -> Endpoint:
        return self._endpoint(self._to_server, self._to_client, echoes=False)

    def server(self) -> Endpoint:
        return self._endpoint(self._to_client, self._to_server, echoes=self._echoes)

    def close(self) -> None:
        self._pickling.close()
        for queue in (self._to_server, self._to_client):
            if hasattr(queue, "cancel_join_thread"):
                queue.cancel_join_thread()
            queue.close()

    def _endpoint(self, sends: Any, receives: Any, *, echoes: bool) -> Endpoint:
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=echoes)
        put, get = sends.put, receives.get

        def send() -> None:
            put(bytes(outgoing))

        def receive() -> None:
            incoming[WHOLE] = get()  # another length than the message's is a ValueError

        return Endpoint(
            send=send,
            receive=receive,
            # Nobody else reads from it, and what its feeder still holds hasn't left the sender.
            ready=readable(receives._reader.fileno()),  # noqa: SLF001  (it has no public name)
            outgoing=outgoing,
            incoming=incoming,
            effective=self._pickling.in_force,
        )


class Pickling:
    """The pickle protocol of multiprocessing's queues, as long as this is not closed.

    They have no option for it: the pickler that their module names is replaced by one that does.
    """

    def __init__(self, protocol: str | None) -> None:
        from multiprocessing import reduction

        self._queues = _queues()
        self._usual = reduction.ForkingPickler
        if protocol is None:
            return
        asked = int(protocol)

        class WithProtocol(reduction.ForkingPickler):
            @classmethod
            def dumps(cls, obj: object, _: int | None = None) -> memoryview:
                """Pickles as the usual one, in the protocol asked for."""
                return super().dumps(obj, asked)

        self._queues._ForkingPickler = WithProtocol  # noqa: SLF001  (it has no public name)

    def in_force(self) -> dict[str, str]:
        """The protocol, found out by what the queues make of a message."""
        import pickle

        made = bytes(self._queues._ForkingPickler.dumps(b"message"))  # noqa: SLF001
        every = range(pickle.HIGHEST_PROTOCOL + 1)
        return {"protocol": str(n) for n in every if pickle.dumps(b"message", n) == made}  # noqa: B035

    def close(self) -> None:
        """Gives the queues their usual pickler back. Allowed twice."""
        self._queues._ForkingPickler = self._usual  # noqa: SLF001


def _queues() -> Any:
    from multiprocessing import queues

    return queues


class NamedMemory(Memory):
    """A segment of multiprocessing.shared_memory, unlinked as soon as it is made."""

    def __init__(self, size_bytes: int, workspace: Workspace) -> None:
        from multiprocessing import shared_memory

        number = int.from_bytes(os.urandom(6))
        workspace.note(SEGMENT_KIND, number)
        name = momentary_name(number)
        with _untracked(shared_memory):
            shared = shared_memory.SharedMemory(name, create=True, size=size_bytes)
            try:
                _reserve(name, size_bytes)
            except BaseException:
                shared.close()
                raise
            finally:
                shared.unlink()
                workspace.strike(SEGMENT_KIND, number)
        self._shared = shared

    def view(self) -> memoryview:
        return memoryview(self._shared.buf)  # type: ignore[arg-type]

    def close(self) -> None:
        self._shared.close()


def remove_segment(number: int) -> None:
    """Removes the segment of this number, left by a process that died while it had a name."""
    remove_from_dev_shm(momentary_name(number))


class MpPipe(_ByPython):
    """multiprocessing.Pipe."""

    name = "mp-pipe"
    summary = "multiprocessing.Pipe, duplex (a UNIX socket pair)"
    waits = "blocks in read"
    mediums = ("unix-stream", "no-name")
    knobs = BUFFERS
    traps = (FILLS_SOCKET,)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        from multiprocessing import connection  # heavy: loaded where it is needed

        client, server = connection.Pipe(duplex=True)
        options = SocketOptions(self.settings)
        set_options(client, options)
        set_options(server, options)
        return JoinedLink(traffic, client, server, partial(connection_endpoint, options=options))


class MpConnection(_ByPython):
    """multiprocessing.connection over AF_UNIX."""

    name = "mp-connection"
    summary = "multiprocessing.connection over a UNIX socket file"
    waits = "blocks in read"
    mediums = ("unix-stream", "socket-file")
    connects = True
    knobs = BUFFERS
    traps = (FILLS_SOCKET,)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        path = SocketPath(workspace.directory, "listener")
        options = SocketOptions(self.settings)
        return ListenerLink("AF_UNIX", path.address, traffic, options, path)


class MpConnectionInet(_ByPython):
    """multiprocessing.connection over AF_INET."""

    name = "mp-connection-inet"
    summary = "multiprocessing.connection over 127.0.0.1, Nagle on"
    waits = "blocks in read"
    mediums: tuple[Medium, ...] = ("tcp4", "nagle")
    connects = True
    knobs = tcp_knobs(nodelay="off")

    def settle(self) -> None:
        trait: Medium = "nodelay" if self.setting("nodelay") == "on" else "nagle"
        self.mediums = ("tcp4", trait)
        self.traps = tcp_traps(nodelay=trait == "nodelay")

    def unavailable(self) -> str | None:
        return ip_unavailable(socket.AF_INET, "127.0.0.1")

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        options = TcpOptions(self.settings, nodelay=self.setting("nodelay") == "on")
        return ListenerLink("AF_INET", ("127.0.0.1", 0), traffic, options)


class _WithSemaphores(InDevShm, _ByPython):
    """Base of the transports that also need POSIX semaphores."""

    semaphores: ClassVar[int]
    """Number of POSIX semaphores of a pair."""

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        return dev_shm_bytes(0, self.semaphores)


class MpQueue(_WithSemaphores):
    """multiprocessing.Queue."""

    name = "mp-queue-pickle"
    summary = "multiprocessing.Queue: pickled, sent by a thread"
    waits = "blocks in read, under a lock"
    copies = "four times: pickled, into a pipe and out of it, unpickled"
    mediums = ("pipe", "posix-sem")
    semaphores = 6
    knobs = PICKLE

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        from multiprocessing import get_context  # heavy: loaded where it is needed

        context = get_context("fork")
        make = partial(context.Queue, _QUEUE_MESSAGES)
        return PickleQueueLink(traffic, make, self.setting("protocol"))


class MpSimpleQueue(_WithSemaphores):
    """multiprocessing.SimpleQueue."""

    name = "mp-simplequeue-pickle"
    summary = "multiprocessing.SimpleQueue: bytes, pickled"
    waits = "blocks in read, under a lock"
    copies = "four times: pickled, into a pipe and out of it, unpickled"
    mediums = ("pipe", "posix-sem")
    semaphores = 4
    knobs = PICKLE

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        from multiprocessing import get_context

        make = get_context("fork").SimpleQueue
        return PickleQueueLink(traffic, make, self.setting("protocol"))


class MpSharedMemory(InSharedMemory, _WithSemaphores):
    """multiprocessing.shared_memory."""

    name = "mp-shared-memory"
    summary = "multiprocessing.shared_memory; sleeps on a semaphore"
    waits = "sleeps on a semaphore of multiprocessing's"
    copies = "twice: into a slot of the segment and out of it"
    memory = "posix-shm"
    sleeps_on = "posix-sem"
    leftovers = MappingProxyType({SEGMENT_KIND: remove_segment, **SEMAPHORES})
    semaphores = SEMAPHORES_PER_LINK

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        return dev_shm_bytes(self.memory_bytes(traffic), 0 if self.spins else self.semaphores)

    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        return NamedMemory(size_bytes, workspace)

    def sleeping(self, workspace: Workspace) -> Counters:
        return PosixSemaphores(workspace)


def _reserve(name: str, size_bytes: int) -> None:
    """Reserves the memory of a new segment; see `slots.reserve`."""
    if not (DEV_SHM / name).exists():
        return  # not Linux: segments are not files there, and their memory is the kernel's care
    descriptor = os.open(DEV_SHM / name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        reserve(descriptor, size_bytes)
    finally:
        os.close(descriptor)


@contextmanager
def _untracked(shared_memory: Any) -> Iterator[None]:
    """Keeps the resource tracker out of the block, whose segment is unlinked at once anyway.

    Python 3.13 has `track=False`; before, the tracker is another process that outlives the launch.
    """

    class Nobody:
        @staticmethod
        def register(*_: object) -> None:
            """Does nothing."""

        unregister = register

    tracker = shared_memory.resource_tracker
    shared_memory.resource_tracker = Nobody
    try:
        yield
    finally:
        shared_memory.resource_tracker = tracker
