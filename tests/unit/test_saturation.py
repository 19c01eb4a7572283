"""What uvloop gains is judged at one client, and where a server of many is saturated."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.claims import CLAIMS, CROWD_WORKLOAD, NEEDED, NEEDED_LAST, NEEDED_ONCE
from ipcbench.analysis.judging import Judgement, judged
from ipcbench.analysis.ladder_crowds import CrowdLadder, crowd_ladders
from ipcbench.case import Case
from ipcbench.cli import console
from ipcbench.cli.compare import USUAL_CLAIMS
from ipcbench.reporters.html import page
from ipcbench.reporters.json_file import json_text
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.model import Grid
from ipcbench.reporters.tables.claim_crowds import at_saturation
from ipcbench.reporters.tables.claims import answer_text, claim_parts
from ipcbench.reporters.tables.ladder import ladder_parts
from ipcbench.reporters.tables.ladder_crowds import (
    crowd_claims,
    crowd_parts,
    who_ran_out,
    whole_ladder,
)
from ipcbench.reporters.tables.summary import summary
from ipcbench.results.store import Metadata, Results
from ipcbench.run.choice import choose
from tests.asked import requested
from tests.replay import RUN_METADATA, launch

JITTER = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.003)
UVLOOP, ASYNCIO = "uvloop-protocol-unix:client=lean", "asyncio-protocol-unix:client=lean"
BUSY: Metadata = {"cpu_busy_client_ratio": 0.7, "cpu_busy_server_ratio": 0.97}
"""Of clients and a server that is saturated."""
HELD_UP: Metadata = {"cpu_busy_client_ratio": 0.98, "cpu_busy_server_ratio": 0.6}
"""Of clients that ran out of CPU before their server."""
WAITING: Metadata = {"cpu_busy_client_ratio": 0.4, "cpu_busy_server_ratio": 0.5}


class _Made(Results):
    """Launches that were made up, a round of each case for each place of the jitter."""

    def add(
        self,
        transport: str,
        time_s: float,
        clients: int = 1,
        facts: Metadata | None = None,
        **of: Any,
    ) -> None:
        workload = "latency" if clients == 1 else f"latency:clients={clients}"
        case = Case(workload, transport, 64, **{"placement": "cross-core", **of})
        own: Metadata = (
            {}
            if clients == 1
            else {
                "clients_count": clients,
                "server_model": "epoll",
                "fairness_jain_ratio": 0.99,
                "fairness_least_ratio": 0.9,
                "fairness_most_ratio": 1.1,
            }
        )
        for number, by in enumerate(JITTER, start=1):
            measured = launch(case, [time_s * by])
            more = own | (facts or WAITING) | {"round": number, "run_elapsed_s": 1.0 * number}
            if clients > 1:
                more["crowd_messages_per_s"] = clients / (time_s * by)
            self.add_launch(case, measured, RUN_METADATA | more)


def _loops(
    ratios: Mapping[int, float], facts: Mapping[int, Metadata] | None = None, **of: Any
) -> _Made:
    """uvloop this much faster than asyncio with each number of clients."""
    results = _Made()
    for clients, ratio in ratios.items():
        own = (facts or {}).get(clients, WAITING if clients == 1 else BUSY)
        results.add(ASYNCIO, 60e-6 * clients, clients, own, **of)
        results.add(UVLOOP, 60e-6 * clients / ratio, clients, own, **of)
    return results


def _judged(results: Results) -> Judgement:
    found = judged(frame.analyse(results))
    (judgement,) = (one for one in found if one.claim.name == "uvloop-2-to-4")
    return judgement


def test_the_claim_holds_at_saturation_where_uvloop_is_three_times_as_fast() -> None:
    judgement = _judged(_loops({8: 3.0}))
    assert judgement.answer == "holds"
    (said,) = at_saturation(judgement)
    assert said == (
        "with 8 clients across cores, the server saturated (97% of its CPU or more): holds:"
        f" {UVLOOP} 3.00x faster"
    )


def test_the_claim_fails_at_one_client_where_wake_ups_hide_the_loop() -> None:
    judgement = _judged(_loops({1: 1.1, 8: 3.0}))
    assert answer_text(judgement) == (
        "depends on the number of clients: holds with 8 clients; fails with 1 client"
        " (2 of 2 comparisons decided)"
    )
    assert next(iter(at_saturation(judgement))) == (
        f"with 1 client across cores: fails: {UVLOOP} 1.10x faster"
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (HELD_UP, "the clients ran out, not the server"),
        (WAITING, "the server had CPU time left"),
        ({**WAITING, "cpu_queued_server_ratio": 0.45}, "other programs had the server's CPU"),
        ({**WAITING, "cpu_queued_client_ratio": 0.95}, "the clients ran out, not the server"),
        ({"cpu_busy_client_ratio": 0.5}, "who ran out was not recorded"),
    ],
)
def test_without_saturation_nothing_is_told(facts: Metadata, reason: str) -> None:
    judgement = _judged(_loops({8: 3.0}, {8: facts}))
    assert judgement.answer == "open"
    assert answer_text(judgement) == f"can't tell here: {reason} (0 of 1 comparison decided)"
    (said,) = at_saturation(judgement)
    assert said == f"with 8 clients across cores: can't tell here: {reason} ({UVLOOP})"


def test_a_server_that_shares_its_cpu_with_its_clients_is_not_saturated() -> None:
    judgement = _judged(_loops({8: 3.0}, {8: HELD_UP}, placement="same-core"))
    assert answer_text(judgement).startswith(
        "can't tell here: the server and its clients share a CPU ("
    )


def test_both_servers_have_to_be_saturated() -> None:
    results = _Made()
    results.add(ASYNCIO, 480e-6, 8, BUSY)
    results.add(UVLOOP, 160e-6, 8, HELD_UP)
    (one,) = _judged(results).compared
    assert (one.unsaturated, one.says) == ("clients", "undecided")
    assert one.server_busy == pytest.approx(0.6)


def test_what_holds_at_one_client_is_told_beside_what_can_not_be_told() -> None:
    judgement = _judged(_loops({1: 3.0, 8: 3.0}, {8: HELD_UP}))
    assert judgement.answer == "holds"
    assert [text.partition(": ")[2].partition(":")[0] for text in at_saturation(judgement)] == [
        "holds",
        "can't tell here",
    ]


def test_an_answer_without_many_clients_says_so() -> None:
    assert list(at_saturation(_judged(_loops({1: 3.0})))) == [
        "not measured with many clients; the answer may rest on that"
    ]
    assert not list(at_saturation(_judged(_Made())))


def test_the_rows_of_the_claim_name_the_clients_and_what_can_not_be_told() -> None:
    judgement = _judged(_loops({1: 3.0, 64: 3.0}, {64: HELD_UP}))
    (grid,) = (part for part in claim_parts([judgement]) if isinstance(part, Grid))
    assert [row.cells[0].text for row in grid.rows] == [
        f"{UVLOOP} beside {ASYNCIO}",
        "round trip 64 B cross-core",
        "round trip 64 B cross-core, 64 clients",
    ]
    assert [row.cells[-1].text for row in grid.rows[1:]] == ["agrees", "can't tell"]


def test_the_claim_is_measured_with_one_client_and_with_many_at_the_last_placement() -> None:
    assert (
        set(NEEDED[CROWD_WORKLOAD])
        == set(NEEDED_LAST)
        == {
            f"{loop}-{kind}-unix:client=lean"
            for loop in ("uvloop", "asyncio")
            for kind in ("protocol", "streams")
        }
    )
    assert not set(NEEDED_LAST) & set(NEEDED_ONCE)
    chosen = choose(requested("claims"))
    lean = [case for case in chosen.possible if case.transport in NEEDED_LAST]
    last = [*chosen.cpus][-1]
    assert {case.placement for case in lean} == {last}
    assert {case.message_size_bytes for case in lean} == {USUAL_CLAIMS.sizes[0]}
    assert {case.workload for case in lean} == {"latency", CROWD_WORKLOAD}


@pytest.mark.parametrize(
    ("subject", "other"),
    [
        ("uvloop-streams-inet:client=lean", "asyncio-streams-inet:client=lean"),
        ("uvloop-protocol-inet", "asyncio-protocol-inet"),
        ("http-uvicorn-unix:client=bare", "http-uvicorn-unix:client=bare:loop=asyncio"),
        ("http-uvicorn-inet", "http-uvicorn-inet:loop=asyncio"),
    ],
)
def test_what_a_ladder_measured_besides_is_judged_and_not_asked_for(
    subject: str, other: str
) -> None:
    results = _Made()
    results.add(subject, 480e-6, 8, BUSY)
    results.add(other, 720e-6, 8, BUSY)
    judgement = _judged(results)
    assert [one.comparison.subject.transport for one in judgement.compared] == [subject]
    assert judgement.answer == "fails"
    assert other not in {name for names in NEEDED.values() for name in names}


def test_other_claims_are_not_judged_with_many_clients() -> None:
    results = _Made()
    for name in ("unix", "inet"):
        results.add(name, 1e-5, 8, BUSY)
    assert not any(one.compared for one in judged(frame.analyse(results)))
    assert [claim.name for claim in CLAIMS if claim.crowd] == ["uvloop-2-to-4"]


def _ladder() -> _Made:
    """Three rungs with one client and with eight, the middle one held up by its clients."""
    results = _Made()
    for clients in (1, 8):
        results.add("unix", 20e-6 * clients, clients, HELD_UP if clients > 1 else WAITING)
        results.add(ASYNCIO, 60e-6 * clients, clients, BUSY if clients > 1 else WAITING)
        results.add(UVLOOP, 20e-6 * clients, clients, BUSY if clients > 1 else WAITING)
    missing = Case("latency:clients=8", "rpc-grpc-unix", 64, placement="cross-core")
    results.add_unmeasured(missing, "n/a", "grpcio isn't installed")
    return results


def _crowds(results: Results) -> CrowdLadder:
    analysis = frame.analyse(results)
    (found,) = crowd_ladders(analysis.cases, analysis.launches)
    return found


def test_a_ladder_of_many_clients_has_its_rungs_in_order_with_each_number_of_them() -> None:
    found = _crowds(_ladder())
    names = [rung.name for rung in found.rungs]
    assert names == [
        *("raw", "asyncio-protocol:client=lean", "uvloop-protocol:client=lean", "rpc-grpc")
    ]
    assert found.numbers == (1, 8)
    assert (found.family, found.workload, found.placement) == ("unix", "latency", "cross-core")
    serving = found.rungs[1].at(8)
    assert serving is not None
    assert serving.rate is not None
    assert serving.rate.value == pytest.approx(1 / 60e-6, rel=0.01)
    assert (serving.is_saturated, serving.jain) == (True, 0.99)
    alone = found.rungs[1].at(1)
    assert alone is not None
    assert (alone.is_saturated, alone.jain, alone.to_first) == (False, None, None)
    assert serving.to_first is not None
    assert serving.to_first.value == pytest.approx(1.0, rel=0.02)


def test_the_rung_from_which_the_server_runs_out_is_named() -> None:
    alone, many = who_ran_out(_crowds(_ladder()))
    assert alone == "With 1 client neither end runs out at any rung."
    assert many == (
        "With 8 clients the server runs out of its CPU from asyncio-protocol on;"
        " the clients run out of their CPU at raw."
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([BUSY, BUSY], "With 2 clients the server runs out of its CPU at every rung."),
        (
            [BUSY, HELD_UP],
            (
                "With 2 clients the server runs out of its CPU at raw;"
                " the clients run out of their CPU at framed."
            ),
        ),
        ([HELD_UP, HELD_UP], "With 2 clients the clients run out of their CPU at every rung."),
    ],
)
def test_the_end_that_runs_out_is_told_for_each_rung(facts: Sequence[Metadata], said: str) -> None:
    results = _Made()
    for name, own in zip(("unix", "framed-unix"), facts, strict=True):
        results.add(name, 1e-5, 2, own)
    assert list(who_ran_out(_crowds(results))) == [said]


def test_a_rung_that_can_not_have_many_clients_says_so_in_its_row() -> None:
    grids = [one for one in crowd_parts([_crowds(_ladder())]) if isinstance(one, Grid)]
    for grid in grids:
        assert [cell.text for cell in grid.rows[-1].cells].count("n/a") >= 1
        assert grid.rows[-1].status == "n/a"
        keys = [column.key for column in grid.columns]
        assert len(keys) == len(set(keys))
        assert grid.about["family"] == "unix"


def test_the_tables_of_many_clients_have_messages_times_and_the_servers_cpu() -> None:
    stream = io.StringIO()
    console.show(crowd_parts([_crowds(_ladder())]), stream)
    text = stream.getvalue()
    assert "Ladder over AF_UNIX, messages a second, 64 B, cross-core, python loop" in text
    assert "16.7k/s ~1.00x" in text
    assert "97%  server" in text
    assert "0.990" in text


def test_the_ladder_of_one_client_has_no_row_of_many() -> None:
    grids = [one for one in ladder_parts(frame.analyse(_ladder())) if isinstance(one, Grid)]
    assert [grid.about["workload"] for grid in grids] == ["latency"]
    alone = _Made()
    alone.add("unix", 1e-5, 8, BUSY)
    assert not list(ladder_parts(frame.analyse(alone)))
    assert _crowds(alone).numbers == (8,)


def test_a_ladder_of_one_client_has_no_tables_of_many() -> None:
    results = _Made()
    results.add("unix", 1e-5)
    results.add("framed-unix", 2e-5)
    analysis = frame.analyse(results)
    assert not crowd_ladders(analysis.cases, analysis.launches)
    assert not list(crowd_claims(analysis))
    assert list(whole_ladder(analysis)) == list(ladder_parts(analysis))


def test_nothing_measured_is_no_ladder_of_many_clients() -> None:
    results = Results()
    case = Case("latency:clients=8", "unix", 64, placement="cross-core")
    results.add_unmeasured(case, "failed", "it had a reason")
    analysis = frame.analyse(results)
    assert not crowd_ladders(analysis.cases, analysis.launches)
    assert not list(crowd_claims(analysis))


def test_the_answer_on_uvloop_is_told_below_the_ladder_once() -> None:
    analysis = frame.analyse(_ladder())
    quote = '"uvloop makes asyncio 2 to 4 times faster"'

    def told(*, claims: bool) -> int:
        stream = io.StringIO()
        console.show(summary(analysis, ladder=True, claims=claims, tables=False), stream)
        return stream.getvalue().count(quote)

    assert told(claims=False) == told(claims=True) == 1


def test_every_document_has_the_ladder_of_many_clients() -> None:
    analysis = frame.analyse(_ladder())
    said = "With 8 clients the server runs out of its CPU from asyncio-protocol on"
    assert said in markdown_text(analysis, ladder=True)
    assert "uvloop makes asyncio" in markdown_text(analysis, ladder=True)
    assert said in page.page(analysis, [])
    text = json_text(summary(analysis, ladder=True, tables=False))
    assert '"clients_8_messages_per_s"' in text
    assert '"clients_8_cpu_busy_server_ratio"' in text
