"""The kernel finds out a transport under another's name. That it proves each is a rule of all."""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ipcbench.case import Case, Loop
from ipcbench.cli import main
from ipcbench.errors import CheckFailed, PeerDied
from ipcbench.evidence import kernel
from ipcbench.evidence.holdings import Holdings
from ipcbench.evidence.verdict import TRACELESS, Expected, Finding, judged
from ipcbench.measure.pair import Pair
from ipcbench.system.signals import ENDING_SIGNALS
from ipcbench.transports import registry
from ipcbench.transports.base import Endpoint, Link, Traffic, Transport, Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.workloads import Workload
from tests.contract.tuned import all_transports

MECHANISMS = [transport for transport in all_transports() if not transport.is_control]
MESSAGES = 10
TRAFFIC = ("replies", "streams", "overlaps", "connects", "carries_payload")
"""What a transport says of the traffic that it can carry."""


class Swapped(Transport):
    """One transport under another's name, with the other's claim."""

    def __init__(self, named: Transport, is_really: Transport) -> None:
        self._really = is_really
        self.mediums = named.mediums
        for name in ("name", "summary", "waits", "copies", "source", "groups", *TRAFFIC):
            setattr(self, name, getattr(named, name))

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return self._really.link(traffic, workspace)


def _named(name: str) -> Transport:
    transport = get_transport(name)
    reason = transport.unavailable()
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return transport


def _inspect(name: str, workload: Workload, directory: Path, loop: Loop = "python") -> Finding:
    transport = get_transport(name)
    size = transport.size_of(workload, 64)
    with Pair(Case(workload, name, size, loop), None, Workspace(directory)) as pair:
        pair.run(MESSAGES)
        return pair.inspect()


