"""The contract that every transport keeps; imports nothing of the project.

The rules, each held by a test in tests/contract/:

- A message is exactly `message_size_bytes` long. `send` takes all of `outgoing`, `receive`
  fills all of `incoming`, whatever number of system calls that takes.
- A transport that may lose messages writes a sequence number over the first bytes of `outgoing`
  as it sends (`numbers_messages`); a message that is not the next one raises OSError.
- `connect` links make a connection, exchange one byte each way, and end it, in one `send` of the
  client and one `receive` of the server.
- Messages arrive whole, in the order sent, and without one lost or doubled.
- `latency` links alternate strictly, client first: an end sends only after it has received
  everything sent to it. `throughput` links stream from client to server only, and `send`
  blocks while the receiver is behind; nothing is dropped.
- `send` and `receive` are what the timed loop calls, so they take no argument, return nothing
  and allocate nothing. They raise OSError or EOFError once the other end is gone, where
  the mechanism tells; where it doesn't (shared memory), the pair's watch on the process does.
- What comes to a socket that anybody may connect or send to proves that it is this launch's, or
  is dropped and counted (`strangers_count`); it is neither received nor waited for.
- Whatever has a name is for its owner alone, under every umask.
- Everything with a life beyond the process is noted in the workspace *before* it is made.
- Closing twice is allowed, anywhere.
"""

import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

Workload = Literal["latency", "throughput", "connect"]
Side = Literal["client", "server"]
Loop = Literal["python", "native"]
Role = Literal["mechanism", "floor", "ceiling"]
"""Controls measure no mechanism: the floor is the loop alone, the ceiling one copy."""

Medium = Literal[
    "unix-stream",
    "unix-seqpacket",
    "unix-dgram",
    "tcp4",
    "tcp6",
    "udp4",
    "udp6",
    "pipe",
    "fifo",
    "eventfd",
    "posix-mq",
    "posix-shm",
    "posix-sem",
    "memfd",
    "mapped-file",
    "anonymous-memory",
    "sysv-shm",
    "sysv-sem",
    "sysv-msg",
    "socket-file",
    "abstract-name",
    "no-name",
    "nodelay",
    "nagle",
    "largest",
    "futex",
    "process-vm",
]
"""What joins the two ends, in words that `ipcbench evidence` holds against the kernel's tables.

`socket-file` to `largest` say how a socket is named or set, and how much a pipe holds. Of `futex`
and `process-vm` the kernel keeps no table.
"""

CORE = "core"
"""The group that is measured where none is named."""

LEDGER = "made"
"""The file in a workspace that lists what outlives a process; see `Workspace.note`."""


DEV_SHM = Path("/dev/shm")  # noqa: S108  (where shm_overview(7) and sem_overview(7) keep names)


class Unavailable(Exception):
    """This link can't be made on this machine now; the message says why and what would help."""


class StreamShape(NamedTuple):
    """Descriptors of a byte stream."""

    kind: Literal["stream"]
    reader: int
    writer: int
    is_socket: bool


class DatagramShape(NamedTuple):
    """A connected socket that keeps messages apart and may lose them.

    `numbers`: this end writes a sequence number over a message's first bytes; both ends check it.
    `half_window`: after so many messages the receiver gives the sender credit for as many; the
    sender starts with twice that. 0: no credit is needed.
    """

    kind: Literal["datagram"]
    descriptor: int
    numbers: bool
    half_window: int


class QueueShape(NamedTuple):
    """Message queues; -1 where nothing is received or sent.

    For `sysv` the eight bytes in front of both buffers are the queue's: a message's type.
    """

    kind: Literal["queue"]
    system: Literal["sysv", "posix"]
    receives: int
    sends: int


class CounterShape(NamedTuple):
    """A counter that one end raises and the other waits to lower.

    `where` is a semaphore set (semop), the address of a sem_t (posix-sem), a descriptor (eventfd),
    or the offset in the shared memory of a 32-bit word that counts how often it was raised (spin,
    futex; the word behind it is the futex's own).
    """

    kind: Literal["semop", "posix-sem", "eventfd", "spin", "futex"]
    where: int


class DirectionShape(NamedTuple):
    """One way through shared memory: slots from this offset on, that many bytes apart.

    `filled` counts slots, and `free` parts of so many slots; None where strict alternation keeps
    the one slot free.
    """

    offset: int
    stride: int
    parts: int
    part_slots: int
    filled: CounterShape
    free: CounterShape | None


class SlotsShape(NamedTuple):
    """Slots in shared memory; None where nothing is sent or received."""

    kind: Literal["slots"]
    memory: memoryview
    sends: DirectionShape | None
    receives: DirectionShape | None


class NothingShape(NamedTuple):
    """Nothing is moved."""

    kind: Literal["nothing"]


class CopyShape(NamedTuple):
    """`send` copies outgoing to incoming."""

    kind: Literal["copy"]


Shape = StreamShape | DatagramShape | QueueShape | SlotsShape | NothingShape | CopyShape
"""What an endpoint is to the loop in C (measure/native.c)."""


