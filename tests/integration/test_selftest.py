"""A small selftest for real: everything through the driver, workers, files and verdicts."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ipcbench.checks import selftest
from ipcbench.checks.selftest_report import DELAYS_NS
from ipcbench.checks.truths import SERVICE_NS, TOLERANCE, WINDOWS, Truth
from ipcbench.checks.truths_of_crowds import CLIENTS
from ipcbench.checks.truths_of_load import PAUSE_S, WORK_NS
from ipcbench.system.scratch import Scratch, scratch
from tests.replay import Silent

pytestmark = pytest.mark.early

SMALL = selftest.Thoroughness(
    repeats=1,
    placements=1,
    bases=1,
    delay_rounds=2,
    paced_rounds=1,
    load_rounds=1,
    crowd_rounds=1,
    pauses=1,
    equal_rounds=1,
)


class Bench(NamedTuple):
    """A selftest's bench, and the folder that it works in."""

    bench: selftest.Bench
    private: Scratch


@pytest.fixture
def made() -> Iterator[Bench]:
    """A bench for one part of the selftest."""
    with scratch() as private:
        yield Bench(selftest.Bench(private, Silent(), 1, lambda: None), private)


def _is_no_shorter_than_the_work(truth: Truth) -> bool:
    """Whatever others do. The other bound is measured: a launch of one alone that they held up."""
    return truth.found_s >= (1 - TOLERANCE) * SERVICE_NS * 1e-9


def test_equal_things_are_judged(made: Bench) -> None:
    equals = selftest.equal_things(made.bench, SMALL)
    assert equals.comparisons == 10
    assert equals.within_run_floor >= 0


def test_every_delay_is_looked_for_and_a_long_one_is_found(made: Bench) -> None:
    found = selftest.known_delays(made.bench, SMALL, 0.0, 1)
    assert [round(delay.known_s * 1e9) for delay in found.delays] == list(DELAYS_NS)
    assert 0 < found.loop_s < found.pipe_round_trip_s
    longest = found.delays[-1]
    # Others may use the machine: a wait with a busy CPU then takes longer by what they take.
    assert longest.found_s / longest.known_s > 0.5
    assert longest.found_s > found.delays[0].found_s
    assert longest.low_s <= longest.found_s <= longest.high_s


def test_what_is_known_of_gaps_and_work_is_looked_for(made: Bench) -> None:
    found = selftest.known_pace(made.bench, SMALL)
    assert [truth.what.partition(" ")[0] for truth in found][:3] == ["work", "200", "200"]
    work = found[0]
    assert work.found_s > work.known_s / 2  # others may use the machine, and then it is longer
    bounds = [truth for truth in found if truth.is_bound]
    assert len(bounds) == len(WINDOWS)
    assert all(map(_is_no_shorter_than_the_work, bounds))
    response = next(truth for truth in found if truth.what.startswith("response time"))
    assert response.found_s >= response.known_s - response.allowed_s
    assert all(truth.low_s <= truth.found_s <= truth.high_s for truth in found)


def test_what_is_known_of_clients_is_looked_for(made: Bench) -> None:
    *bounds, served = selftest.known_crowds(made.bench, SMALL)
    assert len(bounds) == len(CLIENTS)
    assert all(truth.is_bound and _is_no_shorter_than_the_work(truth) for truth in bounds)
    assert served.found_s >= served.known_s - served.allowed_s
    assert all(truth.low_s <= truth.found_s <= truth.high_s for truth in (*bounds, served))


def test_what_is_known_of_loads_and_pauses_is_looked_for(made: Bench) -> None:
    found = selftest.known_loads(made.bench, SMALL, made.private)
    evenly, at_random, paused = found[:3], found[3:5], found[5:]
    # Differences of two launches, of which others may hold up either: what they come to without
    # others is in the unit tests and in the committed selftest.
    assert [truth.known_s for truth in evenly] == [WORK_NS * 1e-9] * 3
    assert all(truth.what.startswith("even arrivals") for truth in evenly)
    assert all(truth.what.startswith("mean wait") for truth in at_random)
    assert all(truth.what.startswith("pause of 50.0 ms") for truth in paused)
    assert len(paused) == 4
    assert all(truth.low_s <= truth.found_s <= truth.high_s for truth in found)
    longest, *_, closed = paused
    assert min(longest.found_s, closed.found_s) >= 0.9 * PAUSE_S  # longer, if others are at work


def test_an_unfair_server_is_flagged_and_a_fair_one_is_not(made: Bench) -> None:
    fair, unfair = selftest.known_fairness(made.bench, SMALL)
    assert (fair.known_ratio, unfair.known_ratio) == (1.0, 0.75)
    assert (fair.is_flagged, unfair.is_flagged) == (False, True)
    assert fair.holds  # whatever others do: clients in turn get what they get
    assert unfair.holds
