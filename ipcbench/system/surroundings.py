"""Reads the surroundings of a run: what the machine and its kernel are set to, below a root.

Each reader returns None where the system doesn't show the fact. Odd text in /sys, such as `(null)`,
is no value either. `results.surroundings` says of each fact what is made of it.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ipcbench.system import quota
from ipcbench.system.cgroups import allowances, groups

_CPU = "sys/devices/system/cpu"
_NONE = "none"
_CPU_LIST = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", re.ASCII)
_ODD = re.compile(r"\(.*\)|<.*>|", re.ASCII)
"""Text of a file that has no value: `(null)`, `<unsupported>`, nothing."""
_CONTAINERS_OF_CGROUPS = ("kubepods", "docker", "containerd", "libpod", "lxc")
_RELEASE = "release"
_IDLE_NAMES = ("driver", "governor")


def text_of(path: Path) -> str | None:
    """The stripped text of a file that has a value; None for odd text, and if it can't be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()
    except OSError:
        return None
    return None if _ODD.fullmatch(text) else text


def cpu_list(text: str | None) -> tuple[int, ...]:
    """The CPUs of a list like `2-3,7`; none for any other text."""
    if text is None or _CPU_LIST.fullmatch(text) is None:
        return ()
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def format_cpu_list(cpus: tuple[int, ...]) -> str:
    """A list of CPUs as the kernel writes it: `2-3,7`."""
    parts: list[tuple[int, int]] = []
    for cpu in sorted(cpus):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1] = parts[-1][0], cpu
        else:
            parts.append((cpu, cpu))
    return ",".join(str(one) if one == last else f"{one}-{last}" for one, last in parts)


def kinds_of_cpus(root: Path) -> dict[str, tuple[int, ...]]:
    """CPUs by kind, a text such as `capacity 446, 1.8 GHz`; empty if nothing tells kinds.

    Capacity is the kernel's measure on ARM and of hybrid Intel CPUs, 1024 for the fastest.
    """
    hybrid = {
        cpu: name
        for name, folder in (("performance core", "cpu_core"), ("efficiency core", "cpu_atom"))
        for cpu in cpu_list(text_of(root / "sys/devices" / folder / "cpus"))
    }
    kinds: dict[str, list[int]] = defaultdict(list)
    for folder in (root / _CPU).glob("cpu[0-9]*"):
        cpu = int(folder.name[3:])
        capacity = text_of(folder / "cpu_capacity") or ""
        most_khz = text_of(folder / "cpufreq/cpuinfo_max_freq") or ""
        said = [hybrid[cpu]] if cpu in hybrid else []
        said += [f"capacity {capacity}"] if capacity.isdigit() else []
        said += [f"{int(most_khz) / 1e6:.3g} GHz"] if most_khz.isdigit() else []
        kinds[", ".join(said)].append(cpu)
    if not any(kinds):
        return {}
    return {
        kind or "unknown": tuple(sorted(cpus))
        for kind, cpus in sorted(kinds.items(), key=lambda one: min(one[1]))
    }


class IdleState(NamedTuple):
    """An idle state of CPUs: its name, and how long a CPU takes to leave it."""

    name: str
    exit_latency_us: int


def idle_states(root: Path) -> list[IdleState]:
    """The idle states of CPU 0 that aren't disabled, the lightest first."""
    found = []
    for folder in (root / _CPU).glob("cpu0/cpuidle/state[0-9]*"):
        name, latency = text_of(folder / "name"), text_of(folder / "latency")
        is_off = text_of(folder / "disable") not in ("0", None)
        if name is not None and latency is not None and latency.isdigit() and not is_off:
            found.append(IdleState(name, int(latency)))
    return sorted(found, key=lambda state: state.exit_latency_us)


class Seccomp(NamedTuple):
    """Whether system calls of this process are filtered, and by how many filters."""

    mode: str
    filters: int | None


def seccomp(root: Path) -> Seccomp | None:
    """The process's seccomp mode; filters are counted by the kernel from Linux 5.9 on."""
    status = _status(root)
    modes = {"0": "off", "1": "strict", "2": "filter"}
    mode = modes.get(status.get("Seccomp", ""))
    count = status.get("Seccomp_filters", "")
    return None if mode is None else Seccomp(mode, int(count) if count.isdigit() else None)


def packet_filters(root: Path) -> list[str]:
    """What /proc shows to look at packets: tables of iptables, connection tracking, nftables.

    The rules of nftables aren't shown there. `br_netfilter` sees packets of bridges alone, and none
    of the loopback.
    """
    found = []
    hidden = False
    for file, program in (("ip_tables_names", "iptables"), ("ip6_tables_names", "ip6tables")):
        try:
            tables = (root / "proc/net" / file).read_text(encoding="utf-8").split()
        except PermissionError:
            hidden = True
            continue
        except OSError:
            continue
        found += [f"{program} {','.join(sorted(tables))}"] if tables else []
    if (text_of(root / "proc/sys/net/netfilter/nf_conntrack_count") or "0") != "0":
        found.append("conntrack")
    modules = text_of(root / "proc/modules") or ""
    found += [name for name in ("nf_tables",) if re.search(rf"^{name} ", modules, re.MULTILINE)]
    if text_of(root / "proc/sys/net/bridge/bridge-nf-call-iptables") == "1":
        found.append("br_netfilter")
    return found + ["tables shown to root alone"] * hidden


