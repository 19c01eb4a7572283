"""The contract that every transport keeps; imports only the vocabulary.

Other packages may build on this module and on `shapes`: what changes here is in the CHANGELOG.

The rules, each tried on every transport by `ipcbench.testing`:

- A message is exactly `message_size_bytes` long. `send` takes all of `outgoing`, `receive`
  fills all of `incoming`, whatever number of system calls that takes.
- A transport that may lose messages writes a sequence number over the first bytes of `outgoing`
  as it sends (`numbers_messages`); a message that is not the next one raises OSError.
- `connect` links make a connection, exchange one byte each way, and end it, in one `send` of the
  client and one `receive` of the server.
- Messages arrive whole, in the order sent, and without one lost or doubled.
- What is sent before a reply is waited for is bounded by the traffic, not by its workload's name:
  where it `alternates` the ends take turns, client first; else up to `in_flight` messages, and
  replies to them, are on their way at once, and none overwrites another. Without replies messages
  stream from client to server only, and `send` blocks while the receiver is behind; nothing is
  dropped.
- A transport says what it can do (`replies`, `streams`, `overlaps`, `connects`), and `rejects` a
  workload that needs more. One that doesn't say that messages may overlap refuses those that do.
- Where the ends take turns the client's `send` may wait for the reply, as a call of a library does,
  and `receive` then takes it out of that.
- `send` and `receive` are what the timed loop calls, so they take no argument, return nothing
  and allocate nothing. They raise OSError or EOFError once the other end is gone, where
  the mechanism tells; where it doesn't (shared memory), the pair's watch on the process does.
- `ready` tells whether a message's beginning waits to be received: at once, cheaply, and without
  receiving anything. After True `receive` returns without a long wait; it waits for the rest of a
  message whose beginning has come. It stays True until the last of what has come is received. Once
  the other end is gone, where the mechanism tells, it is True, and `receive` raises. A stranger's
  datagram may count, which `receive` drops, and then waits. An end that can't tell has None.
- An unauthenticated connection or datagram, at a socket that anybody may reach, is dropped and
  counted (`strangers_count`); it is neither received nor waited for.
- Every named object is for its owner alone, under every umask.
- Every object that outlives its process is noted in the workspace *before* it is made, under a
  kind that the transport's `leftovers` can remove.
- What drives an end (an event loop, a context, a thread, and the descriptors of each) is made in
  `client` and `server`, after the fork and on the end's CPU. What is made before the fork is in
  both processes, and the kernel's tables show it as a medium.
- The descriptors in the shape of a stream or of datagrams are one end's alone, and so is their open
  file description: a driver may make them non-blocking, at any time and for good (open(2)). The
  other end doesn't notice it, and `close` works as before.
- A knob that is set takes effect, or making the link fails; what it came to is read back from the
  kernel, or from the object, into `effective` at both ends.
- Closing twice is allowed, anywhere.
"""

import copy
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, NoReturn, Self, assert_never, get_args

from ipcbench.case import Case, Loop
from ipcbench.terms import Knob, Span, Term, Whole
from ipcbench.transports.shapes import Shape
from ipcbench.workloads import (
    BACKLOG,
    BETWEEN_MESSAGES,
    DEFINITIONS,
    FLOW,
    OF_CLIENTS,
    WORKLOADS,
    Clients,
    ServerModel,
    Workload,
    backlog_of,
    settings_of,
)

Side = Literal["client", "server"]
SIDES: tuple[Side, ...] = get_args(Side)
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
    "nagle-at-server",
    "nagle-at-client",
    "largest",
    "futex",
    "process-vm",
]
"""A kernel object that joins the two ends, or a trait of one, as the kernel's tables show it.

`socket-file` to `largest` are traits: the name or the options of a socket, the capacity of a pipe.
`nodelay` is TCP_NODELAY at both ends, `nagle` at neither, and the two others at one end only.
The kernel keeps no table of `futex` and `process-vm`.
"""

CORE = "core"
"""The group that is measured by default."""

BLOCKING: tuple[ServerModel, ...] = ("threads", "fork")
"""Ways to serve many clients over ends whose calls block."""
IN_ONE_LOOP: tuple[ServerModel, ...] = ("epoll", "fork")
"""Ways to serve them where an event loop drives the server's ends: one loop has all of them."""
BY_READINESS: tuple[ServerModel, ...] = ("epoll", *BLOCKING)
"""Ways to serve them where one thread can wait for all of their ends, too."""

