"""Checks of `doctor` on surroundings, over made-up trees of /proc and /sys."""

import fcntl
import os
from pathlib import Path

import pytest

from ipcbench.checks import around, doctor
from ipcbench.checks.doctor import Check
from ipcbench.system import surroundings
from tests.trees import Files, tree, v1, v2

CPU = "sys/devices/system/cpu"
CHECKS = dict(around.CHECKS)
STOPPED = "nr_periods 149\nnr_throttled 146\nthrottled_usec 4470000\n"


def _found(root: Path, topic: str, files: Files) -> Check:
    return doctor._checked(topic, CHECKS[topic], tree(root, files))


@pytest.mark.parametrize("topic", ["quota", "memory", "CPU kinds", "CPU idle", "mitigations"])
def test_what_a_system_doesnt_show_is_noted(tmp_path: Path, topic: str) -> None:
    assert _found(tmp_path, topic, {}) == Check(topic, "note", "not shown by this system")


@pytest.mark.parametrize(
    ("files", "where", "remedy"),
    [
        (
            v1(
                "cpu",
                "/half",
                {
                    "/half/cpu.cfs_quota_us": "50000",
                    "/half/cpu.cfs_period_us": "100000",
                    "/half/cpu.stat": STOPPED,
                },
            ),
            "/sys/fs/cgroup/cpu/half, cgroup v1",
            "echo -1 | sudo tee /sys/fs/cgroup/cpu/half/cpu.cfs_quota_us",
        ),
        (
            v2("/half", {"/half/cpu.max": "50000 100000", "/half/cpu.stat": STOPPED}),
            "/sys/fs/cgroup/half, cgroup v2",
            "echo max | sudo tee /sys/fs/cgroup/half/cpu.max",
        ),
    ],
    ids=["v1", "v2"],
)
def test_a_quota_is_a_warning_with_how_often_it_was_met(
    tmp_path: Path, files: Files, where: str, remedy: str
) -> None:
    assert _found(tmp_path, "quota", files) == Check(
        "quota",
        "warn",
        f"0.5 CPUs: 50.0 ms of every 100 ms ({where}); it stopped work in 146 of 149 periods;"
        " a stopped launch shows the quota, not the mechanism",
        remedy,
    )


def test_a_quota_that_two_ends_fit_in_and_that_was_never_met_is_a_note(tmp_path: Path) -> None:
    stat = "nr_periods 9\nnr_throttled 0\n"
    files = v2("/a", {"/a/cpu.max": "400000 100000", "/a/cpu.stat": stat})
    assert _found(tmp_path, "quota", files).level == "note"
    files |= {"sys/fs/cgroup/a/cpu.stat": "nr_periods 9\nnr_throttled 1\n"}
    assert _found(tmp_path, "quota", files).level == "warn"


def test_no_quota_is_fine(tmp_path: Path) -> None:
    files = v2("/a", {"/a/cpu.max": "max 100000"})
    assert _found(tmp_path, "quota", files) == Check("quota", "ok", "no cgroup limits the CPU time")


@pytest.mark.parametrize(
    ("path", "sign", "remedy"),
    [
        ("/one.scope", {}, "sudo systemctl set-property --runtime one.scope CPUQuota="),
        (
            "/pod",
            {"proc/1/cgroup": "0::/kubepods/pod1"},
            "have the pod's limits.cpu removed by whoever deploys it",
        ),
    ],
)
def test_the_remedy_of_a_quota_names_who_set_it(
    tmp_path: Path, path: str, sign: Files, remedy: str
) -> None:
    files = v2(path, {f"{path}/cpu.max": "50000 100000"}) | dict(sign)
    assert _found(tmp_path, "quota", files).remedy == remedy


def test_in_a_container_that_may_not_the_host_lifts_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "is_read_only", lambda _path: True)
    files = v2("/", {"/cpu.max": "50000 100000"}) | {".dockerenv": ""}
    remedy = _found(tmp_path, "quota", files).remedy
    assert remedy == "on the host: docker update --cpu-quota=-1 CONTAINER"


