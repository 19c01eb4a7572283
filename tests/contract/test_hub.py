"""One client with many links: a writer of many readers, and an open loop of many clients."""

from pathlib import Path

import pytest

from ipcbench.case import Case, Loop
from ipcbench.errors import CheckFailed, LaunchFailed, PeerDied
from ipcbench.measure import drivers
from ipcbench.measure.hub import Hub
from ipcbench.measure.pair import refused
from ipcbench.measure.responses import Responses
from ipcbench.transports.base import LEDGER, Workspace
from ipcbench.transports.registry import get_transport
from tests.contract.many import fail_link, killing, processes_left_by, spoil_link, unix_with

_NAMES = ("unix", "inet", "pipe", "sysv-shm", "posix-shm", "sysv-msg", "posix-mq", "unix-dgram")
_LOADED = [
    (name, model)
    for name, models in {
        "unix": ("threads", "epoll", "fork"),
        "inet": ("epoll",),
        "pipe": ("threads", "epoll", "fork"),
        "sysv-shm": ("threads", "fork"),
        "sysv-msg": ("fork",),
        "unix-dgram": ("threads",),
        "asyncio-streams-unix:client=lean": ("epoll",),
    }.items()
    for model in models
]


def _case(name: str, workload: str, loop: Loop = "python", size_bytes: int = 64) -> Case:
    return Case.parse(f"{workload}/{name}/{size_bytes}/{loop}/free")


def _possible(case: Case) -> Case:
    reason = (
        get_transport(case.transport).unavailable()
        or drivers.unavailable(case.loop)
        or refused(case)
    )
    if reason is not None:
        pytest.skip(reason)
    return case


def _run_one(case: Case, directory: Path, messages: int = 100) -> dict[str, int | float | str]:
    with Hub(case, None, Workspace(directory)) as hub:
        for _ in range(2):
            assert hub.run(messages) > 0
            assert hub.delivered_count == messages * case.clients.number
        hub.check()
        return hub.facts()


