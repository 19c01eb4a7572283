"""What is known of an open loop beforehand, against simulated servers; one pause is real."""

import statistics
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Self

import pytest

from ipcbench.case import Case
from ipcbench.checks import truths_of_load
from ipcbench.checks.truths import Truth
from ipcbench.checks.truths_of_load import (
    PAUSE_S,
    WORK_NS,
    Pause,
    cases,
    pause_truths,
    runs_here,
    service_of,
    truths,
)
from ipcbench.measure.drivers.open_loop import Batch
from ipcbench.measure.schedule import schedule
from ipcbench.results.store import Results
from ipcbench.system.scratch import Scratch, scratch
from ipcbench.transports.base import Workspace
from tests.replay import Recorded, replayed

pytestmark = pytest.mark.skipif(not runs_here(), reason="both ends need a CPU of their own")

BASE_S = 5e-6
"""What a message takes beside the work."""
WORK_S = WORK_NS * 1e-9
ROUNDS = 40
IN_FLIGHT = 8


def _responses_s(times_ns: Sequence[int], service_s: float) -> list[float]:
    """Response times of messages that come so, at a server that answers one after the other."""
    free_s, responses = 0.0, []
    for at_ns in times_ns:
        free_s = max(free_s, at_ns * 1e-9) + service_s
        responses.append(free_s - at_ns * 1e-9 + BASE_S)
    return responses


@cache
def _value_s(case: Case, number: int, service_s: float) -> float:
    """The mean response of a launch of a case."""
    if case.arrivals is None:
        return IN_FLIGHT * service_s
    works = case.rhythm.work_s > 0
    if not case.arrivals.is_random and number:
        return _value_s(case, 0, service_s)
    times = schedule(case.arrivals, 4000, f"truths/{number}")
    return statistics.fmean(_responses_s(times, service_s if works else BASE_S))


def _results(
    *,
    service_s: float = WORK_S,
    wrong: Callable[[Case, int], float] = lambda case, number: 0.0,
    rounds: int = ROUNDS,
) -> Results:
    """Launches of every case, at a server that works for so long on a message."""
    recorded: Recorded = {
        case: [
            [_value_s(case, number, service_s) + wrong(case, number)] for number in range(rounds)
        ]
        for case in cases()
    }
    return replayed(recorded, rounds=rounds)[0]


def _fail(found: Sequence[Truth]) -> list[str]:
    return [one.what for one in found if not one.holds]


def test_what_is_known_holds_of_a_server_that_takes_one_message_after_the_other() -> None:
    found = truths(_results())
    assert len(found) == 5
    assert _fail(found) == []


def test_even_arrivals_add_the_work_alone_at_every_rate() -> None:
    even = truths(_results())[:3]
    assert [one.known_s for one in even] == pytest.approx([WORK_S] * 3)
    assert [one.found_s for one in even] == pytest.approx([WORK_S] * 3, rel=0.03)


def test_random_arrivals_wait_as_pollaczek_and_khinchine_say() -> None:
    at_half, at_most = truths(_results())[3:]
    assert at_half.known_s == pytest.approx(0.5 * WORK_S)
    assert at_most.known_s == pytest.approx(2.0 * WORK_S)
    assert at_half.found_s == pytest.approx(0.5 * WORK_S, rel=0.1)
    assert at_most.found_s == pytest.approx(2.0 * WORK_S, rel=0.15)


def test_a_server_that_needs_longer_than_its_work_is_known_by_what_it_needs() -> None:
    results = _results(service_s=1.05 * WORK_S)
    assert service_of(results) == pytest.approx(1.05 * WORK_S)
    busy = 0.5 * 1.05
    at_half = truths(results)[3]
    assert at_half.known_s == pytest.approx(busy * 1.05 * WORK_S / (2 * (1 - busy)))
    assert at_half.holds


def _is_at(rate: int, *, is_random: bool, works: bool = True) -> Callable[[Case], bool]:
    def is_so(case: Case) -> bool:
        arrivals = case.arrivals
        return (
            arrivals is not None
            and round(arrivals.rate_per_s) == rate
            and arrivals.is_random is is_random
            and (case.rhythm.work_s > 0) is works
        )

    return is_so


@pytest.mark.parametrize("rate", [1000, 2500, 4000])
@pytest.mark.parametrize("off_s", [-0.1 * WORK_S, 0.1 * WORK_S])
def test_even_arrivals_that_wait_or_do_not_pay_for_the_work_break_the_truth(
    rate: int, off_s: float
) -> None:
    is_so = _is_at(rate, is_random=False)
    found = truths(_results(wrong=lambda case, _: off_s if is_so(case) else 0.0))
    assert any(f"{rate / 5000:.0%} of the most" in what and "even" in what for what in _fail(found))


