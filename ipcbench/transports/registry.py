"""Every transport, in the order of every list and table.

Importing this module imports no mechanism: a transport's module is imported when the transport is
first asked for, so that a worker loads the one that it measures.

What is listed here is built in. A name that isn't may be a plug-in's (`plugins`), which comes after
all that is built in, by name. Neither groups of ipcbench nor `all` have plug-ins.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

from ipcbench.errors import UsageError, unknown_name
from ipcbench.rungs import RUNGS
from ipcbench.terms import Term, settled
from ipcbench.transports import plugins
from ipcbench.transports.base import CORE, DELAY, IDLE_DELAY, Transport
from ipcbench.units import parse_span

_SELFTEST_NAME = re.compile(r"(?P<name>[^+@]*)(?:\+(?P<delay>[0-9]+[nu]s))?(?:@(?P<dummy>[0-9]+))?")


class Spelling(NamedTuple):
    """A name of its own for a transport with knobs set."""

    term: str
    """In canonical spelling."""
    summary: str
    """Description in one line, for `ipcbench list`."""


_RUNGS = {
    "framed": (".stack.framed", "Framed"),
    "epoll": (".stack.event_loops", "Epoll"),
    "asyncio-sock": (".stack.event_loops", "AsyncioSock"),
    "asyncio-protocol": (".stack.event_loops", "AsyncioProtocol"),
    "asyncio-streams": (".stack.event_loops", "AsyncioStreams"),
    "uvloop-protocol": (".stack.event_loops", "UvloopProtocol"),
    "uvloop-streams": (".stack.event_loops", "UvloopStreams"),
    "frame-pickle": (".stack.objects", "Pickle"),
    "frame-json": (".stack.objects", "Json"),
    "frame-msgspec": (".stack.objects", "Msgspec"),
    "http-std": (".stack.http_std", "HttpStd"),
    "http-std-default": (".stack.http_std", "HttpStdDefault"),
    "http-uvicorn": (".stack.http_uvicorn", "HttpUvicorn"),
    "http-aiohttp": (".stack.http_aiohttp", "HttpAiohttp"),
    "rpc-zmq": (".stack.zmq_pair", "Zmq"),
    "rpc-xmlrpc": (".stack.xmlrpc_std", "Xmlrpc"),
    "rpc-grpc": (".stack.rpc_grpc", "Grpc"),
}
"""Module, and start of the name of the classes, of the rungs of the stack."""

_STACK = {
    transport: (_RUNGS[rung.name][0], f"{_RUNGS[rung.name][1]}{family.capitalize()}")
    for rung in RUNGS
    if rung.name in _RUNGS
    for family, transport in rung.transports.items()
}
"""The rungs over each family, in the order of the ladder."""

TRANSPORTS: dict[str, tuple[str, str] | Spelling] = {
    "unix": (".unix", "Unix"),
    "unix-seqpacket": (".unix", "UnixSeqpacket"),
    "unix-dgram": (".dgram", "UnixDgram"),
    "unix-abstract": (".unix", "UnixAbstract"),
    "socketpair": (".unix", "Socketpair"),
    "inet": (".inet", "Inet"),
    "inet-nagle": Spelling("inet:nodelay=off", "TCP over IPv4 loopback, Nagle's algorithm left on"),
    "inet-udp": (".dgram", "InetUdp"),
    "inet6": (".inet", "Inet6"),
    "inet6-nagle": Spelling(
        "inet6:nodelay=off", "TCP over IPv6 loopback, Nagle's algorithm left on"
    ),
    "inet6-udp": (".dgram", "Inet6Udp"),
    "pipe": (".pipe", "Pipe"),
    "pipe-1m": Spelling("pipe:size=1m", "two anonymous pipes of the largest size (1 MiB)"),
    "fifo": (".pipe", "Fifo"),
    "sysv-shm": (".sysv_shm", "SysvShm"),
    "sysv-shm-spin": Spelling(
        "sysv-shm:wait=spin", "System V shared memory; spins, never on one CPU"
    ),
    "sysv-msg": (".sysv_msg", "SysvMsg"),
    "sysv-sem": (".sysv_shm", "SysvSem"),
    "posix-shm": (".mapped", "PosixShm"),
    "posix-mq": (".posix_mq", "PosixMq"),
    "mmap-file": (".mapped", "MmapFile"),
    "memfd-eventfd": (".mapped", "MemfdEventfd"),
    "shm-futex": (".mapped", "ShmFutex"),
    "process-vm": (".process_vm", "ProcessVm"),
    "eventfd": (".mapped", "Eventfd"),
    "mp-pipe": (".multiproc", "MpPipe"),
    "mp-connection": (".multiproc", "MpConnection"),
    "mp-connection-inet": (".multiproc", "MpConnectionInet"),
    "mp-queue-pickle": (".multiproc", "MpQueue"),
    "mp-simplequeue-pickle": (".multiproc", "MpSimpleQueue"),
    "mp-shared-memory": (".multiproc", "MpSharedMemory"),
    **_STACK,
    "memcpy": (".controls", "Memcpy"),
    "null": (".controls", "Null"),
}
"""Module, relative to this package or absolute, and class of each transport, by its name.

