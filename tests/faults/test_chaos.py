"""A short run of what `make chaos` does at length: a fault at a random moment, a clean end."""

import pytest

from tests.faults.chaos import Outcome, Run, table
from tests.faults.injections import FAULTS, PHASES, Injection, plan

SEED = 20261124
FEW = 14


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


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    assert plan(20, 3) == plan(20, 3)
    assert plan(20, 3) != plan(20, 4)


def test_the_table_counts_what_went_wrong() -> None:
    one, other = plan(2, SEED)
    good, bad = Outcome(one, "went on", 0), Outcome(other, "ended", 1, ["lost: all", "exit code 1"])
    lines = list(table([good, bad]))
    assert lines[-2] == "ends: went on 1, ended 1"
    assert lines[-1].endswith("lost 1, traceback 0, slow 0, unclear 0, other 1")
    assert sum("(1 bad)" in line for line in lines) == 1
