"""Workloads: the one table of what the two ends of a pair do, and what is told of it.

A new workload is a row here. Whatever treats workloads differently reads a field of its row, or
matches the name and ends in `assert_never`, so that a forgotten place is an error of the type
checker and not a silent default.
"""

from collections.abc import Container, Mapping
from typing import Literal, NamedTuple, cast, get_args

from ipcbench.errors import UsageError
from ipcbench.terms import Knob, Rate, Size, Span, Term, Whole, magnitude, settled, words

Workload = Literal["latency", "throughput", "connect", "load"]

Quantity = Literal["round_trip", "message", "connection", "response"]
"""The thing that a case's times are of."""

Direction = Literal["less", "more"]
"""Which way the number that people compare is better."""

Sizing = Literal["calibrated", "scheduled"]
"""How a batch gets its number of messages.

`calibrated` doubles it until a batch takes its time; `scheduled` has a rate that tells it.
"""


class Words(NamedTuple):
    """Names of a workload and of its times, by the room that there is."""

    title: str
    """Over a table."""
    column: str
    """Over the times in a table."""
    time: str
    """Beside the times of a picture, or in its title."""
    plural: str
    """In a sentence, of several sizes or placements."""
    short: str
    """In front of a row."""
    stacked: str
    """Over a narrow column, on two lines."""


class Definition(NamedTuple):
    """One row of the table.

    A named tuple, since a worker loads it: importing dataclasses costs every launch about 10 ms.
    """

    words: Words
    quantity: Quantity
    unit: Literal["second"]
    """Of a launch's values, in pyperf's words: they are this much a quantity."""
    better: Direction
    """`less`: the time is compared; `more`: the rate, its inverse."""
    replies: bool
    """Whether messages go back to the client too."""
    in_flight: int | None
    """Most messages that the client sends before it waits for a reply.

    1: the ends take turns. None: no reply bounds them, but the room that the mechanism has.
    """
    connects: bool
    """Whether each message takes a connection of its own."""
    samples: bool
    """Whether single messages are timed too, in a burst of their own."""
    fixed_size_bytes: int | None
    """The one message size that it has; None where the size is chosen."""
    sizing: Sizing
    knobs: tuple[Knob, ...] = ()
    """Its parameters, written behind its name."""


GAP = Knob("gap", Span(0.1), "0", "the client waits so long before each message")
GAP_BY = Knob("gap-by", words("sleep", "spin"), "sleep", "how it waits: asleep, or with a busy CPU")

WORK = Knob("work", Span(0.01), "0", "the server computes so long before each reply")
WORK_TOUCHES = Knob(
    "work-touches",
    Size(4096, lambda: 64 * 1024**2, "ipcbench"),
    None,
    "and meanwhile reads so much memory, over and over",
)

MOST_PER_S = 10_000_000
"""Most messages that an open loop is to send a second: no end can send as many."""
RATE = Knob("rate", Rate(MOST_PER_S), "1000", "so many messages a second are sent")
ARRIVALS = Knob(
    "arrivals",
    words("constant", "poisson"),
    "constant",
    "at even times, or at random ones (a Poisson process)",
)

ServerModel = Literal["threads", "epoll", "fork"]
"""How one server serves many clients: a thread for each, one thread that waits for all of them, or
a process for each."""
SERVER_MODELS: tuple[ServerModel, ...] = get_args(ServerModel)

MOST_CLIENTS = 256
"""Most clients of one server: each is a process."""

CLIENTS = Knob(
    "clients", Whole(1, MOST_CLIENTS), "1", "so many clients, each a process, have one server"
)
SERVER = Knob(
    "server",
    words(*SERVER_MODELS),
    None,
    "how it serves them: a thread each, one thread that waits for all, or a process each",
)

READERS = Knob(
    "readers",
    Whole(1, MOST_CLIENTS),
    "1",
    "so many readers, each a process, get each message of one writer",
)

MOST_BACKLOG = 4096
"""Longest queue of connections that a workload asks for: the kernel's own limit where nobody has
changed it (net.core.somaxconn since Linux 5.4)."""
BACKLOG = Knob(
    "backlog", Whole(1, MOST_BACKLOG), "128", "so many connections may wait to be accepted"
)

NEEDS: Mapping[str, str] = {
    GAP_BY.name: GAP.name,
    WORK_TOUCHES.name: WORK.name,
    SERVER.name: CLIENTS.name,
    BACKLOG.name: CLIENTS.name,
}
"""Knobs that say how another one is meant: without it they say nothing, and are left out."""

BETWEEN_MESSAGES = frozenset(
    knob.name for knob in (GAP, GAP_BY, WORK, WORK_TOUCHES, RATE, ARRIVALS)
)
"""Knobs of what the ends do between messages: any link that carries the messages can have them."""

MOST_AT_ONCE = 1024
"""Most messages of a window or of a batch: a system call takes no more (UIO_MAXIOV, uio.h)."""

