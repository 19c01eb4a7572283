"""What several interpreters measured, in frames, tables and documents."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.crowds import CROWD_COLUMNS, FAILURE_COLUMNS, MEMORY_COLUMNS
from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.judging import judged
from ipcbench.analysis.ladder import LADDER_COLUMNS
from ipcbench.analysis.launch_frame import Measurements
from ipcbench.analysis.load import LOAD_COLUMNS
from ipcbench.analysis.precision import precisions
from ipcbench.case import Case
from ipcbench.reporters import csv_file, json_file, markdown
from ipcbench.reporters.hgrm import hgrm_texts
from ipcbench.reporters.html.page import page
from ipcbench.reporters.model import Grid, Line
from ipcbench.reporters.pictures.selection import Subject, pictures
from ipcbench.reporters.tables import cases as case_tables
from ipcbench.reporters.tables.diff import diff_parts
from ipcbench.reporters.tables.overview import overviews
from ipcbench.reporters.tables.summary import summary
from ipcbench.results import store
from ipcbench.results.collection import merge
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.results.metadata import LATER_COLUMNS
from ipcbench.results.store import Metadata, Results
from ipcbench.run.driver import Run, execute
from tests.replay import RUN_METADATA, Replay, Silent, replayed

UNIX, INET, NULL = (Case("latency", name, 64) for name in ("unix", "inet", "null"))
NEW_FIRST: Metadata = {"interpreters": "new,head"}
FACTS: Mapping[str, Metadata] = {
    "new": {"python": "CPython 3.13.0", "versions": "pyperf 2", "code_version": "abc"},
    "head": {"python": "CPython 3.11.0", "versions": "pyperf 3", "code_version": "def"},
}


def _by(label: str, *cases: Case) -> list[Case]:
    return [case._replace(interpreter=label) for case in cases]


def _run(
    rounds: int = 8,
    samples: str | None = None,
    transports: Sequence[str] = ("unix", "inet", "null"),
) -> Results:
    """A run in which `head` takes half as long again as `new` over unix, and as long elsewhere."""
    times_s = {"new": 1e-5, "head": 1.5e-5}
    recorded = {}
    for label, time_s in times_s.items():
        unix, inet, null = _by(label, UNIX, INET, NULL)
        drift = [1 + number / 10 for number in range(rounds)]
        recorded[unix] = [[time_s * way] * 3 for way in drift]
        wobble = [1.01 if (number % 2) == (label == "new") else 1.0 for number in range(rounds)]
        recorded[inet] = [[2e-5 * way] * 3 for way in wobble]
        recorded[null] = [[1e-8] * 3] * rounds
    recorded = {case: own for case, own in recorded.items() if case.transport in transports}
    results = Results()
    sampled: Metadata = {} if samples is None else {HISTOGRAM_KEY: samples}
    run = Run(
        list(recorded),
        rounds,
        7,
        0.0,
        0.6,
        RUN_METADATA | NEW_FIRST | sampled,
        facts_of=FACTS,
    )
    execute(run, Replay(recorded), results, lambda _: None, Silent())
    return results


def _rows(results: Measurements) -> dict[tuple[str, str], dict[Any, Any]]:
    """The rows of the frame of cases, by transport and interpreter."""
    rows = frame.cases(results).to_dict("records")
    return {(row["transport"], row["interpreter"]): row for row in rows}


@pytest.fixture(scope="module")
def stored() -> Results:
    """The run, through a file."""
    return store.loads(store.dumps(_run()), "run.json")


def test_a_launch_has_its_label_and_the_facts_of_its_interpreter(stored: Results) -> None:
    found = {launch.case.interpreter: launch.facts for launch in stored.launches()}
    assert {label: facts["python"] for label, facts in found.items()} == {
        "new": "CPython 3.13.0",
        "head": "CPython 3.11.0",
    }
    assert all(facts["interpreter"] == label for label, facts in found.items())


def test_each_later_interpreter_is_compared_with_the_first_turn_by_turn(stored: Results) -> None:
    cases = _rows(stored)
    unix, inet = cases[("unix", "head")], cases[("inet", "head")]
    assert unix["first_interpreter"] == "new"
    assert unix["time_to_first_interpreter_ratio"] == pytest.approx(1.5)
    assert unix["time_to_first_interpreter_low_ratio"] == pytest.approx(1.5)
    assert unix["first_interpreter_verdict"] == "slower"
    assert inet["first_interpreter_verdict"] == "~"
    new = cases[("unix", "new")]
    assert all(pd.isna(new[name]) for name in frame.AGAINST_FIRST)


def test_controls_are_judged_apart_from_mechanisms() -> None:
    cases = _rows(_run(6, transports=("unix", "null")))
    unix, null = cases[("unix", "head")], cases[("null", "head")]
    assert 0.05 / 2 < unix["first_interpreter_p_value"] < 0.05, "no discovery among two"
    assert unix["first_interpreter_verdict"] == "slower"
    assert null["first_interpreter_verdict"] == "~"


def test_ratios_to_the_baseline_stay_within_an_interpreter(stored: Results) -> None:
    cases = _rows(stored)
    assert cases[("inet", "head")]["time_to_baseline_ratio"] == 1.0
    ratios = [cases[("unix", label)]["time_to_baseline_ratio"] for label in ("new", "head")]
    assert ratios[1] / ratios[0] == pytest.approx(1.5, rel=0.03)


def test_tables_are_one_for_each_interpreter_in_the_order_that_was_asked_for(
    stored: Results,
) -> None:
    analysis = frame.analyse(stored)
    titles = [part.title for part in summary(analysis, overview=True) if isinstance(part, Grid)]
    assert titles == [
        "All mechanisms, cross-core, python loop, new",
        "All mechanisms, cross-core, python loop, head",
        "Latency (round trip), 64 B, cross-core, python loop, new",
        "Latency (round trip), 64 B, cross-core, python loop, head",
        "Interpreters: head against new, latency (round trip), 64 B, cross-core, python loop",
    ]


def test_the_table_of_interpreters_has_both_times_the_ratio_and_a_verdict(
    stored: Results,
) -> None:
    (grid,) = case_tables.interpreter_tables(frame.cases(stored))
    assert [column.title for column in grid.columns] == [
        *("transport", "new", "head", "head is", "95%", "verdict"),
    ]
    texts = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in grid.rows}
    assert texts["unix"][2:] == ["1.50x slower", "1.50-1.50", "slower"]
    assert texts["inet"][-1] == "~"
    assert grid.about["interpreter"] == "head"
    assert grid.about["first_interpreter"] == "new"


def test_with_few_rounds_there_is_a_ratio_and_no_verdict() -> None:
    analysis = frame.analyse(_run(3))
    (grid,) = case_tables.interpreter_tables(analysis.cases)
    row = next(row for row in grid.rows if row.cells[0].text == "unix")
    assert [cell.text for cell in row.cells[3:]] == ["? 1.50x slower", "", ""]
    lines = [line.text for line in case_tables.footer(analysis.launches, analysis.cases)]
    assert "?: too few launches for a verdict; it takes 6 (--rounds)" in lines


def test_the_footer_tells_what_each_interpreter_is(stored: Results) -> None:
    analysis = frame.analyse(stored)
    lines = [part.text for part in summary(analysis) if isinstance(part, Line)]
    assert "Test CPU, 2 CPUs, kvm; Linux 6.0; by new and head" in lines
    assert "new: CPython 3.13.0, ipcbench 0.1.0 (abc); pyperf 2" in lines
    assert "head: CPython 3.11.0, ipcbench 0.1.0 (def); pyperf 3" in lines


def test_documents_name_the_interpreters(stored: Results) -> None:
    analysis = frame.analyse(stored)
    assert "**Interpreters: head against new, " in markdown.markdown_text(analysis)
    shown = page(analysis, [])
    assert 'id="interpreters"' in shown
    assert "interpreter head" in shown
    assert (
        csv_file.csv_text(analysis.cases)
        .splitlines()[0]
        .endswith(
            ",".join(
                [
                    *("interpreter", *frame.AGAINST_FIRST),
                    *(*LADDER_COLUMNS, *LATER_COLUMNS),
                    *(*frame.RHYTHM, *frame.NEEDS, "ran_out", *frame.IN_FLIGHT),
                    *LOAD_COLUMNS,
                    *CROWD_COLUMNS,
                    *MEMORY_COLUMNS,
                    *FAILURE_COLUMNS,
                ]
            )
        )
    )
    parts = json.loads(json_file.json_text(summary(analysis)))["parts"]
    about = [part["about"] for part in parts if part["kind"] == "grid"]
    assert [one["interpreter"] for one in about] == ["new", "head", "head"]


def test_pictures_and_percentiles_are_one_for_each_interpreter() -> None:
    results = _run(samples=str(Histogram.of([10_000 + number for number in range(2000)])))
    analysis = frame.analyse(results)
    titles = [one.title for one in pictures(Subject(analysis.cases, analysis.launches, ()))]
    for label in ("new", "head"):
        assert f"Single round trips, 64 B, cross-core, python loop, {label}" in titles
        assert sum(title.endswith(f", {label}") for title in titles) == 2
    names = {path.name for path in hgrm_texts(analysis.launches, Path("run.hgrm"))}
    assert "run-unix-64-python-cross-core-head.hgrm" in names


def test_without_interpreters_no_title_and_no_key_tells_of_them() -> None:
    analysis = frame.analyse(replayed({INET: [[1e-5]], UNIX: [[2e-5]]}, rounds=1)[0])
    (grid,) = (part for part in summary(analysis) if isinstance(part, Grid))
    assert grid.title == "Latency (round trip), 64 B, cross-core, python loop"
    assert "interpreter" not in grid.about
    assert next(iter(overviews(analysis.cases))).about == {
        "placement": "cross-core",
        "loop": "python",
    }


def test_a_diff_names_the_interpreter_of_a_change(stored: Results) -> None:
    parts = list(diff_parts(compare_runs(stored, stored)))
    (grid,) = (part for part in parts if isinstance(part, Grid))
    assert [row.cells[0].text for row in grid.rows] == [
        *("latency inet 64 head", "latency inet 64 new"),
        *("latency unix 64 head", "latency unix 64 new"),
    ]


def test_a_claim_is_judged_by_each_interpreter(stored: Results) -> None:
    claim = next(
        one for one in judged(frame.analyse(stored)) if one.claim.name == "unix-beats-inet"
    )
    assert [one.comparison.subject.interpreter for one in claim.compared] == ["head", "new"]


def test_the_precision_of_a_later_interpreter_is_that_of_its_ratio_to_the_first() -> None:
    unix = [Case("latency", "unix", 64, interpreter=label) for label in ("new", "head")]
    chance = [[1e-5], [2e-5], [1.5e-5], [1.2e-5], [3e-5], [1.1e-5]]
    recorded = {unix[0]: chance, unix[1]: [[2 * value[0]] for value in chance]}
    results = replayed(recorded, 6, facts=NEW_FIRST)[0]
    (head,) = precisions(results, "unix")
    assert head.case == unix[1].id
    assert head.half_width == pytest.approx(0, abs=1e-9)


def test_two_runs_of_the_same_interpreters_are_reported_together() -> None:
    one, other = _run(), _run()
    both = merge([("a.json", one), ("b.json", _renamed(other))])
    assert len(list(both.launches())) == 2 * len(list(one.launches()))
    assert _rows(both)[("unix", "head")]["launches_count"] == 16


def _renamed(results: Results) -> Results:
    text = store.dumps(results).replace('"feed"', '"beef"')
    return store.loads(text, "b.json")