class Workspace:
    """A private directory for one launch, and the ledger of what must be removed after it."""

    __slots__ = ("directory",)

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def note(self, kind: str, key: int) -> None:
        """Writes down a System V object before it is made, so that any later process can remove it.

        One short line by one O_APPEND write: it is whole in the file or not there at all.
        """
        self._append(f"+ {kind} {key}\n")

    def strike(self, kind: str, key: int) -> None:
        """Takes a note back: the key turned out to be somebody else's."""
        self._append(f"- {kind} {key}\n")

    def _append(self, line: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        ledger = os.open(self.directory / LEDGER, flags, 0o600)
        try:
            os.write(ledger, line.encode("ascii"))
        finally:
            os.close(ledger)


class Endpoint:
    """One side of a link, ready to be used by a timed loop.

    `outgoing` and `incoming` are private, page-aligned buffers of the message size, and are
    the same buffer at the server of a latency link, which so sends back what it received.
    """

    __slots__ = ("_close", "facts", "incoming", "outgoing", "receive", "send", "shape")

    def __init__(
        self,
        *,
        send: Callable[[], None],
        receive: Callable[[], None],
        outgoing: memoryview,
        incoming: memoryview,
        facts: Mapping[str, int],
        close: Callable[[], None],
        shape: Shape | None = None,
    ) -> None:
        self.send = send
        self.receive = receive
        self.outgoing = outgoing
        self.incoming = incoming
        self.facts = facts
        """Effective sizes of buffers, in bytes, by a name that ends in its unit.

        Those of the server of a connect link may change: it counts strangers.
        """
        self.shape = shape
        """The same endpoint for the loop in C; None where only Python can drive it."""
        self._close: Callable[[], None] | None = close

    def close(self) -> None:
        """Lets go of this side's descriptors and mappings; `send` and `receive` are dead then."""
        close, self._close = self._close, None
        if close is not None:
            # The closures hold views of mappings that can't be unmapped while they live.
            del self.send, self.receive, self.shape
            close()


class Link(ABC):
    """The kernel objects that join one client to one server; made before the fork.

    Used in two processes, each calls `keep_only` with its own side first. Used in two threads
    of one process, `keep_only` is not called.
    """

    @abstractmethod
    def client(self) -> Endpoint:
        """Opens the client's side; may wait for the server."""

    @abstractmethod
    def server(self) -> Endpoint:
        """Opens the server's side; may wait for the client."""

    def keep_only(self, side: Side) -> None:  # noqa: B027  (most links have nothing to drop)
        """Closes, in this process, the descriptors that only the other side needs."""

    @abstractmethod
    def close(self) -> None:
        """Removes what the link made; called by its maker once both ends are done."""


class Transport(ABC):
    """One way to move a message between two processes. Stateless: one instance serves all."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `ipcbench list`: what it is."""
    waits: ClassVar[str]
    """How the reader waits for a message: it changes the number more than the mechanism does."""
    role: ClassVar[Role] = "mechanism"
    copies: ClassVar[str] = "twice: into the kernel and out of it"
    """How often a message is copied on its way, and where."""
    source: ClassVar[str]
    """The manual page or document that describes the mechanism."""
    groups: ClassVar[tuple[str, ...]]
    """What it is selected by: `@sockets`; the first is where `list` shows it."""
    workloads: ClassVar[tuple[Workload, ...]] = ("latency", "throughput")
    """What a pair can do over it."""
    carries_payload: ClassVar[bool] = True
    """False for what only signals: it is measured with messages of 0 bytes."""
    mediums: tuple[Medium, ...] = ()
    """All that joins the two ends; the kernel must show that and no more. A control has none."""
    numbers_messages: ClassVar[bool] = False
    """Whether `send` writes over the first bytes of `outgoing`."""
    spins: ClassVar[bool] = False
    """A reader that spins takes whole scheduler slices from a sender on the same CPU."""

    @property
    def is_default(self) -> bool:
        """Whether it is measured where none is named."""
        return CORE in self.groups

    @property
    def is_control(self) -> bool:
        """Whether its loop runs in the client alone, and no payload arrives anywhere."""
        return self.role != "mechanism"

    def unavailable(self) -> str | None:
        """Why this transport can't be used here and what would help; None where it can."""
        return None

    def limit(self, message_size_bytes: int, workload: Workload) -> str | None:
        """Why this message can't be sent whole, naming the limit and its value; None if it can."""
        return None

    def limits(self) -> Mapping[str, str]:
        """What bounds it on this machine now: the name of a limit and its value with its unit."""
        return {}

    def loop_limit(self, loop: Loop) -> str | None:
        """Why this loop can't drive it; None if it can."""
        return None

    @abstractmethod
    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        """Makes what client and server need to meet. Raises Unavailable or OSError."""


def message_buffer(size_bytes: int) -> memoryview:
    """A zeroed, page-aligned, resident buffer of exactly this size.

    Page-aligned so that a launch's luck with the allocator doesn't decide how fast copies are;
    every page is written once so that no fault falls into a timed loop.
    """
    if size_bytes == 0:
        return memoryview(bytearray())
    buffer = memoryview(mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    for page in range(0, size_bytes, mmap.PAGESIZE):
        buffer[page] = 0
    return buffer


@contextmanager
def owner_only() -> Iterator[None]:
    """What is made inside with a name is for its owner alone, whatever the user's umask lets in.

    For what takes no mode: a socket file.
    """
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def momentary_name(number: int) -> str:
    """The name, made of its number in the ledger, of what is unlinked as soon as it is made."""
    return f"ipcbench-{number:012x}"


def kernel_setting(name: str) -> int | None:
    """The value of a sysctl like `kernel.msgmax`; None where there is none, or it is hidden."""
    try:
        return int(Path("/proc/sys", *name.split(".")).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def known(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of these sysctls that this kernel tells, with their values and units."""
    values = {name: kernel_setting(name) for name in settings}
    return {
        name: f"{value:,} {settings[name]}" for name, value in values.items() if value is not None
    }


def buffer_pair(size_bytes: int, *, echoes: bool) -> tuple[memoryview, memoryview]:
    """The (outgoing, incoming) buffers of an endpoint; one and the same where it echoes."""
    outgoing = message_buffer(size_bytes)
    return outgoing, outgoing if echoes else message_buffer(size_bytes)
