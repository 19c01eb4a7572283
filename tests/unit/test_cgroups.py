"""Limits of memory and kills by the OOM killer, read from made-up trees of both versions."""

from pathlib import Path

import pytest

from ipcbench.system.cgroups import Allowance, Kills, allowances, memory_groups, oom_kills

MIB = 2**20
V1_MOUNT = "30 25 0:26 {shown} /cg/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
V2_MOUNT = "31 25 0:27 {shown} /cg/unified rw,relatime - cgroup2 cgroup2 rw\n"


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_limit_of_version_1_is_found_at_the_processs_own_path(tmp_path: Path) -> None:
    root = _tree(
        tmp_path,
        {
            "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/job/one\n0::/\n",
            "proc/self/mountinfo": V1_MOUNT.format(shown="/") + V2_MOUNT.format(shown="/"),
            "cg/unified/cgroup.procs": "",
            "cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "cg/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
            "cg/memory/job/one/memory.limit_in_bytes": f"{300 * MIB}\n",
            "cg/memory/job/one/memory.usage_in_bytes": f"{100 * MIB}\n",
            "cg/memory/job/one/memory.stat": (
                f"cache 1\ntotal_inactive_file {30 * MIB}\ntotal_active_file {10 * MIB}\n"
            ),
            "cg/memory/job/one/memory.oom_control": "oom_kill_disable 0\noom_kill 3\n",
        },
    )
    assert list(allowances(root)) == [
        Allowance(300 * MIB, 240 * MIB, "memory.limit_in_bytes", "/job/one")
    ]
    assert oom_kills(root) == Kills(3, "memory.oom_control of the control group /job/one")


def test_limits_of_version_2_are_found_in_parents_too(tmp_path: Path) -> None:
    root = _tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/job\n",
            "proc/self/mountinfo": V2_MOUNT.format(shown="/"),
            "cg/unified/user/memory.max": f"{500 * MIB}\n",
            "cg/unified/user/memory.current": f"{600 * MIB}\n",
            "cg/unified/user/memory.high": "max\n",
            "cg/unified/user/job/memory.max": "max\n",
            "cg/unified/user/job/memory.high": f"{400 * MIB}\n",
            "cg/unified/user/job/memory.current": f"{50 * MIB}\n",
            "cg/unified/user/job/memory.events": "low 0\nmax 7\noom 1\noom_kill 1\n",
        },
    )
    assert list(allowances(root)) == [
        Allowance(400 * MIB, 350 * MIB, "memory.high", "/user/job"),
        Allowance(500 * MIB, 0, "memory.max", "/user"),
    ]
    assert oom_kills(root) == Kills(1, "memory.events of the control group /user/job")


@pytest.mark.parametrize(
    ("shown", "path", "folder"),
    [
        ("/docker/abc", "/docker/abc", ""),
        ("/docker/abc", "/docker/abc/init", "init"),
        ("/", "/../outside", ""),
        ("/docker/abc", "/docker/abcdef", ""),
    ],
    ids=["container", "group of a container", "outside of the namespace", "another's name"],
)
def test_a_container_sees_its_own_group_at_the_mount(
    shown: str, path: str, folder: str, tmp_path: Path
) -> None:
    root = _tree(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": V2_MOUNT.format(shown=shown),
            "cg/unified/init/memory.max": "max\n",
        },
    )
    nearest, *above = memory_groups(root)
    assert nearest.folder == root / "cg/unified" / folder
    assert len(above) == bool(folder)


def test_where_no_group_counts_kills_the_machine_does(tmp_path: Path) -> None:
    root = _tree(tmp_path, {"proc/vmstat": "pgfault 12\noom_kill 2\n"})
    assert list(allowances(root)) == []
    assert oom_kills(root) == Kills(2, "/proc/vmstat")


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert list(allowances(tmp_path)) == []
    assert oom_kills(tmp_path) is None
