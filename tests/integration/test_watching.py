"""What is shown and told of a run while it goes on."""

import json
from pathlib import Path

from tests.command import QUICK, ipcbench

MEASURED = ("compare", "pipe", "--sizes=64", "--workloads=latency", *QUICK, "-o", "run.json")


def test_the_events_of_a_run_are_in_their_file(tmp_path: Path) -> None:
    done = ipcbench(*MEASURED, "--events", "events.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    names = [line["event"] for line in lines if line["event"] != "warned"]
    assert names == ["began", *["launching", "launched", "launched"] * 2, "ended"]
    assert lines[-1]["why"] == "complete"
    measured = [line for line in lines if line["event"] == "launched" and line["round_number"]]
    assert all(len(line["values_s"]) == 1 for line in measured)
    elapsed = [line["elapsed_s"] for line in lines]
    assert elapsed == sorted(elapsed)


def test_the_events_and_the_results_can_not_be_one_file(tmp_path: Path) -> None:
    refused = ipcbench(*MEASURED, "--events", "run.json", cwd=tmp_path)
    assert refused.returncode == 2
    assert "-o and --events both name run.json" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_quiet_leaves_tables_and_nothing_on_stderr(tmp_path: Path) -> None:
    done = ipcbench(*MEASURED, "--quiet", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Latency (round trip), 64 B" in done.stdout


def test_a_run_that_is_refused_makes_no_log_and_replaces_none(tmp_path: Path) -> None:
    refused = ipcbench("compare", "unxi", "--events", "events.jsonl", cwd=tmp_path)
    assert refused.returncode == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "events.jsonl").write_text("precious")
    ipcbench("compare", "unxi", "--events", "events.jsonl", "--force", cwd=tmp_path)
    assert (tmp_path / "events.jsonl").read_text() == "precious"
