"""Each knob of each transport: set, it takes effect and is read back at both ends."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import UsageError
from ipcbench.measure import drivers
from ipcbench.measure.pair import Pair, refused
from ipcbench.terms import Choice, Knob, Size, Span, Whole, parse_settings
from ipcbench.transports.base import Transport, Workspace
from ipcbench.transports.registry import (
    TRANSPORTS,
    Spelling,
    canonical,
    get_transport,
    spelled_out,
    transports,
)
from ipcbench.units import format_size, parse_size
from ipcbench.workloads import Workload
from tests.contract.tuned import is_tried

WRITTEN_OUT = [name for name, made in TRANSPORTS.items() if not isinstance(made, Spelling)]
TRIED = [name for name in WRITTEN_OUT if is_tried(get_transport(name))]


def _values(knob: Knob) -> list[str]:
    """Some values of a knob."""
    match knob.kind:
        case Choice():
            return list(knob.kind.known())
        case Size():
            return ["4k", "64k"]
        case Whole():
            return sorted({str(knob.kind.least), str(min(knob.kind.most, 5))})
        case Span():
            return ["2us"]
    raise TypeError(f"no values are known for {knob.kind}")


def _settings() -> Iterator[tuple[str, str, str]]:
    for name in TRIED:
        transport = get_transport(name)
        for knob in transport.knobs:
            for value in _values(knob):
                if transport.clash({knob.name: value}) is None:
                    yield name, knob.name, value


SETTINGS = list(_settings())


def _facts(case: Case, directory: Path) -> Mapping[str, object]:
    """The facts of a pair that ran some messages and passed all its checks."""
    with Pair(case, None, Workspace(directory)) as pair:
        pair.run(20)
        pair.check()
        return pair.facts()


def _runnable(transport: Transport, loop: Loop) -> Case:
    workload: Workload = "throughput" if transport.streams else "latency"  # a ring has slots
    case = Case(workload, transport.name, transport.size_of(workload, 64), loop, "free")
    reason = transport.unavailable() or drivers.unavailable(loop) or refused(case)
    if reason is None and transport.spins:
        reason = "it spins; its own tests pin it to two CPUs"
    if reason is not None:
        pytest.skip(reason)
    return case


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("name", "knob", "value"), SETTINGS)
def test_a_knob_that_is_set_is_read_back_at_both_ends(
    name: str, knob: str, value: str, loop: Loop, tmp_path: Path
) -> None:
    transport = get_transport(f"{name}:{knob}={value}")
    facts = _facts(_runnable(transport, loop), tmp_path)
    if transport.settings:
        assert facts["knobs_asked"] == f"{knob}={value}"
    for side in ("client", "server"):
        in_force = parse_settings(str(facts[f"knobs_{side}"]))
        assert set(in_force) >= _always_told(transport)
        assert _took_effect(knob, value, in_force[knob])


def _took_effect(knob: str, asked: str, in_force: str) -> bool:
    match knob:
        case "sndbuf" | "rcvbuf":  # doubled, but no smaller than the kernel's least (socket(7))
            return parse_size(in_force) == max(2 * parse_size(asked), 4608 if knob[0] == "s" else 0)
        case "quickack":  # the kernel may leave it at any time (tcp(7))
            return in_force in {"on", "off"}
        case _:
            return in_force == asked


@pytest.mark.parametrize("name", TRIED)
def test_what_isnt_asked_for_is_told_as_well(name: str, tmp_path: Path) -> None:
    transport = get_transport(name)
    facts = _facts(_runnable(transport, "python"), tmp_path)
    assert "knobs_asked" not in facts
    told = parse_settings(str(facts.get("knobs_client", "")))
    assert set(told) <= {knob.name for knob in transport.knobs}
    assert set(told) >= _always_told(transport)
    for knob in transport.knobs:
        if knob.default is not None and knob.name in told:
            assert told[knob.name] == knob.default


def _always_told(transport: Transport) -> set[str]:
    """The knobs with a value of their own; `spin` has one only with wait=adaptive."""
    return {one.name for one in transport.knobs if one.default is not None} - {"spin"}


@pytest.mark.parametrize("transport", transports(), ids=lambda transport: transport.name)
def test_the_knobs_of_a_transport_are_well_described(transport: Transport) -> None:
    names = [knob.name for knob in transport.all_knobs]
    assert len(set(names)) == len(names)
    for knob in transport.all_knobs:
        assert knob.kind.described()
        assert knob.help
        if knob.default is not None:
            assert knob.kind.canonical(knob.default) == knob.default


@pytest.mark.parametrize(
    ("typed", "one"),
    [
        ("pipe:size=1m", "pipe-1m"),
        ("pipe:size=1024k", "pipe-1m"),
        ("inet:nodelay=off", "inet-nagle"),
        ("inet-nagle:nodelay=on", "inet"),
        ("inet6:nodelay=off", "inet6-nagle"),
        ("sysv-shm:wait=spin", "sysv-shm-spin"),
        ("sysv-shm:wait=sleep", "sysv-shm"),
        ("pipe+20us", "pipe:delay=20us"),
        ("pipe-1m@2", "pipe:size=1m:dummy=2"),
        ("unix:rcvbuf=4096:sndbuf=1024", "unix:sndbuf=1k:rcvbuf=4k"),
        ("unix@0", "unix"),
    ],
)
def test_a_transport_has_one_name(typed: str, one: str) -> None:
    assert canonical(typed) == one
    assert get_transport(typed) is get_transport(one)
    assert get_transport(one).name == one
    assert dict(spelled_out(one).settings) == dict(get_transport(one).settings)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("unix:", "'unix:' has a colon without a knob; write unix:KNOB=VALUE, or unix alone"),
        ("unix:nosuch=1", "unknown knob of unix 'nosuch'; known are: sndbuf, rcvbuf"),
        ("unix:sndbuf", "'unix:sndbuf' gives 'sndbuf' no value; write unix:sndbuf=VALUE"),
        ("unix:sndbuf=", "'unix:sndbuf=' gives 'sndbuf' no value"),
        ("unix:sndbuf=x", "'x' is not a whole number of bytes above 0"),
        ("unix:sndbuf=0", "'0' is not a whole number of bytes above 0"),
        ("unix:sndbuf=4k:sndbuf=8k", "sets 'sndbuf' twice; set it once"),
        ("unix:sndbuf=4k,8k", "--vary"),
        ("unix:size=4k", "unix has no knob 'size', which pipe, "),
        ("pipe:size=1g", "1g is more than sysctl fs.pipe-max-size allows"),
        ("inet:congestion=nosuch", "'nosuch' is not "),
        ("null:delay=1us", "unknown knob of null 'delay'; known are: dummy"),
        ("pipe:delay=1s", "1s is more than 100ms"),
        ("nosuch:size=4k", "unknown transport 'nosuch'"),
    ],
)
def test_a_wrong_term_is_told_with_what_is_right(typed: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        canonical(typed)
    assert said in str(refused.value)


def test_a_message_that_the_buffer_asked_for_cant_hold_is_refused_with_what_can() -> None:
    small = get_transport("unix-seqpacket:sndbuf=4k")
    case = Case("latency", small.name, parse_size("64k"), "python", "free")
    reason = refused(case)
    assert reason is not None
    assert "ask for sndbuf=" in reason
    dropped = refused(Case("latency", "inet-udp:rcvbuf=4k", parse_size("16k"), "python", "free"))
    assert dropped is not None
    assert "drops every datagram" in dropped
    assert format_size(2**14) == "16k"
