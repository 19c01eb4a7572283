"""A server that serves its clients in turn: each gets what it is to get, and it fails as any."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.measure.crowd import Crowd
from ipcbench.measure.drivers.in_turn import turns_of
from ipcbench.measure.pair import refused
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport, transports

_MESSAGES = 400
"""Of each client: enough for one more or less in a window to be a small part."""


def _case(name: str, workload: str = "latency:clients=4", loop: str = "python") -> Case:
    return Case.parse(f"{workload}/{name}/64/{loop}/free")


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize("name", ["unix", "inet", "pipe", "unix-seqpacket"])
def test_the_first_client_gets_as_much_more_as_it_is_to_get(
    name: str, workload: str, tmp_path: Path
) -> None:
    case = _case(f"{name}:turns=3", f"{workload}:clients=4")
    if reason := get_transport(name).unavailable():
        pytest.skip(reason)
    with Crowd(case, None, Workspace(tmp_path)) as crowd:
        crowd.run(_MESSAGES if workload == "latency" else 10 * _MESSAGES)
        crowd.check()
        facts = crowd.facts()
    assert facts["evidence_outcome"] == "proved"
    assert facts["knobs_asked"] == "turns=3"
    assert facts["fairness_most_client"] == 1
    assert 1.8 < float(facts["fairness_most_ratio"]) < 2.2  # 2
    assert 0.68 < float(facts["fairness_jain_ratio"]) < 0.82  # 0.75


def test_clients_in_turn_get_the_same(tmp_path: Path) -> None:
    with Crowd(_case("unix:turns=1"), None, Workspace(tmp_path)) as crowd:
        crowd.run(_MESSAGES)
        facts = crowd.facts()
    assert float(facts["fairness_jain_ratio"]) > 0.99
    assert float(facts["fairness_least_ratio"]) > 0.95


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (_case("unix:turns=2", "latency"), "use it with clients=2 or more"),
        (_case("unix:turns=2", "latency:clients=2:server=fork"), "use server=epoll"),
        (_case("unix:turns=2", loop="native"), "use --loop python"),
    ],
    ids=lambda value: value.id if isinstance(value, Case) else "",
)
def test_what_cant_be_served_in_turn_says_why(case: Case, reason: str, tmp_path: Path) -> None:
    assert reason in (refused(case) or "")
    with pytest.raises(LaunchFailed, match=reason):
        Crowd(case, None, Workspace(tmp_path))


def test_it_is_a_knob_of_ends_that_one_thread_can_wait_for_by_itself() -> None:
    def having(names: Sequence[str]) -> list[str]:
        return [
            name
            for name in names
            if any(knob.name == "turns" for knob in get_transport(name).all_knobs)
        ]

    assert having(["unix", "inet", "pipe"]) == ["unix", "inet", "pipe"]
    assert having(["null", "sysv-shm", "asyncio-streams-unix"]) == []
    assert all(turns_of(_case(one.name)) is None for one in transports())
