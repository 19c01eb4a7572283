"""Limits of CPU time by control groups, read from made-up trees of both versions."""

from pathlib import Path

import pytest

from ipcbench.system import quota as limits_of
from ipcbench.system.cgroups import allowances, groups
from ipcbench.system.quota import Throttling
from tests.trees import Files, tree, v1, v2

STOPPED = "nr_periods 149\nnr_throttled 146\nthrottled_{}\nnr_bursts 0\n"


def test_without_cgroups_nothing_is_limited(tmp_path: Path) -> None:
    assert groups("cpu", tmp_path) == []
    assert limits_of.quotas(tmp_path) == []
    assert limits_of.cpuset(tmp_path) is None


@pytest.mark.parametrize(
    ("files", "version"),
    [
        (v1("cpu,cpuacct", "/half", {"/half/cpu.cfs_quota_us": "50000"}), 1),
        (v2("/half", {"/half/cpu.max": "50000 100000\n"}), 2),
    ],
    ids=["v1", "v2"],
)
def test_the_quota_is_that_at_the_process_own_path(
    tmp_path: Path, files: Files, version: int
) -> None:
    files = {**files}
    if version == 1:
        files["sys/fs/cgroup/cpu,cpuacct/half/cpu.cfs_period_us"] = "100000\n"
    (quota,) = limits_of.quotas(tree(tmp_path, files))
    assert quota.cpus == 0.5
    assert (quota.group.version, quota.group.folder.name) == (version, "half")
    assert str(quota) == "0.5 CPUs: 0.05 s of every 0.1 s"


@pytest.mark.parametrize(
    "files",
    [
        v2("/a", {"/a/cpu.max": "max 100000\n"}),
        v1("cpu", "/a", {"/a/cpu.cfs_quota_us": "-1", "/a/cpu.cfs_period_us": "100000"}),
        v2("/a", {"/a/cpu.max": "(null)"}),
        v2("/a", {"/a/cpu.max": "50000 0"}),
        v2("/a", {"/a/cpu.weight": "100"}),
    ],
)
def test_no_quota_and_odd_text_are_none(tmp_path: Path, files: Files) -> None:
    root = tree(tmp_path, files)
    assert groups("cpu", root)
    assert limits_of.quotas(root) == []


def test_a_quota_of_a_cgroup_above_holds_too_and_the_tightest_is_first(tmp_path: Path) -> None:
    limits = {
        "/pods/cpu.max": "100000 100000",
        "/pods/one/cpu.max": "50000 100000",
        "/pods/one/inner/cpu.max": "max 100000",
    }
    root = tree(tmp_path, v2("/pods/one/inner", limits))
    assert [quota.cpus for quota in limits_of.quotas(root)] == [0.5, 1.0]


def test_in_a_container_the_path_is_below_the_mounted_cgroup(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:cpu:/docker/abc/inner\n",
        "proc/self/mountinfo": "9 1 0:9 /docker/abc /sys/fs/cgroup/cpu ro - cgroup c rw,cpu\n",
        "sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us": "50000",
        "sys/fs/cgroup/cpu/inner/cpu.cfs_period_us": "100000",
    }
    (quota,) = limits_of.quotas(tree(tmp_path, files))
    assert quota.group.folder == tmp_path / "sys/fs/cgroup/cpu/inner"


@pytest.mark.parametrize("path", ["/docker/abc", "/../other", "/"])
def test_a_path_as_seen_from_outside_is_the_mounted_cgroup_itself(
    tmp_path: Path, path: str
) -> None:
    (quota,) = limits_of.quotas(tree(tmp_path, v2(path, {"/cpu.max": "50000 100000"})))
    assert quota.group.folder == tmp_path / "sys/fs/cgroup"


def test_where_both_versions_are_mounted_the_controller_is_in_one(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "1:cpu:/\n0::/user.slice\n",
        "proc/self/mountinfo": (
            "8 1 0:8 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
            "9 1 0:9 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n"
        ),
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/unified/user.slice/memory.max": "1048576",
    }
    root = tree(tmp_path, files)
    assert groups("cpu", root)[0].version == 1
    assert [one.limit_bytes for one in allowances(root)] == [1048576]


def test_a_mount_point_with_a_blank_is_found(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": "9 1 0:9 / /my\\040groups rw - cgroup2 none rw\n",
        "my groups/cpu.max": "50000 100000",
    }
    assert len(limits_of.quotas(tree(tmp_path, files))) == 1


@pytest.mark.parametrize(
    ("stat", "files"),
    [
        (STOPPED.format("usec 4470000"), v2("/h", {"/h/cpu.max": "50000 100000"})),
        (
            STOPPED.format("time 4470000000"),
            v1("cpu", "/h", {"/h/cpu.cfs_quota_us": "50000", "/h/cpu.cfs_period_us": "100000"}),
        ),
    ],
    ids=["v2", "v1"],
)
def test_throttling_is_counted_in_seconds(tmp_path: Path, stat: str, files: Files) -> None:
    root = tree(tmp_path, files)
    limits = limits_of.quotas(root)
    assert limits_of.throttling(limits) == Throttling()
    (limits[0].group.folder / "cpu.stat").write_text(stat)
    counts = limits_of.throttling(limits)
    assert counts == Throttling(149, 146, 4.47)
    assert counts - Throttling(100, 100, 4.0) == pytest.approx(Throttling(49, 46, 0.47))
    assert limits_of.throttling([]) == Throttling()


@pytest.mark.parametrize(
    "files",
    [
        v1("cpuset", "/c", {"/c/cpuset.effective_cpus": "2-3,7\n"}),
        v2("/c", {"/c/cpuset.cpus.effective": "2-3,7\n"}),
        v2("/c", {"/cpuset.cpus.effective": "2-3,7\n", "/c/cpuset.cpus.effective": "\n"}),
    ],
)
def test_the_cpus_of_a_cgroup_are_those_in_effect(tmp_path: Path, files: Files) -> None:
    assert limits_of.cpuset(tree(tmp_path, files)) == "2-3,7"
