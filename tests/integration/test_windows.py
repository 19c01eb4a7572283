"""Windows that would block both ends: refused before the first launch, and the limit is one."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ipcbench.case import Case
from ipcbench.checks import inflight
from ipcbench.checks.answers import answer_of
from ipcbench.checks.inflight import depths, preflight
from ipcbench.errors import LaunchFailed, UsageError
from ipcbench.measure.full.room import Room, room
from ipcbench.measure.pair import refused
from ipcbench.run.facts import CommandLine
from ipcbench.run.launcher import WorkerLauncher
from ipcbench.run.plan import planned
from ipcbench.run.request import Effort
from ipcbench.system.scratch import Scratch, scratch
from ipcbench.transports.base import Traffic, Transport
from ipcbench.transports.registry import get_transport, transports
from tests.asked import requested
from tests.command import QUICK, ipcbench
from tests.contract.tuned import all_transports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")

SIZES = {"unix": 65536, "pipe": 65536, "fifo": 5000, "sysv-msg": 1024, "posix-mq": 64}
"""Transports that hold as many messages each time, with a size that few of fit."""
_MANY = 1024
"""The largest window that there is."""


def _case(transport: str, window: int, size: int) -> Case:
    workload = f"latency:window={window}" if window > 1 else "latency"
    return Case.parse(f"{workload}/{transport}/{size}/python/free")


def _refused(case: Case) -> str | None:
    found = preflight([case])
    assert found.notes == ()
    return found.refused.get(case)


def _needed(name: str) -> Transport:
    transport = get_transport(name)
    reason = transport.unavailable()
    if reason is not None:
        pytest.skip(reason)
    return transport


def limit_told(reason: str) -> int:
    """The window that a refusal says to write."""
    told = re.search(r"write window=(\d+) or less|leave window out", reason)
    assert told is not None, reason
    return int(told[1] or 1)


@pytest.mark.parametrize("name", [*SIZES, "inet"])
def test_what_would_block_is_refused_in_one_line_before_the_first_launch(
    name: str, tmp_path: Path
) -> None:
    _needed(name)
    size, output = SIZES.get(name, 1024**2), tmp_path / "run.json"
    done = ipcbench(
        *("compare", name, "--workloads", f"latency:window={_MANY}", "--sizes", str(size)),
        *(*QUICK, "--no-lock", "-o", str(output)),
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"window={_MANY} of " in line
    assert f" would block both ends of {name}: " in line
    assert 1 <= limit_told(line) < _MANY
    assert not output.exists()


@pytest.mark.parametrize("name", SIZES)
def test_the_limit_that_is_told_is_accepted_and_one_more_is_not(name: str) -> None:
    _needed(name)
    reason = _refused(_case(name, _MANY, SIZES[name]))
    assert reason is not None
    limit = limit_told(reason)
    assert _refused(_case(name, limit, SIZES[name])) is None
    more = _refused(_case(name, limit + 1, SIZES[name]))
    assert more is not None
    assert limit_told(more) == limit


def test_more_room_lets_more_be_in_flight() -> None:
    limits = []
    for name in ("unix:sndbuf=8k", "unix"):
        reason = _refused(_case(name, _MANY, 64))
        assert reason is not None
        limits.append(limit_told(reason))
    assert limits[0] < limits[1]


@pytest.mark.parametrize(
    "name", [one.name for one in all_transports() if one.holds_in_flight and not one.spins]
)
def test_what_says_that_it_holds_all_that_is_in_flight_does(name: str) -> None:
    transport, traffic = _needed(name), Traffic(64, "latency", window=300)
    with scratch() as private:
        held = answer_of(lambda place: room(transport, traffic, place, 300), private, 30.0)
    assert held[:2] == ["not-full", 300]
    assert _refused(_case(name, 300, 64)) is None


def test_every_mechanism_that_may_have_a_window_can_be_measured() -> None:
    able = [one for one in transports() if one.overlaps and one.unavailable() is None]
    cases = [_case(one.name, 2, size) for one in able for size in (64, 65536)]
    found = preflight(case for case in cases if refused(case) is None)
    assert found.notes == ()


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Traffic]]:
    """Counts the pairs that are measured, each of which then holds ten messages."""
    measured: list[tuple[str, Traffic]] = []

    def measure(transport: Transport, traffic: Traffic, _: Scratch) -> Room:
        measured.append((transport.name, traffic))
        return Room("blocks", 10, 1, is_plain=True)

    monkeypatch.setattr(inflight, "_measured", measure)
    return measured


def test_a_transport_and_size_is_measured_once_with_its_largest_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = _counted(monkeypatch)
    windows = (4, 22, 64, 1)
    cases = [_case(name, window, 64) for name in ("unix", "sysv-msg") for window in windows]
    found = preflight([*cases, _case("unix", 21, 128), _case("sysv-shm", 64, 64)])
    assert [(name, one.message_size_bytes, one.window) for name, one in measured] == [
        ("unix", 64, 64),
        ("sysv-msg", 64, 64),
        ("unix", 128, 21),
    ]
    assert set(found.refused) == {case for case in cases if Traffic.of(case).window > 21}


def test_as_many_are_in_flight_as_the_room_has_and_no_more_than_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = _counted(monkeypatch)
    cases = [_case(name, window, 64) for name in ("unix", "sysv-msg") for window in (64, 9)]
    roomy, alone = _case("sysv-shm", 64, 64), _case("unix", 1, 64)
    found = depths([*cases, roomy, alone])
    # Ten unread messages each way, and one in the server's hands.
    assert [found[case] for case in cases] == [21, 9, 21, 9]
    assert (found[roomy], found[alone]) == (64, 1)
    assert [(name, one.window) for name, one in measured] == [("unix", 64), ("sysv-msg", 64)]


def test_what_cant_be_measured_has_one_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Room:
        raise LaunchFailed("the writer was killed by SIGKILL in the filling")

    monkeypatch.setattr(inflight, "_measured", fail)
    case, roomy = _case("unix", 64, 64), _case("sysv-shm", 64, 64)
    assert depths([case, roomy]) == {case: 1, roomy: 64}
    assert depths([]) == {}


@pytest.mark.parametrize("name", ["unix", "pipe", "sysv-msg", "inet"])
def test_what_is_found_to_fit_is_not_refused(name: str) -> None:
    _needed(name)
    case = _case(name, _MANY, SIZES.get(name, 65536))
    depth = depths([case])[case]
    assert 1 <= depth < _MANY
    assert _refused(_case(name, depth, case.message_size_bytes)) is None


def test_without_a_window_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _counted(monkeypatch)
    cases = [_case("unix", 1, 64), Case.parse("throughput/unix/64/python/free")]
    assert preflight(cases).refused == {}
    assert measured == []


def test_what_cant_be_measured_is_let_go_on_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Room:
        raise LaunchFailed("the writer was killed by SIGKILL in the filling")

    monkeypatch.setattr(inflight, "_measured", fail)
    found = preflight([_case("unix", 64, 64)])
    assert found.refused == {}
    (note,) = found.notes
    assert note == (
        "what unix holds of 64 B in flight isn't known: the writer was killed by SIGKILL in the"
        " filling"
    )


def _plan_cases(*transports: str, window: int) -> tuple[Sequence[Case], Mapping[str, str]]:
    asked = (*transports, "--workloads", f"latency:window={window}", "--sizes", "64k")
    plan = planned(requested("compare", *asked), CommandLine("", ""), preflight)
    return plan.run.cases, {case.transport: reason for case, reason in plan.impossible}


def test_what_would_block_is_no_case_of_the_plan() -> None:
    cases, impossible = _plan_cases("unix", "sysv-shm", window=64)
    assert {case.transport for case in cases} == {"sysv-shm", "null"}
    assert set(impossible) == {"unix"}


def test_a_plan_of_controls_alone_is_none() -> None:
    with pytest.raises(UsageError, match="would block both ends of unix"):
        _plan_cases("unix", "pipe", window=64)


def test_a_refused_window_stays_in_the_file_and_when_it_is_gone_on_with(tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    first = ipcbench(
        *("compare", "unix", "sysv-shm", "--workloads", "latency:window=64", "--sizes", "64k"),
        *(*QUICK, "--no-lock", "-o", str(output)),
    )
    assert first.returncode == 0, first.stderr
    told = "n/a: latency:window=64/unix/64k/"
    assert told in first.stdout
    again = ipcbench("compare", "--resume", str(output), "--no-lock")
    assert again.returncode == 0, again.stderr
    assert told in again.stdout
    parts = json.loads(ipcbench("report", str(output), "--json", "-").stdout)["parts"]
    grid = next(part for part in parts if part["kind"] == "grid")
    statuses = {row["label"]: row["status"] for row in grid["rows"]}
    assert statuses == {"unix": "n/a", "sysv-shm": "measured", "null (floor)": "measured"}


def test_ends_that_wait_for_each_other_all_the_same_are_told_within_seconds() -> None:
    """More than both ways hold, launched without a preflight."""
    case = _case("unix", _MANY, 65536)
    effort = replace(Effort(), timeout_s=100.0, warmups=0, values=1)
    with scratch() as private:
        launcher = WorkerLauncher(private, {"free": None}, effort)
        ((_, outcome),) = launcher.measure([(case, _MANY)], 1)
    assert str(outcome) == (
        "both ends wait for each other in the timed batch: nothing moved for 10 s; fewer messages"
        " in flight (window=...) or larger buffers would fit"
    )
