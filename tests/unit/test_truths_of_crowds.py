"""Bounds of many clients that are known beforehand, against simulated servers."""

import pytest

from ipcbench.case import Case
from ipcbench.checks.truths import Truth
from ipcbench.checks.truths_of_crowds import CLIENTS, SERVICE_NS, cases, of_clients, truths
from tests.synthetic import Crowd, crowds

SERVICE_S = SERVICE_NS * 1e-9
ALONE_S = SERVICE_S * 1.1
"""The round trip of one client: the work, and to wake both ends."""


def _found(between_s: dict[int, float]) -> list[Truth]:
    """The truths where it is so long from one message of all clients to the next."""
    return of_clients([ALONE_S] * 6, {clients: [one] * 6 for clients, one in between_s.items()})


def _case_of(clients: int) -> Case:
    return next(case for case in cases() if case.clients.number == clients)


def test_the_cases_are_one_client_and_more_of_a_server_that_works() -> None:
    found = cases()
    assert [case.clients.number for case in found] == [1, *CLIENTS]
    assert {case.rhythm.work_s for case in found} == {SERVICE_S}
    assert [Case.parse(case.id) for case in found] == found


def test_all_holds_where_the_server_is_busy_all_the_time() -> None:
    found = _found({2: SERVICE_S * 1.02, 4: SERVICE_S * 1.01})
    assert [truth.is_bound for truth in found] == [True, True, False]
    assert all(truth.holds for truth in found)


def test_clients_that_get_more_than_their_server_can_answer_break_a_bound() -> None:
    bounds = [one for one in _found({2: SERVICE_S, 4: SERVICE_S * 0.9}) if one.is_bound]
    assert [truth.holds for truth in bounds] == [True, False]


def test_clients_get_no_more_than_as_many_alone() -> None:
    slow = [4 * SERVICE_S] * 6  # one alone waits for much else than the server
    for share, holds in ((1.0, True), (0.9, False)):
        first, *_ = of_clients(slow, {2: [2 * SERVICE_S * share] * 6, 4: [SERVICE_S] * 6})
        assert first.known_s == pytest.approx(2 * SERVICE_S)
        assert first.holds is holds


def test_a_server_that_waits_though_it_has_the_most_clients_is_found() -> None:
    *bounds, busy = _found({2: SERVICE_S * 1.02, 4: SERVICE_S * 1.1})
    assert all(truth.holds for truth in bounds)
    assert not busy.holds


def test_the_rates_of_launches_are_those_of_all_clients_in_their_common_window() -> None:
    recorded = {_case_of(1): Crowd(1 / ALONE_S)}
    recorded |= {_case_of(clients): Crowd(1.9e3) for clients in CLIENTS}
    found = truths(crowds(recorded))
    assert [truth.found_s for truth in found] == pytest.approx([1 / 1.9e3] * 3, rel=0.01)