DELAY = Knob("delay", Span(0.1), None, "its server busy-waits so long after each message")
IDLE_DELAY = Knob(
    "idle-delay", Span(0.1), None, "the same, but only after 3 ms or more without a message"
)
TURNS = Knob(
    "turns",
    Whole(1, 64),
    None,
    "its server of many clients waits for each in turn, and for the first one so many times",
)
"""A knob of transports whose blocking ends one thread can wait for all of."""
DUMMY = Knob("dummy", Whole(0, 9_999), "0", "nothing: to compare a thing with itself")
"""Knobs that every transport has, the controls no delays."""


class Trap(NamedTuple):
    """A way in which a mechanism is far slower than it has to be, and the knob that avoids it."""

    name: str
    """The flag that an affected case has, where there is one."""
    says: str
    """What sets it off and what it costs, in a few words."""
    avoided_by: str
    """A setting, as behind the transport's name: `nodelay=on`."""


LEDGER = "made"
"""Name of the file in a workspace that lists objects that outlive a process."""


_MOST_WAITING = "net.core.somaxconn"
"""The kernel's limit on the queue of connections: listen(2)."""

DEV_SHM = Path("/dev/shm")  # noqa: S108  (where shm_overview(7) and sem_overview(7) keep names)


class Traffic(NamedTuple):
    """Messages over a link: all that decides how the link is made, and whether it can be."""

    message_size_bytes: int
    workload: Workload
    window: int = 1
    """Round trips in flight at once, from each client."""
    clients: int = 1
    """Clients that connect to one link; each of many others has a link of its own."""
    settings: tuple[tuple[str, str], ...] = ()
    """Names and values of the workload's other knobs; those of the transport are its own."""
    batch: int = 1
    """Most messages that a system call moves."""
    duplex: bool = False
    """Whether both ends send, each its own messages, at the same time."""
    backlog: int | None = None
    """Connections that may wait to be accepted; None: as many as the link has by itself."""

    @classmethod
    def of(cls, case: Case) -> Self:
        """The messages of a case."""
        asked, flow = settings_of(case.workload).items(), case.flow
        elsewhere = FLOW | OF_CLIENTS | {BACKLOG.name}
        return cls(
            case.message_size_bytes,
            case.workload_name,
            window=flow.window,
            clients=case.clients.number if case.definition.connects else 1,
            settings=tuple(one for one in asked if one[0] not in elsewhere),
            batch=flow.batch,
            duplex=flow.duplex,
            backlog=backlog_of(case.workload),
        )

    @property
    def echoes(self) -> bool:
        """Whether the server sends messages back, from the buffer that it received into."""
        return DEFINITIONS[self.workload].replies

    @property
    def goes_back(self) -> bool:
        """Whether messages go from the server to the client: the same ones, or its own."""
        return self.echoes or self.duplex

    @property
    def in_flight(self) -> int | None:
        """Most messages that are sent before a reply is waited for; None if no reply bounds them.

        No more than these, and replies to these, are on their way at once.
        """
        each = DEFINITIONS[self.workload].in_flight
        return None if each is None else each * self.window

    @property
    def alternates(self) -> bool:
        """Whether the ends take turns: one message, or its reply, is on its way at a time."""
        return self.echoes and self.in_flight == 1

    @property
    def connects(self) -> bool:
        """Whether each message takes a connection of its own."""
        return DEFINITIONS[self.workload].connects


WHOLE = slice(None)
"""The slice of a whole buffer: `incoming[WHOLE] = message` copies, or raises ValueError if the
lengths differ."""


def removed_file(what: str) -> str:
    """The sentence about a file in the launch's directory that somebody removed."""
    return (
        f"{what} was removed while the pair needed it, as cleaners of temporary files do"
        " (systemd-tmpfiles, tmpreaper); set TMPDIR to a folder that isn't cleaned"
    )


def do_nothing() -> None:
    """Does nothing: the half of an exchange that is done already, or a close without a need.

    As the `send` and `receive` of the null transport it is the floor of every Python loop.
    """


def nothing_set() -> Mapping[str, str]:
    """Reads back the knobs of a transport that has none."""
    return {}


def lengthened(call: Callable[[], None], wait: Callable[[], None]) -> Callable[[], None]:
    """Makes a call that takes longer by the wait, including the wait's own call."""

    def call_and_wait() -> None:
        call()
        wait()

    return call_and_wait


def one_way_only() -> NoReturn:
    """Refuses the direction that a throughput link doesn't have."""
    raise OSError("a throughput link streams from client to server only")


class Unavailable(Exception):
    """A link can't be made on this machine now; the message has the reason and the remedy."""


