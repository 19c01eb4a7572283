"""A few of the faults in many clients of one server that `make chaos` injects."""

from typing import Any

import pytest

from ipcbench.case import Loop
from ipcbench.transports.registry import get_transport
from tests.faults.chaos import Run
from tests.faults.injections import CROWDS, OF_A_LAUNCH, PAIR_PHASES, Injection, plan
from tests.faults.sentences import forked_names, misnamed


def _hit(victim: str, signal: str, workload: str, place: float, loop: Loop = "python") -> Injection:
    """A fault in a timed batch of the first launch."""
    names = ("pipe", "unix")
    return Injection(0, victim, signal, "timed batch", 2, 0.003, place, names, workload, loop)


@pytest.mark.parametrize(
    "injection",
    [
        _hit("client", "KILL", "latency:clients=4:server=threads", 0.9),
        _hit("client", "STOP", "latency:clients=2", 0.0),
        _hit("server", "KILL", "throughput:clients=3:server=fork", 0.5),
        _hit("worker", "KILL", "latency:clients=3:server=fork", 0.0),
        _hit("driver", "KILL", "throughput:clients=3:server=threads", 0.0),
    ],
    ids=lambda one: f"{one.victim}-{one.signal}",
)
def test_a_fault_in_a_crowd_comes_to_a_clean_end(injection: Injection) -> None:
    for name in injection.transports:
        if reason := get_transport(name).unavailable():
            pytest.skip(reason)
    outcome = Run(injection).play()
    assert outcome.problems == [], "\n".join([f"{injection}", *outcome.said])


def test_a_plan_hits_clients_where_there_are_many_and_in_no_phase_that_they_lack() -> None:
    planned = plan(400, 1)
    hit = [one for one in planned if one.victim == "client"]
    assert {one.workload for one in hit} == set(CROWDS)
    of_crowds = [one for one in planned if one.workload in CROWDS]
    assert {one.phase for one in of_crowds} >= set(PAIR_PHASES) - {"sampled burst"}
    assert "sampled burst" not in {one.phase for one in of_crowds}
    assert {one.victim for one in of_crowds} >= set(OF_A_LAUNCH)
    assert {one.workload for one in plan(100, 1, CROWDS)} == set(CROWDS)


def test_processes_are_named_in_the_order_of_their_forks() -> None:
    assert forked_names("latency", "unix") == ["server"]
    assert forked_names("latency:clients=3", "unix") == [
        *("the server", "client 2 of 3", "client 3 of 3")
    ]
    assert forked_names("latency:clients=2:server=fork", "unix") == [
        *("server 1 of 2", "server 2 of 2", "client 2 of 2")
    ]
    assert forked_names("latency:clients=2", "sysv-msg")[:2] == ["server 1 of 2", "server 2 of 2"]


def test_a_sentence_must_name_the_client_by_its_number() -> None:
    hit = _hit("client", "KILL", "latency:clients=4", 0.9)
    aimed: dict[str, Any] = {"case": "a/b/1", "phase": "timed batch"}
    line = "trying again: a/b/1: client 4 of 4 was killed by SIGKILL in the timed batch"
    assert misnamed(line, hit, aimed, "client 4 of 4") is None
    assert misnamed(line, hit, aimed, "client 3 of 4") == "another victim or signal"
