"""The plan and the counts of tools/defaults.py, which compares knobs at defaults with none."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from ipcbench.case import Case, parse_workload
from ipcbench.results.store import Results
from ipcbench.workloads import DEFINITIONS, WORKLOADS
from tests.replay import Recorded, replayed

ROOT = Path(__file__).parent.parent.parent
TERMS = ("latency:gap=0", "latency:work=0")
JITTER = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.003, 0.997, 1.001)


@pytest.fixture
def defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The tool, which is no part of the package."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    yield importlib.import_module("defaults")
    sys.modules.pop("defaults")


def test_every_knob_with_a_default_is_compared_and_is_the_workload_itself(
    defaults: ModuleType,
) -> None:
    terms_of = defaults.default_terms()
    knobs = {
        f"{workload}:{knob.name}"
        for workload in WORKLOADS
        for knob in DEFINITIONS[workload].knobs
        if knob.default is not None
    }
    terms = [term for terms in terms_of.values() for term in terms]
    assert {term.partition("=")[0] for term in terms} == knobs
    assert set(TERMS) < set(terms)
    assert all(parse_workload(term) in WORKLOADS for term in terms)


def test_as_many_comparisons_as_asked_for_are_planned_among_cases_of_their_own(
    defaults: ModuleType,
) -> None:
    tables = list(defaults.tables(23))
    assert [len(table) for table in tables] == [10, 10, 3]
    for table in tables:
        subjects = {pair.subject for pair in table}
        (other,) = {pair.other for pair in table}
        assert len(subjects) == len(table)
        assert other not in subjects
    terms = {pair.term for table in tables for pair in table}
    assert set(TERMS) < terms


def _results(pairs: list[tuple[Case, Case]], longer: Mapping[Case, float]) -> Results:
    """Launches in which everything takes as long, but for cases that take so much longer."""
    every = dict.fromkeys(case for pair in pairs for case in pair)
    recorded: Recorded = {
        case: [[1e-5 * by * longer.get(case, 1.0)] for by in JITTER] for case in every
    }
    return replayed(recorded, len(JITTER))[0]


def _report(defaults: ModuleType, false: int) -> ModuleType:
    """The report of 20 comparisons of equal things, in some of which one is 20 % slower."""
    compared = []
    for number, table in enumerate(defaults.tables(20)):
        slower = [pair.subject for pair in table][: max(0, false - 10 * number)]
        pairs = [(pair.other, pair.subject) for pair in table]
        results = _results(pairs, dict.fromkeys(slower, 1.2))
        compared += defaults.judged(table, results)
    report: ModuleType = defaults.Report("test", 1, 10, compared, [])
    return report


@pytest.mark.parametrize(("false", "word"), [(0, "ok"), (1, "ok"), (2, "FAILS")])
def test_it_holds_with_at_most_one_of_twenty_equal_things_told_apart(
    defaults: ModuleType, false: int, word: str
) -> None:
    report = _report(defaults, false)
    assert report.false_count == false
    assert report.beside_one_count == false
    assert report.holds == (word == "ok")
    (line,) = [line for line in defaults.rendered(report) if "defaults beside none" in line]
    assert line.startswith(word)
    assert f"{false} of 20 told apart" in line


def test_a_default_that_is_another_workload_fails_however_alike_its_times(
    defaults: ModuleType,
) -> None:
    (table,) = defaults.tables(1)
    other = table[0].other
    subject = table[0].subject._replace(workload="latency:gap=1us")
    pair = defaults.Pair("latency:gap=1us", subject, other)
    compared = defaults.judged([pair], _results([(other, subject)], {}))
    report = defaults.Report("test", 1, 10, compared, [])
    assert report.false_count == 0
    assert not report.holds
    told = "FAILS latency:gap=1us is not latency; 0 of 1 told apart"
    assert told in defaults.rendered(report)


def test_the_loops_that_do_more_are_told_and_not_counted(defaults: ModuleType) -> None:
    table = defaults.nearest_table("same-core")
    assert all(pair.subject.rhythm.least_s > 0 for pair in table)
    pairs = [(pair.other, pair.subject) for pair in table]
    nearest = defaults.judged(table, _results(pairs, {table[0].subject: 1.5}))
    report = defaults.Report("test", 1, 10, _report(defaults, 0).compared, nearest)
    assert report.holds
    assert any("1.500 times as long (1.5" in line for line in defaults.rendered(report))


def test_a_report_is_read_back_as_it_was_written(defaults: ModuleType) -> None:
    report = _report(defaults, 1)
    assert defaults.parsed(defaults.as_json(report)) == report
