import json
from pathlib import Path

import pyperf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import store
from ipcbench.results.collection import merge
from ipcbench.results.launches import by_case
from ipcbench.results.store import Results
from tests.replay import RUN_METADATA, launch, replayed

UNIX, PIPE = Case("latency", "unix", 64), Case("latency", "pipe", 64)
DATA = Path(__file__).parent.parent / "data"


def _results() -> Results:
    results, _, _ = replayed({UNIX: [[1e-5, 2e-5], [3e-5]], PIPE: [[1e-5], "boom"]}, rounds=2)
    return results


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    results = _results()
    store.save(results, path)
    loaded = store.load(path)
    assert by_case(loaded.launches()) == by_case(results.launches())
    counts = {case: len(rounds) for case, rounds in loaded.finished().items()}
    assert counts == {UNIX: 2, PIPE: 1}
    assert loaded.unmeasured == results.unmeasured
    assert store.dumps(loaded) == path.read_text()


def test_pyperf_reads_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    store.save(_results(), path)
    suite = pyperf.BenchmarkSuite.load(str(path))
    assert sorted(suite.get_benchmark_names()) == [PIPE.id, UNIX.id]


def test_neither_host_name_nor_user_paths_are_kept() -> None:
    text = store.dumps(_results())
    assert "secret-host" not in text
    assert "/home/" not in text


def test_a_run_of_failures_alone_can_be_stored_too() -> None:
    results = Results()
    results.add_unmeasured(UNIX, "failed", "it\nbroke")
    loaded = store.loads(store.dumps(results), "x")
    assert list(loaded.launches()) == []
    assert loaded.unmeasured[UNIX.id].reason == "it broke"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is nested deeper than 16 levels"),
        ("[]", "not a pyperf file"),
        ('{"a": 1}', "not a pyperf file"),
        ('{"version": "1.0", "benchmarks": []}', "holds no results"),
        ('{"version": "1.0", "benchmarks": 5}', "not a readable pyperf file"),
        ('{"version": "9.0", "benchmarks": [{}]}', "not a readable pyperf file"),
        ('{"version": "1.0", "benchmarks": [{"runs": "x"}]}', "not a readable pyperf file"),
    ],
)
def test_a_text_that_is_no_result_file_gets_one_line(text: str, says: str) -> None:
    with pytest.raises(ResultsError, match=says) as caught:
        store.loads(text, "FILE")
    assert "\n" not in str(caught.value)


def test_a_pyperf_file_of_somebody_else_is_named_as_such() -> None:
    run = pyperf.Run([1.0], metadata={"name": "json_dumps"}, collect_metadata=False)
    suite = pyperf.BenchmarkSuite([pyperf.Benchmark([run])])
    with pytest.raises(ResultsError, match="isn't ipcbench's: 'json_dumps'"):
        store.loads(json.dumps(suite._as_json()), "FILE")


def test_a_file_of_a_later_format_is_refused() -> None:
    text = store.dumps(_results()).replace('"ipcbench_format":2', '"ipcbench_format":3')
    with pytest.raises(ResultsError, match="has format 3; this ipcbench reads format 1 to 2"):
        store.loads(text, "FILE")


@given(st.data())
def test_a_mutated_file_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    text = (DATA / "run.json").read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 40))
    mutated = text[:at] + data.draw(st.text(max_size=5)) + text[at + length :]
    refusal = ""
    try:
        store.loads(mutated, "FILE")
    except ResultsError as error:
        refusal = str(error)
    assert "\n" not in refusal


def test_a_folder_a_missing_file_and_bytes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is a folder"):
        store.load(tmp_path)
    with pytest.raises(ResultsError, match="isn't there"):
        store.load(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultsError, match="is not text"):
        store.load(tmp_path / "bytes.json")


def test_merging_pools_the_launches_of_different_runs() -> None:
    one, other = Results(), Results()
    one.add_launch(UNIX, launch(UNIX, [1e-5]), RUN_METADATA | {"run_id": "a", "round": 1})
    other.add_launch(UNIX, launch(UNIX, [2e-5]), RUN_METADATA | {"run_id": "b", "round": 1})
    merged = merge([("a.json", one), ("b.json", other)])
    assert [one.values_s for one in merged.launches()] == [(1e-5,), (2e-5,)]


def test_merging_one_run_with_itself_is_refused() -> None:
    with pytest.raises(ResultsError, match="hold the same run"):
        merge([("a.json", _results()), ("b.json", _results())])


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.mkdir()
    (path / "in the way").touch()
    with pytest.raises(ResultsError, match="can't be written"):
        store.save(_results(), path)
    assert list(tmp_path.iterdir()) == [path]
