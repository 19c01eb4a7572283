"""Many clients of one server: every promise of a pair, for each of them."""

from pathlib import Path

import pytest

from ipcbench.case import Case, Loop
from ipcbench.errors import CheckFailed, LaunchFailed, PeerDied
from ipcbench.measure import drivers
from ipcbench.measure.crowd import Crowd
from ipcbench.measure.crowd_measurement import OfCrowd
from ipcbench.measure.measurement import OfPair
from ipcbench.measure.pair import Pair, refused
from ipcbench.measure.worker import _measurement_of
from ipcbench.run.driver import Run
from ipcbench.transports.base import LEDGER, Workspace
from ipcbench.transports.registry import get_transport
from tests.asked import plan_of
from tests.contract.many import fail_link, killing, processes_left_by, spoil_link, unix_with

_GONE_S = 20.0
"""Most seconds that a process may take to end, on a busy machine."""
_COMMON_S = 0.002
"""Seconds of a batch that has all clients at work."""
_SERVED = [
    (name, model)
    for name, models in {
        "unix": ("threads", "epoll", "fork"),
        "inet": ("threads", "epoll", "fork"),
        "pipe": ("threads", "epoll", "fork"),
        "sysv-shm": ("threads", "fork"),
        "asyncio-protocol-unix": ("epoll", "fork"),
        "asyncio-streams-unix": ("epoll",),
        "uvloop-protocol-unix": ("epoll",),
        "http-aiohttp-unix": ("epoll",),
        "http-std-unix": ("threads",),
    }.items()
    for model in models
]


def _case(name: str, workload: str, loop: Loop = "python", size_bytes: int = 64) -> Case:
    return Case.parse(f"{workload}/{name}/{size_bytes}/{loop}/free")


def _run_one(case: Case, directory: Path, messages: int = 64) -> dict[str, int | float | str]:
    with Crowd(case, None, Workspace(directory)) as crowd:
        while crowd.calibrate(messages) < _COMMON_S:
            messages *= 2
        crowd.run(messages)
        crowd.check()
        return crowd.facts()


@pytest.mark.parametrize("clients", [3, 8])
@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("loop", ["python", "native"])
@pytest.mark.parametrize(("name", "model"), _SERVED)
def test_every_message_of_every_client_arrives(
    name: str, model: str, loop: Loop, workload: str, clients: int, tmp_path: Path
) -> None:
    case = _case(name, f"{workload}:clients={clients}:server={model}", loop)
    reason = get_transport(name).unavailable() or drivers.unavailable(loop) or refused(case)
    if reason is not None:
        pytest.skip(reason)
    facts = _run_one(case, tmp_path, 256)
    assert facts["clients_count"] == clients
    assert facts["server_model"] == model
    assert facts["evidence_outcome"] == "proved"
    assert int(facts["messages_checked"]) >= 4 * clients  # two batches, and two of a full check
    assert float(facts["crowd_messages_per_s"]) > 0
    assert 0 < float(facts["fairness_jain_ratio"]) <= 1
    assert ("knobs_client" in facts) == ("knobs_server" in facts)
    left = {path.name for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left <= {LEDGER, "names"}


@pytest.mark.parametrize(
    ("name", "model"), [("unix", "epoll"), ("unix", "threads"), ("pipe", "fork")]
)
def test_sixty_four_clients_are_served(name: str, model: str, tmp_path: Path) -> None:
    facts = _run_one(_case(name, f"latency:clients=64:server={model}"), tmp_path)
    assert facts["clients_count"] == 64
    assert facts["evidence_outcome"] == "proved"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("unix", "epoll"),
        ("pipe", "epoll"),
        ("sysv-shm", "threads"),
        ("asyncio-streams-unix", "epoll"),
    ],
)
def test_the_usual_server_is_the_one_that_such_ends_have(
    name: str, model: str, tmp_path: Path
) -> None:
    assert _run_one(_case(name, "latency:clients=2"), tmp_path)["server_model"] == model


