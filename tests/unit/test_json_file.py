"""The shown tables as data."""

import json
from pathlib import Path
from typing import Any

import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.frame import Analysis
from ipcbench.case import Case
from ipcbench.reporters.json_file import json_text
from ipcbench.reporters.model import Blank, Cell, Grid, GridColumn, GridRow, Line, Part
from ipcbench.reporters.tables.diff import diff_parts
from ipcbench.reporters.tables.summary import summary
from ipcbench.results import store
from tests.replay import replayed

ROOT = Path(__file__).parent.parent.parent
INET, UNIX, NULL = (Case("latency", name, 64) for name in ("inet", "unix", "null"))


def _parts(*parts: Part) -> list[dict[str, Any]]:
    document = json.loads(json_text(parts))
    assert document.keys() == {"format", "parts"}
    assert document["format"] == 1
    found: list[dict[str, Any]] = document["parts"]
    return found


def _grids(*parts: Part) -> list[dict[str, Any]]:
    return [part for part in _parts(*parts) if part["kind"] == "grid"]


@pytest.fixture(scope="module")
def stored() -> Analysis:
    return frame.analyse(store.load(ROOT / "tests/data/run.json"))


def test_a_row_has_the_values_of_its_case_in_base_units(stored: Analysis) -> None:
    cases = stored.cases.set_index("case")
    grids = _grids(*summary(stored))
    seen = 0
    for grid in grids:
        for row in grid["rows"]:
            where = grid["about"]
            case = Case(
                where["workload"],
                row["values"]["transport"],
                where["message_size_bytes"],
                where["loop"],
                where["placement"],
            )
            assert row["values"]["time_median_s"] == cases.loc[case.id, "time_median_s"]
            seen += 1
    assert seen == len(cases)


def test_a_column_names_its_values(stored: Analysis) -> None:
    options = {"percentiles": True, "details": True, "overview": True, "claims": True}
    for part in summary(stored, **options):
        if isinstance(part, Grid):
            keys = [column.key for column in part.columns]
            assert len(set(keys)) == len(keys)
            (grid,) = _grids(part)
            assert len(grid["rows"]) == len(part.rows)
            for row in grid["rows"]:
                assert row["kind"] == "heading" or set(keys) <= row["values"].keys()


def test_a_ratio_has_its_verdict_and_its_whole_interval(stored: Analysis) -> None:
    row = _grids(*summary(stored))[0]["rows"][0]["values"]
    low, ratio, high = (row[f"time_to_baseline_{name}ratio"] for name in ("low_", "", "high_"))
    assert low < ratio < high < 1
    assert row["verdict"] == "faster"


def test_a_case_without_a_number_has_its_status_and_nulls() -> None:
    results, _, _ = replayed({INET: [[1e-5]], UNIX: ["boom"], NULL: [[1e-7]]}, rounds=1)
    (grid, *_) = _grids(*summary(frame.analyse(results)))
    said = {row["label"]: (row["kind"], row["status"]) for row in grid["rows"]}
    assert said == {
        "inet": ("normal", "measured"),
        "unix": ("normal", "failed"),
        "null (floor)": ("control", "measured"),
    }
    values = grid["rows"][-1]["values"]
    assert values.pop("transport") == "unix"
    assert set(values.values()) == {None}


def test_a_number_that_is_not_finite_is_null() -> None:
    row = GridRow([Cell("x", float("nan"), {"also": float("inf")})])
    grid = Grid("", [GridColumn("t", "k")], [row], {"about": float("-inf")})
    (document,) = _parts(Blank(), grid)
    assert document["rows"][0]["values"] == {"k": None, "also": None}
    assert document["about"] == {"about": None}


def test_a_row_may_be_a_heading_and_a_line_says_how_it_is_meant() -> None:
    rows = [GridRow([Cell("unix beside inet")], "heading"), GridRow([Cell("a", "b"), Cell("1", 1)])]
    columns = [GridColumn("case", "case", is_number=False), GridColumn("n", "n_count")]
    grid, line = _parts(Grid("", columns, rows), Line("careful", "warning"))
    assert grid["rows"][0] == {
        "kind": "heading",
        "label": "unix beside inet",
        "status": None,
        "values": {},
    }
    assert grid["rows"][1]["values"] == {"case": "b", "n_count": 1}
    assert line == {"kind": "line", "style": "warning", "text": "careful"}


def test_a_change_is_a_share_with_its_interval() -> None:
    old, _, _ = replayed({UNIX: [[1e-5]] * 6}, rounds=6)
    new, _, _ = replayed({UNIX: [[2e-5]] * 6}, rounds=6)
    (grid,) = _grids(*diff_parts(compare_runs(old, new)))
    assert grid["rows"][0]["values"] == {
        "case": UNIX.id,
        "old_time_median_s": 1e-5,
        "new_time_median_s": 2e-5,
        "change_ratio": pytest.approx(1.0),
        "change_low_ratio": pytest.approx(1.0),
        "change_high_ratio": pytest.approx(1.0),
        "verdict": "slower",
    }
