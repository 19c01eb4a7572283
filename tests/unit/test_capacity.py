"""The search for capacity, against simulated systems of which the truth is known (T5)."""

import random
from collections.abc import Callable, Sequence
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis.capacity import (
    HIGHEST_SHARE,
    LOWEST_SHARE,
    MOST_TRIALS,
    NARROW,
    Bracket,
    NotFound,
    Outcome,
    Step,
    Trial,
    Try,
    next_step,
)
from ipcbench.units import two_digits
from ipcbench.workloads import MOST_PER_S

System = Callable[[float], Outcome]
"""A simulated system: whether the objective holds at a rate, when it is tried now."""

PEAK = 100e3
PEAKS = st.floats(0.5, 1e8)
_MOST_STEADY_STEPS = 11
"""Trials that the search takes at most where nothing contradicts itself."""


def _searched(peak: float, system: System) -> tuple[Step, list[Trial]]:
    """The answer of a search, and all that was tried."""
    trials: list[Trial] = []
    while isinstance(step := next_step(peak, trials), Try):
        trials.append(Trial(step.rate_per_s, system(step.rate_per_s)))
    return step, trials


def _sharp(capacity: float) -> System:
    return lambda rate: "held" if rate <= capacity else "failed"


def _counts(trials: Sequence[Trial], rate: float) -> list[Outcome]:
    return [trial.outcome for trial in trials if trial.rate_per_s == rate]


@given(
    peak=st.floats(640.0, MOST_PER_S / HIGHEST_SHARE),
    share=st.floats(LOWEST_SHARE * 1.06, HIGHEST_SHARE / 1.06),
)
def test_the_bracket_of_a_sharp_system_contains_the_truth(peak: float, share: float) -> None:
    capacity = peak * share
    answer, trials = _searched(peak, _sharp(capacity))
    assert isinstance(answer, Bracket)
    assert answer.held_per_s <= capacity < answer.failed_per_s
    assert answer.failed_per_s / answer.held_per_s <= NARROW
    assert len(trials) <= _MOST_STEADY_STEPS


@given(peak=PEAKS, seed=st.integers(0, 2**32), wrong=st.floats(0.0, 1.0))
def test_every_search_ends_and_says_only_what_was_measured_twice(
    peak: float, seed: int, wrong: float
) -> None:
    chance = random.Random(seed)

    def system(rate: float) -> Outcome:
        lying = chance.random() < wrong
        return chance.choice(("held", "failed", "unjudged")) if lying else _sharp(peak / 2)(rate)

    answer, trials = _searched(peak, system)
    assert len(trials) <= MOST_TRIALS
    assert all(trial.rate_per_s == two_digits(trial.rate_per_s) for trial in trials)
    if isinstance(answer, Bracket):
        held, failed = (_counts(trials, rate) for rate in answer)
        assert len(held) >= 2
        assert held.count("held") > len(held) / 2
        assert len(failed) >= 2
        assert failed.count("failed") >= max(1, failed.count("held"), failed.count("unjudged"))
        assert answer.held_per_s < answer.failed_per_s
    elif isinstance(answer, NotFound) and answer.why != "undecided":
        ends = [end for end in (answer.held_per_s, answer.beyond_per_s) if end is not None]
        assert ends
        assert all(len(_counts(trials, end)) >= 2 for end in ends)


def test_a_rate_is_tried_no_more_than_three_times() -> None:
    chance = random.Random(1)
    for _ in range(200):
        _, trials = _searched(PEAK, lambda _: chance.choice(("held", "failed")))
        assert max(len(_counts(trials, trial.rate_per_s)) for trial in trials) <= 3


def test_a_soft_system_is_bracketed_where_it_wavers() -> None:
    chance = random.Random(2)

    def soft(rate: float) -> Outcome:
        return "held" if chance.random() < 1 / (1 + exp((rate - 60e3) / 3e3)) else "failed"

    for _ in range(200):
        answer, _ = _searched(PEAK, soft)
        assert isinstance(answer, Bracket)
        assert 40e3 < answer.held_per_s < 80e3


def test_single_wrong_measurements_are_outvoted() -> None:
    right = _searched(PEAK, _sharp(60e3))[0]
    for wrong in range(_MOST_STEADY_STEPS):
        tries = 0

        def system(rate: float, wrong: int = wrong) -> Outcome:
            nonlocal tries
            tries += 1
            turned: dict[Outcome, Outcome] = {"held": "failed", "failed": "held"}
            honest = _sharp(60e3)(rate)
            return turned[honest] if tries == wrong + 1 else honest

        answer, _ = _searched(PEAK, system)
        assert isinstance(answer, Bracket)
        assert answer == right or answer.held_per_s <= 60e3 < answer.failed_per_s