def _register(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts it into the registry in place of the one whose name it has."""
    monkeypatch.setitem(registry.LOADED, transport.name, transport)


@pytest.mark.parametrize("name", ["pipe+20us", "unix@3"])
def test_the_selftests_variants_are_proved_as_what_they_vary(name: str, tmp_path: Path) -> None:
    assert _inspect(name, "latency", tmp_path).outcome == "proved"


@pytest.mark.parametrize("transport", MECHANISMS, ids=lambda transport: transport.name)
def test_what_joins_a_pair_proves_its_own_claim_and_no_other(
    transport: Transport, tmp_path: Path
) -> None:
    _named(transport.name)
    case = Case("latency", transport.name, 64 if transport.carries_payload else 0)
    with Pair(case, None, Workspace(tmp_path)) as pair:
        pair.run(MESSAGES)
        seen = kernel.look(pair.server_holdings, pair._held_before)
    for other in MECHANISMS:
        finding = judged(
            Expected(other.mediums, False, replies=True, connects=False, sent_bytes=0), seen
        )
        same = set(other.mediums) - TRACELESS == set(transport.mediums) - TRACELESS
        # A pipe of any size may be called a pipe.
        same = same or (transport.mediums, other.mediums) == (("pipe", "largest"), ("pipe",))
        assert (finding.outcome == "proved") == same, f"{other.name}: {finding.digest}"


SWAPS = (
    ("unix", "inet"),
    ("inet", "unix"),
    ("inet", "inet6"),
    ("inet", "inet-nagle"),
    ("unix", "socketpair"),
    ("unix", "unix-abstract"),
    ("unix-seqpacket", "unix"),
    ("inet-udp", "inet"),
    ("pipe", "fifo"),
    ("pipe-1m", "pipe"),
    ("sysv-shm", "pipe"),
    ("sysv-shm", "sysv-shm-spin"),
    ("sysv-shm:wait=adaptive", "sysv-shm-spin"),
    ("memfd-eventfd:wait=adaptive", "memfd-eventfd:wait=spin"),
    ("posix-shm", "sysv-shm"),
    ("posix-shm", "mmap-file"),
    ("posix-mq", "sysv-msg"),
    ("shm-futex", "memfd-eventfd"),
    ("process-vm", "socketpair"),
    ("mp-queue-pickle", "mp-pipe"),
)


@pytest.mark.parametrize(("name", "really"), SWAPS)
def test_a_transport_under_anothers_name_fails_its_launch(
    name: str, really: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _register(Swapped(_named(name), _named(really)), monkeypatch)
    with Pair(Case("latency", name, 64), None, Workspace(tmp_path)) as pair:
        pair.run(MESSAGES)
        with pytest.raises(CheckFailed, match=r"^evidence refuted: the claim is "):
            pair.check()


@pytest.mark.parametrize(("name", "really"), [("unix", "inet"), ("inet6", "inet")])
@pytest.mark.parametrize("workload", ["throughput", "connect"])
def test_it_is_found_out_in_the_other_workloads_too(
    name: str, really: str, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _register(Swapped(_named(name), _named(really)), monkeypatch)
    assert _inspect(name, workload, tmp_path).outcome == "refuted"


class _Beside(Link):
    """A link, and descriptors beside it that both ends hold."""

    def __init__(self, link: Link, descriptors: Sequence[int]) -> None:
        self._descriptors = descriptors
        self._link = link

    def client(self) -> Endpoint:
        return self._link.client()

    def server(self) -> Endpoint:
        return self._link.server()

    def close(self) -> None:
        self._link.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = ()


def test_a_second_way_beside_the_claimed_one_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Both(Swapped):
        def link(self, traffic: Traffic, workspace: Workspace) -> Link:
            return _Beside(super().link(traffic, workspace), os.pipe())

    _register(Both(_named("unix"), _named("unix")), monkeypatch)
    assert "there is pipe too" in _inspect("unix", "latency", tmp_path).reason


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_socket_that_isnt_connected_joins_nothing(
    family: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithIdle(Swapped):
        def link(self, traffic: Traffic, workspace: Workspace) -> Link:
            idle = socket.socket(family).detach()
            return _Beside(super().link(traffic, workspace), (idle,))

    _register(WithIdle(_named("pipe"), _named("pipe")), monkeypatch)
    finding = _inspect("pipe", "latency", tmp_path)
    assert finding.outcome == "proved", finding.digest


def test_a_server_that_dies_while_it_is_looked_at_died_and_isnt_refuted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(
        holdings: Callable[[], Holdings], _known: frozenset[str], _expected: Expected
    ) -> Finding:
        server = holdings().pid
        os.kill(server, signal.SIGKILL)
        os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
        return Finding("refuted", "it holds nothing")

    monkeypatch.setattr("ipcbench.measure.pair.inspect", too_late)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
    try:
        with (
            Pair(Case("latency", "unix", 64), None, Workspace(tmp_path)) as pair,
            pytest.raises(PeerDied, match="was killed by SIGKILL"),
        ):
            pair.check()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_where_the_kernel_cant_be_asked_a_launch_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_server: Callable[[], Holdings], _known: frozenset[str]) -> None:
        raise kernel.CannotLook("there is no /proc here")

    monkeypatch.setattr("ipcbench.evidence.witness.look", refused)
    with Pair(Case("latency", "unix", 64), None, Workspace(tmp_path)) as pair:
        pair.run(MESSAGES)
        pair.check()
        assert pair.facts()["evidence"] == "not witnessed: there is no /proc here"
        assert pair.facts()["evidence_outcome"] == "not witnessed"


def test_evidence_shows_claim_place_lines_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["evidence", "unix", "inet"]) == 0
    text = capsys.readouterr().out
    for part in (
        *("unix: UNIX domain stream socket", "  claim       unix-stream, socket-file\n"),
        *("/proc/net/unix: ", 'lstat: socket file "socket" (srw', "/proc/net/tcp: "),
        *("  proved: AF_UNIX stream: client's socket ", "  proved: TCP over IPv4: 127.0.0.1:"),
    ):
        assert part in text
    assert text.splitlines()[-1] == "proved: 2"


def test_evidence_answers_with_3_where_the_kernel_disagrees(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _register(Swapped(_named("unix"), _named("inet")), monkeypatch)
    assert main.main(["evidence", "unix", "pipe"]) == 3
    text = capsys.readouterr().out
    assert "  refuted: the claim is unix-stream, socket-file, but no AF_UNIX stream joins" in text
    assert text.splitlines()[-1] == "refuted: 1, proved: 1"


def test_evidence_tells_why_a_transport_cant_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Missing(Swapped):
        def unavailable(self) -> str:
            return "the moon is down"

    _register(Missing(_named("unix"), _named("unix")), monkeypatch)
    assert main.main(["evidence", "unix"]) == 0
    assert "  can't run here: the moon is down" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """The command line takes signals over for the rest of its process's life, which is short."""
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
