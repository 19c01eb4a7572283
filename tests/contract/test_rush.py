"""Many clients that connect to one server at once: each payload, and what a full queue does."""

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.errors import CheckFailed, LaunchFailed, PeerDied
from ipcbench.measure.crowd import Crowd
from ipcbench.measure.pair import refused
from ipcbench.transports import registry
from ipcbench.transports.base import Endpoint, Link, Traffic, Workspace
from ipcbench.transports.parts.options import SocketOptions
from ipcbench.transports.registry import get_transport
from ipcbench.transports.unix import Unix, UnixLink
from tests.contract.many import killing, processes_left_by

_COMMON_S = 0.002
"""Seconds of a batch that has all clients at work."""
_GONE_S = 20.0
"""Most seconds that a process may take to end, on a busy machine."""
_NAMES = ("unix", "unix-seqpacket", "unix-abstract", "inet", "inet6", "inet-nagle")


def _case(name: str, workload: str) -> Case:
    return Case.parse(f"{workload}/{name}/1/python/free")


def _run_one(case: Case, directory: Path) -> dict[str, int | float | str]:
    messages = 64
    with Crowd(case, None, Workspace(directory)) as crowd:
        while crowd.calibrate(messages) < _COMMON_S:
            messages *= 2
        crowd.run(messages)
        assert crowd.samples_ns()
        crowd.check()
        return crowd.facts()


@pytest.mark.parametrize("clients", [2, 5])
@pytest.mark.parametrize("name", _NAMES)
def test_every_connection_of_every_client_is_answered(
    name: str, clients: int, tmp_path: Path
) -> None:
    case = _case(name, f"connect:clients={clients}")
    reason = get_transport(name).unavailable()
    if reason is not None:
        pytest.skip(reason)
    facts = _run_one(case, tmp_path)
    assert facts["clients_count"] == clients
    assert facts["evidence_outcome"] == "proved"
    assert "server listens" in str(facts["evidence"])
    assert int(facts["messages_checked"]) >= 34 * clients  # two batches, and 32 of a full check
    assert float(facts["crowd_messages_per_s"]) > 0
    assert ("listen_overflows_count" in facts) == name.startswith("inet")
    assert not {"server_model", "link_memory"} & facts.keys()
    assert not list(tmp_path.rglob("socket"))


def test_sixty_four_clients_are_answered(tmp_path: Path) -> None:
    facts = _run_one(_case("unix", "connect:clients=64"), tmp_path)
    assert facts["clients_count"] == 64
    assert facts["connect_failures"] == "none"  # 64 fit a queue of 128


def test_a_full_queue_of_a_unix_socket_fails_connects_at_once_and_all_are_made(
    tmp_path: Path,
) -> None:
    """A queue of two for twelve clients: where the scheduler hides it, there is another batch."""
    with Crowd(_case("unix", "connect:clients=12:backlog=1"), None, Workspace(tmp_path)) as crowd:
        for _ in range(20):
            crowd.run(64)
            crowd.check()
            facts = crowd.facts()
            if facts["connect_failures_count"]:
                break
    assert str(facts["connect_failures"]).startswith("EAGAIN=")
    assert int(facts["connect_failures_count"]) > 0
    assert not [name for name in facts if name.startswith("client_connect")]


class _ChangedLink(UnixLink):
    """A link of `unix` whose server's end is changed."""

    change: Callable[[Endpoint], None]

    def server(self) -> Endpoint:
        endpoint = super().server()
        self.change(endpoint)
        return endpoint


class _Changed(Unix):
    """`unix`, whose server is changed."""

    def __init__(self, change: Callable[[Endpoint], None]) -> None:
        self._change = change

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        link = _ChangedLink(traffic, workspace, SocketOptions({}))
        link.change = self._change
        return link


def test_a_byte_that_comes_to_the_server_changed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(endpoint: Endpoint) -> None:
        seen = iter(range(1_000_000))

        def spoil() -> None:
            if next(seen) == 70:
                endpoint.incoming[0] ^= 128

        receive = endpoint.receive

        def spoilt() -> None:
            receive()
            spoil()

        endpoint.receive = spoilt

    get_transport("unix")
    monkeypatch.setitem(registry.LOADED, "unix", _Changed(change))
    crowd = Crowd(_case("unix", "connect:clients=3"), None, Workspace(tmp_path))
    with (
        pytest.raises(CheckFailed, match="63 of 64 messages of the batch reached the server"),
        crowd,
    ):
        crowd.run(64)


@pytest.mark.parametrize("who", ["client", "server"])
def test_whoever_is_killed_is_named(who: str, tmp_path: Path) -> None:
    def pid_of(crowd: Crowd) -> int | None:
        return (crowd._servers if who == "server" else crowd._others)[-1].pid

    named = "the server" if who == "server" else "client 4 of 4"
    crowds, note = killing(pid_of)
    case = _case("unix", "connect:clients=4:backlog=1")
    crowd = Crowd(case, None, Workspace(tmp_path), note_phase=note)
    crowds.append(crowd)
    with (
        pytest.raises(PeerDied, match=f"^{named} was killed by SIGKILL in the timed batch"),
        crowd,
    ):
        crowd.run(1_000_000)


def test_nobody_outlives_the_first_client(tmp_path: Path) -> None:
    case = _case("unix", "connect:clients=4:backlog=1")
    assert processes_left_by(Crowd, case.id, tmp_path) == 4


@pytest.mark.parametrize(
    ("name", "workload", "reason"),
    [
        ("pipe", "connect:clients=2", "pipe makes no connections"),
        ("mp-connection", "connect:clients=2", "joins one client to one server, not 2"),
    ],
)
def test_what_cant_be_connected_to_by_many_says_why(
    name: str, workload: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(LaunchFailed, match=reason):
        Crowd(_case(name, workload), None, Workspace(tmp_path))
    assert not list(tmp_path.iterdir())


def test_one_client_is_the_case_without_the_knobs() -> None:
    assert _case("unix", "connect:clients=1") == _case("unix", "connect")
    assert _case("unix", "connect:backlog=4") == _case("unix", "connect")


def test_a_backlog_that_the_kernel_cuts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    get_transport("unix")
    monkeypatch.setattr("ipcbench.transports.base.kernel_setting", lambda _: 100)
    assert refused(_case("unix", "connect:clients=2:backlog=101")) == (
        "net.core.somaxconn is 100, and backlog=101 is more"
    )
    assert refused(_case("unix", "connect:clients=2:backlog=100")) is None


def test_strangers_among_the_clients_are_dropped_and_counted(tmp_path: Path) -> None:
    """The gate of one client would close those of others along with the stranger."""
    case = _case("unix", "connect:clients=3")
    with Crowd(case, None, Workspace(tmp_path)) as crowd, ExitStack() as strangers:
        (address,) = tmp_path.rglob("socket")
        folder = os.open(address.parent, os.O_PATH)
        strangers.callback(os.close, folder)
        for _ in range(4):
            stranger = strangers.enter_context(socket.socket(socket.AF_UNIX))
            # The path itself may be too long for an address: unix(7).
            stranger.connect(f"/proc/self/fd/{folder}/{address.name}")
            stranger.send(b"x" * 17)
        crowd.run(64)
        crowd.check()
        facts = crowd.facts()
    assert facts["server_strangers_count"] == 4
