"""Result files of gzip: told by their name, bounded while they are unpacked, refused in a line."""

import gzip
import tracemalloc
from pathlib import Path

import pyperf
import pytest

from ipcbench.case import Case
from ipcbench.cli.main import main
from ipcbench.errors import ResultsError, UsageError
from ipcbench.results import folder, store
from ipcbench.results.files import beside, journal_path, read_text, write_atomically
from ipcbench.results.journal import Journal
from tests.replay import replayed

DATA = Path(__file__).parent.parent / "data"
INET, UNIX = (Case("latency", name, 64) for name in ("inet", "unix"))
MIB = 1024**2


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A real run, recorded once, as `gzip` packs it."""
    path = tmp_path / "run.json.gz"
    path.write_bytes(gzip.compress((DATA / "run.json").read_bytes()))
    return path


def _bomb(path: Path, size_mib: int) -> Path:
    """A gzip file of that many MiB of spaces, about a thousandth in size."""
    path.write_bytes(gzip.compress(b" " * MIB) * size_mib)
    return path


def test_a_packed_file_holds_the_results_of_the_plain_one(packed: Path) -> None:
    assert store.dumps(store.load(packed)) == store.dumps(store.load(DATA / "run.json"))


def test_pyperf_reads_what_is_saved_under_a_packed_name(tmp_path: Path) -> None:
    path = tmp_path / "run.json.gz"
    results, _, _ = replayed({INET: [[1e-5]] * 2, UNIX: [[2e-5]] * 2}, rounds=2)
    store.save(results, path)
    assert set(pyperf.BenchmarkSuite.load(str(path)).get_benchmark_names()) == {INET.id, UNIX.id}
    assert store.dumps(store.load(path)) == store.dumps(results)


def test_equal_results_make_equal_packed_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.json.gz", "b.json.gz")]
    for path in paths:
        write_atomically(path, "{}\n" * 100)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_run_that_is_killed_leaves_a_packed_file_and_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "run.json.gz"
    saver = Journal(path)
    results, _, _ = replayed({UNIX: [[1e-5]] * 5}, rounds=5, save=saver.save)
    assert len(list(store.load(path).launches())) == 5
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert journal_path(path).read_text(encoding="utf-8").count("\n") == 5
    saver.close(results)
    assert not journal_path(path).exists()
    assert len(list(store.load(path).launches())) == 5


def test_report_diff_and_claims_read_packed_files(
    packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = str(DATA / "run.json")
    for command in (["report", "{}"], ["diff", plain, "{}"], ["claims", "{}"]):
        shown = []
        for path in (plain, str(packed)):
            assert main([word.replace("{}", path) for word in command]) == 0
            shown.append(capsys.readouterr().out.replace(path, "FILE"))
        assert shown[0] == shown[1]


@pytest.mark.parametrize("kept", [0, 5, 100, -9, -1])
def test_a_file_that_ends_too_early_is_refused_in_a_line(packed: Path, kept: int) -> None:
    packed.write_bytes(packed.read_bytes()[:kept])
    with pytest.raises(ResultsError) as refused:
        store.load(packed)
    assert "\n" not in str(refused.value)
    # Of nothing at all gzip makes nothing, which is no JSON.
    wanted = "ends too early for a gzip file" if kept else "is not JSON"
    assert str(refused.value).startswith(f"{packed} {wanted}")


@pytest.mark.parametrize("place", [3, 200, -6, -2])
def test_a_damaged_file_is_refused_in_a_line(packed: Path, place: int) -> None:
    content = bytearray(packed.read_bytes())
    content[place] ^= 0xFF
    packed.write_bytes(content)
    with pytest.raises(ResultsError, match=r"run\.json\.gz (is damaged|ends too early)") as refused:
        store.load(packed)
    assert "\n" not in str(refused.value)


def test_a_plain_file_under_a_packed_name_is_refused_by_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "run.json.gz"
    path.write_bytes((DATA / "run.json").read_bytes())
    with pytest.raises(ResultsError, match=r"is not gzip, though its name ends in \.gz"):
        store.load(path)


def test_a_packed_file_under_a_plain_name_is_refused_by_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(ResultsError, match=r"is gzip; give it a name that ends in \.gz"):
        store.load(path)


def test_a_file_is_unpacked_no_further_than_its_bound(tmp_path: Path) -> None:
    path = _bomb(tmp_path / "bomb.json.gz", 100)
    tracemalloc.start()
    try:
        with pytest.raises(ResultsError, match=f"larger than {8 * MIB} bytes when unpacked"):
            read_text(path, 8 * MIB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 * MIB
    assert read_text(_bomb(path, 8), 8 * MIB) == " " * 8 * MIB


def test_a_bomb_of_3_gib_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _bomb(tmp_path / "bomb.json.gz", 3 * 1024)
    assert path.stat().st_size < 4 * MIB
    assert main(["report", str(path)]) == 2
    said = capsys.readouterr().err
    assert said == f"ipcbench: {path} is larger than {256 * MIB} bytes when unpacked\n"


def test_documents_beside_a_packed_file_have_its_name() -> None:
    for name in ("run.json", "run.json.gz", "run.gz"):
        assert beside(Path("results", name), ".csv") == Path("results/run.csv")


def test_a_packed_result_keeps_its_default_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = folder.default_output("cpu", "latency")
    path.parent.mkdir(parents=True)
    path.with_name("latency.json.gz").touch()
    assert folder.default_output("cpu", "latency").name == "latency-2.json"


def test_a_packed_baseline_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = folder.baseline_path("one")
    assert plain.name == "one.json"
    plain.parent.mkdir(parents=True)
    plain.with_name("one.json.gz").touch()
    plain.with_name("two.json").touch()
    assert folder.known_baseline("one").name == "one.json.gz"
    with pytest.raises(UsageError, match="there are: one, two "):
        folder.known_baseline("three")
    plain.touch()
    assert folder.known_baseline("one") == plain
