"""Files of earlier formats."""

from pathlib import Path
from typing import get_args

import pytest

from ipcbench.analysis import launch_frame
from ipcbench.case import Case
from ipcbench.evidence.verdict import Outcome
from ipcbench.results import store
from ipcbench.results.metadata import OUTCOMES
from ipcbench.results.migration import FORMAT, upgraded
from tests.replay import replayed

DATA = Path(__file__).parent.parent / "data"


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [
        ("proved: one pipe", "proved"),
        ("refuted: no pipe", "refuted"),
        ("not witnessed: there is no /proc here", "not witnessed"),
        ("no record", None),
        ("it was proved: yes", None),
    ],
)
def test_the_outcome_is_taken_from_the_words_of_format_1(
    evidence: str, outcome: str | None
) -> None:
    known = upgraded({"ipcbench_format": 1, "evidence": evidence})
    assert known == {
        "ipcbench_format": FORMAT,
        "evidence": evidence,
        **({} if outcome is None else {"evidence_outcome": outcome}),
    }


def test_words_of_the_current_format_are_words() -> None:
    metadata = {"ipcbench_format": FORMAT, "evidence": "proved: one pipe"}
    assert upgraded(metadata) == metadata


def test_a_launch_without_evidence_has_no_outcome() -> None:
    assert upgraded({"ipcbench_format": 1}) == {"ipcbench_format": FORMAT}


def test_a_file_of_format_1_is_written_again_in_the_current_one() -> None:
    text = (DATA / "run.json").read_text(encoding="utf-8")
    assert '"ipcbench_format":1' in text
    again = store.dumps(store.loads(text, "run.json"))
    assert '"ipcbench_format":1' not in again
    assert f'"ipcbench_format":{FORMAT}' in again
    assert store.dumps(store.loads(again, "again.json")) == again


def test_outcomes_are_those_of_the_room_evidence() -> None:
    assert set(OUTCOMES) == set(get_args(Outcome))


def test_the_count_of_confirmed_launches_goes_by_the_outcome_alone() -> None:
    facts = {"evidence": "proved: but it isn't", "evidence_outcome": "not witnessed"}
    results, _, _ = replayed({Case("latency", "unix", 64): [[1e-5]] * 2}, 2, facts={**facts})
    count, others = launch_frame.confirmed(launch_frame.launches(results))
    assert (count, others.tolist()) == (0, ["proved: but it isn't"] * 2)


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("ipcbench compare unix", "compare"),
        ("ipcbench claims --budget 60s", "claims"),
        ("bench/latency.py --seed 7", "latency"),
    ],
)
def test_the_question_is_taken_from_the_command_of_format_1(command: str, question: str) -> None:
    metadata = {"ipcbench_format": 1, "command": command}
    assert upgraded(metadata)["question"] == question
    assert "question" not in upgraded(metadata | {"ipcbench_format": 2})