WINDOW = Knob(
    "window", Whole(1, MOST_AT_ONCE), "1", "so many messages are on their way at once, or answered"
)
BATCH = Knob("batch", Whole(1, MOST_AT_ONCE), "1", "a system call moves up to so many messages")
DUPLEX = Knob("duplex", words("off", "on"), "off", "both ends send, at the same time")

EXCLUDES: Mapping[tuple[str, str], str] = {
    (GAP.name, WINDOW.name): "a gap is before each message, and a window is never empty",
    (BATCH.name, DUPLEX.name): "a call that moves several messages would wait for one direction",
    (GAP.name, CLIENTS.name): "each of many clients sends as soon as its reply has come",
    (WINDOW.name, CLIENTS.name): "each of many clients has one message under way",
    (BATCH.name, CLIENTS.name): "each of many clients sends one message a call",
    (DUPLEX.name, CLIENTS.name): "many clients stream to one server, which sends nothing",
    (READERS.name, CLIENTS.name): "one writer has many readers, and many clients have one server",
    (BATCH.name, READERS.name): "a call sends one message to one reader",
    (DUPLEX.name, READERS.name): "readers send nothing",
}
"""Pairs of knobs that can't be set together, with the reason."""

_EXCLUDED_IN_CLOSED_LOOPS = frozenset(((WINDOW.name, CLIENTS.name),))
"""Of them those that an open loop has together: its messages wait for no reply of their link."""

DEFINITIONS: Mapping[Workload, Definition] = {
    "latency": Definition(
        words=Words(
            title="Latency (round trip)",
            column="round trip",
            time="round trip",
            plural="round trips",
            short="round trip",
            stacked="round\ntrip",
        ),
        quantity="round_trip",
        unit="second",
        better="less",
        replies=True,
        in_flight=1,
        connects=False,
        samples=True,
        fixed_size_bytes=None,
        sizing="calibrated",
        knobs=(GAP, GAP_BY, WORK, WORK_TOUCHES, WINDOW, CLIENTS, SERVER),
    ),
    "throughput": Definition(
        words=Words(
            title="Throughput (one way, delivered)",
            column="per message",
            time="time per message",
            plural="throughput",
            short="throughput",
            stacked="stream\nMiB/s",
        ),
        quantity="message",
        unit="second",
        better="more",
        replies=False,
        in_flight=None,
        connects=False,
        samples=False,
        fixed_size_bytes=None,
        sizing="calibrated",
        knobs=(BATCH, DUPLEX, CLIENTS, SERVER, READERS),
    ),
    "connect": Definition(
        words=Words(
            title="Connection set-up (connect, a byte each way, close)",
            column="one",
            time="connect, a byte each way, close",
            plural="connection set-up",
            short="connect",
            stacked="connect,\nclose",
        ),
        quantity="connection",
        unit="second",
        better="more",
        replies=True,
        in_flight=1,
        connects=True,
        samples=False,
        fixed_size_bytes=1,
        sizing="calibrated",
        knobs=(CLIENTS, BACKLOG),
    ),
    "load": Definition(
        words=Words(
            title="Load (open loop)",
            column="response",
            time="response time",
            plural="response times",
            short="load",
            stacked="response\ntime",
        ),
        quantity="response",
        unit="second",
        better="less",
        replies=True,
        in_flight=1,
        connects=False,
        samples=False,
        fixed_size_bytes=None,
        sizing="scheduled",
        knobs=(RATE, ARRIVALS, WINDOW, WORK, WORK_TOUCHES, CLIENTS, SERVER),
    ),
}

WORKLOADS: tuple[Workload, ...] = get_args(Workload)
"""Their names, in the order of every table."""

DEFAULT_WORKLOADS: tuple[Workload, ...] = ("latency", "throughput")
"""Measured where none is named."""


def name_of(workload: str) -> Workload:
    """The name of the workload that a canonical term is of."""
    return cast("Workload", workload.partition(":")[0])


def definition_of(workload: str) -> Definition:
    """The row of the table for a canonical term."""
    return DEFINITIONS[name_of(workload)]


def settings_of(workload: str) -> dict[str, str]:
    """The knobs that a canonical term sets, by name."""
    return dict(Term.parse(workload).settings)


def settled_workload(term: Term) -> Term:
    """The canonical spelling of a term with a known name.

    Raises UsageError for a bad knob, and for two that exclude each other.
    """
    found = settled(term, DEFINITIONS[name_of(term.name)].knobs)
    asked = {knob for knob, _ in found.settings}
    for (one, other), reason in EXCLUDES.items():
        is_open = DEFINITIONS[name_of(term.name)].sizing == "scheduled"
        if {one, other} <= asked and not (is_open and (one, other) in _EXCLUDED_IN_CLOSED_LOOPS):
            raise UsageError(f"{str(term)!r} sets {one} and {other}: {reason}; set one of them")
    kept = (one for one in found.settings if NEEDS.get(one[0], one[0]) in asked)
    return Term(found.name, tuple(kept))


