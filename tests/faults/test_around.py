"""Limits that are set around a run, for real: a CPU quota, small pipes, a loopback that is down."""

import sys
from pathlib import Path

import pytest

from ipcbench.analysis import launch_frame
from ipcbench.analysis.warnings import objections
from ipcbench.results import store
from tests.command import QUICK
from tests.faults.cgroup import limited_cpu
from tests.faults.scarce import (
    LATENCY,
    command,
    explained,
    finished,
    measured,
    ordinary_user,
    refusal,
    unshared,
)

DOCTOR = [sys.executable, "-m", "ipcbench", "doctor"]
SPINNING = (*QUICK[:3], "--min-time=200ms", "--sizes=64", "--workloads=latency", "--no-lock")
DOWN = "the loopback interface is down: ip link set lo up"
MANY_PIPES = """\
import fcntl, os, resource, subprocess, sys
pages = 0
held = []
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
with open("/proc/sys/fs/pipe-user-pages-soft") as file:
    soft = int(file.read())
if soft == 0:
    sys.exit(77)
try:
    while pages < soft:
        held.append(os.pipe())
        pages += fcntl.fcntl(held[-1][0], fcntl.F_GETPIPE_SZ) // 4096
except OSError:
    sys.exit(77)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""
"""Holds so many pipes that the kernel makes the user's next ones smaller, and runs a command.

They alone reach the limit: what other processes of the user hold may be gone at any moment.
"""


def _flags(path: Path) -> dict[str, str]:
    results = store.load(path)
    found = objections(results, launch_frame.launches(results))
    return {objection.flag: objection.says for objection in found}


def test_half_a_cpu_is_recorded_flagged_and_cautioned(tmp_path: Path) -> None:
    with limited_cpu(0.5) as (prefix, folder):
        done = finished([*prefix, *command("sysv-shm-spin", "unix", *SPINNING)], tmp_path)
        said = explained(done, 0)
        told = explained(finished([*prefix, *DOCTOR], tmp_path), 0)
    assert not folder.exists()
    assert "warning: throttled: " in said
    flagged = _flags(tmp_path / "run.json")["throttled"]
    assert "a CPU quota (0.5 CPUs: 0.001 s of every 0.002 s) stopped it in " in flagged
    assert f"quota 0.5 CPUs: 1.00 ms of every 2.00 ms ({folder}, cgroup v" in told
    for launch in store.load(tmp_path / "run.json").launches():
        facts = launch.facts
        assert facts["cgroup_cpu_quota"] == "0.5 CPUs: 0.001 s of every 0.002 s"
        throttled, periods = (
            int(facts[f"cgroup_cpu_{name}_count"]) for name in ("throttled", "periods")
        )
        assert 0 <= throttled <= periods
    (tmp_path / "run.json").rename(tmp_path / "half.json")
    explained(finished(command("unix", *LATENCY), tmp_path), 0)
    assert "throttled" not in _flags(tmp_path / "run.json")
    line = [sys.executable, "-m", "ipcbench", "diff", "run.json", "half.json"]
    said = explained(finished(line, tmp_path), 0)
    assert "caution: CPU quota differs: none and 0.5 CPUs: 0.001 s of every 0.002 s" in said


def test_without_a_quota_a_launch_counts_no_throttling(tmp_path: Path) -> None:
    explained(finished(command("unix", *LATENCY), tmp_path), 0)
    (first, *_) = store.load(tmp_path / "run.json").launches()
    if first.facts.get("cgroup_cpu_quota") not in ("none", None):
        pytest.skip("this test runs under a CPU quota")
    assert not [name for name in first.facts if name.startswith("cgroup_cpu_throttled")]


def test_pipes_that_the_kernel_made_small_are_flagged_with_the_reason(tmp_path: Path) -> None:
    many = [*ordinary_user(tmp_path), sys.executable, "-c", MANY_PIPES]
    extra = {"XDG_RUNTIME_DIR": None, "TMPDIR": str(tmp_path)}
    done = finished([*many, *command("pipe", *LATENCY)], tmp_path, extra)
    if done.returncode == 77:
        pytest.skip("no limit of this user's pipes can be reached")
    said = explained(done, 0)
    assert "warning: small-pipe: latency/pipe/64/" in said
    assert "its pipe holds 8 KiB in place of the usual 64 KiB: this user's pipes reached" in said
    told = explained(finished([*many, *DOCTOR], tmp_path, extra), 0)
    assert "small pipes a new pipe holds 8 KiB and not 64 KiB" in told


def test_without_a_loopback_what_needs_it_is_left_out_and_the_rest_is_measured(
    tmp_path: Path,
) -> None:
    inside = unshared(["-n"], "true")
    said = explained(finished([*inside, *command(*LATENCY)], tmp_path), 0)
    assert f"inet is left out: {DOWN}" in said
    assert f"inet6 is left out: {DOWN}" in said
    assert measured(tmp_path / "run.json") == {"unix", "pipe", "sysv-shm"}
    said = refusal(finished([*inside, *command("inet", *LATENCY, "--force")], tmp_path))
    assert f"inet can't run here: {DOWN}" in said


@pytest.mark.parametrize("name", ["inet", "inet6", "inet-udp", "inet6-udp", "mp-connection-inet"])
def test_without_a_loopback_the_list_says_why_a_transport_cant_run(
    tmp_path: Path, name: str
) -> None:
    inside = unshared(["-n"], "true")
    done = finished([*inside, sys.executable, "-m", "ipcbench", "list"], tmp_path)
    said = explained(done, 0)
    _, _, rest = said.partition(f" {name} no ")
    assert rest.partition("can't run here: ")[2].startswith(DOWN)


def test_without_a_loopback_doctor_says_how_to_bring_it_up(tmp_path: Path) -> None:
    told = explained(finished([*unshared(["-n"], "true"), *DOCTOR], tmp_path), 0)
    assert "warn loopback the interface is down: no inet transport can run" in told
    assert "ip link set lo up" in told