def container(root: Path) -> str | None:
    """The container that this process seems to be in, and the sign of it; None without a sign."""
    for name, kind in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / name).exists():
            return f"{kind} (/{name})"
    if manager := text_of(root / "run/systemd/container"):
        return f"{manager.split()[0]} (/run/systemd/container)"
    if told := re.search(r"(?:^| )container=(\S+)", text_of(root / "proc/1/environ") or ""):
        return f"{told[1]} (/proc/1/environ)"
    groups = text_of(root / "proc/1/cgroup") or ""
    for kind in _CONTAINERS_OF_CGROUPS:
        if kind in groups:
            return f"{kind} (/proc/1/cgroup)"
    return None


def python_build() -> str:
    """The properties of this Python's build that change its speed: `debug, free-threaded`."""
    said = []
    if hasattr(sys, "gettotalrefcount"):
        said.append("debug")
    if "free-threading" in sys.version:
        said.append("free-threaded")
    jit = getattr(sys, "_jit", None)  # from CPython 3.14 on
    if jit is not None and jit.is_enabled():
        said.append("JIT")
    return ", ".join(said) or _RELEASE


def surroundings(root: Path = Path("/")) -> dict[str, int | float | str]:
    """The facts of the surroundings that this system shows, by their names in results."""
    found = {name: read(root) for name, read in READERS.items()}
    return {name: value for name, value in found.items() if value is not None}


def _status(root: Path) -> Mapping[str, str]:
    """The fields of proc_pid_status(5)."""
    lines = (text_of(root / "proc/self/status") or "").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _quota(root: Path) -> str | None:
    if not groups("cpu", root):
        return None
    found = quota.quotas(root)
    return str(found[0]) if found else _NONE


def _memory(root: Path) -> int | str | None:
    if not groups("memory", root):
        return None
    limits = [one.limit_bytes for one in allowances(root)]
    return min(limits) if limits else _NONE


def _kinds(root: Path) -> str | None:
    kinds = kinds_of_cpus(root)
    if len(kinds) < 2:
        return "alike" if kinds else None
    return "; ".join(f"{format_cpu_list(cpus)}: {kind}" for kind, cpus in kinds.items())


def _idle(root: Path) -> str | None:
    names = (text_of(root / _CPU / "cpuidle" / f"current_{name}") for name in _IDLE_NAMES)
    states = [f"{state.name} {state.exit_latency_us} us" for state in idle_states(root)]
    said = [name for name in names if name is not None]
    return "; ".join([*said, *states]) or None


def _mitigations(root: Path) -> str | None:
    return "; ".join(_of_vulnerabilities(root)) or None


def _of_vulnerabilities(root: Path) -> Iterator[str]:
    for path in sorted((root / _CPU / "vulnerabilities").glob("*")):
        said = text_of(path)
        if said is not None and said != "Not affected":
            yield f"{path.name}: {said.replace(';', ',')}"


def _seccomp(root: Path) -> str | None:
    found = seccomp(root)
    if found is None:
        return None
    return found.mode if not found.filters else f"{found.mode}, {found.filters} of them"


def _filters(root: Path) -> str:
    return "; ".join(packet_filters(root)) or _NONE


def _slack(root: Path) -> float | None:
    text = text_of(root / "proc/self/timerslack_ns") or ""
    return int(text) / 1e9 if text.isdigit() else None


def _soft_pages(root: Path) -> int | None:
    text = text_of(root / "proc/sys/fs/pipe-user-pages-soft") or ""
    return int(text) if text.isdigit() else None


def _container(root: Path) -> str:
    return container(root) or _NONE


READERS: Mapping[str, Callable[[Path], int | float | str | None]] = {
    "cgroup_cpu_quota": _quota,
    "cgroup_memory_limit_bytes": _memory,
    "cgroup_cpuset": quota.cpuset,
    "allowed_cpus": lambda root: _status(root).get("Cpus_allowed_list"),
    "cpu_kinds": _kinds,
    "cpuidle": _idle,
    "clock_source": lambda root: text_of(
        root / "sys/devices/system/clocksource/clocksource0/current_clocksource"
    ),
    "cpu_mitigations": _mitigations,
    "lsm": lambda root: text_of(root / "sys/kernel/security/lsm"),
    "seccomp": _seccomp,
    "packet_filters": _filters,
    "timer_slack_s": _slack,
    "pipe_user_pages_soft": _soft_pages,
    "container": _container,
    "python_build": lambda _root: python_build(),
}
"""The reader of each fact of a run's surroundings."""