class Rhythm(NamedTuple):
    """What the ends do between messages."""

    gap_s: float = 0.0
    """Seconds that the client waits before each message."""
    spins: bool = False
    """Whether it waits with a busy CPU, and not asleep."""
    work_s: float = 0.0
    """Seconds that the server computes before each reply."""
    touched_bytes: int = 0
    """Memory that it reads meanwhile."""

    @property
    def least_s(self) -> float:
        """Seconds from one message to the next at least, whatever the mechanism."""
        return self.gap_s + self.work_s


class Flow(NamedTuple):
    """How many messages are under way."""

    window: int = 1
    """Messages that are on their way at once, or answered, at any time."""
    batch: int = 1
    """Most messages that a system call moves."""
    duplex: bool = False
    """Whether both ends send, at the same time."""

    @property
    def fewest_messages(self) -> int:
        """Messages of a batch in which the window is full many times over."""
        return 1 if self.window == self.batch == 1 else 64 * max(self.window, self.batch)


def flow_of(workload: str) -> Flow:
    """How many messages are under way in the workload of this canonical term."""
    asked = settings_of(workload)
    return Flow(
        window=int(asked.get(WINDOW.name, 1)),
        batch=int(asked.get(BATCH.name, 1)),
        duplex=asked.get(DUPLEX.name) == "on",
    )


class Arrivals(NamedTuple):
    """When the client of an open loop sends, whatever became of the messages before."""

    rate_per_s: float
    is_random: bool = False
    """Whether the times between them are random (a Poisson process), and not all the same."""


def arrivals_of(workload: str) -> Arrivals | None:
    """The arrivals in the workload of this canonical term; None where replies set the pace."""
    if definition_of(workload).sizing != "scheduled":
        return None
    asked = settings_of(workload)
    rate = asked.get(RATE.name, RATE.default)
    return Arrivals(float(rate or 0), is_random=asked.get(ARRIVALS.name) == "poisson")


class Clients(NamedTuple):
    """The processes, or the links, that a case has many of."""

    number: int = 1
    """Clients of one server, or readers of one writer."""
    asked_server: ServerModel | None = None
    """How they are to be served; None: as the transport's server does it best."""
    are_readers: bool = False
    """Whether they are readers, each of which is a process with the server's side of a link."""

    @property
    def word(self) -> str:
        """What one of them is called in a sentence."""
        return "reader" if self.are_readers else "client"

    @property
    def fewest_messages(self) -> int:
        """Messages of each in a batch, so that most of it has all of them at work."""
        return 1 if self.number == 1 else 64


def clients_of(workload: str) -> Clients:
    """The clients in the workload of this canonical term."""
    asked = settings_of(workload)
    if READERS.name in asked:
        return Clients(int(asked[READERS.name]), "fork", are_readers=True)
    model = next((one for one in SERVER_MODELS if one == asked.get(SERVER.name)), None)
    return Clients(int(asked.get(CLIENTS.name, 1)), model)


OF_CLIENTS = frozenset((CLIENTS.name, SERVER.name, READERS.name))
"""Knobs that `clients_of` reads: each client has a link of its own, like any other."""


def without(workload: str, knobs: Container[str]) -> str:
    """The canonical term without these knobs: each of them is at its default."""
    term = Term.parse(workload)
    return str(term._replace(settings=tuple(one for one in term.settings if one[0] not in knobs)))


def without_clients(workload: str) -> str:
    """The canonical term with one client alone."""
    return without(workload, OF_CLIENTS)


def backlog_of(workload: str) -> int | None:
    """Connections that may wait to be accepted; None where the workload leaves that open."""
    asked = settings_of(workload).get(BACKLOG.name)
    return None if asked is None else int(asked)


FLOW = frozenset(knob.name for knob in (WINDOW, BATCH, DUPLEX))
"""Knobs that `flow_of` reads."""


def rhythm_of(workload: str) -> Rhythm:
    """What the ends do between messages in the workload of this canonical term."""
    asked = settings_of(workload)

    def amount(knob: Knob) -> float:
        return magnitude(asked[knob.name])[0] if knob.name in asked else 0.0

    return Rhythm(
        gap_s=amount(GAP),
        spins=asked.get(GAP_BY.name) == "spin",
        work_s=amount(WORK),
        touched_bytes=int(amount(WORK_TOUCHES)),
    )


def place_of(workload: str) -> tuple[object, ...]:
    """The place of a canonical term in every table: by its name, then by the values of its knobs.

    A value is placed by what it means, and a knob that isn't set by its default, if that is a
    number; else it comes before every value of it.
    """
    name = name_of(workload)
    asked = settings_of(workload)
    knobs = DEFINITIONS[name].knobs
    values = (magnitude(asked[one.name]) if one.name in asked else _unset(one) for one in knobs)
    return (WORKLOADS.index(name), *values)


def _unset(knob: Knob) -> tuple[float, str]:
    """The place of a knob that isn't set among its values."""
    number, text = magnitude(knob.default or "0")
    return (number, text) if number < float("inf") else (0.0, "")
