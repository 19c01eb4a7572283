"""Servers whose fairness is known beforehand, against simulated launches of them."""

from dataclasses import replace

import pytest

from ipcbench.case import Case
from ipcbench.checks.truths_of_fairness import Fairness, case_of, cases, text, truths
from ipcbench.measure.pair import refused
from tests.synthetic import Crowd, crowds

FAIR, UNFAIR = 1, 3


def _found(fair: float = 1.0, unfair: float = 0.75, most_client: int = 1) -> list[Fairness]:
    """What is known, where launches have these indexes of Jain."""
    recorded = {
        case_of(FAIR): Crowd(2e4, fair),
        case_of(UNFAIR): Crowd(2e4, unfair, 0.67, 2.0, most_clients=(most_client,)),
    }
    return truths(crowds(recorded))


def test_the_cases_can_be_measured() -> None:
    assert cases() == [case_of(FAIR), case_of(UNFAIR)]
    assert [Case.parse(case.id) for case in cases()] == cases()
    assert [refused(case) for case in cases()] == [None, None]


def test_the_index_is_known_by_arithmetic() -> None:
    fair, unfair = _found()
    assert (fair.known_ratio, unfair.known_ratio) == (1.0, (3 + 1 + 1 + 1) ** 2 / (4 * (9 + 3)))
    assert (fair.must_be_flagged, unfair.must_be_flagged) == (False, True)
    assert (fair.known_most_client, unfair.known_most_client) == (None, 1)


def test_all_holds_where_it_is_measured_so() -> None:
    fair, unfair = _found(0.999, 0.752)
    assert (fair.found_ratio, unfair.found_ratio) == pytest.approx((0.999, 0.752))
    assert (fair.is_flagged, unfair.is_flagged) == (False, True)
    assert fair.holds
    assert unfair.holds


def test_an_index_that_is_off_is_found() -> None:
    assert [one.holds for one in _found(fair=0.95)] == [False, True]
    assert [one.holds for one in _found(unfair=0.8)] == [True, False]


def test_a_server_that_is_flagged_without_reason_or_isnt_with_one_is_found() -> None:
    fair, unfair = _found()
    assert not replace(fair, is_flagged=True).holds
    assert not replace(unfair, is_flagged=False).holds
    assert text(replace(fair, is_flagged=True)).endswith(" had most, and is not to be")
    assert text(replace(unfair, is_flagged=False)).endswith("; not flagged, and is to be")


def test_a_flag_that_names_another_client_is_found() -> None:
    assert [one.holds for one in _found(most_client=3)] == [True, False]


def test_it_is_told_with_what_is_known_found_and_flagged() -> None:
    fair, unfair = _found()
    assert text(fair) == (
        "Jain's index, 4 clients served in turn: 1.000 is known, found 1.000 (1.000 to 1.000), at"
        " most 0.020 off; not flagged"
    )
    assert text(unfair) == (
        "Jain's index, 4 clients, the first served 3 times as often: 0.750 is known, found 0.750"
        " (0.750 to 0.750), at most 0.020 off; flagged unfair: client 1 had most"
    )
