"""Every row of the table of workloads has all that tables, pictures, gates and helps make of it."""

from typing import get_args

import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.gates import judged_gates, parse_gate
from ipcbench.analysis.judging import Condition
from ipcbench.case import PLACEMENTS, Case
from ipcbench.cli.options import OPTIONS
from ipcbench.reporters.model import Grid, Line
from ipcbench.reporters.pictures.selection import PARTS, Subject, pictures
from ipcbench.reporters.tables import cases as case_tables
from ipcbench.reporters.tables import columns, diff, overview
from ipcbench.reporters.tables.claim_words import conditions_text
from ipcbench.results import metadata
from ipcbench.results.store import Results
from ipcbench.transports import base
from ipcbench.workloads import DEFINITIONS, WORKLOADS, Workload
from tests.replay import replayed

RATES = {"throughput_messages_per_s", "connections_per_s"}
NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.03, 0.97)
SAMPLED = "round_trip_"
"""How the columns begin that only sampled launches fill."""

every_workload = pytest.mark.parametrize("workload", WORKLOADS)
of_closed_loops = pytest.mark.parametrize(
    "workload", [name for name in WORKLOADS if DEFINITIONS[name].quantity != "response"]
)
"""Workloads whose cases stand beside each other; for the others see test_load_report."""


def _size(workload: Workload) -> int:
    return DEFINITIONS[workload].fixed_size_bytes or 64


def _results(workload: Workload, time_s: float = 1e-5) -> Results:
    """Launches of two transports, of which the one that isn't the baseline is faster."""
    recorded = {
        Case(workload, name, _size(workload)): [[time_s * factor * each] for each in noise]
        for name, factor, noise in (("inet", 1.5, NOISE), ("unix", 1.0, NOISE[::-1]))
    }
    return replayed(recorded, rounds=len(NOISE))[0]


def _analysis(workload: Workload) -> Analysis:
    return frame.analyse(_results(workload))


def _text(grid: Grid, key: str) -> str:
    place = [column.key for column in grid.columns].index(key)
    return grid.rows[0].cells[place].text


def test_the_table_has_each_workload_once() -> None:
    assert set(DEFINITIONS) == set(WORKLOADS)


@every_workload
def test_a_workload_has_words_of_its_own(workload: Workload) -> None:
    words = DEFINITIONS[workload].words
    others = [DEFINITIONS[other].words for other in WORKLOADS if other != workload]
    assert all(words)
    assert words.title not in [other.title for other in others]
    assert words.time not in [other.time for other in others]
    assert words.plural not in [other.plural for other in others]
    assert words.short not in [other.short for other in others]


@every_workload
def test_a_workload_has_a_rate_if_and_only_if_more_of_it_is_better(workload: Workload) -> None:
    row = _analysis(workload).cases.iloc[0]
    filled = {name for name in RATES if row[[name]].notna().all()}
    assert len(filled) == (DEFINITIONS[workload].better == "more")
    assert row["quantity"] == DEFINITIONS[workload].quantity


@of_closed_loops
def test_every_column_of_the_table_of_a_workload_is_filled(workload: Workload) -> None:
    (grid,) = case_tables.tables(_analysis(workload).cases)
    shown = [column.keys[0] for column in columns.table_columns(workload, "inet")]
    assert set(shown) <= set(frame.CASE_COLUMNS)
    assert grid.title.startswith(DEFINITIONS[workload].words.title)
    of_samples = [key for key in shown if key.startswith(SAMPLED)]
    assert bool(of_samples) == DEFINITIONS[workload].samples
    assert all(_text(grid, key) for key in shown if key not in of_samples)


@of_closed_loops
def test_the_overview_has_the_number_of_a_workload_that_people_compare(workload: Workload) -> None:
    (grid,) = overview.overviews(_analysis(workload).cases)
    assert _text(grid, grid.columns[1].key)


@of_closed_loops
def test_a_workload_has_a_picture_of_its_numbers(workload: Workload) -> None:
    analysis = _analysis(workload)
    found = {picture.part for picture in pictures(Subject(analysis.cases, analysis.launches, ()))}
    assert found & {"times", "throughput"}
    assert found <= set(PARTS)


@every_workload
def test_a_gate_on_a_workload_trips_where_it_became_worse(workload: Workload) -> None:
    is_time = DEFINITIONS[workload].better == "less"
    worse, better = (">5%", "<-5%") if is_time else ("<-5%", ">5%")
    comparison = compare_runs(_results(workload), _results(workload, 1.25e-5))
    for gate, outcome in ((worse, "tripped"), (better, "passed")):
        (result,) = judged_gates([parse_gate(workload + gate)], comparison)
        assert [one.outcome for one in result.cases] == [outcome] * 2
    legend = next(part for part in diff.diff_parts(comparison) if isinstance(part, Line))
    assert f"({workload})" in legend.text


@every_workload
def test_the_help_says_what_a_workload_is(workload: Workload) -> None:
    assert f"{workload} (" in OPTIONS["--workloads"].help


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_placement_has_words_in_the_answers_to_claims(placement: str) -> None:
    assert conditions_text([Condition((("placement", (placement,)),))]) != f"on {placement}"


def test_a_row_says_which_control_it_is() -> None:
    labels = {
        role: columns.label({"transport": "it", "role": role}) for role in get_args(metadata.Role)
    }
    assert labels == {
        "mechanism": "it",
        "floor": "it (floor)",
        "ceiling": "it (top)",
        "control": "it (control)",
    }


def test_a_file_may_have_the_role_of_every_transport() -> None:
    assert set(get_args(base.Role)) == set(get_args(metadata.Role)) - {"control"}
