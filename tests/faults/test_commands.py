"""A few of the faults in whole commands that `make chaos` injects."""

from dataclasses import replace

import pytest

from tests.faults.commands import COMMANDS, ENDS, FAULTS, Fault, Outcome, plan, play, table

LOADED, SEARCHED, FULL = COMMANDS


@pytest.mark.parametrize(
    "fault",
    [
        Fault(0, FULL, "driver", "TERM", 0.2, 0.0),
        Fault(1, FULL, "member", "KILL", 0.1, 0.5),
        Fault(2, SEARCHED, "all", "KILL", 0.5, 0.0),
        Fault(3, LOADED, "member", "KILL", 0.5, 0.9),
    ],
    ids=lambda one: f"{one.command[0]}-{one.victim}-{one.signal}",
)
def test_a_fault_in_a_command_comes_to_a_clean_end(fault: Fault) -> None:
    outcome = play(fault)
    assert outcome.problems == [], f"{fault}\n{outcome.said}"


def test_a_long_plan_holds_every_command_victim_and_signal() -> None:
    planned = plan(60, 1)
    assert {one.command for one in planned} == set(COMMANDS)
    assert {(one.victim, one.signal) for one in planned} == {
        (victim, name) for victim, names in FAULTS.items() for name in names
    }
    assert plan(20, 3) == plan(20, 3) != plan(20, 4)


def test_the_table_counts_results_and_what_went_wrong() -> None:
    fault = Fault(0, FULL, "driver", "TERM", 0.0, 0.0)
    good = Outcome(fault, "interrupted", 130)
    bad = Outcome(replace(fault, number=1), "went on", 0, ["traceback"])
    lines = [line.split() for line in table([good, bad])]
    row = next(line for line in lines if line[:2] == ["full", "driver"])
    assert row[2:] == ["1" if end in ("went on", "interrupted") else "-" for end in ENDS] + ["1"]
