"""The end that ran out of CPU time, from what each end used and waited for."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis import frame
from ipcbench.analysis.bounds import Bound, Need, bound
from ipcbench.case import Case
from ipcbench.measure import usage as usage_module
from ipcbench.measure.usage import Usage, usage
from ipcbench.reporters.tables import cases as case_tables
from ipcbench.results.store import Metadata
from tests.replay import replayed

SHARES = st.floats(0, 1)
NEEDS = st.builds(Need, SHARES, SHARES)
_SWAPPED: dict[Bound, Bound] = {
    "client-bound": "server-bound",
    "server-bound": "client-bound",
    "both": "both",
    "neither": "neither",
}


@pytest.mark.parametrize(
    ("client", "server", "one_cpu", "says"),
    [
        (Need(1.0), Need(1.0), False, "both"),
        (Need(0.98), Need(0.4), False, "client-bound"),
        (Need(0.3), Need(0.95), False, "server-bound"),
        (Need(0.4), Need(0.5), False, "neither"),
        (Need(0.05), Need(0.02), True, "neither"),
        # Others took the rest of the client's CPU.
        (Need(0.5, 0.45), Need(0.2), False, "client-bound"),
        # They take turns on one CPU, and never leave it to idle.
        (Need(0.5), Need(0.45), True, "both"),
        (Need(0.5), Need(0.45), False, "neither"),
        (Need(0.25, 0.3), Need(0.2, 0.2), True, "both"),
        (Need(0.02), Need(0.97), True, "server-bound"),
    ],
)
def test_an_end_has_run_out_that_needs_nearly_all_of_a_cpu(
    client: Need, server: Need, one_cpu: bool, says: str
) -> None:
    assert bound(client, server, on_one_cpu=one_cpu) == says


@given(NEEDS, NEEDS, st.booleans())
def test_the_ends_are_treated_alike(client: Need, server: Need, one_cpu: bool) -> None:
    said = bound(client, server, on_one_cpu=one_cpu)
    assert bound(server, client, on_one_cpu=one_cpu) == _SWAPPED[said]


@given(NEEDS, NEEDS, SHARES, st.booleans())
def test_whoever_needs_more_has_run_out_no_less(
    client: Need, server: Need, more: float, one_cpu: bool
) -> None:
    before = bound(client, server, on_one_cpu=one_cpu)
    after = bound(client._replace(busy=client.busy + more), server, on_one_cpu=one_cpu)
    if before in ("client-bound", "both"):
        assert after in ("client-bound", "both")


BUSY: Metadata = {
    "cpu_busy_client_ratio": 0.99,
    "cpu_queued_client_ratio": 0.0,
    "cpu_busy_server_ratio": 0.3,
    "cpu_queued_server_ratio": 0.1,
}
RECORDED = {Case("latency", name, 64): [[1e-5]] * 6 for name in ("unix", "inet", "null")}


def test_tables_and_rows_tell_who_ran_out_where_launches_recorded_it() -> None:
    analysis = frame.analyse(replayed(RECORDED, rounds=6, facts=BUSY)[0])
    told = analysis.cases.set_index("transport")["ran_out"]
    assert told["unix"] == told["inet"] == "client-bound"
    assert told.isna()["null"], "a control has no server"
    (grid,) = case_tables.tables(analysis.cases)
    assert grid.columns[-1].title == "ran out"
    assert [row.cells[-1].text for row in grid.rows] == ["client", "client", ""]
    assert grid.rows[0].cells[-1].value == "client-bound"
    footer = [line.text for line in case_tables.footer(analysis.launches, analysis.cases)]
    assert any(line.startswith("ran out: ") for line in footer)


def test_without_the_time_for_a_cpu_the_cpu_time_tells() -> None:
    busy: Metadata = {name: value for name, value in BUSY.items() if "queued" not in name}
    cases = frame.cases(replayed(RECORDED, rounds=6, facts=busy)[0])
    assert set(cases["ran_out"].dropna()) == {"client-bound"}


def test_files_of_before_have_no_such_column_in_their_tables() -> None:
    analysis = frame.analyse(replayed(RECORDED, rounds=6)[0])
    assert analysis.cases["ran_out"].isna().all()
    (grid,) = case_tables.tables(analysis.cases)
    assert "ran out" not in [column.title for column in grid.columns]
    footer = [line.text for line in case_tables.footer(analysis.launches, analysis.cases)]
    assert not any(line.startswith("ran out: ") for line in footer)


def test_usage_has_the_time_that_it_was_used_in_and_what_was_waited_for_a_cpu() -> None:
    before = usage()
    sum(range(300_000))
    used = usage() - before
    assert used.user_s + used.system_s > 0
    assert used.wall_s > 0
    facts = used.facts("client", 1)
    assert float(facts["cpu_busy_client_ratio"]) == pytest.approx(
        (used.user_s + used.system_s) / used.wall_s
    )
    assert used.queued_s is None or float(facts["cpu_queued_client_ratio"]) >= 0


def test_usage_adds_up_and_what_is_not_told_stays_untold() -> None:
    one, other = Usage(1, 2, 3, 4, 5, 6.0, 7), Usage(1, 1, 1, 1, 1, 1.0, 1)
    assert one + other == Usage(2, 3, 4, 5, 6, 7.0, 8)
    assert one - other == Usage(0, 1, 2, 3, 4, 5.0, 6)
    untold = one + other._replace(queued_s=None)
    assert untold.queued_s is None
    assert "cpu_queued_server_ratio" not in untold.facts("server", 1)
    assert "cpu_busy_server_ratio" not in Usage().facts("server", 1)


def test_a_thread_that_has_ended_takes_nothing_away() -> None:
    ended = Usage(1.0, 0.0, queued_s=-0.5, wall_s=2.0).facts("client", 1)
    assert ended["cpu_queued_client_ratio"] == 0.0


def test_every_thread_counts_and_a_kernel_without_the_counts_is_no_error(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tmp_path_factory.mktemp("task")
    monkeypatch.setattr(usage_module, "_TASKS", tasks)
    assert usage().queued_s is None
    for number, text in (("7", "10 2000000000 3\n"), ("8", "10 500000000 3\n"), ("9", None)):
        (tasks / number).mkdir()
        if text is not None:
            (tasks / number / "schedstat").write_text(text)
    queued_s = usage().queued_s
    assert queued_s is not None
    assert math.isclose(queued_s, 2.5)
    monkeypatch.setattr(usage_module, "_TASKS", tasks / "none")
    assert usage().queued_s is None