def _left(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*") if not path.is_dir()} - {LEDGER, "names"}


@pytest.mark.parametrize("readers", [2, 5])
@pytest.mark.parametrize("loop", ["python", "native"])
@pytest.mark.parametrize("name", _NAMES)
def test_every_reader_gets_every_message(
    name: str, loop: Loop, readers: int, tmp_path: Path
) -> None:
    case = _possible(_case(name, f"throughput:readers={readers}", loop))
    facts = _run_one(case, tmp_path)
    assert facts["readers_count"] == readers
    assert "clients_count" not in facts
    assert facts["evidence_outcome"] == "proved"
    assert f"for each of {readers} readers" in str(facts["evidence"])
    assert int(facts["messages_checked"]) >= 4 * readers
    assert float(facts["cpu_user_client_s_per_message"]) >= 0
    assert not _left(tmp_path)


@pytest.mark.parametrize("clients", [2, 5])
@pytest.mark.parametrize("loop", ["python", "native"])
@pytest.mark.parametrize(("name", "model"), _LOADED)
def test_each_of_many_links_carries_its_part_of_a_load(
    name: str, model: str, loop: Loop, clients: int, tmp_path: Path
) -> None:
    settings = f"rate=20000:window=8:clients={clients}:server={model}"
    case = _possible(_case(name, f"load:{settings}", loop))
    responses = Responses()
    with Hub(case, None, Workspace(tmp_path)) as hub:
        hub.run(100)
        responses.add(hub.last_batch, hub.delivered_count)
        hub.check()
        facts = hub.facts() | responses.facts()
    counts = {facts[f"load_{what}_count"] for what in ("offered", "sent", "delivered", "answered")}
    assert counts == {100 * clients}
    assert (facts["clients_count"], facts["server_model"]) == (clients, model)
    assert facts["evidence_outcome"] == "proved"
    assert not _left(tmp_path)


@pytest.mark.parametrize(
    ("workload", "loop"),
    [("throughput:readers=64", "native"), ("load:rate=5000:clients=64", "python")],
)
def test_sixty_four_links_carry_a_stream_and_a_load(
    workload: str, loop: Loop, tmp_path: Path
) -> None:
    case = _possible(_case("unix", workload, loop))
    assert _run_one(case, tmp_path, 10)["evidence_outcome"] == "proved"


@pytest.mark.parametrize(
    ("name", "workload", "reason"),
    [
        ("null", "throughput:readers=2", "null has no writer that could have 2 readers"),
        ("sysv-shm-spin", "throughput:readers=2", "ends that spin share no CPU, and its readers"),
        ("sysv-shm-spin", "load:clients=2", "ends that spin share no CPU, and its clients"),
        ("sysv-sem", "throughput:readers=2", "can't stream"),
        ("asyncio-protocol-unix", "throughput:readers=2", "write client=lean"),
        ("asyncio-protocol-unix", "load:clients=2", "write client=lean"),
        ("sysv-shm", "load:clients=2:server=epoll", "it has server=threads or server=fork"),
    ],
)
def test_what_cant_have_many_links_says_why(
    name: str, workload: str, reason: str, tmp_path: Path
) -> None:
    case = _case(name, workload)
    if absent := get_transport(name).unavailable():
        pytest.skip(absent)
    with pytest.raises(LaunchFailed, match=reason):
        Hub(case, None, Workspace(tmp_path))
    assert not list(tmp_path.iterdir())


def test_one_reader_is_the_case_without_the_knob() -> None:
    assert _case("unix", "throughput:readers=1") == _case("unix", "throughput")
    assert _case("unix", "load:clients=1:server=fork") == _case("unix", "load")


_MANY = ["throughput:readers=3", "load:rate=20000:clients=3", "load:clients=3:server=threads"]


@pytest.mark.parametrize("workload", _MANY)
def test_a_payload_that_one_link_changes_is_told(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        unix_with(spoil_link(3), monkeypatch),
        pytest.raises(CheckFailed, match=r"changed|carries the number"),
    ):
        _run_one(_case("unix", workload), tmp_path)


@pytest.mark.parametrize("workload", _MANY)
def test_an_end_that_fails_tells_its_reason(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _case("unix", workload)
    who = "reader 2 of 3" if case.clients.are_readers else "the server"
    with (
        unix_with(fail_link(2, "no more of this"), monkeypatch),
        pytest.raises(LaunchFailed, match=f"{who} failed in the timed batch: OSError: no more"),
    ):
        _run_one(case, tmp_path)


@pytest.mark.parametrize("loop", ["python", "native"])
@pytest.mark.parametrize("name", ["unix", "pipe", "sysv-shm", "posix-mq"])
@pytest.mark.parametrize(
    ("workload", "named"),
    [
        ("throughput:readers=4", "reader 2 of 4"),
        ("load:rate=1000:clients=4:server=fork", "server 2 of 4"),
        ("load:rate=1000:clients=4:server=threads", "the server"),
    ],
)
def test_whoever_is_killed_is_named(
    workload: str, named: str, name: str, loop: Loop, tmp_path: Path
) -> None:
    case = _possible(_case(name, workload, loop))
    hubs, note = killing(lambda hub: hub._servers[min(1, len(hub._servers) - 1)].pid)
    hub = Hub(case, None, Workspace(tmp_path), note_phase=note)
    hubs.append(hub)
    with (
        pytest.raises(PeerDied, match=f"^{named} was killed by SIGKILL in the timed batch"),
        hub,
    ):
        hub.run(10_000_000 if case.arrivals is None else 100_000)


@pytest.mark.parametrize("workload", _MANY)
def test_nobody_outlives_the_client(workload: str, tmp_path: Path) -> None:
    case = _possible(_case("sysv-shm", workload.replace("20000:", "20000:server=threads:")))
    assert processes_left_by(Hub, case.id, tmp_path) == (3 if case.clients.are_readers else 1)
