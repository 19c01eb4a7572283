"""A short run of what `make chaos` does at length: a fault at a random moment, a clean end."""

from dataclasses import replace

import pytest

from ipcbench.case import LOOPS, Case
from ipcbench.measure import drivers
from ipcbench.transports.registry import get_transport
from tests.faults.chaos import ENDS, Outcome, Run, table
from tests.faults.injections import (
    DRAWN,
    FAULTS,
    LOADS,
    PAIR_PHASES,
    PHASES,
    VICTIMS,
    Injection,
    plan,
)
from tests.faults.sentences import FOLLOWING, misnamed

SEED = 20261124
FEW = 10


@pytest.mark.parametrize("injection", plan(FEW, SEED), ids=lambda one: f"{one.victim}-{one.signal}")
def test_a_fault_at_a_random_moment_comes_to_a_clean_end(injection: Injection) -> None:
    outcome = Run(injection).play()
    assert outcome.problems == [], "\n".join([f"{injection}", *outcome.said])


def test_a_long_plan_holds_every_victim_signal_and_phase() -> None:
    planned = {(one.victim, one.signal, one.phase) for one in plan(200, SEED)}
    assert {(victim, name) for victim, name, _ in planned} == {
        (victim, name) for victim, names in FAULTS.items() for name in names
    }
    assert {phase for _, _, phase in planned} == set(PHASES)


def test_a_plan_draws_loads_and_waits_for_no_phase_that_they_lack() -> None:
    loads = [one for one in plan(400, SEED) if one.workload in LOADS]
    assert {one.workload for one in loads} == set(LOADS)
    assert not {one.phase for one in loads} & {"calibration", "sampled burst"}
    assert {one.loop for one in loads} == {
        loop for loop in LOOPS if drivers.unavailable(loop) is None
    }


def test_a_plan_asks_of_both_transports_what_both_can() -> None:
    planned = plan(200, SEED)
    assert {one.workload for one in planned} == set(DRAWN)
    for one in planned:
        for transport in map(get_transport, one.transports):
            assert transport.has(one.workload)
            assert drivers.rejects(Case(one.workload, transport.name, 1, one.loop)) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("trying again: a/b/1: the server was killed by SIGKILL in the timed batch", None),
        ("trying again: a/b/1: the server was killed by SIGKILL in the payload check", None),
        (
            "trying again: a/c/1: the server was killed by SIGKILL in the timed batch",
            "another case",
        ),
        ("trying again: a/b/1: the worker was killed by SIGKILL in the timed batch", "victim"),
        ("trying again: a/b/1: the server was killed by SIGTERM in the timed batch", "signal"),
        ("trying again: a/b/1: the server was killed by SIGKILL in the hand-shake", "phase"),
        ("trying again: a/b/1: the server was killed by SIGKILL", "phase"),
    ],
)
def test_a_sentence_must_name_the_case_the_victim_the_signal_and_the_phase(
    line: str, problem: str | None
) -> None:
    hit = replace(plan(1, SEED)[0], victim="server", signal="KILL", phase="timed batch")
    said = misnamed(line, hit, {"case": "a/b/1", "phase": "timed batch"}, "the server")
    assert said is None if problem is None else problem in (said or "")


def test_every_phase_of_a_pair_has_those_that_may_follow() -> None:
    assert set(FOLLOWING) == set(PAIR_PHASES) - {"calibration"}  # that is announced as a batch
    assert not any("set-up" in following for following in FOLLOWING.values())


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    assert plan(20, 3) == plan(20, 3)
    assert plan(20, 3) != plan(20, 4)


def test_the_table_counts_what_went_wrong() -> None:
    one, other = plan(2, SEED)
    good, bad = Outcome(one, "went on", 0), Outcome(other, "ended", 1, ["lost: all", "exit code 1"])
    lines = list(table([good, bad]))
    ends = {line.split()[0]: line.split()[1:] for line in lines[-2 - len(VICTIMS) : -2]}
    assert ends[one.victim][ENDS.index("went on")] == "1"
    assert ends[other.victim][ENDS.index("ended")] == "1"
    assert sum(cell != "-" for cells in ends.values() for cell in cells) == 2
    assert lines[-1].endswith("lost 1, traceback 0, slow 0, unclear 0, other 1")
    assert sum("(1 bad)" in line for line in lines) == 1