class Workspace:
    """A private directory for one launch, and the ledger of objects to remove after it."""

    __slots__ = ("directory",)

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def note(self, kind: str, key: int) -> None:
        """Records an object before it is made, so that any later process can remove it.

        An atomic write: one short line in one O_APPEND call, whole in the file or not there.
        """
        self._append(f"+ {kind} {key}\n")

    def strike(self, kind: str, key: int) -> None:
        """Cancels a note: the object is removed, or the key is somebody else's."""
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

    Ends that an event loop drives are of the kinds in `ends`.
    """

    __slots__ = (
        *("_close", "effective", "facts", "incoming", "outgoing"),
        *("ready", "receive", "send", "shape"),
    )

    def __init__(
        self,
        *,
        send: Callable[[], None],
        receive: Callable[[], None],
        ready: Callable[[], bool] | None = None,
        outgoing: memoryview,
        incoming: memoryview,
        facts: Mapping[str, int] = MappingProxyType({}),
        effective: Callable[[], Mapping[str, str]] = nothing_set,
        close: Callable[[], None] = do_nothing,
        shape: Shape | None = None,
    ) -> None:
        self.send = send
        self.receive = receive
        self.ready = ready
        """Tells whether a message's beginning waits to be received; None where nobody can tell.

        At an end that receives nothing it may raise OSError, as `receive` does.
        """
        self.outgoing = outgoing
        self.incoming = incoming
        self.facts = facts
        """Effective buffer sizes and counts, by a name that ends in its unit.

        At the server of a connect link they may change: it counts unauthenticated connections.
        """
        self.effective = effective
        """Reads back the values of the transport's knobs that are in force, as they are spelled.

        Called between batches, not after `close`. A knob that this end can't read is left out.
        """
        self.shape = shape
        """Description of the endpoint for the loop in C; None where only Python can drive it."""
        self._close: Callable[[], None] | None = close

    def lengthen(self, wait: Callable[[], None]) -> None:
        """Makes each message that is received take longer by a call of `wait`.

        The wait follows the message, so `ready` is as before.
        """
        self.receive = lengthened(self.receive, wait)

    def close(self) -> None:
        """Closes this side's descriptors and mappings; ends the use of `send` and `receive`."""
        close, self._close = self._close, None
        if close is not None:
            # The closures hold views of mappings that can't be unmapped while they live.
            del self.send, self.receive, self.ready, self.effective, self.shape
            close()


class Link(ABC):
    """The kernel objects that join one client to one server; made before the fork.

    With two processes, each calls `keep_only` with its own side first. With two threads of one
    process, neither does.
    """

    @abstractmethod
    def client(self) -> Endpoint:
        """Opens the client's side; may wait for the server."""

    @abstractmethod
    def server(self) -> Endpoint:
        """Opens the server's side; may wait for the client."""

    def keep_only(self, side: Side) -> None:  # noqa: B027  (most links have nothing to drop)
        """Closes, in this process, the descriptors that only the other side needs."""

    def vanished(self) -> str | None:
        """Tells of an object that somebody removed while the ends needed it; None if all are there.

        Its maker asks after a failure and before `close`. An object that both ends hold can't
        vanish, whatever becomes of its name.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Removes the link's objects; called by its maker once both ends are done."""


