"""The readers of a run's surroundings, on made-up trees, beside the table that says of them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ipcbench.analysis import warnings
from ipcbench.checks import doctor
from ipcbench.results import metadata
from ipcbench.results import surroundings as table
from ipcbench.results.keys import Key
from ipcbench.run import about
from ipcbench.system import surroundings
from ipcbench.system.surroundings import cpu_list, format_cpu_list, python_build
from tests.trees import Files, tree, v1, v2

CPU = "sys/devices/system/cpu"
ROOT = Path(__file__).parent.parent.parent


def _read(tmp_path: Path, name: str, files: Files) -> object:
    return surroundings.surroundings(tree(tmp_path, files)).get(name)


def _each(name: str, *texts: str) -> dict[str, str]:
    return {f"{CPU}/cpu{number}/{name}": text for number, text in enumerate(texts)}


def test_each_row_of_a_run_has_its_reader_and_each_reader_its_row() -> None:
    assert [key.name for key in table.OF_RUNS] == list(surroundings.READERS)


def test_every_value_read_here_fits_its_row() -> None:
    found = surroundings.surroundings()
    wrong = {name: value for name, value in found.items() if not metadata.rule_of(name).fits(value)}
    assert wrong == {}
    assert {"container", "packet_filters", "python_build"} <= found.keys()


@pytest.mark.parametrize("key", [*table.OF_RUNS, *table.OF_LAUNCHES], ids=lambda key: key.name)
def test_the_advice_and_the_flag_that_a_row_names_are_there(key: Key) -> None:
    assert key.read_from
    assert key.advice is None or key.advice in {topic for topic, _ in doctor.CHECKS}
    assert key.flag is None or key.flag in {rule.flag for rule in warnings.RULES}


def test_the_documentation_has_the_table() -> None:
    page = (ROOT / "docs/surroundings.md").read_text(encoding="utf-8")
    assert "\n".join(table.table()) in page


def test_a_system_that_shows_nothing_leaves_facts_out(tmp_path: Path) -> None:
    found = surroundings.surroundings(tmp_path)
    assert found.keys() == {"container", "packet_filters", "python_build"}


@pytest.mark.parametrize(
    ("text", "cpus", "again"),
    [
        ("2-3,7", (2, 3, 7), "2-3,7"),
        ("0", (0,), "0"),
        ("0,1,2,4", (0, 1, 2, 4), "0-2,4"),
        (" (null)", (), ""),
        ("", (), ""),
        ("(null)", (), ""),
        ("none", (), ""),
        (None, (), ""),
    ],
)
def test_a_list_of_cpus_is_read_and_odd_text_is_none(
    text: str | None, cpus: tuple[int, ...], again: str
) -> None:
    assert cpu_list(text) == cpus
    assert format_cpu_list(cpus) == again


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (v2("/h", {"/h/cpu.max": "50000 100000"}), "0.5 CPUs: 0.05 s of every 0.1 s"),
        (v2("/h", {"/h/cpu.max": "max 100000"}), "none"),
        ({}, None),
    ],
)
def test_the_quota_is_told_with_its_period(tmp_path: Path, files: Files, said: object) -> None:
    assert _read(tmp_path, "cgroup_cpu_quota", files) == said


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (v1("memory", "/m", {"/m/memory.limit_in_bytes": "300000000"}), 300_000_000),
        (v2("/m", {"/m/memory.max": "max"}), "none"),
        ({}, None),
    ],
)
def test_the_limit_of_memory_is_a_number_of_bytes(
    tmp_path: Path, files: Files, said: object
) -> None:
    assert _read(tmp_path, "cgroup_memory_limit_bytes", files) == said


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (_each("cpu_capacity", "1024", "1024"), "alike"),
        (_each("cpu_capacity", "1024", "446"), "0: capacity 1024; 1: capacity 446"),
        (
            _each("cpufreq/cpuinfo_max_freq", "3000000", "3000000", "1800000"),
            "0-1: 3 GHz; 2: 1.8 GHz",
        ),
        (_each("cpu_capacity", "(null)", "(null)"), None),
        (
            {
                **_each("online", "1", "1", "1"),
                "sys/devices/cpu_core/cpus": "0-1",
                "sys/devices/cpu_atom/cpus": "2",
            },
            "0-1: performance core; 2: efficiency core",
        ),
        ({}, None),
    ],
)
def test_unlike_cpus_are_told_by_kind(tmp_path: Path, files: Files, said: object) -> None:
    assert _read(tmp_path, "cpu_kinds", files) == said


def test_idle_states_are_told_with_their_exit_latencies(tmp_path: Path) -> None:
    files = {
        f"{CPU}/cpuidle/current_driver": "intel_idle\n",
        f"{CPU}/cpuidle/current_governor": "menu\n",
        f"{CPU}/cpu0/cpuidle/state0/name": "POLL",
        f"{CPU}/cpu0/cpuidle/state0/latency": "0",
        f"{CPU}/cpu0/cpuidle/state1/name": "C6",
        f"{CPU}/cpu0/cpuidle/state1/latency": "133",
        f"{CPU}/cpu0/cpuidle/state1/disable": "0",
        f"{CPU}/cpu0/cpuidle/state2/name": "C8",
        f"{CPU}/cpu0/cpuidle/state2/latency": "500",
        f"{CPU}/cpu0/cpuidle/state2/disable": "1",
    }
    assert _read(tmp_path, "cpuidle", files) == "intel_idle; menu; POLL 0 us; C6 133 us"


def test_only_what_affects_this_cpu_is_a_mitigation(tmp_path: Path) -> None:
    files = {
        f"{CPU}/vulnerabilities/mds": "Not affected\n",
        f"{CPU}/vulnerabilities/retbleed": "Vulnerable\n",
        f"{CPU}/vulnerabilities/spectre_v2": "Mitigation: Retpolines; STIBP: off\n",
    }
    said = "retbleed: Vulnerable; spectre_v2: Mitigation: Retpolines, STIBP: off"
    assert _read(tmp_path, "cpu_mitigations", files) == said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("Seccomp:\t0\nSeccomp_filters:\t0\n", "off"),
        ("Seccomp:\t2\nSeccomp_filters:\t3\n", "filter, 3 of them"),
        ("Seccomp:\t2\n", "filter"),
        ("Name:\tpython\n", None),
    ],
)
def test_seccomp_is_told_with_the_number_of_filters(
    tmp_path: Path, status: str, said: object
) -> None:
    assert _read(tmp_path, "seccomp", {"proc/self/status": status}) == said


def test_filters_of_packets_are_told(tmp_path: Path) -> None:
    files = {
        "proc/net/ip_tables_names": "nat\nfilter\n",
        "proc/net/ip6_tables_names": "",
        "proc/sys/net/netfilter/nf_conntrack_count": "12\n",
        "proc/modules": "nf_tables 303104 0 - Live 0x0\n",
        "proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
    }
    said = "iptables filter,nat; conntrack; nf_tables; br_netfilter"
    assert _read(tmp_path, "packet_filters", files) == said
    assert _read(tmp_path / "other", "packet_filters", {}) == "none"


@pytest.mark.parametrize(
    ("name", "file", "text", "said"),
    [
        ("timer_slack_s", "proc/self/timerslack_ns", "50000\n", 5e-5),
        ("pipe_user_pages_soft", "proc/sys/fs/pipe-user-pages-soft", "16384\n", 16384),
        ("lsm", "sys/kernel/security/lsm", "capability,apparmor\n", "capability,apparmor"),
        ("allowed_cpus", "proc/self/status", "Cpus_allowed_list:\t0-3\n", "0-3"),
        (
            "clock_source",
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "hpet\n",
            "hpet",
        ),
    ],
)
def test_a_fact_of_one_file_is_read(
    tmp_path: Path, name: str, file: str, text: str, said: object
) -> None:
    assert _read(tmp_path, name, {file: text}) == said
    assert _read(tmp_path, name, {file: "(null)\n"}) is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({".dockerenv": ""}, "docker (/.dockerenv)"),
        ({"run/.containerenv": ""}, "podman (/run/.containerenv)"),
        ({"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn (/run/systemd/container)"),
        ({"proc/1/environ": "HOME=/\0container=lxc\0"}, "lxc (/proc/1/environ)"),
        ({"proc/1/cgroup": "0::/kubepods/burstable/pod1\n"}, "kubepods (/proc/1/cgroup)"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, "none"),
    ],
)
def test_a_container_is_told_with_its_sign(tmp_path: Path, files: Files, said: str) -> None:
    assert _read(tmp_path, "container", files) == said


@pytest.mark.parametrize(
    ("made_up", "said"),
    [
        ({"version": "3.11.7 (main)"}, "release"),
        ({"version": "3.14 free-threading build"}, "free-threaded"),
        ({"version": "3.14", "gettotalrefcount": lambda: 1}, "debug"),
        (
            {
                "version": "3.14 free-threading build",
                "gettotalrefcount": lambda: 1,
                "_jit": SimpleNamespace(is_enabled=lambda: True),
            },
            "debug, free-threaded, JIT",
        ),
        ({"version": "3.14", "_jit": SimpleNamespace(is_enabled=lambda: False)}, "release"),
    ],
)
def test_the_build_of_a_python_is_told(
    monkeypatch: pytest.MonkeyPatch, made_up: dict[str, object], said: str
) -> None:
    monkeypatch.setattr(surroundings, "sys", SimpleNamespace(**made_up))
    assert python_build() == said


def test_another_interpreter_tells_its_own_build() -> None:
    assert about.about([])["build"] == python_build()