@pytest.mark.parametrize(
    ("name", "workload", "reason"),
    [
        ("null", "latency:clients=2", "null has no server that could have 2 clients"),
        ("sysv-shm-spin", "latency:clients=2", "ends that spin share no CPU"),
        ("sysv-shm", "latency:clients=2:server=epoll", "it has server=threads or server=fork"),
        ("asyncio-protocol-unix", "latency:clients=2:server=threads", "has no server=threads"),
    ],
)
def test_what_cant_have_many_clients_says_why(
    name: str, workload: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(LaunchFailed, match=reason):
        Crowd(_case(name, workload), None, Workspace(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workload", ["latency", "throughput"])
def test_one_client_is_the_case_without_the_knob_by_the_code_of_a_pair(workload: str) -> None:
    plain = _case("unix", workload)
    for settings in ("clients=1", "clients=1:server=fork"):
        one = _case("unix", f"{workload}:{settings}")
        assert (one, one.id) == (plain, plain.id)
        assert _measurement_of(one) is _measurement_of(plain) is OfPair
    assert _measurement_of(_case("unix", f"{workload}:clients=2")) is OfCrowd


def test_a_sweep_from_one_client_on_begins_with_the_plain_case() -> None:
    plan = plan_of("compare", "unix", "--vary", "latency:clients=1,2", "--sizes", "64")
    assert isinstance(plan.run, Run)
    workloads = [case.workload for case in plan.run.cases if case.transport == "unix"]
    assert list(dict.fromkeys(workloads)) == ["latency", "latency:clients=2"]


@pytest.mark.parametrize("model", ["threads", "epoll", "fork"])
def test_a_payload_that_one_client_gets_changed_is_told_of_it(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _case("unix", f"latency:clients=3:server={model}")
    with (
        unix_with(spoil_link(3), monkeypatch),
        pytest.raises(CheckFailed, match=r"client 3 of 3: .* reached the server changed"),
    ):
        _run_one(case, tmp_path)


@pytest.mark.parametrize("model", ["threads", "epoll", "fork"])
def test_a_server_that_fails_for_one_client_tells_its_reason(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _case("unix", f"latency:clients=3:server={model}")
    who = "server 2 of 3" if model == "fork" else "the server"
    with (
        unix_with(fail_link(2, "no more of this"), monkeypatch),
        pytest.raises(LaunchFailed, match=f"{who} failed in the timed batch: OSError: no more"),
    ):
        _run_one(case, tmp_path)


def test_throughput_is_bound_by_the_clients_and_by_the_servers_work(tmp_path: Path) -> None:
    """X <= min(N/R, 1/S), where R is the time of a round trip of one client alone."""
    with Pair(_case("unix", "latency:work=200us"), None, Workspace(tmp_path)) as pair:
        alone_s = [pair.run(50) / 50 for _ in range(5)]
    for clients in (2, 4):
        case = _case("unix", f"latency:clients={clients}:work=200us")
        facts = _run_one(case, tmp_path, 100)
        bound_per_s = min(clients / min(alone_s), 1 / 200e-6)
        assert float(facts["crowd_messages_per_s"]) <= bound_per_s * 1.05


@pytest.mark.parametrize("loop", ["python", "native"])
@pytest.mark.parametrize(
    ("name", "model"),
    [("unix", "epoll"), ("unix", "threads"), ("pipe", "fork"), ("sysv-shm", "threads")],
)
@pytest.mark.parametrize("who", ["client", "server"])
def test_whoever_is_killed_is_named(
    who: str, name: str, model: str, loop: Loop, tmp_path: Path
) -> None:
    case = _case(name, f"latency:clients=4:server={model}", loop)
    reason = get_transport(name).unavailable() or drivers.unavailable(loop)
    if reason is not None:
        pytest.skip(reason)

    def pid_of(crowd: Crowd) -> int | None:
        return (crowd._others[1] if who == "client" else crowd._servers[0]).pid

    served = "server 1 of 4" if model == "fork" else "the server"
    named = "client 3 of 4" if who == "client" else served
    crowds, note = killing(pid_of)
    crowd = Crowd(case, None, Workspace(tmp_path), note_phase=note)
    crowds.append(crowd)
    with (
        pytest.raises(PeerDied, match=f"^{named} was killed by SIGKILL in the timed batch"),
        crowd,
    ):
        crowd.run(10_000_000 if loop == "native" else 1_000_000)


@pytest.mark.parametrize("model", ["threads", "fork"])
def test_nobody_outlives_the_first_client(model: str, tmp_path: Path) -> None:
    case = _case("sysv-shm", f"latency:clients=3:server={model}")
    reason = get_transport("sysv-shm").unavailable()
    if reason is not None:
        pytest.skip(reason)
    assert processes_left_by(Crowd, case.id, tmp_path) == (5 if model == "fork" else 3)
