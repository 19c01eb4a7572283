"""A small selftest for real: everything through the driver, workers, files and verdicts."""

import json

import pytest

from ipcbench.checks import selftest
from ipcbench.checks.selftest_report import DELAYS_NS, Report, as_json, render
from ipcbench.checks.truths import WINDOWS
from ipcbench.checks.truths_of_crowds import CLIENTS
from ipcbench.system.scratch import scratch
from tests.replay import Silent

pytestmark = pytest.mark.early

SMALL = selftest.Thoroughness(
    repeats=1,
    placements=1,
    bases=1,
    delay_rounds=6,
    paced_rounds=2,
    load_rounds=2,
    crowd_rounds=2,
    equal_rounds=2,
)


@pytest.fixture(scope="module")
def report() -> Report:
    """What a small selftest finds here."""
    with scratch() as private:
        return selftest.examine(SMALL, private, Silent(), 1, lambda: None)


def test_every_equal_thing_is_judged_and_every_delay_looked_for(report: Report) -> None:
    assert report.comparisons == 10
    assert [round(delay.known_s * 1e9) for delay in report.delays] == list(DELAYS_NS)
    assert report.within_run_floor >= 0
    assert 0 < report.loop_s < report.pipe_round_trip_s


def test_a_delay_much_longer_than_the_round_trip_is_found(report: Report) -> None:
    longest = report.delays[-1]
    # Others may use the machine: a wait with a busy CPU then takes longer by what they take.
    assert longest.found_s / longest.known_s > 0.5
    assert longest.found_s > report.delays[0].found_s
    assert longest.low_s <= longest.found_s <= longest.high_s


def test_what_is_known_of_gaps_and_work_is_looked_for(report: Report) -> None:
    whats = [truth.what.partition(" ")[0] for truth in report.truths]
    assert whats[:3] == ["work", "200", "200"]
    work = report.truths[0]
    assert work.found_s > work.known_s / 2  # others may use the machine, and then it is longer
    bounds = [truth for truth in report.truths if truth.is_bound]
    assert len(bounds) == len(WINDOWS) + len(CLIENTS)
    assert all(truth.holds for truth in bounds)  # whatever others do, it is no shorter
    response = next(truth for truth in report.truths if truth.what.startswith("response time"))
    assert response.found_s >= response.known_s - response.allowed_s
    assert all(truth.low_s <= truth.found_s <= truth.high_s for truth in report.truths)


def test_an_unfair_server_is_flagged_and_a_fair_one_is_not(report: Report) -> None:
    fair, unfair = report.fairness
    assert (fair.known_ratio, unfair.known_ratio) == (1.0, 0.75)
    assert (fair.is_flagged, unfair.is_flagged) == (False, True)
    assert fair.holds  # whatever others do: clients in turn get what they get
    assert unfair.holds


def test_the_report_is_json_and_lines(report: Report) -> None:
    data = json.loads(as_json(report, seed=1))
    assert set(data["noise_floor"]) == {"within_run_ratio", "between_runs_ratio"}
    assert any("false verdicts in 10 comparisons" in line for line in render(report))