def test_a_limit_of_memory_is_noted(tmp_path: Path) -> None:
    files = v2("/m", {"/m/memory.max": "314572800"})
    assert _found(tmp_path, "memory", files) == Check(
        "memory",
        "note",
        "memory.max of the control group /m (300 MiB); beyond it the kernel kills or slows down",
        "echo max | sudo tee /sys/fs/cgroup/m/memory.max",
    )


@pytest.mark.parametrize("name", ["cpu_capacity", "cpufreq/cpuinfo_max_freq"])
def test_unlike_cpus_are_noted_with_the_pair_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(around, "default_placement", lambda: "cross-core")
    monkeypatch.setattr(around, "allowed_cpus", lambda: [0, 1, 2, 3])
    values = ["3000000", "3000000", "1800000", "1800000"]
    files = {f"{CPU}/cpu{number}/{name}": text for number, text in enumerate(values)}
    fast, slow = list(surroundings.kinds_of_cpus(tree(tmp_path, files)))
    for pair, level, end, remedy in (
        ((0, 1), "note", f"takes 0,1, both of {fast}", None),
        ((2, 3), "note", f"takes 2,3, both of {slow}", None),
        (
            (0, 2),
            "warn",
            "takes 0,2, which are of two kinds",
            "ipcbench compare --cpus 0,1",
        ),
    ):
        monkeypatch.setattr(around, "placement_cpus", lambda _placement, pair=pair: pair)
        found = _found(tmp_path, "CPU kinds", {})
        assert found.says == f"unlike CPUs (0-1: {fast}; 2-3: {slow}); cross-core {end}"
        assert (found.level, found.remedy) == (level, remedy)


def test_cpus_that_are_alike_are_fine(tmp_path: Path) -> None:
    files = {f"{CPU}/cpu{number}/cpu_capacity": "1024" for number in range(2)}
    found = _found(tmp_path, "CPU kinds", files)
    assert (found.level, found.says) == ("ok", "all CPUs alike: capacity 1024")


@pytest.mark.parametrize(("latency", "level"), [("133", "note"), ("20", "ok"), ("0", "ok")])
def test_a_deep_idle_state_is_noted(tmp_path: Path, latency: str, level: str) -> None:
    files = {
        f"{CPU}/cpuidle/current_driver": "intel_idle",
        f"{CPU}/cpu0/cpuidle/state1/name": "C6",
        f"{CPU}/cpu0/cpuidle/state1/latency": latency,
    }
    found = _found(tmp_path, "CPU idle", files)
    assert found.level == level
    assert found.says.startswith("intel_idle; its deepest state, C6, takes ")


def test_mitigations_are_told_by_name(tmp_path: Path) -> None:
    files = {
        f"{CPU}/vulnerabilities/mds": "Not affected",
        f"{CPU}/vulnerabilities/retbleed": "Vulnerable",
        f"{CPU}/vulnerabilities/spectre_v1": "Mitigation: barriers",
    }
    found = _found(tmp_path, "mitigations", files)
    assert found.says == "in force for spectre_v1; none for retbleed, which this CPU has"


def test_a_filter_of_system_calls_is_noted_with_the_way_around_it(tmp_path: Path) -> None:
    files = {"proc/self/status": "Seccomp:\t2\nSeccomp_filters:\t1\n", ".dockerenv": ""}
    found = _found(tmp_path, "security", files)
    assert found.level == "note"
    assert found.says.startswith("each system call passes 1 filter of seccomp; ")
    assert found.remedy is not None
    assert "docker run --security-opt seccomp=unconfined" in found.remedy


def test_no_filter_of_system_calls_is_fine(tmp_path: Path) -> None:
    files = {"proc/self/status": "Seccomp:\t0\n", "sys/kernel/security/lsm": "capability,bpf\n"}
    found = _found(tmp_path, "security", files)
    assert (found.level, found.says) == ("ok", "no seccomp filter; modules capability,bpf")


