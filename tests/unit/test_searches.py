"""How far a search for an objective has come, by a file alone, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.capacity import Bracket, NotFound, Step, Try
from ipcbench.analysis.load_lines import loads
from ipcbench.analysis.objective import Objective
from ipcbench.case import Case, parse_workload
from ipcbench.reporters.tables.load_words import sentences
from ipcbench.results.collection import Collection
from ipcbench.results.intent import Intent
from ipcbench.results.load import OBJECTIVE_KEY
from ipcbench.results.store import Metadata, Results
from tests.synthetic import Answers, open_loop

SLO = "p99<1ms"
ROUNDS = 3
HOLDS = Answers(range(1_000, 101_000, 10))
FAILS = Answers([20 * time_ns for time_ns in HOLDS.responses_ns])
PEAK = Case("latency:window=16", "unix", 64)
PEAK_PER_S = 40_000
CUT_SHORT = "The search was cut short: "


def _case(rate: int) -> Case:
    return Case(parse_workload(f"load:rate={rate}:window=16"), "unix", 64)


def _add(results: Results, more: Results) -> None:
    """Adds the launches of others."""
    if results.suite is None:
        results.suite = more.suite
    else:
        for one in more.suite or ():
            results.suite.add_runs(one)


def _searched(tried: Mapping[int, tuple[Answers, int]], objective: str | None = SLO) -> Results:
    """A run that has tried these rates, each with so many launches."""
    results = Results()
    facts: Metadata = {} if objective is None else {OBJECTIVE_KEY: objective}
    for rate, (answers, launches) in tried.items():
        peaks = {PEAK: 16 / PEAK_PER_S} if not list(results.launches()) else None
        _add(results, open_loop({_case(rate): answers}, launches, peaks, facts))
    cases = (PEAK.id, *(_case(rate).id for rate in tried))
    results.intent = Intent(
        cases=cases,
        rounds=ROUNDS,
        seed=1,
        values=1,
        warmups=1,
        min_time_s=0.1,
        timeout_s=30.0,
        baseline="unix",
        cpus={},
        target_ratio=None,
        budget_s=60.0,
        question="load",
    )
    return results


def _steps(results: Results) -> Sequence[Step]:
    return list(frame.analyse(results).searches.values())


def _said(results: Results, objective: str | None = None) -> str:
    asked = None if objective is None else Objective.parse(objective)
    analysis = frame.analyse(results, objective=asked)
    (load,) = loads(analysis.cases, analysis.objective, analysis.searches)
    return next(one for one in sentences(load, analysis.objective) if "hold" in one)


BOTH_TWICE = {30_000: (HOLDS, 2 * ROUNDS), 33_000: (FAILS, 2 * ROUNDS)}


def test_a_search_whose_ends_were_measured_again_is_at_its_end() -> None:
    results = _searched(BOTH_TWICE)
    assert _steps(results) == [Bracket(30_000, 33_000)] * 2
    assert _said(results) == "unix holds p99 < 1 ms up to 30k/s; at 33k/s it doesn't."


@pytest.mark.parametrize(
    ("launches", "rate", "again"),
    [
        ((2 * ROUNDS, ROUNDS), "33k/s", " again"),
        ((ROUNDS, 2 * ROUNDS), "30k/s", " again"),
        ((ROUNDS + 1, 2 * ROUNDS), "30k/s", " again"),  # a launch of the second try
    ],
)
def test_one_that_ended_before_that_says_what_is_still_to_be_measured(
    launches: tuple[int, int], rate: str, again: str
) -> None:
    held, failed = launches
    said = _said(_searched({30_000: (HOLDS, held), 33_000: (FAILS, failed)}))
    assert said == (
        f"unix holds p99 < 1 ms up to 30k/s; at 33k/s it doesn't. {CUT_SHORT}{rate} is still to be"
        f" measured{again}; give a larger --budget, or --resume FILE after an interruption."
    )


def test_one_that_has_not_tried_the_next_rate_names_it() -> None:
    results = _searched({10_000: (HOLDS, ROUNDS)})
    assert _steps(results) == [Try(20_000)]
    assert f"{CUT_SHORT}20k/s is still to be measured; give" in _said(results)


def test_one_without_a_bound_is_at_its_end_too() -> None:
    results = _searched({80_000: (HOLDS, 2 * ROUNDS)})
    assert _steps(results) == [NotFound("held at the highest", 80_000, None)]
    assert _said(results).endswith("up to 80k/s: bound not found.")


def test_nothing_is_searched_for_another_objective_than_the_runs_own() -> None:
    results = _searched({10_000: (HOLDS, ROUNDS), 20_000: (FAILS, ROUNDS)})
    assert CUT_SHORT in _said(results)
    assert CUT_SHORT in _said(results, SLO)
    assert _said(results, "p99<50us") == (
        "unix doesn't hold p99 < 50 µs even at 10k/s, the lowest rate tried."
    )
    unasked = _searched({10_000: (HOLDS, ROUNDS)}, objective=None)
    assert _said(unasked, SLO).endswith("up to 10k/s: bound not found.")


def test_several_files_are_no_search() -> None:
    first, second = (_searched({10_000: (HOLDS, ROUNDS)}) for _ in range(2))
    assert dict(frame.analyse(Collection([("a", first)])).searches)
    assert not dict(frame.analyse(Collection([("a", first), ("b", second)])).searches)
    first.intent = None
    assert not dict(frame.analyse(first).searches)


def test_rates_with_other_arrivals_are_a_search_of_their_own() -> None:
    results = _searched(BOTH_TWICE)
    assert results.intent is not None
    other = Case(parse_workload("load:rate=5000:arrivals=poisson:window=16"), "unix", 64)
    _add(results, open_loop({other: HOLDS}, ROUNDS, None, {OBJECTIVE_KEY: SLO}))
    results.intent = replace(results.intent, cases=(*results.intent.cases, other.id))
    found = frame.analyse(results).searches
    assert found[other.id] == Try(10_000)
    assert found[_case(30_000).id] == Bracket(30_000, 33_000)
