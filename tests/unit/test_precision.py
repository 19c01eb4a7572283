import pytest

from ipcbench.analysis.precision import precision
from ipcbench.case import Case
from ipcbench.errors import UsageError
from tests.asked import plan_of
from tests.replay import Recorded, replayed

INET, UNIX, NULL = (Case("latency", name, 64) for name in ("inet", "unix", "null"))


def test_the_widest_ratio_counts_and_baseline_and_controls_dont() -> None:
    recorded: Recorded = {
        INET: [[1.0]] * 8,
        UNIX: [[0.5 * x] for x in (1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.02, 0.98)],
        NULL: [[1e-9 * x] for x in (1, 9, 1, 9, 1, 9, 1, 9)],
    }
    found = precision(replayed(recorded, 8)[0], "inet")
    assert found is not None
    assert found.case == UNIX.id
    assert found.half_width is not None
    assert 0.02 < found.half_width < 0.1
    assert found.reaches(0.1)
    assert not found.reaches(0.01)


def test_controls_count_where_the_baseline_is_one() -> None:
    dummy = Case("latency", "null:dummy=1", 64)
    recorded: Recorded = {
        NULL: [[1e-9]] * 8,
        dummy: [[1e-9 * x] for x in (1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.02, 0.98)],
    }
    found = precision(replayed(recorded, 8)[0], "null")
    assert found is not None
    assert found.case == dummy.id
    assert found.reaches(0.1)


def test_too_few_launches_reach_no_target() -> None:
    found = precision(replayed({INET: [[1.0]] * 3, UNIX: [[1.0]] * 3}, 3)[0], "inet")
    assert found is not None
    assert not found.reaches(0.5)


def test_a_single_transport_is_judged_by_its_own_time() -> None:
    found = precision(replayed({UNIX: [[1.0]] * 6}, 6)[0], "unix")
    assert found is not None
    assert found.half_width == 0.0


def test_a_budget_plans_the_rounds_that_fit_and_says_so() -> None:
    plan = plan_of("compare", "unix", "--sizes=64", "--workloads=latency", "--budget=60s")
    assert plan.run.rounds > 20
    assert plan.run.deadline_s is not None
    assert any(f"up to {plan.run.rounds} rounds of 2 cases" in note for note in plan.notes)


def test_a_budget_in_which_no_round_fits_says_what_would() -> None:
    sizes = ",".join(map(str, range(1, 11)))
    with pytest.raises(UsageError, match=r"1 s fits no round of \d+ cases; one takes .* give at"):
        plan_of("compare", f"--sizes={sizes}", "--budget=1s")


def test_presets_fill_what_the_options_leave_open() -> None:
    quick = plan_of("compare", "unix", "--quick")
    assert (quick.run.rounds, quick.effort.values, quick.effort.min_time_s) == (6, 3, 0.01)
    mixed = plan_of("compare", "unix", "--rigorous", "--rounds=2")
    assert (mixed.run.rounds, mixed.effort.min_time_s) == (2, 0.05)


def test_a_name_of_the_selftest_is_a_spelling_of_a_knob() -> None:
    transports = {case.transport for case in plan_of("compare", "unix@1", "unix").run.cases}
    assert transports == {"unix", "unix:dummy=1", "memcpy", "null"}
