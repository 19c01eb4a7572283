"""`ipcbench ladder --concurrency` measures rungs with many clients, shows them, and goes on."""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.command import QUICK, ROOT, ipcbench, run

pytestmark = pytest.mark.early

_RUNGS = "raw,asyncio-protocol:client=lean,http-std"
_LEAN = "asyncio-protocol:client=lean"


class Done(NamedTuple):
    """A finished command: the file that it made, and what it printed."""

    path: Path
    stdout: str


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The files of a small ladder with one and two clients, and what the command said."""
    path = tmp_path_factory.mktemp("clients") / "ladder.json"
    documents = [
        *("--csv", str(path.with_suffix(".csv")), "--json", str(path.with_name("shown.json"))),
        *("--markdown", str(path.with_suffix(".md"))),
    ]
    given = ("--concurrency=1,2", f"--rungs={_RUNGS}", *QUICK)
    done = ipcbench("ladder", *given, "-o", str(path), *documents)
    assert done.returncode == 0, done.stderr
    return Done(path, done.stdout)


def test_each_rung_is_measured_with_each_number_of_clients(measured: Done) -> None:
    with measured.path.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = {(row["workload"], row["rung"]): row for row in csv.DictReader(file)}
    rungs = _RUNGS.split(",")
    assert set(rows) == {
        *((workload, rung) for workload in ("latency", "latency:clients=2") for rung in rungs),
        ("latency", ""),  # the floor
    }
    assert {row["message_size_bytes"] for row in rows.values()} == {"64"}
    many = {rung: rows["latency:clients=2", rung] for rung in rungs}
    assert {rung: row["server_model"] for rung, row in many.items()} == {
        "raw": "epoll",
        _LEAN: "epoll",
        "http-std": "threads",
    }
    for row in many.values():
        assert int(row["messages_checked_count"]) > 0
        assert float(row["crowd_messages_per_s"]) > 0
        assert 0.5 <= float(row["fairness_jain_ratio"]) <= 1


def test_the_tables_of_one_client_come_first_and_then_those_of_many(measured: Done) -> None:
    text = measured.stdout
    titles = [line.partition(", 64 B")[0] for line in text.splitlines() if ", 64 B, " in line]
    assert [title for title in titles if title.startswith("Ladder over AF_UNIX")] == [
        "Ladder over AF_UNIX, round trip",
        "Ladder over AF_UNIX, messages a second",
        "Ladder over AF_UNIX, round trips by number of clients",
        "Ladder over AF_UNIX, the server's CPU, and fairness",
    ]
    assert "\nWith 2 clients " in text
    assert "latency:clients=2" not in text.partition("payload checks")[0]
    assert "witnessed by the kernel: 7 of 7 launches" in text


def test_the_documents_have_the_same_tables(measured: Done) -> None:
    shown: dict[str, Any] = json.loads(measured.path.with_name("shown.json").read_text())
    (grid,) = (
        part
        for part in shown["parts"]
        if part["kind"] == "grid" and "messages a second" in part["title"]
    )
    assert [row["label"] for row in grid["rows"]] == _RUNGS.split(",")
    assert all(row["values"]["clients_2_messages_per_s"] > 0 for row in grid["rows"])
    markdown = measured.path.with_suffix(".md").read_text()
    assert "**Ladder over AF\\_UNIX, messages a second, 64 B" in markdown


def test_a_file_shows_the_same_and_is_gone_on_with(measured: Done) -> None:
    path = measured.path
    assert ipcbench("report", str(path)).stdout == measured.stdout
    asked = ("--concurrency=1,2", f"--rungs={_RUNGS}", *QUICK)
    into = ("--resume", str(path), "--csv", str(path.with_name("again.csv")))
    again = ipcbench("ladder", *into, *asked)
    assert again.returncode == 0, again.stderr
    assert "is left to measure" in again.stderr
    refused = ipcbench("ladder", *into, *asked[1:], "--concurrency=1,2,4", "--force")
    assert refused.returncode == 2
    assert "was begun with other numbers of clients" in refused.stderr


def test_the_claim_about_uvloop_is_answered_below_the_tables(tmp_path: Path) -> None:
    pytest.importorskip("uvloop", reason="uvloop isn't installed")
    rungs = "asyncio-protocol:client=lean,uvloop-protocol:client=lean"
    given = ("--concurrency=2", f"--rungs={rungs}", "--placement=same-core", *QUICK)
    done = ipcbench("ladder", *given, "-o", "l.json", "--csv", "l.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        '"uvloop makes asyncio 2 to 4 times faster"\n'
        "-> can't tell here: the server and its clients share a CPU (0 of 1 comparison decided)"
    ) in done.stdout
    judged = ipcbench("claims", "l.json", cwd=tmp_path)
    assert "can't tell here: the server and its clients share a CPU" in judged.stdout


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ("0", "'0' is no number of clients: write a whole number, 1 to 256"),
        ("-1", "'-1' is no number of clients"),
        ("abc", "'abc' is no number of clients"),
        ("", "list of client counts has an empty name"),
        ("8,8", "client count 8 is named twice"),
        ("1000", "'1000' is no number of clients"),
    ],
)
def test_a_bad_number_of_clients_is_refused_in_one_line(
    numbers: str, said: str, tmp_path: Path
) -> None:
    done = ipcbench("ladder", f"--concurrency={numbers}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


def test_more_clients_than_the_limits_allow_are_refused_in_one_line(tmp_path: Path) -> None:
    words = ["ipcbench", "ladder", "--rungs=raw", "--concurrency=1,200", "-o", "l.json"]
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512));"
        f" sys.argv = {words!r}; runpy.run_module('ipcbench', run_name='__main__')"
    )
    done = run("-c", limited, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "a process may open 512 files, which fits" in line
    assert "not 200" in line
    assert not list(tmp_path.iterdir())


def test_the_bench_script_of_the_ladder_takes_numbers_of_clients(tmp_path: Path) -> None:
    given = ("--rungs=raw", "--concurrency=2", *QUICK, "-o", "l.json", "--csv", "l.csv")
    done = run(str(ROOT / "bench/ladder.py"), *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Ladder over AF_UNIX, messages a second, 64 B" in done.stdout
    assert "With 2 clients " in done.stdout
