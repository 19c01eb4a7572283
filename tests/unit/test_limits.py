"""How many pairs fit at once, on invented limits."""

import os
import re
import resource

import pytest

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.system import limits
from ipcbench.system.cgroups import Allowance
from ipcbench.system.limits import pairs_at_once, too_large


def _streams(*sizes: int) -> list[Case]:
    """Cases that take a ring in /dev/shm each."""
    return [Case("throughput", "posix-shm", size) for size in sizes]


@pytest.fixture
def soft_limits(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The soft limits that the process has; whatever isn't in it is unlimited."""
    granted: dict[int, int] = {}

    def getrlimit(kind: int) -> tuple[int, int]:
        limit = granted.get(kind, resource.RLIM_INFINITY)
        return limit, limit

    monkeypatch.setattr(resource, "getrlimit", getrlimit)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(limits, "_processes_of", lambda _: 100)
    monkeypatch.setattr(limits, "_shared_memory", lambda: 2**40)
    monkeypatch.setattr(limits, "allowances", lambda: iter(()))
    return granted


def test_without_limits_there_are_as_many_as_are_wanted(soft_limits: dict[int, int]) -> None:
    assert pairs_at_once(_streams(64), 12) == 12


@pytest.mark.parametrize(("files", "pairs"), [(23, 1), (28, 2), (29, 3), (1024, 12)])
def test_each_worker_takes_three_descriptors(
    files: int, pairs: int, soft_limits: dict[int, int]
) -> None:
    soft_limits[resource.RLIMIT_NOFILE] = files
    assert pairs_at_once(_streams(64), 12) == pairs


@pytest.mark.parametrize(("processes", "pairs"), [(103, 1), (109, 2), (4096, 12)])
def test_each_pair_takes_up_to_four_processes(
    processes: int, pairs: int, soft_limits: dict[int, int]
) -> None:
    soft_limits[resource.RLIMIT_NPROC] = processes
    assert pairs_at_once(_streams(64), 12) == pairs


@pytest.mark.parametrize(
    ("kind", "limit", "says"),
    [
        (resource.RLIMIT_NOFILE, 22, "may open 22 files and measuring takes 23"),
        (resource.RLIMIT_NPROC, 102, "has 100 processes of at most 102"),
        (resource.RLIMIT_AS, 2**28 - 1, "its tables need 256 MiB; raise the limit"),
    ],
)
def test_a_limit_that_lets_no_pair_be_is_named(
    kind: int, limit: int, says: str, soft_limits: dict[int, int]
) -> None:
    soft_limits[kind] = limit
    with pytest.raises(UsageError, match=says):
        pairs_at_once(_streams(64), 12)


def test_shared_memory_is_shared_out(
    soft_limits: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_shared_memory", lambda: 64 * 2**20)  # what Docker gives
    assert pairs_at_once(_streams(*[65536] * 12), 12) == 12
    assert pairs_at_once(_streams(*[2**23] * 12), 12) == 3
    assert pairs_at_once(_streams(*[2**26] * 12), 12) == 1
    assert pairs_at_once([Case("throughput", "pipe", 2**23)] * 12, 12) == 12  # they take none of it


def test_a_case_takes_no_more_shared_memory_than_its_own_pair(
    soft_limits: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_shared_memory", lambda: 64 * 2**20)
    others = [Case("throughput", "pipe", 2**23)] * 10
    assert pairs_at_once([*_streams(2**23, 2**23), *others], 12) == 12
    assert pairs_at_once([*_streams(2**23, 2**26), *others], 12) == 1


def test_slots_that_are_asked_for_take_memory(
    soft_limits: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    soft_limits[resource.RLIMIT_AS] = 2**29
    many = Case("throughput", "shm-futex:slots=4096", 32 * 2**10)
    assert pairs_at_once([many, *_streams(64)], 12) == 3
    monkeypatch.setattr(limits, "_shared_memory", lambda: 64 * 2**20)
    assert pairs_at_once([Case("throughput", "posix-shm:slots=100", 2**18)] * 12, 12) == 2
    assert too_large(2**17, 2**29) == (
        "messages of 128k need 513 MiB of memory and 512 MiB is free;"
        " choose a smaller size or fewer slots"
    )


def test_a_size_that_one_pair_has_no_memory_for_is_told_with_the_reason(
    soft_limits: dict[int, int],
) -> None:
    soft_limits[resource.RLIMIT_AS] = 2**28
    assert too_large(2**20) is None
    reason = "messages of 64m need 512 MiB of memory and 256 MiB is free; choose a smaller size"
    assert too_large(2**26) == reason
    with pytest.raises(UsageError, match=reason):
        pairs_at_once(_streams(2**20, 2**26), 12)


def _group(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    group = Allowance(300 * 2**20, free_bytes, "memory.max", "/box")
    monkeypatch.setattr(limits, "allowances", lambda: iter([group]))


@pytest.mark.usefixtures("soft_limits")
def test_a_control_groups_memory_counts_as_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    _group(monkeypatch, 280 * 2**20)
    reason = (
        "messages of 64m need 512 MiB of memory and 280 MiB is free under memory.max of the control"
        " group /box (300 MiB); choose a smaller size"
    )
    assert too_large(2**26) == reason
    with pytest.raises(UsageError, match=re.escape(reason)):
        pairs_at_once([Case("throughput", "pipe", 2**26)], 12)


@pytest.mark.usefixtures("soft_limits")
def test_a_control_group_whose_memory_changes_all_the_time_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = iter(range(300 * 2**20, 0, -4096))

    def allowances() -> list[Allowance]:
        return [Allowance(300 * 2**20, next(free), "memory.max", "/job")]

    monkeypatch.setattr(limits, "allowances", allowances)
    assert "is free under memory.max of the control group /job" in (too_large(2**30) or "")


def test_a_control_groups_memory_is_shared_out_to_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    _group(monkeypatch, 280 * 2**20)
    assert pairs_at_once([Case("latency", "pipe", 64)], 12) == 8
    assert pairs_at_once([Case("latency", "pipe", 2**22)], 12) == 2
    assert pairs_at_once([Case("latency", "pipe", 2**24)], 12) == 1


@pytest.mark.usefixtures("soft_limits")
def test_a_control_group_without_room_for_one_pair_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _group(monkeypatch, 40 * 2**20)
    with pytest.raises(UsageError, match=r"takes 88 MiB of memory and 40 MiB is free under memory"):
        pairs_at_once([Case("latency", "pipe", 64)], 12)


@pytest.mark.parametrize(
    ("kind", "limit", "fit"),
    [(resource.RLIMIT_NOFILE, 40 + 8 * 20, 21), (resource.RLIMIT_NPROC, 100 + 5 + 2 * 20, 21)],
)
def test_more_clients_than_fit_are_refused_with_the_number_that_fits(
    kind: int, limit: int, fit: int, soft_limits: dict[int, int]
) -> None:
    soft_limits[kind] = limit
    assert pairs_at_once([Case("latency:clients=21", "unix", 64)], 1) == 1
    with pytest.raises(UsageError, match=f"which fits {fit} clients, not 22;"):
        pairs_at_once([Case("latency:clients=22", "unix", 64)], 1)
