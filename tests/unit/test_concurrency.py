"""`ipcbench ladder --concurrency`: each rung with each number of clients, as few cases."""

import re

import pytest

from ipcbench.case import Case
from ipcbench.cli.commands import parser
from ipcbench.cli.ladder import USUAL_LADDER, settle
from ipcbench.cli.requests import request_of, words_of
from ipcbench.errors import UsageError
from ipcbench.run import plan
from ipcbench.run.choice import choose
from ipcbench.run.request import MOST_TOGETHER, Request
from ipcbench.rungs import RUNGS
from ipcbench.system import limits
from ipcbench.system.cpus import default_placement
from ipcbench.transports.registry import get_transport
from tests.asked import plan_of, requested


def test_each_rung_is_measured_with_each_number_of_clients() -> None:
    chosen = choose(requested("ladder", "--rungs=raw,framed", "--concurrency=8,1"))
    found = {(case.workload, case.transport) for case in chosen.possible}
    assert found == {
        (workload, transport)
        for workload in ("latency", "latency:clients=8")
        for transport in ("unix", "framed-unix")
    } | {("latency", "null")}
    assert not chosen.impossible


def test_many_clients_have_usual_cases_of_their_own() -> None:
    request = requested("ladder", "--concurrency=1,8")
    assert (request.families, request.sizes) == (("unix",), (64,))
    assert "asyncio-protocol:client=lean" in request.rungs
    assert {"raw", "http-std:client=bare", "http-aiohttp:client=bare"} <= set(request.rungs)
    uvicorn = [rung for rung in request.rungs if rung.startswith("http-uvicorn")]
    assert uvicorn == ["http-uvicorn:client=bare", "http-uvicorn:client=bare:loop=asyncio"]
    planned = plan_of("ladder", "--concurrency=1,8,64")
    assert planned.intent.rounds > 6
    assert {Case.parse(case).placement for case in planned.intent.cases} == {default_placement()}
    assert planned.effort.together <= MOST_TOGETHER


def test_what_an_option_names_is_measured_as_it_is_named() -> None:
    given = ("--families=unix,inet", "--sizes=64,1k,64k", "--rungs=raw,asyncio-protocol")
    request = requested("ladder", "--concurrency=2", *given, "--placement=same-core")
    assert request.families == USUAL_LADDER.families
    assert request.sizes == USUAL_LADDER.sizes
    assert request.rungs == ("raw", "asyncio-protocol")
    assert request.placements == ("same-core",)


def test_the_command_again_names_the_numbers_and_not_what_is_usual_for_them() -> None:
    given = ["--rungs", "raw,framed", "--concurrency", "1,8", "--budget", "60s"]
    args = parser().parse_args(["ladder", *given])
    usual = settle(args)
    request = request_of(args, usual)
    assert words_of(request, usual) == given
    assert requested("ladder", *words_of(request, usual)) == request


def test_all_rungs_serve_many_clients_or_say_why_not() -> None:
    rungs = ",".join(rung.name for rung in RUNGS)
    planned = plan_of("ladder", "--concurrency=8", "--budget=20m", f"--rungs={rungs}")
    cases = [*map(Case.parse, planned.intent.cases), *(case for case, _ in planned.impossible)]
    mechanisms = {one.transport for one in cases if not get_transport(one.transport).is_control}
    assert len(mechanisms) == len(RUNGS)
    assert all(reason for _, reason in planned.impossible)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ("0", "'0' is no number of clients: write a whole number, 1 to 256"),
        ("-1", "'-1' is no number of clients"),
        ("abc", "'abc' is no number of clients"),
        ("1.5", "'1.5' is no number of clients"),
        ("257", "'257' is no number of clients"),
        ("", "the list of client counts has an empty name; write 1,8,64"),
        ("1,,8", "the list of client counts has an empty name"),
        ("8,08", "client count 8 is named twice; name it once"),
    ],
)
def test_a_number_that_clients_can_not_have_is_refused(numbers: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        requested("ladder", f"--concurrency={numbers}")


def test_more_clients_than_the_machine_holds_are_refused_before_the_first_launch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_limit", lambda _: 256)
    with pytest.raises(UsageError, match="which fits 28 clients, not 64; raise the limit"):
        limits._check_clients(64, "clients")


def test_a_request_without_numbers_asks_for_workloads_as_they_are() -> None:
    request = Request(rungs=("raw",), families=("unix",), workloads=("latency:clients=2",))
    assert {case.workload for case in choose(request).possible} == {"latency:clients=2"}
    assert plan.PRESETS["crowds"].values < plan.PRESETS["ladder"].values
