"""The ladder tells what a rung adds, what the family costs there, and only what is decided."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.ladder import (
    LADDER_COLUMNS,
    TOPS,
    has_rungs,
    headline,
    of_ladder,
    place_of,
)
from ipcbench.analysis.stats import alternating_difference
from ipcbench.case import Case
from ipcbench.cli import console
from ipcbench.cli.ladder import USUAL_LADDER
from ipcbench.errors import UsageError
from ipcbench.reporters.html import page
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.model import Grid, Heading, Line
from ipcbench.reporters.pictures import drawing
from ipcbench.reporters.pictures.selection import Subject, pictures
from ipcbench.reporters.tables.ladder import (
    added_interval_text,
    added_text,
    headline_text,
    ladder_parts,
)
from ipcbench.results.store import Metadata, Results
from ipcbench.run import choice, plan
from ipcbench.run.choice import choose
from ipcbench.run.request import MOST_OF_LADDER, MOST_TOGETHER, Request
from ipcbench.rungs import FAMILIES, RUNGS, Rung
from ipcbench.transports.registry import TRANSPORTS, get_transport
from tests.asked import plan_of
from tests.replay import RUN_METADATA, launch, replayed

ROOT = Path(__file__).parent.parent.parent
JITTER = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.003, 0.997, 1.001)
"""By how much the machine is faster or slower in a round, alike for all."""
WILD = (1.3, 0.7, 1.2, 0.8, 1.1, 0.9, 1.25, 0.75, 1.05, 0.95)
"""By how much launches differ that decide nothing."""


def _results(
    times: Mapping[str, float], *, rounds: int = 10, wild: Sequence[str] = (), size: int = 64
) -> Results:
    recorded = {
        Case("latency", name, size, placement="same-core"): [
            [time_s * by] for by in (WILD if name in wild else JITTER)
        ]
        for name, time_s in times.items()
    }
    return replayed(recorded, rounds)[0]


def _rows(results: Results) -> dict[str, dict[str, Any]]:
    rows = frame.cases(results).to_dict("records")
    return {str(row["transport"]): {str(key): value for key, value in row.items()} for row in rows}


def _said(times: Mapping[str, float], **how: Any) -> str:
    analysis = frame.analyse(_results(times, **how))
    found = headline(of_ladder(analysis.cases), analysis.launches)
    assert found is not None
    return headline_text(found)


def test_a_rung_adds_to_the_rung_below_it_of_its_own_family() -> None:
    times = {"unix": 10e-6, "framed-unix": 13e-6, "inet": 15e-6, "framed-inet": 18e-6}
    rows = _rows(_results(times))
    assert rows["framed-unix"]["rung_below"] == "raw"
    assert rows["framed-unix"]["added_s"] == pytest.approx(3e-6, rel=0.01)
    assert rows["framed-unix"]["added_verdict"] == "slower"
    low, high = (rows["framed-unix"][key] for key in ("added_low_s", "added_high_s"))
    assert low <= 3e-6 <= high
    assert rows["framed-inet"]["added_s"] == pytest.approx(3e-6, rel=0.01)
    assert (rows["unix"]["rung"], rows["unix"]["family"]) == ("raw", "unix")
    assert pd.isna(rows["unix"]["rung_below"])


def test_a_rung_adds_to_the_next_lower_one_that_was_measured() -> None:
    rows = _rows(_results({"unix": 10e-6, "framed-unix": 13e-6, "http-uvicorn-unix": 300e-6}))
    assert rows["http-uvicorn-unix"]["rung_below"] == "framed"
    rows = _rows(_results({"unix": 10e-6, "http-uvicorn-unix": 300e-6}))
    assert rows["http-uvicorn-unix"]["rung_below"] == "raw"
    assert rows["http-uvicorn-unix"]["added_s"] == pytest.approx(290e-6, rel=0.01)


def test_a_rung_with_another_client_adds_to_a_lower_one_with_such_a_client() -> None:
    names = {
        "raw": "unix",
        "epoll:client=lean": "epoll-unix:client=lean",
        "asyncio-protocol:client=lean": "asyncio-protocol-unix:client=lean",
        "http-std:client=bare": "http-std-unix:client=bare",
        "http-uvicorn:client=bare": "http-uvicorn-unix:client=bare",
        "http-uvicorn:client=bare:loop=asyncio": "http-uvicorn-unix:client=bare:loop=asyncio",
    }
    rows = _rows(_results({name: 1e-5 * place for place, name in enumerate(names.values(), 1)}))
    assert {rung: rows[name]["rung_below"] for rung, name in names.items() if rung != "raw"} == {
        "epoll:client=lean": "raw",
        "asyncio-protocol:client=lean": "epoll:client=lean",
        "http-std:client=bare": "raw",
        "http-uvicorn:client=bare": "http-std:client=bare",
        "http-uvicorn:client=bare:loop=asyncio": "http-uvicorn:client=bare",
    }


def test_the_family_is_compared_at_the_same_rung() -> None:
    times = {"unix": 10e-6, "inet": 15e-6, "http-std-unix": 100e-6, "http-std-inet": 105e-6}
    rows = _rows(_results(times))
    assert rows["inet"]["family_to_unix_ratio"] == pytest.approx(1.5)
    assert rows["http-std-inet"]["family_to_unix_ratio"] == pytest.approx(1.05)
    assert rows["http-std-inet"]["family_over_unix_s"] == pytest.approx(5e-6, rel=0.01)
    assert rows["http-std-inet"]["family_to_unix_verdict"] == "slower"


def test_equal_rungs_are_not_told_apart() -> None:
    times = {"unix": 10e-6, "unix:dummy=1": 10.02e-6, "inet": 10.01e-6}
    rows = _rows(_results(times, wild=["unix:dummy=1", "inet"]))
    assert rows["unix:dummy=1"]["rung"] == "raw:dummy=1"
    assert rows["unix:dummy=1"]["rung_below"] == "raw"
    assert rows["unix:dummy=1"]["added_verdict"] == "~"
    assert rows["inet"]["family_to_unix_verdict"] == "~"


def test_a_planted_wait_is_found_within_its_interval() -> None:
    times = {"unix": 10e-6, "unix:delay=0": 10.2e-6, "unix:delay=5us": 15.2e-6}
    rows = _rows(_results(times))
    planted = rows["unix:delay=5us"]
    assert planted["rung_below"] == "raw:delay=0"
    assert planted["added_low_s"] <= 5e-6 <= planted["added_high_s"]
    assert planted["added_verdict"] == "slower"
    assert rows["unix:delay=0"]["rung_below"] == "raw"


def test_what_is_no_rung_has_no_place() -> None:
    assert place_of("pipe") is None
    assert place_of("unix:sndbuf=4k:sndbuf=8k") is None  # a file may say so
    assert place_of("unix-seqpacket") is None
    rows = _rows(_results({"pipe": 10e-6, "unix": 12e-6}))
    assert all(pd.isna(rows["pipe"][key]) for key in LADDER_COLUMNS)


def test_every_transport_of_a_rung_has_its_place() -> None:
    for rung in RUNGS:
        for family, transport in rung.transports.items():
            place = place_of(transport)
            assert place is not None
            assert (place.name, place.family) == (rung.name, family)
    assert set(TOPS) <= {rung.name for rung in RUNGS}


@pytest.mark.parametrize("rung", RUNGS, ids=[rung.name for rung in RUNGS])
def test_the_page_of_the_ladder_has_every_rung(rung: Rung) -> None:
    text = (ROOT / "docs/ladder.md").read_text(encoding="utf-8")
    below = "" if rung.below is None else f"`{rung.below}`"
    assert f"| `{rung.name}` | {below} | {rung.adds} |" in text


def test_too_few_launches_decide_nothing() -> None:
    rows = _rows(_results({"unix": 10e-6, "framed-unix": 20e-6}, rounds=5))
    assert pd.isna(rows["framed-unix"]["added_verdict"])
    assert rows["framed-unix"]["added_s"] == pytest.approx(10e-6, rel=0.01)


def test_a_difference_is_that_of_turns_where_launches_took_turns() -> None:
    slow, fast = {1: [12.0, 22.0, 32.0]}, {1: [10.0, 20.0, 30.0]}
    found = alternating_difference(slow, fast)
    assert found is not None
    assert found.estimate == 2.0
    assert found.interval is None
    unequal = alternating_difference({1: [5.0]}, {1: [1.0, 2.0, 3.0]})
    assert unequal is not None
    assert unequal.estimate == 3.0
    assert alternating_difference({1: [1.0]}, {2: [1.0]}) is None


TOP = {"unix": 16e-6, "inet": 20e-6, "http-uvicorn-unix": 293e-6, "http-uvicorn-inet": 297e-6}


def test_the_sentence_says_what_is_the_socket_and_what_the_family_saves() -> None:
    assert _said(TOP) == (
        "of 297 µs a request (http-uvicorn, 64 B, AF_INET), 20.0 µs are the socket;"
        " choosing AF_UNIX saves 4.00 µs of them (1.3%; 95%: 3.99 to 4.01 µs)"
    )


def test_the_sentence_has_its_facts_for_programs() -> None:
    heading, *_ = ladder_parts(frame.analyse(_results(TOP)))
    assert isinstance(heading, Heading)
    assert heading.about == {
        "case": "latency/http-uvicorn-inet/64/python/same-core",
        "rung": "http-uvicorn",
        "family": "inet",
        "time_median_s": pytest.approx(297e-6, rel=0.01),
        "socket_s": pytest.approx(20e-6, rel=0.01),
        "saved_s": pytest.approx(4e-6, rel=0.01),
        "saved_low_s": pytest.approx(4e-6, rel=0.01),
        "saved_high_s": pytest.approx(4e-6, rel=0.01),
    }


def test_the_sentence_claims_nothing_that_is_not_decided() -> None:
    assert _said(TOP, wild=["http-uvicorn-unix"]).endswith("; no difference to AF_UNIX can be told")
    assert _said(TOP, rounds=5).endswith(
        ", no difference to the socket alone can be told; no difference to AF_UNIX can be told"
    )


def test_the_sentence_says_where_the_other_family_costs_more() -> None:
    said = _said(TOP | {"http-uvicorn-unix": 330e-6})
    assert said.endswith("; choosing AF_UNIX costs 33.0 µs more (11%; 95%: 32.9 to 33.1 µs)")


def test_the_sentence_is_about_the_best_known_rung_that_was_measured() -> None:
    more = {"rpc-grpc-unix": 400e-6, "rpc-grpc-inet": 410e-6}
    assert "(http-uvicorn," in _said(TOP | more)
    sockets = {name: TOP[name] for name in ("unix", "inet")}
    assert "(rpc-grpc," in _said(sockets | more)
    assert _said({"unix": 16e-6, "http-std-unix": 100e-6}) == (
        "of 100 µs a request (http-std, 64 B, AF_UNIX), 16.0 µs are the socket"
    )


def test_there_is_no_sentence_without_a_request() -> None:
    analysis = frame.analyse(_results({"unix": 16e-6, "framed-unix": 18e-6}))
    assert headline(of_ladder(analysis.cases), analysis.launches) is None


def test_no_sentence_is_about_two_machines() -> None:
    analysis = frame.analyse(_results(TOP))
    rungs = of_ladder(analysis.cases)
    machines = [str(number) for number in range(len(rungs))]
    assert headline(rungs.assign(machine_key=machines), analysis.launches) is None


def test_a_table_has_its_rungs_in_the_order_of_the_ladder() -> None:
    analysis = frame.analyse(_results({"http-std-unix": 9e-6, "framed-unix": 8e-6, "unix": 10e-6}))
    (grid,) = [part for part in ladder_parts(analysis) if isinstance(part, Grid)]
    assert [row.cells[0].text for row in grid.rows] == ["raw", "framed", "http-std"]
    assert grid.about["family"] == "unix"
    keys = [column.key for column in grid.columns]
    assert len(keys) == len(set(keys))


def test_a_rung_that_is_not_there_says_so_in_its_row() -> None:
    results = _results({"unix": 10e-6, "framed-unix": 12e-6})
    missing = Case("latency", "rpc-grpc-unix", 64, placement="same-core")
    results.add_unmeasured(missing, "n/a", "grpcio isn't installed: pip install 'ipcbench[grpc]'")
    (grid,) = [part for part in ladder_parts(frame.analyse(results)) if isinstance(part, Grid)]
    assert [cell.text for cell in grid.rows[-1].cells[:2]] == ["rpc-grpc", "n/a"]
    assert grid.rows[-1].status == "n/a"


def test_threads_are_shown_where_they_are_known() -> None:
    facts: Metadata = {"threads_client_count": 3, "threads_server_count": 7}
    case = Case("latency", "unix", 64, placement="same-core")
    results = replayed({case: [[1e-5]] * 6}, 6, facts=facts)[0]
    (grid,) = [part for part in ladder_parts(frame.analyse(results)) if isinstance(part, Grid)]
    titles = [column.title for column in grid.columns]
    assert grid.rows[0].cells[titles.index("threads")].text == "3+7"
    (without,) = [
        part
        for part in ladder_parts(frame.analyse(_results({"unix": 1e-5})))
        if isinstance(part, Grid)
    ]
    assert "threads" not in [column.title for column in without.columns]


@pytest.mark.parametrize(
    ("added_s", "verdict", "text"),
    [
        (4.1e-6, "slower", "+4.10 µs"),
        (-2e-6, "faster", "-2.00 µs"),
        (1e-8, "~", "~ +10.0 ns"),
        (1e-6, None, "? +1.00 µs"),
    ],
)
def test_what_is_added_has_its_sign_and_its_doubt(
    added_s: float, verdict: str | None, text: str
) -> None:
    assert added_text(added_s, verdict) == text


def test_an_interval_names_its_unit_once_where_it_is_one() -> None:
    assert added_interval_text(3.9e-6, 4.2e-6) == "+3.90 to +4.20 µs"
    assert added_interval_text(-45e-9, 1.2e-6) == "-45.0 ns to +1.20 µs"
    assert added_interval_text(1e-6, None) == ""


def test_the_page_is_made_of_a_sentence_tables_and_a_legend() -> None:
    stream = io.StringIO()
    console.show(ladder_parts(frame.analyse(_results(TOP))), stream)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert lines[0].startswith("of 297 µs a request (http-uvicorn, 64 B, AF_INET), 20.0 µs are")
    assert [line for line in lines if line.startswith("Ladder")] == [
        "Ladder over AF_UNIX, round trip, 64 B, same-core, python loop",
        "Ladder over AF_INET, round trip, 64 B, same-core, python loop",
    ]
    assert lines[-2].startswith("added: ")
    assert lines[-1].startswith("CPU: ")


def test_the_signs_in_the_tables_are_explained() -> None:
    def signs(**how: Any) -> list[str]:
        parts = ladder_parts(frame.analyse(_results(TOP, **how)))
        return [part.text[:2] for part in parts if isinstance(part, Line)]

    assert signs() == ["ad", "CP"]
    assert signs(rounds=5) == ["ad", "CP", "?:"]
    assert signs(wild=["http-uvicorn-unix"]) == ["ad", "CP", "~:"]


def test_the_socket_alone_is_no_ladder() -> None:
    assert not has_rungs(frame.cases(_results({"unix": 1e-5, "inet": 2e-5})))
    assert has_rungs(frame.cases(_results({"unix": 1e-5, "framed-unix": 2e-5})))


def test_the_usual_ladder_is_every_rung_that_there_is_at_one_placement() -> None:
    usual = plan_of("ladder")
    planned = [*map(Case.parse, usual.intent.cases), *(case for case, _ in usual.impossible)]
    rungs = {case.transport for case in planned if not get_transport(case.transport).is_control}
    there = {
        name
        for rung in RUNGS
        for family, name in rung.transports.items()
        if family in USUAL_LADDER.families and name in TRANSPORTS
    }
    assert rungs == there
    assert {case.placement for case in planned} == {"same-core"}
    assert {case.workload for case in planned} == {"latency"}
    assert usual.intent.question == "ladder"
    assert usual.intent.budget_s is not None
    assert usual.intent.budget_s < 300


def test_the_slow_rung_is_measured_with_the_first_size_alone() -> None:
    slow = [rung for rung in RUNGS if rung.name == "http-std-default"]
    assert USUAL_LADDER.at_first == tuple(slow[0].transports.values())
    request = replace(USUAL_LADDER, rungs=("raw",), at_first=("inet",), seed=1)
    sizes = [case.message_size_bytes for case in choose(request).possible]
    assert sizes.count(64) == sizes.count(1024) + 1


def test_rungs_may_have_knobs_and_stand_over_each_family() -> None:
    request = Request(rungs=("raw", "raw:delay=5us"), families=("unix", "inet6"), sizes=(64,))
    chosen = choose(replace(request, workloads=("latency",)))
    found = [case.transport for case in chosen.possible]
    assert found == ["unix", "unix:delay=5us", "inet6", "inet6:delay=5us", "null"]


def test_a_rung_that_cannot_run_is_there_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "install it with: pip install 'ipcbench[stack]'"
    monkeypatch.setattr(type(get_transport("mp-connection")), "unavailable", lambda _: reason)
    request = Request(rungs=("raw", "mp-connection"), families=("unix",), sizes=(64,))
    chosen = choose(replace(request, workloads=("latency",)))
    assert [(case.transport, why) for case, why in chosen.impossible] == [("mp-connection", reason)]
    assert [case.transport for case in chosen.possible] == ["unix", "null"]


def test_a_ladder_without_a_rung_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "registered", lambda: ("pipe",))
    with pytest.raises(UsageError, match="raw: no such rung over unix"):
        choose(Request(rungs=("raw",), families=("unix",)))


def test_a_whole_table_of_the_ladder_can_take_turns() -> None:
    table = sum(family in rung.transports for rung in RUNGS for family in FAMILIES)
    assert table < MOST_OF_LADDER


def test_all_rungs_of_a_size_take_turns_where_the_machine_has_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "pairs_at_once", lambda _, most: most)
    assert plan_of("ladder").effort.together == MOST_OF_LADDER
    assert plan_of("compare").effort.together == MOST_TOGETHER


def test_quick_is_a_number_of_rounds_within_the_budget() -> None:
    from ipcbench.cli.commands import parser
    from ipcbench.cli.ladder import settle

    args = parser().parse_args(["ladder", "--quick"])
    settle(args)
    assert args.rounds == 6
    args = parser().parse_args(["ladder", "--quick", "--rounds=9"])
    settle(args)
    assert args.rounds == 9
    args = parser().parse_args(["ladder", "--quick", "--resume=run.json"])
    settle(args)
    assert args.rounds == 6
    args = parser().parse_args(["ladder"])
    settle(args)
    assert args.rounds is None


def test_results_keep_the_question_they_were_made_for() -> None:
    from ipcbench.analysis.ladder import asked_for

    case = Case("latency", "unix", 64)
    results = Results()
    results.add_launch(case, launch(case, [1e-5]), {**RUN_METADATA, "round": 1})
    assert not asked_for(results)
    results.add_launch(
        case, launch(case, [1e-5]), {**RUN_METADATA, "round": 2, "question": "ladder"}
    )
    assert asked_for(results)


def test_the_page_has_a_section_for_a_ladder_alone() -> None:
    analysis = frame.analyse(_results(TOP))
    document = page.page(analysis, [])
    assert 'id="ladder"' in document
    assert "choosing AF_UNIX saves 4.00 µs of them" in document
    without = page.page(frame.analyse(_results({"unix": 1e-5, "inet": 2e-5})), [])
    assert 'id="ladder"' not in without


def test_markdown_has_the_tables_of_a_ladder_if_asked() -> None:
    analysis = frame.analyse(_results(TOP))
    assert "Ladder over" not in markdown_text(analysis)
    assert markdown_text(analysis, ladder=True).startswith("**of 297 µs a request")


def test_a_ladder_has_two_pictures_that_say_what_they_show() -> None:
    results = _results(TOP | {"framed-unix": 18e-6})
    analysis = frame.analyse(results)
    found = [
        picture
        for picture in pictures(Subject(analysis.cases, analysis.launches, ()))
        if picture.part == "ladder"
    ]
    assert [picture.name for picture in found] == [
        "ladder-64-same-core-python",
        "families-64-same-core-python",
    ]
    assert "AF_UNIX: raw 16.0 µs, framed 18.0 µs, http-uvicorn 293 µs." in found[0].says
    assert "AF_INET: raw 1.25x, http-uvicorn 1.01x." in found[1].says
    assert all(drawing.svg_of(picture.chart).startswith("<svg") for picture in found)


def test_a_ratio_off_the_scale_of_all_others_is_told_and_not_drawn() -> None:
    nagle = {"http-std-default-unix": 100e-6, "http-std-default-inet": 40e-3}
    analysis = frame.analyse(_results(TOP | nagle))
    found = {one.name: one for one in pictures(Subject(analysis.cases, analysis.launches, ()))}
    picture = found["families-64-same-core-python"]
    assert picture.note is not None
    assert "off this scale: http-std-default over AF_INET, 400x" in picture.note
    assert "http-std-default 400x" in picture.says
    drawn = drawing.svg_of(picture.chart)
    assert "http-uvicorn" in drawn
    assert "http-std-default" not in drawn


def test_a_ladder_of_few_launches_which_has_no_intervals_is_drawn_and_shown() -> None:
    analysis = frame.analyse(_results(TOP, rounds=2))
    found = pictures(Subject(analysis.cases, analysis.launches, ()))
    assert {picture.name for picture in found if picture.part == "ladder"} == {
        "ladder-64-same-core-python",
        "families-64-same-core-python",
    }
    assert 'id="ladder"' in page.page(analysis, [])


def test_what_a_rung_takes_off_is_drawn_as_well() -> None:
    results = _results({"unix": 10e-6, "framed-unix": 1e-6})
    analysis = frame.analyse(results)
    drawn = [
        picture
        for picture in pictures(Subject(analysis.cases, analysis.launches, ()))
        if picture.part == "ladder"
    ]
    assert [picture.name for picture in drawn] == ["ladder-64-same-core-python"]
    assert drawing.svg_of(drawn[0].chart).startswith("<svg")
