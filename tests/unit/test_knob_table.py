"""The table of knobs: asked for and read back, from the metadata of launches alone."""

import io
from collections.abc import Sequence

import pandas as pd

from ipcbench.analysis import frame, launch_frame
from ipcbench.case import Case
from ipcbench.cli import console
from ipcbench.reporters.html.page import page
from ipcbench.reporters.json_file import json_text
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.model import Grid
from ipcbench.reporters.tables import cases
from ipcbench.reporters.tables.knobs import knob_parts
from ipcbench.reporters.tables.summary import summary
from ipcbench.results.store import Metadata, Results
from tests.replay import RUN_METADATA, launch

TITLE = "Knobs: asked for, and in force at each end"
_Launch = tuple[str, Metadata]


def _knobs(asked: str | None, client: str | None, server: str | None = None) -> Metadata:
    told = {"knobs_asked": asked, "knobs_client": client, "knobs_server": server or client}
    return {name: text for name, text in told.items() if text is not None}


def _results(launches: Sequence[_Launch]) -> Results:
    """Results of these launches, each a round of its own."""
    results = Results()
    for number, (transport, facts) in enumerate(launches, 1):
        case = Case("latency", transport, 64)
        metadata: Metadata = {"round": number, "run_elapsed_s": float(number)}
        results.add_launch(case, launch(case, [1e-5]), RUN_METADATA | metadata | facts)
    return results


def _table(*launches: _Launch) -> list[list[str]]:
    """The texts of the table's cells, its head first; empty if there is no table."""
    found = knob_parts(launch_frame.launches(_results(launches)))
    grids = [part for part in found if isinstance(part, Grid)]
    if not grids:
        return []
    (grid,) = grids
    return [
        [column.title for column in grid.columns],
        *([cell.text for cell in row.cells] for row in grid.rows),
    ]


UNIX = ("unix", _knobs(None, "sndbuf=208k:rcvbuf=208k"))
SMALL = ("unix:sndbuf=4k", _knobs("sndbuf=4k", "sndbuf=8k:rcvbuf=208k"))


def test_without_a_knob_that_was_set_there_is_no_table() -> None:
    assert _table(UNIX) == []
    assert _table(("unix", {})) == []
    assert list(knob_parts(pd.DataFrame())) == []


def test_the_default_stands_beside_what_was_set_with_the_knobs_that_were() -> None:
    inet = ("inet", _knobs(None, "sndbuf=2m:rcvbuf=1m:nodelay=on"))
    assert _table(SMALL, inet, UNIX) == [
        ["transport", "asked", "client sndbuf", "server sndbuf"],
        ["unix", "-", "208k", "208k"],
        ["unix:sndbuf=4k", "sndbuf=4k", "8k", "8k"],
    ]


def test_values_in_which_launches_differ_are_joined_the_least_first() -> None:
    seen = [
        ("unix:sndbuf=4k", _knobs("sndbuf=4k", f"sndbuf={size}", "sndbuf=1m"))
        for size in ("16k", "8k", "16k")
    ]
    assert _table(*seen)[1] == ["unix:sndbuf=4k", "sndbuf=4k", "8k, 16k", "1m"]
    many = [
        ("unix:sndbuf=4k", _knobs("sndbuf=4k", f"sndbuf={size}")) for size in ("9", "8", "7k", "1m")
    ]
    assert _table(*many)[1] == ["unix:sndbuf=4k", "sndbuf=4k", "8 to 1m", "8 to 1m"]


def test_rows_are_in_the_order_of_the_values_whatever_that_of_the_launches() -> None:
    sizes = ("1m", "4k", "64k")
    rows = _table(*((f"unix:sndbuf={size}", _knobs(f"sndbuf={size}", None)) for size in sizes))
    assert [row[0] for row in rows[1:]] == [f"unix:sndbuf={size}" for size in ("4k", "64k", "1m")]


def test_a_name_of_its_own_for_knobs_stands_below_its_transport() -> None:
    large = ("pipe-1m", _knobs("size=1m", "size=1m"))
    assert [row[0] for row in _table(large, ("pipe", _knobs(None, "size=64k")))[1:]] == [
        *("pipe", "pipe-1m"),
    ]


def test_a_knob_that_nobody_reads_back_was_asked_for_all_the_same() -> None:
    assert _table(("null", {}), ("null:dummy=1", _knobs("dummy=1", None))) == [
        *(["transport", "asked"], ["null", "-"], ["null:dummy=1", "dummy=1"]),
    ]


def test_it_is_of_any_transport_that_a_file_tells_of() -> None:
    foreign = ("xyzzy:gear=3", _knobs("gear=3", "gear=3"))
    assert _table(foreign)[1] == ["xyzzy:gear=3", "gear=3", "3", "3"]


def test_terminal_markdown_page_and_json_have_it_below_the_tables_of_cases() -> None:
    analysis = frame.analyse(_results([UNIX, SMALL]))
    stream = io.StringIO()
    console.show(summary(analysis), stream)
    assert stream.getvalue().count(TITLE) == 1
    assert stream.getvalue().index("Latency (round trip)") < stream.getvalue().index(TITLE)
    assert "twice what it was asked for" in stream.getvalue()
    assert "| unix:sndbuf=4k | sndbuf=4k | 8k | 8k |" in markdown_text(analysis)
    assert '<td class="text">sndbuf=4k</td>' in page(analysis, [])
    assert '"client_sndbuf": "8k"' in json_text(summary(analysis))
    assert TITLE not in json_text(summary(analysis, tables=False))


_BBR, _CUBIC = _knobs(None, "nodelay=on:congestion=bbr"), _knobs(None, "congestion=cubic")


def _foot(*launches: _Launch) -> list[str]:
    analysis = frame.analyse(_results(launches))
    lines = cases.footer(analysis.launches, analysis.cases)
    return [line.text for line in lines if line.text.startswith("TCP")]


def test_the_foot_names_the_congestion_control_of_tcp() -> None:
    assert _foot(("inet", _BBR), ("inet6", _BBR), UNIX) == ["TCP: bbr at both ends"]
    assert _foot(UNIX, ("inet", {})) == []


def test_the_foot_names_each_congestion_control_with_its_transports() -> None:
    assert _foot(("inet", _BBR), ("inet6", _BBR), ("inet:congestion=cubic", _CUBIC)) == [
        "TCP: bbr at both ends (inet, inet6); cubic at both ends (inet:congestion=cubic)"
    ]


def test_the_foot_tells_ends_with_unlike_congestion_controls_apart() -> None:
    unlike = _knobs(None, "congestion=bbr", "congestion=cubic")
    assert _foot(("inet", unlike)) == ["TCP: bbr at the client, cubic at the server"]
    assert _foot(("inet", {"knobs_client": "congestion=bbr"})) == ["TCP: bbr at the client"]


def test_page_and_markdown_name_the_congestion_control() -> None:
    analysis = frame.analyse(_results([("inet", _BBR)]))
    assert '<p class="quiet">TCP: bbr at both ends</p>' in page(analysis, [])
    assert "TCP: bbr at both ends" in markdown_text(analysis)
