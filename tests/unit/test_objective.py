"""Objectives: their spelling, and whether a case of the open loop holds them."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis.objective import STATISTICS, Objective, objective_of
from ipcbench.errors import UsageError
from ipcbench.results.metadata import rule_of

OK = {"load_state": "ok", "flags": None, "response_p99_s": 100e-6, "time_median_s": 50e-6}


@pytest.mark.parametrize(
    ("typed", "objective", "said"),
    [
        ("p99<200us", Objective("p99", "<", 200e-6), "p99 < 200 µs"),
        (" p99.9 <= 1.5ms ", Objective("p99.9", "<=", 1.5e-3), "p99.9 <= 1.5 ms"),
        ("mean<800ns", Objective("mean", "<", 800e-9), "mean < 800 ns"),
        ("max<=1s", Objective("max", "<=", 1.0), "max <= 1 s"),
    ],
)
def test_an_objective_is_read_as_it_is_written(typed: str, objective: Objective, said: str) -> None:
    assert Objective.parse(typed) == objective
    assert Objective.parse(typed).said == said


@given(
    statistic=st.sampled_from(STATISTICS),
    sense=st.sampled_from(("<", "<=")),
    number=st.integers(1, 999_999),
    unit=st.sampled_from(("ns", "us", "ms", "s")),
)
def test_the_canonical_spelling_is_read_back_and_may_stand_in_a_file(
    statistic: str, sense: str, number: int, unit: str
) -> None:
    objective = Objective.parse(f"{statistic}{sense}{number}{unit}")
    assert Objective.parse(str(objective)) == objective
    assert str(Objective.parse(str(objective))) == str(objective)
    assert rule_of("objective").fits(str(objective))


@pytest.mark.parametrize(
    "text",
    [
        *("", "p99", "p99<", "<200us", "p99>200us", "p98<200us", "p99<200", "p99<0us"),
        *("p99<0.0ms", "p99<-1us", "p99<200m", "p99<200us;", "p99==1us", "p99<2e3us", "p99<1us\n2"),
    ],
)
def test_what_is_no_objective_is_one_clear_line(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        Objective.parse(text)
    assert "\n" not in str(raised.value)
    assert "write it like 'p99<200us'" in str(raised.value)


def test_the_bound_itself_is_within_only_if_it_says_so() -> None:
    assert not Objective.parse("p99<100us").holds(100e-6)
    assert Objective.parse("p99<=100us").holds(100e-6)


@pytest.mark.parametrize(
    ("text", "row", "outcome"),
    [
        ("p99<200us", OK, "held"),
        ("p99<90us", OK, "failed"),
        ("mean<60us", OK, "held"),
        ("p99.9<1ms", OK, "unjudged"),
        ("p99<200us", OK | {"load_state": "overloaded"}, "failed"),
        ("p99<200us", OK | {"load_state": "not steady"}, "failed"),
        ("p99<200us", OK | {"load_state": None}, "unjudged"),
        ("p99<200us", {}, "unjudged"),
        ("p99<200us", OK | {"flags": "crowded;generator-late"}, "held"),
        ("p99<90us", OK | {"flags": "crowded;generator-late"}, "unjudged"),
        (
            "p99<200us",
            OK | {"load_state": "overloaded", "flags": "generator-late"},
            "unjudged",
        ),
        ("p99<90us", OK | {"flags": pd.NA}, "failed"),
        ("p99<90us", OK | {"response_p99_s": pd.NA}, "unjudged"),
    ],
)
def test_an_objective_holds_only_where_a_steady_case_shows_it(
    text: str, row: dict[str, object], outcome: str
) -> None:
    assert Objective.parse(text).judge(row) == outcome


@pytest.mark.parametrize(("text", "found"), [("p99<1ms", "p99<1ms"), ("p99<0ms", None)])
def test_a_files_objective_is_the_one_that_it_was_measured_for(
    text: str, found: str | None
) -> None:
    objective = objective_of(pd.DataFrame({"objective": [None, text]}))
    assert (None if objective is None else str(objective)) == found
    assert objective_of(pd.DataFrame()) is None