def test_a_noisy_system_is_bracketed_near_the_truth_nearly_always() -> None:
    chance = random.Random(3)

    def noisy(rate: float) -> Outcome:
        is_held = (rate <= 60e3) != (chance.random() < 0.05)
        return "held" if is_held else "failed"

    answers = [_searched(PEAK, noisy)[0] for _ in range(400)]
    near = [
        answer
        for answer in answers
        if isinstance(answer, Bracket) and 45e3 <= answer.held_per_s <= 70e3
    ]
    assert len(near) > 0.93 * len(answers)


def test_a_system_that_overload_breaks_for_good_gets_what_it_still_holds() -> None:
    capacity = 60e3

    def hysteresis(rate: float) -> Outcome:
        nonlocal capacity
        outcome = _sharp(capacity)(rate)
        if rate > 60e3:
            capacity = 30e3
        return outcome

    answer, trials = _searched(PEAK, hysteresis)
    assert isinstance(answer, Bracket)
    assert answer.held_per_s <= 30e3
    assert _counts(trials, answer.held_per_s)[-2:] == ["held", "held"]


def test_a_system_that_never_saturates_has_no_bound() -> None:
    answer, trials = _searched(PEAK, lambda _: "held")
    assert answer == NotFound("held at the highest", HIGHEST_SHARE * PEAK, None)
    assert _counts(trials, HIGHEST_SHARE * PEAK) == ["held", "held"]


def test_no_rate_is_tried_that_cannot_be_asked_for() -> None:
    answer, trials = _searched(MOST_PER_S * 10.0, lambda _: "held")
    assert answer == NotFound("held at the highest", MOST_PER_S, None)
    assert max(trial.rate_per_s for trial in trials) == MOST_PER_S
    answer, trials = _searched(0.5, lambda _: "failed")
    assert answer == NotFound("failed at the lowest", None, 1)


def test_whole_rates_are_no_nearer_than_one() -> None:
    answer, _ = _searched(8.0, _sharp(3.0))
    assert answer == Bracket(3, 4)


def test_a_system_that_is_broken_at_the_lowest_rate_has_no_capacity() -> None:
    answer, trials = _searched(PEAK, lambda _: "failed")
    lowest = two_digits(PEAK * LOWEST_SHARE)
    assert answer == NotFound("failed at the lowest", None, lowest)
    assert min(trial.rate_per_s for trial in trials) == lowest


def test_a_rate_that_cannot_be_judged_is_no_ceiling() -> None:
    answer, trials = _searched(PEAK, lambda rate: "held" if rate <= 30e3 else "unjudged")
    assert isinstance(answer, NotFound)
    assert answer.why == "unjudged"
    assert answer.held_per_s is not None
    assert answer.held_per_s <= 30e3
    assert answer.beyond_per_s is not None
    assert 30e3 < answer.beyond_per_s <= 30e3 * NARROW
    assert "failed" not in {trial.outcome for trial in trials}


def test_one_try_that_could_not_be_judged_does_not_hide_a_failure() -> None:
    mixed = [Trial(10e3, "held")] * 2 + [Trial(11e3, "failed")] * 2 + [Trial(11e3, "unjudged")]
    assert next_step(PEAK, mixed) == Bracket(10e3, 11e3)


def test_the_search_goes_on_with_the_rates_that_were_measured_before() -> None:
    before = [Trial(10e3, "held"), Trial(50e3, "held"), Trial(90e3, "failed")]
    assert next_step(PEAK, before) == Try(two_digits((50e3 * 90e3) ** 0.5))


def test_a_rate_that_held_above_one_that_failed_is_not_the_capacity() -> None:
    trials = [Trial(10e3, "held"), Trial(11e3, "failed"), Trial(50e3, "held")] * 2
    assert next_step(PEAK, trials) == Bracket(10e3, 11e3)


@pytest.mark.parametrize(
    ("tries", "step"),
    [
        (("held", "failed"), Try(11e3)),
        (("held", "failed", "failed"), Bracket(10e3, 11e3)),
        (("held", "failed", "held"), Try(22e3)),
    ],
)
def test_the_third_try_decides_between_two_that_differ(
    tries: Sequence[Outcome], step: Step
) -> None:
    trials = [Trial(10e3, "held")] * 2 + [Trial(11e3, one) for one in tries]
    assert next_step(PEAK, trials) == step


def test_the_failed_end_is_measured_again_before_the_other() -> None:
    assert next_step(PEAK, [Trial(10e3, "held"), Trial(11e3, "failed")]) == Try(11e3)


def test_a_search_that_keeps_contradicting_itself_gives_up() -> None:
    trials = [Trial(1e3 * 1.3**number, "failed") for number in range(MOST_TRIALS)]
    assert next_step(1e6, [Trial(900.0, "held"), *trials]) == NotFound("undecided", 900.0, 1e3)
