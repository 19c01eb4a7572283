import json
from dataclasses import replace
from typing import Any

import pytest

from ipcbench.errors import ResultsError
from ipcbench.results.intent import Intent

INTENT = Intent(
    cases=("latency/unix/64/python/cross-core", "latency/pipe/64/python/cross-core"),
    rounds=7,
    seed=3,
    values=9,
    warmups=1,
    min_time_s=0.025,
    timeout_s=30.0,
    baseline="unix",
    cpus={"cross-core": (0, 1), "free": None},
    target_ratio=None,
    budget_s=60.0,
)


def test_an_intent_is_read_back_as_it_was_written() -> None:
    assert Intent.parse(json.loads(json.dumps(INTENT.as_json()))) == INTENT


def test_equal_intents_differ_in_nothing() -> None:
    assert INTENT.difference(replace(INTENT)) is None


def test_the_first_difference_is_told() -> None:
    assert INTENT.difference(replace(INTENT, rounds=8, seed=9)) == "another number of rounds"
    assert INTENT.difference(replace(INTENT, cpus={})) == "other CPUs"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cases", "latency/unix/64"),
        ("cases", ["latency/unix"]),
        ("cases", [7]),
        ("rounds", 0),
        ("rounds", True),
        ("seed", -1),
        ("values", 1.5),
        ("min_time_s", 0),
        ("min_time_s", float("nan")),
        ("timeout_s", "30"),
        ("baseline", None),
        ("cpus", []),
        ("cpus", {"cross-core": [0]}),
        ("cpus", {"cross-core": [0, -1]}),
        ("budget_s", 1e300),
    ],
)
def test_a_plan_that_cant_be_followed_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ResultsError, match="plan"):
        Intent.parse(INTENT.as_json() | {key: value})


@pytest.mark.parametrize("data", [None, [], 7, {}, INTENT.as_json() | {"more": 1}])
def test_what_is_no_plan_is_refused(data: object) -> None:
    with pytest.raises(ResultsError, match="plan"):
        Intent.parse(data)