class Origin(NamedTuple):
    """The package that a transport comes from, if it isn't this one."""

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class Transport(ABC):
    """One way to move a message between two processes, with its knobs as they are set.

    Nothing else is kept in it: one instance serves all links.
    """

    name: str
    """Its name, with the knobs that are set: `unix`, `unix:sndbuf=4k`."""
    knobs: ClassVar[tuple[Knob, ...]] = ()
    """Its own parameters; `all_knobs` has those of every transport, too."""
    settings: Mapping[str, str] = MappingProxyType({})
    """The knobs that are set, in canonical spelling; see `configured`."""
    summary: str
    """Description in one line, for `ipcbench list`."""
    waits: str
    """Way in which the reader waits: it affects the time more than the mechanism does."""
    role: ClassVar[Role] = "mechanism"
    copies: ClassVar[str] = "twice: into the kernel and out of it"
    """Number of copies of a message on its way, and their places."""
    source: ClassVar[str]
    """The manual page or document that describes the mechanism."""
    groups: tuple[str, ...]
    """Groups that select the transport, as `@sockets`; `list` shows it in the first."""
    replies: bool = True
    """Whether messages go back to the client too."""
    streams: bool = True
    """Whether messages go one way, as many at once as there is room for."""
    overlaps: bool = False
    """Whether messages may follow each other, `in_flight` of them, before a reply has come."""
    connects: bool = False
    """Whether each message may take a connection of its own."""
    admits_many: bool = False
    """Whether many clients may connect to one link so, at once, and be told what fails."""
    batches: tuple[Loop, ...] = ()
    """Loops that can move several of its messages by one system call, by its endpoints' shape."""
    duplexes: bool = False
    """Whether both ends may stream at once, by calls that don't wait, on its endpoints' shape."""
    server_models: tuple[ServerModel, ...] = BLOCKING
    """Ways in which one server may have many clients, each with a link; the first is the usual one.

    `threads`: several of its servers may run in threads of one process. `epoll`: the reading
    descriptor in their endpoints' shape gets readable with a message, or all of them are in one
    event loop. Empty: a server has one client.
    """
    carries_payload: ClassVar[bool] = True
    """False for a mechanism that only signals; it is measured with messages of 0 bytes."""
    mediums: tuple[Medium, ...] = ()
    """All mediums that join the two ends; the kernel must show no others. A control has none."""
    numbers_messages: ClassVar[bool] = False
    """Whether `send` writes over the first bytes of `outgoing`."""
    leftovers: Mapping[str, Callable[[int], None]] = MappingProxyType({})
    """How to remove what may outlive a pair, by the kind that its links note in the ledger.

    A remover gets the noted key, and takes a missing object for removed. It may be called at any
    time, by a process that measures nothing, and loads no module.
    """
    traps: tuple[Trap, ...] = ()
    """Traps that it has with its knobs as they are set. See docs/traps.md."""
    origin: Origin | None = None
    """The package that it comes from; set as a plug-in is loaded, None for what is built in."""
    spins: bool = False
    """Whether the reader spins, which takes whole time slices from a sender on the same CPU."""
    client_blocks: bool = True
    """Whether its client is an end whose calls block; else it is one that an event loop drives."""
    holds_in_flight: bool = False
    """Whether a link has room for all that its traffic has in flight, however much that is."""

    @property
    def all_knobs(self) -> tuple[Knob, ...]:
        """Every parameter that can be written behind its name."""
        if self.is_control:
            return (*self.knobs, DUMMY)
        turns = (TURNS,) if self.server_models == BY_READINESS else ()
        return (*self.knobs, DELAY, IDLE_DELAY, *turns, DUMMY)

    def configured(self, settings: Mapping[str, str]) -> Self:
        """A copy with these knobs set, whose values are in canonical spelling."""
        made = copy.copy(self)
        made.settings = MappingProxyType(dict(settings))
        made.name = str(Term(self.name, tuple(settings.items())))
        made.settle()
        return made

    def settle(self) -> None:  # noqa: B027  (most have nothing that depends on a knob)
        """Sets what depends on its knobs: `mediums`, `traps`, `spins`; called once they are set."""

    def clash(self, settings: Mapping[str, str]) -> str | None:
        """The reason why these knobs can't be set together; None if they can.

        It is asked of all that are written, those at their default too, as they are written.
        """
        return None

    def setting(self, knob: str) -> str | None:
        """The value asked for, or else the knob's default; None where the system decides."""
        if knob in self.settings:
            return self.settings[knob]
        return next((one.default for one in self.knobs if one.name == knob), None)

    @property
    def is_default(self) -> bool:
        """Whether it is measured by default."""
        return CORE in self.groups

    @property
    def is_control(self) -> bool:
        """Whether its loop runs in the client alone, and no payload arrives anywhere."""
        match self.role:
            case "mechanism":
                return False
            case "floor" | "ceiling":
                return True
            case _:
                assert_never(self.role)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Workloads that a pair can run over it, in the order of every table."""
        return tuple(workload for workload in WORKLOADS if self.has(workload))

    def has(self, workload: str) -> bool:
        """Whether it can do what a workload's term needs; `rejects` knows the limits besides."""
        return self._lacks(Traffic.of(Case(workload, self.name, 0))) is None

    def size_of(self, workload: Workload, asked_bytes: int) -> int:
        """Bytes of a message, where so many are asked for.

        The workload or the transport may have one size only.
        """
        if not self.carries_payload:
            return 0
        fixed = DEFINITIONS[workload].fixed_size_bytes
        return asked_bytes if fixed is None else fixed

    def unavailable(self) -> str | None:
        """The reason why this transport can't run here, and the remedy; None where it can."""
        return None

    def rejects(self, traffic: Traffic) -> str | None:
        """The reason why a link can't carry this traffic: a limit, with its value; None if it can.

        An override asks this one too. It refuses what the workload needs and the transport lacks,
        and what no transport has yet: options of messages themselves, and more than one client of a
        link, but for `admits_many`.
        What the ends do between them is no concern of a link. A pair asks before it makes
        anything.
        """
        lacking = self._lacks(traffic)
        if lacking is not None:
            return lacking
        if traffic.clients != 1 and not (traffic.connects and self.admits_many):
            return f"{self.name} joins one client to one server, not {traffic.clients}"
        most = kernel_setting(_MOST_WAITING) if traffic.backlog else None
        if traffic.backlog and most is not None and traffic.backlog > most:
            return f"{_MOST_WAITING} is {most}, and backlog={traffic.backlog} is more"
        unknown = [knob for knob, _ in traffic.settings if knob not in BETWEEN_MESSAGES]
        if unknown:
            return f"{self.name} has no {traffic.workload} with {unknown[0]!r}"
        return None

    def rejects_clients(self, clients: Clients) -> str | None:
        """The reason why one server can't have these clients, or not so; None if it can.

        Each of them has a link of its own, which `rejects` is asked of.
        """
        if clients.number == 1:
            return None
        if self.is_control:
            side = "writer" if clients.are_readers else "server"
            return f"{self.name} has no {side} that could have {clients.number} {clients.word}s"
        if self.spins:
            return (
                f"ends that spin share no CPU, and its {clients.word}s would; choose another wait"
            )
        if clients.are_readers:
            return None  # each of them is the server of a link
        if not self.server_models:
            return f"a server of {self.name} has one client"
        asked = clients.asked_server
        if asked is not None and asked not in self.server_models:
            models = " or ".join(f"server={model}" for model in self.server_models)
            return f"{self.name} has no server={asked}; it has {models}"
        return None

    def is_redundant(self) -> bool:
        """Whether its knobs ask for what this system gives anyway: measure it without them."""
        return False

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        """Bytes of /dev/shm that a pair takes."""
        return 0

    def memory_bytes(self, traffic: Traffic) -> int:
        """Bytes of memory that a link shares between its ends, beside the buffers of each."""
        return 0

    def system_limits(self) -> Mapping[str, str]:
        """Limits of the mechanism on this machine now: names, and values with their units."""
        return {}

    def rejects_driver(self, driver: Loop) -> str | None:
        """The reason why the transport can't be driven so; None if it can.

        `drivers.rejects` asks it, and the driver, which may refuse too.
        """
        match driver:
            case "python" | "native":
                return None
            case _:
                assert_never(driver)

    @abstractmethod
    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        """Makes the link between client and server. Raises Unavailable or OSError."""

    def _lacks(self, traffic: Traffic) -> str | None:
        """The need of the traffic's workload that the transport lacks; None if it has all."""
        if traffic.connects and not self.connects:
            return f"{self.name} makes no connections"
        if traffic.echoes and not self.replies:
            return f"{self.name} sends nothing back"
        if not traffic.echoes and not self.streams:
            return f"{self.name} can't stream: each message has to be answered before the next"
        if traffic.echoes and traffic.in_flight is None:
            return f"{self.name} bounds the messages that wait for a reply"
        if traffic.echoes and not traffic.alternates and not self.overlaps:
            return f"{self.name} has one message in flight at a time, not {traffic.in_flight}"
        if traffic.batch != 1 and not self.batches:
            return f"{self.name} moves one message a call, not {traffic.batch}; leave batch out"
        if traffic.duplex and not self.duplexes:
            return f"{self.name} can't wait for both directions at once; leave duplex out"
        return None


