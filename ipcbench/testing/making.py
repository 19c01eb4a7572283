"""Rules about a transport's descriptions, and about making and closing its links."""

import gc
import os
from collections.abc import Mapping
from functools import partial
from typing import Any, assert_never

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import LaunchFailed
from ipcbench.measure.pair import Pair, refused
from ipcbench.system.process import open_descriptors
from ipcbench.system.scratch import outstanding
from ipcbench.testing.messages import FLOWS
from ipcbench.testing.subject import (
    Broken,
    NotTried,
    Rule,
    Subject,
    Trial,
    joined,
    once,
    over,
    require,
)
from ipcbench.transports.base import LEDGER, Endpoint, Link, Traffic
from ipcbench.transports.plugins import fault_of
from ipcbench.transports.registry import get_transport
from ipcbench.transports.shapes import (
    CopyShape,
    DatagramShape,
    NothingShape,
    QueueShape,
    SlotsShape,
    StreamShape,
)
from ipcbench.workloads import WORKLOADS, Workload, name_of

_MOST_SUMMARY = 52  # a line of `ipcbench list` has 80 columns
_UNITS = ("_bytes", "_count")


def _described(subject: Subject, workload: Workload) -> None:
    transport = subject.transport
    fault = fault_of(transport)
    if fault is not None:
        raise Broken(fault)
    for name, text in transport.system_limits().items():
        require(text and text.isprintable(), f"the limit {name!r} must be one line: {text!r}")
    require(
        len(transport.summary) <= _MOST_SUMMARY,
        f"`summary` has {len(transport.summary)} characters, and a line of `list` has room for"
        f" {_MOST_SUMMARY}",
    )
    rejected = transport.rejects(Traffic(64, workload))
    require(
        (rejected is None) == transport.has(workload),
        f"`has` and `rejects` disagree about {workload} with 64 bytes: {rejected or 'no reason'}",
    )
    require(
        get_transport(transport.name) is transport,
        f"the name {transport.name!r} is another transport's",
    )


def _lacking(subject: Subject, loop: Loop) -> None:
    transport = subject.transport
    for workload in (*WORKLOADS, *FLOWS):
        name = name_of(workload)
        case = Case(workload, transport.name, transport.size_of(name, 64), loop)
        if refused(case):
            _refused_before_it_is_made(subject, case)
        else:
            require(transport.has(name), f"it has no {workload}, and `rejects` doesn't refuse it")
    require(list(subject.directory.iterdir()) == [], "a workload that is refused made something")


def _refused_before_it_is_made(subject: Subject, case: Case) -> None:
    try:
        Pair(case, None, subject.workspace())
    except LaunchFailed as error:
        lines = str(error).splitlines()
        require("can't be measured: " in str(error), f"{case.workload} is refused as: {error}")
        require(len(lines) == 1, f"the refusal of {case.workload} has {len(lines)} lines, not one")
    else:
        raise Broken(f"{case.workload} is refused, and a pair was made")


def _no_such_traffic(subject: Subject, more: Mapping[str, Any]) -> None:
    transport = subject.transport
    require(transport.workloads, "it can do no workload at all")
    traffic = Traffic(64 if transport.carries_payload else 0, transport.workloads[0])
    rejected = transport.rejects(traffic)
    require(rejected is None, f"messages of {traffic.message_size_bytes} bytes: {rejected}")
    require(
        transport.rejects(traffic._replace(**more)) is not None,
        f"`rejects` must ask the base class, and refuse {dict(more)}",
    )


def _a_link(subject: Subject) -> None:
    workload = subject.transport.workloads[0]
    case = subject.case(workload)
    link = subject.transport.link(Traffic(case.message_size_bytes, workload), subject.workspace())
    require(isinstance(link, Link), f"`link` returned {link!r}, which is no Link")
    link.close()


def _buffers(subject: Subject, loop: Loop, workload: Workload) -> None:
    size = subject.transport.size_of(workload, 1000)
    with joined(subject, size, workload, loop) as ends:
        for side, end in zip(("client", "server"), ends, strict=True):
            lengths = len(end.outgoing), len(end.incoming)
            require(
                lengths == (size, size),
                f"the {side}'s buffers are of {lengths} bytes, and a message has {size}",
            )
            facts: Mapping[str, object] = end.facts
            for name, value in facts.items():
                require(name.endswith(_UNITS), f"the fact {name!r} ends in none of {_UNITS}")
                require(
                    isinstance(value, int) and value > 0,
                    f"the fact {name!r} is {value!r}, and must be a whole number above 0",
                )


