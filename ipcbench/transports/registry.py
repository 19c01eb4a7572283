"""Every transport, in the order of every list and table.

Importing this module imports no mechanism: a transport's module is imported when the transport is
first asked for, so that a worker loads the one that it measures.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

from ipcbench.errors import UsageError, unknown_name
from ipcbench.terms import Term, settled
from ipcbench.transports.base import CORE, DELAY, Transport
from ipcbench.units import parse_span

_SELFTEST_NAME = re.compile(r"(?P<name>[^+@]*)(?:\+(?P<delay>[0-9]+[nu]s))?(?:@(?P<dummy>[0-9]+))?")


class Spelling(NamedTuple):
    """A name of its own for a transport with knobs set."""

    term: str
    """In canonical spelling."""
    summary: str
    """Description in one line, for `ipcbench list`."""


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
    "memcpy": (".controls", "Memcpy"),
    "null": (".controls", "Null"),
}
"""Module, relative to this package or absolute, and class of each transport, by its name.

Some names are spellings of another one with knobs.
"""

LOADED: dict[str, Transport] = {}
"""The instances made so far, by canonical term: one serves all."""

ALL = "all"


def names() -> tuple[str, ...]:
    """The names of all transports, in the order of every list; imports none of them."""
    return tuple(TRANSPORTS)


def transports() -> tuple[Transport, ...]:
    """All transports, in the order of every list; imports every mechanism."""
    return tuple(map(_loaded, TRANSPORTS))


def groups() -> dict[str, list[str]]:
    """The names of the mechanisms in each group; `all` has every one."""
    found: dict[str, list[str]] = {CORE: []}
    for transport in transports():
        if not transport.is_control:
            for group in (*transport.groups, ALL):
                found.setdefault(group, []).append(transport.name)
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
                raise unknown_name("group", text, (f"@{group}" for group in known))
            grouped |= set(known[text[1:]])
            continue
        term = canonical(text)
        if term in written:
            raise UsageError(_named_twice(written[term], text))
        written[term] = text
    places = {name: place for place, name in enumerate(names())}
    wanted = dict.fromkeys([*grouped, *written, *more])
    return sorted(wanted, key=lambda term: places[Term.parse(term).name])


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


def removers() -> Mapping[str, Callable[[int], None]]:
    """How to remove what any transport may leave behind, by the kind in a ledger.

    Imports every mechanism, so that whoever asks before a fork needs no import after it.
    """
    found: dict[str, Callable[[int], None]] = {}
    for transport in transports():
        found |= transport.leftovers
    return found


def usual() -> list[str]:
    """The names of the transports that are measured by default."""
    return [transport.name for transport in transports() if transport.is_default]


def _spelled_out(term: Term) -> Term:
    """The term without spellings: the name is that of a class, and what it meant are settings."""
    match = _SELFTEST_NAME.fullmatch(term.name)
    name: str = term.name
    more: tuple[tuple[str, str], ...] = ()
    if match is not None and match["name"] in TRANSPORTS:
        name = match["name"]
        more = tuple((knob, match[knob]) for knob in ("delay", "dummy") if match[knob])
    made = TRANSPORTS.get(name)
    if made is None:
        raise unknown_name("transport", name, names())
    if isinstance(made, Spelling):
        base = Term.parse(made.term)
        name, more = base.name, (*base.settings, *more)
    # What is written behind a spelling is said last, and counts.
    settings = dict((*more, *term.settings))
    return Term(name, tuple(settings.items()))


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
    base, settings = _loaded(term.name), dict(term.settings)
    delay = settings.pop(DELAY.name, None)
    transport = base.configured(settings)
    if delay is not None:
        from ipcbench.transports.delayed import Delayed

        transport = Delayed(transport, round(parse_span(delay) * 1e9))
    if isinstance(made, Spelling):
        transport.summary = made.summary
        transport.groups = transport.groups[:1]
    transport.name = name
    transport.settings = MappingProxyType(dict(term.settings))
    return transport