@pytest.mark.parametrize(("rate", "off_s"), [(2500, -0.5 * WORK_S), (4000, -2 * WORK_S)])
def test_random_arrivals_that_never_wait_break_the_truth(rate: int, off_s: float) -> None:
    """As of a generator that puts messages off while the server is busy."""
    is_so = _is_at(rate, is_random=True)
    found = truths(_results(wrong=lambda case, _: off_s if is_so(case) else 0.0))
    assert _fail(found) == [f"mean wait of random arrivals, {rate / 5000:.0%} of the most"]


def test_a_truth_of_chance_has_an_interval_and_few_rounds_have_none() -> None:
    random = Random(1)
    noisy = truths(_results(wrong=lambda *_: random.gauss(0, 1e-6)))
    assert all(one.low_s < one.found_s < one.high_s for one in noisy)
    few = truths(_results(rounds=2))
    assert all(one.low_s == one.found_s == one.high_s for one in few)


def test_cases_are_spelled_as_results_spell_them() -> None:
    assert [Case.parse(case.id) for case in cases()] == cases()


def test_nothing_is_known_of_cases_that_were_not_all_measured() -> None:
    results = replayed({case: [[1e-4]] for case in cases()[1:]}, rounds=1)[0]
    assert truths(results) == []


# ---- The pause.

SERVICE_S = WORK_S


def _paused_batch(arrivals_ns: Sequence[int], paused_s: float, at_s: float) -> Batch:
    """The times of messages at a server that stands still for a while."""
    free_s, answered = 0.0, array("q")
    for at_ns in arrivals_ns:
        begin_s = max(free_s, at_ns * 1e-9)
        if at_s <= begin_s < at_s + paused_s:
            begin_s = at_s + paused_s
        free_s = begin_s + SERVICE_S
        answered.append(round((free_s + BASE_S) * 1e9))
    times = array("q", arrivals_ns)
    return Batch(times, times, answered, 0)


class _Pair:
    """A pair whose server is simulated, and stands still for a while in the last batch."""

    paused_s = PAUSE_S

    def __init__(self, case: Case, _cpus: object, _workspace: Workspace) -> None:
        self._case = case
        self.server_pid = 0
        self.last_batch: Batch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, messages: int) -> float:
        if self._case.arrivals is not None:
            times = schedule(self._case.arrivals, messages, "")
            self.last_batch = _paused_batch(times, self.paused_s, 0.1)
        return 1.0

    def sample(self, messages: int) -> "array[int]":
        """In a closed loop nothing is asked meanwhile: one message is longer."""
        usual_ns = round((SERVICE_S + BASE_S) * 1e9)
        samples = array("q", [usual_ns] * messages)
        samples[400] += round(self.paused_s * 1e9)
        return samples


class _Stopper:
    def __init__(self, *_: object) -> None:
        pass

    def paused_s(self) -> float:
        return PAUSE_S


def _pauses(monkeypatch: pytest.MonkeyPatch, pair: type[_Pair]) -> list[Truth]:
    monkeypatch.setattr(truths_of_load, "Pair", pair)
    monkeypatch.setattr(truths_of_load, "_Stopper", _Stopper)

    def here(workload: str, _: Scratch) -> Pause:
        return truths_of_load._paused(truths_of_load._case(workload), None, Path())

    monkeypatch.setattr(truths_of_load, "_pause_of", here)
    with scratch() as private:
        return pause_truths(private, SERVICE_S, 3)


def test_what_is_known_of_a_pause_holds_of_a_server_that_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    longest, late, together, closed = found = _pauses(monkeypatch, _Pair)
    assert longest.known_s == closed.known_s == PAUSE_S
    assert late.known_s == pytest.approx(2 * PAUSE_S)
    assert together.known_s == pytest.approx(2500 * 2 * PAUSE_S * PAUSE_S / 2)
    assert _fail(found) == []
    assert late.found_s == pytest.approx(2 * PAUSE_S, rel=0.02)


def test_a_generator_that_stops_with_the_server_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Omits(_Pair):
        """Asks nothing while nothing is answered, and counts from when it asked."""

        def run(self, messages: int) -> float:
            super().run(messages)
            if self.last_batch is not None and messages > 400:
                intended = self.last_batch.intended_ns
                usual_ns = round((SERVICE_S + BASE_S) * 1e9)
                answered = array("q", (at + usual_ns for at in intended))
                answered[400] += round(self.paused_s * 1e9)
                self.last_batch = Batch(intended, intended, answered, 0)
            return 1.0

    found = _pauses(monkeypatch, Omits)
    assert [one.holds for one in found] == [True, False, False, True]


def test_a_pause_that_was_not_one_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unpaused(_Pair):
        paused_s = 0.0

    assert not any(one.holds for one in _pauses(monkeypatch, Unpaused))


def test_a_real_pause_delays_no_less_than_it_lasts() -> None:
    """Others may use the machine: a delay may be longer, and be another one's, but not shorter."""
    with scratch() as private:
        longest, late, _, closed = pause_truths(private, SERVICE_S, 1)
    for one in (longest, closed):
        assert one.found_s >= 0.9 * one.known_s, one
    assert late.found_s > 0
