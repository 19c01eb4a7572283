"""Connections of many clients that failed or were dropped: counts, tables, sentences, flags."""

import errno
import socket
from array import array

import pandas as pd
import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.crowd_flags import full_queue
from ipcbench.analysis.crowds import failures_text
from ipcbench.analysis.sweeps import sweeps
from ipcbench.case import Case
from ipcbench.evidence.tables import tcp_extensions
from ipcbench.measure.common_window import RoundTrips, of_round_trips
from ipcbench.measure.connecting import Dropped, of_dropped, of_failures, without_failures
from ipcbench.measure.end_facts import Facts
from ipcbench.reporters.model import Grid
from ipcbench.reporters.tables.sweep_words import sentences, title_of
from ipcbench.reporters.tables.sweeps import sweep_parts
from ipcbench.transports.parts.rush import connected, count_failure, failures_of, was_dropped
from tests.synthetic import Crowd, crowds

NETSTAT = """\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits
TcpExt: 0 702 703 15
IpExt: InNoRoutes InTruncatedPkts
IpExt: 0 0
"""


def test_counts_of_tcp_are_read_from_their_two_lines() -> None:
    told = tcp_extensions(NETSTAT)
    assert (told["ListenOverflows"], told["ListenDrops"]) == (702, 703)


def test_failures_are_counted_by_errno_and_of_all_clients() -> None:
    facts = {"strangers_count": 3}
    for code in (errno.EAGAIN, errno.EAGAIN, errno.ETIMEDOUT):
        count_failure(facts, code)
    assert failures_of(facts) == {"EAGAIN": 2, "ETIMEDOUT": 1}
    assert of_failures([failures_of(facts), {"EAGAIN": 5}, {}]) == {
        "connect_failures": "EAGAIN=7 ETIMEDOUT=1",
        "connect_failures_count": 8,
    }
    assert of_failures([{}, {}])["connect_failures"] == "none"


def test_failures_of_the_first_client_are_told_once() -> None:
    ends: Facts = {
        "client_connect_eagain_count": 1,
        "server_strangers_count": 2,
        "knobs_client": "a=b",
    }
    assert without_failures(ends) == {"server_strangers_count": 2, "knobs_client": "a=b"}


def test_what_was_dropped_is_added_up_over_batches_where_it_is_known() -> None:
    found = Dropped(100, 200).plus(Dropped(5, 6), Dropped(8, 10))
    assert of_dropped(found) == {"listen_overflows_count": 103, "listen_drops_count": 204}
    assert of_dropped(None) == {}


def test_a_connection_to_a_full_queue_is_made_once_there_is_room() -> None:
    """The try that finds the queue full takes one out of it, so that it is the last to fail."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen(1)
        address = listener.getsockname()
        waiting = []
        while True:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            waiting.append(one)
            if one.connect_ex(address):
                break
        facts: dict[str, int] = {}

        class Emptied(dict[str, int]):
            def __setitem__(self, name: str, count: int) -> None:
                super().__setitem__(name, count)
                listener.accept()[0].close()

        facts = Emptied()
        with connected(lambda: socket.socket(socket.AF_UNIX), address, facts) as connection:
            assert connection.getblocking()
        assert failures_of(facts) == {"EAGAIN": 1}
        for one in waiting:
            one.close()


def test_a_connection_that_nobody_listens_for_is_an_error() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        address = listener.getsockname()
        with pytest.raises(ConnectionRefusedError):
            connected(lambda: socket.socket(socket.AF_UNIX), address, {})


def test_only_over_tcp_a_reset_is_a_full_queue() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, "")
    with socket.socket(socket.AF_INET) as tcp, socket.socket(socket.AF_UNIX) as unix:
        assert was_dropped(tcp, reset)
        assert not was_dropped(unix, reset)
        assert not was_dropped(tcp, OSError(errno.EMFILE, ""))


def test_a_connection_as_long_as_the_window_is_among_the_times() -> None:
    stalled = RoundTrips(0, array("q", [10, 1000]))
    quick = RoundTrips(0, array("q", [50, 50]))
    assert list(of_round_trips([stalled, quick]).took_ns) == [10, 50, 50]
    both = of_round_trips([stalled, quick], by_begin=True)
    assert list(both.took_ns) == [10, 1000, 50, 50]
    assert both.counts == (1.0, 2.0)


def _connects(*failures: dict[str, int]) -> frame.Analysis:
    names = ("connect", "connect:clients=2:backlog=1", "connect:clients=8:backlog=1")
    cases = {
        Case(name, "unix", 1): Crowd(1e4, failures=one)
        for name, one in zip(names, ({}, *failures), strict=False)
    }
    return frame.analyse(crowds(cases))


def test_failures_are_in_columns_a_table_and_a_sentence() -> None:
    analysis = _connects({}, {"EAGAIN": 2_000})
    row = analysis.cases.iloc[-1]
    assert (row["connect_failures"], row["connect_failures_count"]) == ("EAGAIN=16000", 16_000)
    assert row["connections_per_s"] == pytest.approx(1e4, rel=0.01)
    (sweep,) = sweeps(analysis.cases, analysis.launches)
    assert title_of(sweep).startswith("Connections a second against clients, 1 B")
    assert sentences(sweep)[-1] == (
        "unix: with 8 clients connect(2) failed with EAGAIN 16,000 times."
    )
    assert not any("messages" in said or "memory" in said for said in sentences(sweep))
    _, facts = (part for part in sweep_parts([sweep]) if isinstance(part, Grid))
    assert facts.title.startswith("Connect, fairness and memory against clients")
    titles = [column.title for column in facts.columns]
    assert titles[-1] == "failed"
    assert [row.cells[-1].text for row in facts.rows] == ["", "none", "EAGAIN=16000"]


def test_clients_that_met_a_full_queue_are_flagged() -> None:
    analysis = _connects({}, {"EAGAIN": 2_000})
    assert analysis.cases["flags"].fillna("").str.contains("full-queue").tolist() == [
        *(False, False, True)
    ]


def test_a_full_queue_that_was_met_hardly_ever_is_no_matter() -> None:
    launches = pd.DataFrame(
        {
            "connect_failures": ["EAGAIN=1", "none"],
            "connect_failures_count": [1, 0],
            "listen_overflows_count": [0.0, 9.0],
            "messages_count": [500, 500],
        }
    )
    assert full_queue(launches) is None
    assert full_queue(launches.assign(messages_count=[499, 500])) == (
        "its clients met a full queue of connections: connect(2) failed with EAGAIN 1 times and 9"
        " connections were dropped; its times tell of tries again: ask for a longer backlog=, or"
        " fewer clients"
    )


def test_failures_of_launches_add_up() -> None:
    assert failures_text(["EAGAIN=1 ETIMEDOUT=2", "none", "EAGAIN=3"]) == "EAGAIN=4 ETIMEDOUT=2"
    assert failures_text([]) == "none"
