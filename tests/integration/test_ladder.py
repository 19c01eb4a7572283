"""`ipcbench ladder` measures rungs over families, shows what each adds, and shows files again."""

import csv
from pathlib import Path
from typing import NamedTuple

import pytest

from ipcbench.analysis.ladder import LADDER_COLUMNS
from tests.command import QUICK, ROOT, ipcbench, run

pytestmark = pytest.mark.early

_RUNGS = "raw,raw:delay=0,raw:delay=5ms,mp-connection"
# A verdict of one rung alone among these takes seven rounds, or twelve if one is disturbed.
_LITTLE = ("--sizes=64", "--values=2", "--warmups=0", "--min-time=2ms", "--rounds=12")


class Done(NamedTuple):
    """A finished command: the file that it made, and what it printed."""

    path: Path
    stdout: str


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The file of a small ladder over AF_UNIX, with a planted wait, and what the command said."""
    path = tmp_path_factory.mktemp("ladder") / "ladder.json"
    documents = ("--csv", str(path.with_suffix(".csv")))
    given = (f"--rungs={_RUNGS}", "--families=unix", *_LITTLE)
    done = ipcbench("ladder", *given, "-o", str(path), *documents)
    assert done.returncode == 0, done.stderr
    return Done(path, done.stdout)


def _rows(path: Path) -> dict[str, dict[str, str]]:
    with path.with_suffix(".csv").open(encoding="utf-8") as file:
        return {row["transport"]: row for row in csv.DictReader(file)}


def test_a_planted_wait_is_found_by_the_rung_that_has_it(measured: Done) -> None:
    rows = _rows(measured.path)
    planted = rows["unix:delay=5ms"]
    assert planted["rung_below"] == "raw:delay=0"
    assert planted["added_verdict"] == "slower"
    assert 0.5 < float(planted["added_s"]) / 5e-3 < 3  # others may use the machine
    assert float(planted["added_low_s"]) <= float(planted["added_s"])
    assert rows["mp-connection"]["rung_below"] == rows["unix:delay=0"]["rung_below"] == "raw"
    assert all(rows["null"][name] == "" for name in LADDER_COLUMNS)


def test_the_tables_of_the_ladder_are_shown_and_no_others(measured: Done) -> None:
    text = measured.stdout
    assert text.startswith("Ladder over AF_UNIX, round trip, 64 B, same-core, python loop\n")
    assert "Latency (round trip)" not in text
    assert "witnessed by the kernel: " in text


def test_a_file_of_a_ladder_shows_the_same_tables(measured: Done) -> None:
    assert ipcbench("report", str(measured.path)).stdout == measured.stdout
    details = ipcbench("report", str(measured.path), "--details").stdout
    assert details.startswith(measured.stdout.partition("\n\n")[0])
    assert "Latency (round trip)" in details


def test_a_ladder_is_gone_on_with_by_its_own_plan(measured: Done) -> None:
    path = measured.path
    again = ipcbench("ladder", "--resume", str(path), "--csv", str(path.with_name("again.csv")))
    assert again.returncode == 0, again.stderr
    assert "is left to measure" in again.stderr
    refused = ipcbench("ladder", "--resume", str(path), "--families=inet")
    assert refused.returncode == 2
    assert "was begun with other cases" in refused.stderr


def test_any_run_can_be_shown_as_a_ladder(tmp_path: Path) -> None:
    files = ("-o", "run.json", "--csv", "run.csv")
    done = ipcbench("compare", "unix", "--workloads=latency", *QUICK, *files, cwd=tmp_path)
    assert "Ladder over" not in done.stdout
    text = ipcbench("report", "run.json", "--ladder", cwd=tmp_path).stdout
    assert "Ladder over AF_UNIX, round trip, 1 KiB" in text
    assert "Latency (round trip)" in text


def test_the_bench_script_takes_the_ladders_options(tmp_path: Path) -> None:
    script = str(ROOT / "bench/ladder.py")
    given = ("--rungs=raw", "--families=unix", *QUICK, "-o", "l.json", "--csv", "l.csv")
    done = run(script, *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Ladder over AF_UNIX, round trip, 64 B" in done.stdout
    assert run(script, "pipe").returncode == 2
