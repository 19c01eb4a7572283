"""Each trap is sprung here, by the command that docs/traps.md has for it, and flagged."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbench.system.cpus import allowed_cpus
from ipcbench.transports.registry import get_transport
from tests.command import ipcbench

LITTLE = ("--rounds=1", "--values=3", "--warmups=0", "--min-time=10ms", "--no-lock", "--quiet")
_STALL_S = 0.036
_ATTEMPTS = 3
"""Runs in which a writer may sleep; with other work on the machine it sometimes doesn't."""


def _rows(path: Path, *words: str) -> Iterator[dict[str, str]]:
    """The rows of the CSV of a small run, mechanisms only."""
    output = ("-o", str(path.with_suffix(".json")), "--csv", str(path))
    done = ipcbench("compare", *words, *LITTLE, *output)
    assert done.returncode == 0, done.stderr
    with path.open(encoding="utf-8", newline="") as file:
        yield from (row for row in csv.DictReader(file) if row["role"] == "mechanism")


def test_multiprocessing_over_tcp_waits_for_a_delayed_ack(tmp_path: Path) -> None:
    name = "mp-connection-inet"
    reason = get_transport(name).unavailable()
    if reason is not None:
        pytest.skip(reason)
    words = (name, f"{name}:nodelay=on", "--workloads=latency", "--sizes=16384,20000")
    made = _rows(tmp_path / "nagle.csv", *words, "--placement=same-core")
    rows = {(row["transport"], row["message_size_bytes"]): row for row in made}
    time_s = float(rows[name, "20000"]["time_median_s"])
    if time_s < _STALL_S:
        pytest.skip(f"no ACK was delayed, or few were: {time_s} s a round trip")
    flagged = [key for key, row in rows.items() if "delayed-ack" in row["flags"].split(";")]
    assert flagged == [(name, "20000")]


def test_http_server_as_it_comes_waits_for_a_delayed_ack_over_tcp_only(tmp_path: Path) -> None:
    slow = "http-std-default-inet"
    reason = get_transport(slow).unavailable()
    if reason is not None:
        pytest.skip(reason)
    words = ("http-std-default-unix", slow, f"{slow}:nodelay=on", "--workloads=latency")
    made = _rows(tmp_path / "http.csv", *words, "--sizes=64", "--placement=same-core")
    rows = {row["transport"]: row for row in made}
    assert {row["status"] for row in rows.values()} == {"measured"}
    time_s = float(rows[slow]["time_median_s"])
    if time_s < _STALL_S:
        pytest.skip(f"no ACK was delayed, or few were: {time_s} s a round trip")
    assert [name for name, row in rows.items() if "delayed-ack" in row["flags"].split(";")] == [
        slow
    ]


def test_a_stream_of_messages_as_large_as_the_pipe_is_flagged(tmp_path: Path) -> None:
    if len(allowed_cpus()) < 2:
        pytest.skip("on one CPU a message that fills the pipe costs nothing")
    words = ("pipe", "pipe:size=1m", "--workloads=throughput", "--sizes=32k,64k")
    for attempt in range(_ATTEMPTS):
        made = _rows(tmp_path / f"pipe-{attempt}.csv", *words, "--placement=cross-core")
        rows = {(row["transport"], row["message_size_bytes"]): row for row in made}
        full = rows["pipe", "65536"]
        if full["client_pipe_size_bytes"] != "65536":
            pytest.skip(f"a pipe here holds {full['client_pipe_size_bytes']} bytes")
        is_sleeping = float(full["voluntary_switches_client_per_message"]) >= 0.5
        flagged = [key for key, row in rows.items() if "one-message-fills-it" in row["flags"]]
        assert flagged == ([("pipe", "65536")] if is_sleeping else [])
        if is_sleeping:
            return
    pytest.skip("other work kept the reader awake: the writer slept in few messages")
