"""The table of metadata, beside what the code records and what the documentation says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbench.analysis import frame
from ipcbench.case import Case
from ipcbench.measure.usage import usage
from ipcbench.results import metadata, store
from ipcbench.results.intent import Intent
from ipcbench.results.rules import SCALAR
from ipcbench.run.facts import CommandLine, run_metadata
from tests.replay import launch, replayed

ROOT = Path(__file__).parent.parent.parent
STORED = sorted((*(ROOT / "results").glob("*/*/*.json"), ROOT / "tests/data/run.json"))
INET = Case("latency", "inet", 64)
NOT_RUNS = ("reference", "footprint")
OF_EARLIER_VERSIONS = {"load_before_run", "python_gc"}


def _intent() -> Intent:
    return Intent((INET.id,), 1, 7, 1, 1, 0.01, 30.0, "inet", {"cross-core": None}, 0.03, None)


def _of_stored_files() -> Iterator[str]:
    for path in STORED:
        if not path.stem.startswith(NOT_RUNS):
            for one in store.load(path).launches():
                yield from one.facts


def _of_pairs() -> Iterator[str]:
    """Names that `Pair.facts` writes as they are, from its source."""
    source = ast.parse((ROOT / "ipcbench/measure/pair.py").read_text(encoding="utf-8"))
    (facts,) = (
        node
        for node in ast.walk(source)
        if isinstance(node, ast.FunctionDef) and node.name == "facts"
    )
    for node in ast.walk(facts):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)


def test_every_fact_that_is_recorded_has_a_row_or_a_rule_by_its_ending() -> None:
    recorded = {
        *run_metadata(_intent(), CommandLine("ipcbench compare", "ipcbench compare")),
        *usage().facts("client", 1),
        *launch(INET, [1.0]).facts,
        *(name for one in replayed({INET: [[1.0]]}, 1)[0].launches() for name in one.facts),
        *_of_stored_files(),
        *_of_pairs(),
    }
    unruled = {name for name in recorded if metadata.rule_of(name) is SCALAR}
    assert unruled - metadata.BY_NAME.keys() <= OF_EARLIER_VERSIONS


def test_a_name_has_one_row() -> None:
    assert len(metadata.BY_NAME) == len(metadata.KEYS)


def test_columns_have_places_of_their_own() -> None:
    places = sorted(key.column for key in metadata.KEYS if key.column is not None)
    assert places == list(range(len(metadata.COLUMNS)))


@pytest.mark.parametrize("name", frame.CASE_COLUMNS)
def test_every_column_of_the_csv_is_documented(name: str) -> None:
    documented = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [documented, *(page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md"))]
    assert any(f"`{name}`" in page for page in pages)


def test_what_a_resumed_run_is_held_to_is_of_the_run() -> None:
    names = (*metadata.SAME_TO_RESUME, *metadata.INHERITED)
    assert {metadata.BY_NAME[name].scope for name in names} == {"run"}


def test_what_made_a_caution_before_still_does() -> None:
    names = {key.name for key in metadata.CAUTIONED}
    assert {"machine", "kernel", "python", "ipcbench_version"} <= names