def no_native_loop(driver: Loop, reason: str) -> str | None:
    """The reason, for the driver in C; for the `rejects_driver` of what only Python can call."""
    match driver:
        case "python":
            return None
        case "native":
            return reason
        case _:
            assert_never(driver)


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
    """Makes named objects in the block accessible to their owner alone, under any umask.

    For objects that take no mode: socket files.
    """
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def momentary_name(number: int) -> str:
    """Name of an object that is unlinked as soon as it is made, by its number in the ledger."""
    return f"ipcbench-{number:012x}"


def kernel_setting(name: str) -> int | None:
    """The value of a sysctl like `kernel.msgmax`; None where it is missing or hidden."""
    try:
        return int(Path("/proc/sys", *name.split(".")).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def known(settings: Mapping[str, str]) -> dict[str, str]:
    """Values, with their units, of the sysctls that this kernel shows."""
    values = {name: kernel_setting(name) for name in settings}
    return {
        name: f"{value:,} {settings[name]}" for name, value in values.items() if value is not None
    }


def buffer_pair(size_bytes: int, *, echoes: bool) -> tuple[memoryview, memoryview]:
    """The (outgoing, incoming) buffers of an endpoint; one and the same where it echoes."""
    outgoing = message_buffer(size_bytes)
    return outgoing, outgoing if echoes else message_buffer(size_bytes)
