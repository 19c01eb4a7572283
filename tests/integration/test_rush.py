"""`compare --vary connect:clients=N`: what a user sees, in every form."""

import csv
import json
from pathlib import Path

from tests.command import ipcbench


def test_many_clients_that_connect_are_told_in_every_form(tmp_path: Path) -> None:
    done = ipcbench(
        *("compare", "unix", "--vary", "connect:clients=1,3:backlog=1", "--rounds", "2"),
        *("--values", "2", "--min-time", "2ms", "--no-lock", "-o", "run.json"),
        *("--csv", "run.csv", "--json", "all.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "Connections a second against clients, 1 B" in done.stdout
    assert "Connect, fairness and memory against clients" in done.stdout
    assert "witnessed by the kernel: 4 of 4 launches" in done.stdout
    alone, three = csv.DictReader((tmp_path / "run.csv").read_text().splitlines())
    assert (alone["clients_count"], alone["connect_failures"]) == ("1", "")
    assert three["case"].startswith("connect:clients=3:backlog=1/unix/1/python/")
    assert float(three["connections_per_s"]) > 0
    assert float(three["round_trip_p50_s"]) > 0
    assert three["connect_failures"] == "none" or three["connect_failures"].startswith("EAGAIN=")
    assert "connect_failures" in (tmp_path / "all.json").read_text()
    assert json.loads((tmp_path / "run.json").read_text())
    again = ipcbench("report", "run.json", "--csv", "again.csv", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "run.csv").read_text()
