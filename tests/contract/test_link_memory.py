"""The memory of a client's link in the kernel, on this kernel."""

import mmap
import os
from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.measure.crowd import Crowd
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport

_COMMON_S = 0.002
"""Seconds of a batch that has all clients at work."""


def _facts(case: Case, directory: Path) -> dict[str, int | float | str]:
    reason = get_transport(case.transport).unavailable()
    if reason is not None:
        pytest.skip(reason)
    messages = 64
    with Crowd(case, None, Workspace(directory)) as crowd:
        while crowd.calibrate(messages) < _COMMON_S:
            messages *= 2
        crowd.run(messages)
        crowd.check()
        return crowd.facts()


@pytest.mark.parametrize("workload", ["latency", "throughput"])
@pytest.mark.parametrize(
    ("name", "idle", "way"),
    [
        ("unix", True, "SK_MEMINFO"),
        ("inet", True, "SK_MEMINFO"),
        ("inet6", True, "SK_MEMINFO"),
        ("pipe", False, "F_GETPIPE_SZ"),
        ("sysv-shm", True, "/proc/PID/maps"),
    ],
)
def test_a_link_has_its_memory_read(
    name: str, idle: bool, way: str, workload: str, tmp_path: Path
) -> None:
    facts = _facts(Case.parse(f"{workload}:clients=3/{name}/64/python/free"), tmp_path)
    if str(facts["link_memory"]).startswith("not read"):
        pytest.skip(str(facts["link_memory"]))
    assert way in str(facts["link_memory"])
    assert (int(facts["link_idle_bytes"]) > 0) == idle
    assert int(facts["link_limit_bytes"]) >= max(1, int(facts["link_idle_bytes"]))


def test_the_most_that_a_unix_link_takes_is_what_both_ends_may_send(tmp_path: Path) -> None:
    facts = _facts(Case.parse("latency:clients=2/unix:sndbuf=32k/64/python/free"), tmp_path)
    structures = int(facts["link_idle_bytes"])
    in_force = 2 * 32 * 1024  # the kernel doubles what is asked for: socket(7)
    assert int(facts["link_limit_bytes"]) == structures + 2 * in_force


@pytest.mark.parametrize("clients", [2, 5])
def test_a_segment_is_counted_for_its_own_client_alone(clients: int, tmp_path: Path) -> None:
    facts = _facts(Case.parse(f"latency:clients={clients}/sysv-shm/64/python/free"), tmp_path)
    asked_bytes = int(facts["client_shared_memory_size_bytes"])
    assert facts["link_idle_bytes"] == -(-asked_bytes // mmap.PAGESIZE) * mmap.PAGESIZE


def test_what_the_server_shares_with_others_is_not_its_own(tmp_path: Path) -> None:
    facts = _facts(Case.parse("latency:clients=4:server=fork/unix/64/python/free"), tmp_path)
    private, proportional, resident = (
        int(facts[f"{name}_server_bytes"]) for name in ("private", "pss", "rss")
    )
    assert 0 < private < proportional < resident


def test_slabs_are_told_where_they_can_be_read(tmp_path: Path) -> None:
    facts = _facts(Case.parse("latency:clients=2/unix/64/python/free"), tmp_path)
    if os.access("/proc/slabinfo", os.R_OK):
        assert int(facts.get("link_slabs_bytes", 1)) > 0
    else:
        assert "link_slabs_bytes" not in facts
        assert "needs root" in str(facts["link_memory"])