Some names are spellings of another one with knobs.
"""

LOADED: dict[str, Transport] = {}
"""The instances made so far, by canonical term: one serves all."""

ALL = "all"
STACK = "stack"
"""The group of the rungs: layers on a mechanism of its own."""


def names() -> tuple[str, ...]:
    """The names of what is built in, in the order of every list; imports none of them."""
    return tuple(TRANSPORTS)


def transports() -> tuple[Transport, ...]:
    """All that is built in, in the order of every list; imports every mechanism."""
    return tuple(map(_loaded, TRANSPORTS))


def groups() -> dict[str, list[str]]:
    """The names of the mechanisms in each group.

    `all` has every mechanism, and none of the layers that are put on one: those are `stack`.
    """
    found: dict[str, list[str]] = {CORE: []}
    for transport in transports():
        if not transport.is_control:
            everywhere = () if STACK in transport.groups else (ALL,)
            for group in (*transport.groups, *everywhere):
                found.setdefault(group, []).append(transport.name)
    return found


def plugged_in() -> tuple[dict[str, Transport], dict[str, str]]:
    """The plug-ins that can be used, by name; and what is wrong with each of the others.

    Imports all of them.
    """
    usable: dict[str, Transport] = {}
    wrong: dict[str, str] = {}
    for name, plugin in plugins.found().items():
        if name in TRANSPORTS:
            wrong[name] = f"transport {name!r} of {plugin.packages} is passed over: one of that"
            wrong[name] += " name is built in, and is the one that is measured"
            continue
        try:
            usable[name] = _loaded(name)
        except UsageError as error:
            wrong[name] = str(error)
    return usable, wrong


def _groups_of_plugins() -> dict[str, list[str]]:
    """The names of the plug-ins in each of their groups."""
    found: dict[str, list[str]] = {}
    for name, transport in plugged_in()[0].items():
        for group in transport.groups:
            found.setdefault(group, []).append(name)
    return found


def chosen(asked: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """Expands terms (`unix:sndbuf=4k`) and groups (`@sockets`) to canonical terms.

    They are in the order of every list; those of one transport, in the order asked for. `more`
    are canonical terms, which may be among them.

    Raises UsageError for an unknown name, group or knob, and for a transport that is named twice.
    """
    written: dict[str, str] = {}
    grouped: set[str] = set()
    known = groups()
    for text in asked:
        if text.startswith("@"):
            if text[1:] not in known:
                known = _groups_of_plugins() | known
            if text[1:] not in known:
                raise unknown_name("group", text, (f"@{group}" for group in known))
            grouped |= set(known[text[1:]])
            continue
        term = canonical(text)
        if term in written:
            raise UsageError(_named_twice(written[term], text))
        written[term] = text
    places = {name: place for place, name in enumerate(names())}
    wanted = dict.fromkeys([*grouped, *written, *more])

    def place(term: str) -> tuple[int, str]:
        name = Term.parse(term).name
        return (places[name], "") if name in places else (len(places), name)

    return sorted(wanted, key=place)


def canonical(text: str) -> str:
    """The one spelling of a term, by which its results are known: `pipe-1m` for `pipe:size=1024k`.

    A listed name is kept, and is preferred to the knobs that it stands for; `unix@3` is
    `unix:dummy=3`, and `pipe+20us` is `pipe:delay=20us`. Raises UsageError for an unknown name,
    with the nearest known one; for an unknown knob; and for a value that the knob doesn't take on
    this machine. Imports the module of the transport if knobs are set.
    """
    if text in TRANSPORTS:
        return text
    term = _spelled_out(Term.parse(text))
    base = _loaded(term.name)
    _check_knobs(term, base)
    settled_term = settled(term, base.all_knobs)
    clash = base.clash(dict(term.settings))
    if clash is not None:
        raise UsageError(f"{text!r}: {clash}")
    found = str(settled_term)
    spellings = ((name, made) for name, made in TRANSPORTS.items() if isinstance(made, Spelling))
    return next((name for name, made in spellings if made.term == found), found)


def spelled_out(name: str) -> Term:
    """The term that a canonical one stands for, with its knobs: of `pipe-1m`, `pipe:size=1m`."""
    return _spelled_out(Term.parse(name))


def get_transport(text: str) -> Transport:
    """The transport with its knobs set that this term means; see `canonical`.

    Imports its module only. Raises UsageError as `canonical` does.
    """
    name = text if text in LOADED else canonical(text)
    return _loaded(name)


def removers(kinds: Iterable[str] = ()) -> Mapping[str, Callable[[int], None]]:
    """How to remove what any transport may leave behind, by the kind in a ledger.

    Of plug-ins, those that are loaded; all, if nothing else knows one of these kinds. Imports every
    mechanism that is built in, so that whoever asks before a fork needs no import after it.
    """
    found: dict[str, Callable[[int], None]] = {}
    for transport in (*LOADED.values(), *transports()):
        found |= transport.leftovers
    if not found.keys() >= set(kinds):
        for transport in plugged_in()[0].values():
            found = dict(transport.leftovers) | found
    return found


@contextmanager
def standing_in(transport: Transport) -> Iterator[None]:
    """Lets a transport be found by its name in the block, listed or not; for the contract's test.

    A name that is another transport's stays that one's.
    """
    name = transport.name
    if name in TRANSPORTS or name in LOADED:
        yield
        return
    LOADED[name] = transport
    try:
        yield
    finally:
        for term in [term for term in LOADED if Term.parse(term).name == name]:
            del LOADED[term]


def usual() -> list[str]:
    """The names of the transports that are measured by default."""
    return [transport.name for transport in transports() if transport.is_default]


def _spelled_out(term: Term) -> Term:
    """The term without spellings: the name is that of a class, and what it meant are settings."""
    match = _SELFTEST_NAME.fullmatch(term.name)
    name: str = term.name
    more: tuple[tuple[str, str], ...] = ()
    if match is not None and match["name"] != name and _is_known(match["name"]):
        name = match["name"]
        more = tuple((knob, match[knob]) for knob in ("delay", "dummy") if match[knob])
    if not _is_known(name):
        raise unknown_name("transport", name, (*names(), *plugins.found()))
    made = TRANSPORTS.get(name)
    if isinstance(made, Spelling):
        base = Term.parse(made.term)
        name, more = base.name, (*base.settings, *more)
    # What is written behind a spelling is said last, and counts.
    settings = dict((*more, *term.settings))
    return Term(name, tuple(settings.items()))


def _is_known(name: str) -> bool:
    """Whether a transport has this name; looks plug-ins up only if none that is built in has."""
    return name in TRANSPORTS or name in LOADED or name in plugins.found()


def _named_twice(before: str, again: str) -> str:
    if before == again:
        return f"transport {again!r} is named twice; name it once"
    return f"{before!r} and {again!r} are the same transport; name it once"


def _check_knobs(term: Term, base: Transport) -> None:
    """Raises UsageError for a knob that the transport lacks and others have; it names those."""
    own = {knob.name for knob in base.all_knobs}
    for name, _ in term.settings:
        having = [
            other.name
            for other in (transports() if name not in own else ())
            if not isinstance(TRANSPORTS.get(other.name), Spelling)
            and any(knob.name == name for knob in other.knobs)
        ]
        if having:
            raise UsageError(
                f"{str(term)!r}: {base.name} has no knob {name!r}, which {', '.join(having)} have;"
                f" its knobs are {', '.join(knob.name for knob in base.all_knobs)}"
            )


def _loaded(name: str) -> Transport:
    """The transport of a canonical term."""
    if name not in LOADED:
        LOADED[name] = _made(name)
    return LOADED[name]


def _made(name: str) -> Transport:
    made = TRANSPORTS.get(name)
    if isinstance(made, tuple) and not isinstance(made, Spelling):
        module, kind = made
        transport: Transport = getattr(import_module(module, __package__), kind)()
        transport.settle()
        return transport
    term = Term.parse(name if made is None else made.term)
    if made is None and not term.settings:
        return plugins.load(plugins.found()[name])
    base, settings = _loaded(term.name), dict(term.settings)
    delay, idle_delay = (settings.pop(knob.name, None) for knob in (DELAY, IDLE_DELAY))
    transport = base.configured(settings)
    if delay is not None:
        from ipcbench.transports.delayed import Delayed

        transport = Delayed(transport, round(parse_span(delay) * 1e9))
    if idle_delay is not None:
        from ipcbench.transports.delayed import DelayedWhenIdle

        transport = DelayedWhenIdle(transport, round(parse_span(idle_delay) * 1e9))
    if isinstance(made, Spelling):
        transport.summary = made.summary
        transport.groups = transport.groups[:1]
    transport.name = name
    transport.settings = MappingProxyType(dict(term.settings))
    return transport