def _knobs(subject: Subject, loop: Loop) -> None:
    transport = subject.transport
    workload = transport.workloads[0]
    known = {knob.name for knob in transport.all_knobs}
    with joined(subject, transport.size_of(workload, 64), workload, loop) as ends:
        for end in ends:
            read_back: Mapping[str, object] = end.effective()
            strange = sorted(read_back.keys() - known)
            require(not strange, f"`effective` has what is no knob: {', '.join(strange)}")
            texts = all(isinstance(value, str) and value for value in read_back.values())
            require(texts, f"`effective` has values that are no texts: {dict(read_back)}")


def _own_descriptors(subject: Subject) -> None:
    subject.mechanism  # noqa: B018  (raises for a control)
    with joined(subject, subject.transport.size_of("latency", 64), "latency") as (client, server):
        ours, theirs = _polled(client), _polled(server)
        for descriptor in ours:
            os.set_blocking(descriptor, False)
        require(
            all(map(os.get_blocking, theirs)),
            "the ends share an open file description: one end's non-blocking is the other's, too",
        )
        client.close()
        require(
            not any(map(_is_open, ours)), "a descriptor of the client's shape is open after `close`"
        )


def _polled(end: Endpoint) -> set[int]:
    """The descriptors of a stream or a datagram socket that a driver may poll."""
    match end.shape:
        case StreamShape(_, reader, writer):
            return {reader, writer}
        case DatagramShape(_, descriptor):
            return {descriptor}
        case None | QueueShape() | SlotsShape() | NothingShape() | CopyShape():
            raise NotTried("it is no stream of descriptors")
        case _:
            assert_never(end.shape)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _closing(subject: Subject, loop: Loop, workload: Workload) -> None:
    transport = subject.transport
    size = 64 if transport.carries_payload else 0
    with joined(subject, size, workload, loop) as (client, server):
        for end in (client, server, client, server):
            end.close()
    del client, server, end
    gc.collect()
    before = open_descriptors()
    link = transport.link(Traffic(size, workload), subject.workspace())
    link.close()
    link.close()
    del link
    gc.collect()  # a queue of multiprocessing closes some of its descriptors as it goes
    after = open_descriptors()
    require(
        len(after) <= len(before),
        f"a link that was closed leaves {len(after - before)} descriptors open",
    )
    ledger = subject.directory / LEDGER
    noted = ledger.read_text() if ledger.exists() else ""
    left = [f"{kind} {key}" for kind, key in outstanding(noted)]
    require(left == [], f"a closed link leaves what it noted: {', '.join(left)}")
    unknown = {line.split()[1] for line in noted.splitlines()} - set(transport.leftovers)
    require(
        not unknown, f"`leftovers` doesn't say how to remove what is noted: {', '.join(unknown)}"
    )
    files = [path.name for path in subject.directory.iterdir() if path != ledger]
    require(files == [], f"a closed link leaves files: {', '.join(files)}")


RULES = (
    Rule(
        "described",
        "its texts are a line each, and true",
        over(_described, workload=WORKLOADS),
    ),
    Rule(
        "refusals",
        "a workload that it lacks is refused at once",
        over(_lacking, loop=LOOPS),
    ),
    Rule(
        "no-such-traffic",
        "traffic that no link is made for is refused",
        tuple(
            Trial(f"{name}={value}", partial(_no_such_traffic, more={name: value}))
            for name, value in (
                ("clients", 2),
                ("settings", (("sndbuf", "1m"),)),
            )
        ),
    ),
    Rule("link", "a link is a Link", once(_a_link)),
    Rule(
        "buffers",
        "buffers are exact, and facts name their unit",
        over(_buffers, loop=LOOPS, workload=WORKLOADS),
    ),
    Rule("knobs", "what knobs came to is read back", over(_knobs, loop=LOOPS)),
    Rule(
        "descriptors",
        "an end's descriptors can be made non-blocking",
        once(_own_descriptors),
    ),
    Rule(
        "closing",
        "closing twice is allowed, and nothing stays",
        over(_closing, loop=LOOPS, workload=WORKLOADS),
    ),
)
"""The rules about descriptions and about making and closing."""