def test_filters_on_the_loopback_are_noted_but_not_those_of_bridges(tmp_path: Path) -> None:
    bridges = {"proc/sys/net/bridge/bridge-nf-call-iptables": "1", "proc/net/ip_tables_names": ""}
    assert _found(tmp_path, "filters", bridges).level == "ok"
    found = _found(tmp_path, "filters", {"proc/net/ip_tables_names": "nat\nfilter\n"})
    assert found.level == "note"
    assert "iptables filter,nat: AF_INET pays for it" in found.says


@pytest.mark.parametrize(
    ("soft", "told", "remedy"),
    [
        ("1", "fs.pipe-user-pages-soft, 1 page", "sudo sysctl -w fs.pipe-user-pages-soft=16384"),
        (
            "16384",
            "fs.pipe-user-pages-soft, 16384 pages",
            "end programs of this user that hold many pipes",
        ),
        (None, "fs.pipe-user-pages-soft", "end programs of this user that hold many pipes"),
    ],
)
def test_a_small_pipe_is_a_warning_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soft: str | None, told: str, remedy: str
) -> None:
    monkeypatch.setattr(fcntl, "fcntl", lambda _descriptor, _command: 8192)
    files = {} if soft is None else {"proc/sys/fs/pipe-user-pages-soft": soft}
    found = _found(tmp_path, "small pipes", files)
    assert found == Check(
        "small pipes",
        "warn",
        f"a new pipe holds 8 KiB and not 64 KiB: this user's pipes reached {told}",
        remedy,
    )


@pytest.mark.parametrize(("is_down", "level"), [(True, "warn"), (False, "ok")])
def test_a_loopback_that_is_down_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_down: bool, level: str
) -> None:
    monkeypatch.setattr(around, "is_loopback_down", lambda: is_down)
    found = _found(tmp_path, "loopback", {})
    assert found.level == level
    assert found.remedy == ("sudo ip link set lo up" if is_down else None)


@pytest.mark.parametrize(
    ("name", "level", "remedy"),
    [
        ("cubic", "ok", None),
        ("bbr", "note", "ipcbench compare inet inet:congestion=cubic unix"),
    ],
)
def test_a_congestion_control_that_most_machines_dont_have_is_noted(
    tmp_path: Path, name: str, level: str, remedy: str | None
) -> None:
    folder = "proc/sys/net/ipv4"
    choice = {
        f"{folder}/tcp_{kind}_congestion_control": "reno bbr cubic\n"
        for kind in ("available", "allowed")
    }
    files = {f"{folder}/tcp_congestion_control": f"{name}\n"} | choice
    found = _found(tmp_path, "congestion", files)
    assert (found.level, found.remedy) == (level, remedy)


@pytest.mark.parametrize(("build", "level"), [("release", "ok"), ("debug", "warn")])
def test_a_debug_build_of_python_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: str, level: str
) -> None:
    monkeypatch.setattr(surroundings, "python_build", lambda: build)
    assert _found(tmp_path, "Python", {}).level == level


def test_a_container_is_noted_with_its_sign(tmp_path: Path) -> None:
    assert _found(tmp_path, "container", {}).level == "ok"
    found = _found(tmp_path, "container", {".dockerenv": ""})
    assert (found.level, found.says.partition(":")[0]) == ("note", "docker (/.dockerenv)")


def test_cpus_that_a_cgroup_withholds_cant_be_had_by_taskset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "allowed_cpus", lambda: [3])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    root = tree(tmp_path, v2("/c", {"/c/cpuset.cpus.effective": "3\n"}))
    level, says, remedy = doctor._allowed(root)
    assert level == "warn"
    assert says == "this process may use 1 of 4 CPUs, as its cgroup has 3 alone"
    assert remedy == "have the cgroup's cpuset widened to 0-3 by whoever set it"
