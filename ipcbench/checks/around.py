"""Checks of the surroundings: what is set around this process, by its cgroup, kernel and container.

Each reads files below a root. Whether the loopback is up, the size of a new pipe, and the build of
this Python are those of this process, whatever the root.
"""

import fcntl
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from ipcbench.checks.advice import Assessment, is_read_only, set_sysctl, write
from ipcbench.system import surroundings
from ipcbench.system.cgroups import Group, allowances, groups
from ipcbench.system.cpus import allowed_cpus, default_placement, placement_cpus
from ipcbench.system.quota import quotas, throttling
from ipcbench.system.surroundings import text_of
from ipcbench.text import counted
from ipcbench.transports.parts.sockets import is_loopback_down
from ipcbench.units import display_size, display_time

_USUAL_PIPE_PAGES = 16
_USUAL_SOFT_PAGES = 16384
"""The default of fs.pipe-user-pages-soft (pipe(7))."""
_ENOUGH_CPUS = 2.0
"""A quota with which both ends of a pair can run all the time."""
_DEEP_US = 20
"""Exit latency of an idle state, in microseconds, that a round trip between CPUs shows."""
_MOST_CONGESTION = "cubic"
"""The congestion control of most machines."""


def shown(path: Path, root: Path) -> str:
    """A path below the root as a command has it."""
    return f"/{path.relative_to(root)}"


def quota(root: Path) -> Assessment:
    """The cgroup's limit of CPU time, and how often it was met."""
    if not groups("cpu", root):
        raise LookupError("no cgroup with this controller")
    limits = quotas(root)
    if not limits:
        return "ok", "no cgroup limits the CPU time", None
    tightest = limits[0]
    group = tightest.group
    counts = throttling([tightest])
    says = (
        f"{tightest.cpus:.3g} CPUs: {display_time(tightest.allowed_s)} of every"
        f" {display_time(tightest.period_s)} ({shown(group.folder, root)}, cgroup v{group.version})"
    )
    if counts.periods:
        says += f"; it stopped work in {counts.throttled} of {counted(counts.periods, 'period')}"
    remedy = _lift(group.folder, root, _cpu_file(group), "--cpu-quota=-1", "limits.cpu", "CPUQuota")
    if tightest.cpus >= _ENOUGH_CPUS and not counts.throttled:
        return "note", says, remedy
    return "warn", f"{says}; a stopped launch shows the quota, not the mechanism", remedy


def memory(root: Path) -> Assessment:
    """The cgroup's limit of memory."""
    if not groups("memory", root):
        raise LookupError("no cgroup with this controller")
    limits = list(allowances(root))
    if not limits:
        return "ok", "no cgroup limits the memory", None
    least = min(limits, key=lambda one: one.limit_bytes)
    folder = next(one.folder for one in groups("memory", root) if one.name == least.group)
    none = "-1" if least.setting == "memory.limit_in_bytes" else "max"
    remedy = _lift(folder, root, (least.setting, none), "--memory=-1", "limits.memory", "MemoryMax")
    return "note", f"{least}; beyond it the kernel kills or slows down", remedy


def cpu_kinds(root: Path) -> Assessment:
    """Whether CPUs are alike, and which the pair takes if they aren't."""
    kinds = surroundings.kinds_of_cpus(root)
    if not kinds:
        raise LookupError("nothing tells kinds")
    if len(kinds) == 1:
        return "ok", f"all CPUs alike: {next(iter(kinds))}", None
    told = "; ".join(
        f"{surroundings.format_cpu_list(cpus)}: {kind}" for kind, cpus in kinds.items()
    )
    placement = default_placement()
    pair = placement_cpus(placement)
    kind_of = {cpu: kind for kind, cpus in kinds.items() for cpu in cpus}
    taken = {kind_of.get(cpu, "unknown") for cpu in pair or ()}
    says = f"unlike CPUs ({told}); {placement} takes {','.join(map(str, pair or ()))}"
    if len(taken) == 1:
        return "note", f"{says}, both of {next(iter(taken))}", None
    alike = [[cpu for cpu in cpus if cpu in allowed_cpus()][:2] for cpus in kinds.values()]
    two = next((cpus for cpus in alike if len(cpus) == 2), None)
    remedy = f"ipcbench compare --cpus {two[0]},{two[1]}" if two else None
    return "warn", f"{says}, which are of two kinds", remedy


def cpu_idle(root: Path) -> Assessment:
    """How long a CPU takes to leave its deepest idle state."""
    driver = text_of(root / "sys/devices/system/cpu/cpuidle/current_driver")
    states = surroundings.idle_states(root)
    if driver is None and not states:
        raise LookupError("no driver of idle states")
    governor = text_of(root / "sys/devices/system/cpu/cpuidle/current_governor")
    named = ", ".join(name for name in (driver, governor) if name is not None)
    if not states:
        return "ok", f"{named}, no states", None
    deepest = states[-1]
    wakes_s = deepest.exit_latency_us / 1e6
    says = f"{named}; its deepest state, {deepest.name}, takes {display_time(wakes_s)} to leave"
    if deepest.exit_latency_us <= _DEEP_US:
        return "ok", says, None
    remedy = f"sudo cpupower idle-set -D {_DEEP_US}"
    return "note", f"{says}, which round trips between CPUs show", remedy


def mitigations(root: Path) -> Assessment:
    """Mitigations of the CPU's faults, which make system calls slower."""
    folder = root / "sys/devices/system/cpu/vulnerabilities"
    states = {path.name: text_of(path) or "" for path in sorted(folder.glob("*"))}
    if not states:
        raise LookupError("no list of faults")
    on = [name for name, text in states.items() if text.startswith("Mitigation")]
    off = [name for name, text in states.items() if text.startswith("Vulnerable")]
    said = [f"in force for {', '.join(on)}"] if on else ["none in force"]
    said += [f"none for {', '.join(off)}, which this CPU has"] if off else []
    return "ok", "; ".join(said), None


def security(root: Path) -> Assessment:
    """Security modules, and the filter that system calls pass."""
    modules = text_of(root / "sys/kernel/security/lsm")
    filtered = surroundings.seccomp(root)
    if modules is None and filtered is None:
        raise LookupError("neither is shown")
    said = [f"modules {modules}"] if modules else ["modules aren't shown"]
    if filtered is None or filtered.mode == "off":
        return "ok", f"no seccomp filter; {said[0]}", None
    number = "a" if filtered.filters is None else counted(filtered.filters, "filter")
    says = f"each system call passes {number}{' filter' * (number == 'a')} of seccomp; {said[0]}"
    kind = (surroundings.container(root) or "").partition(" ")[0]
    run = f"start the container anew: {kind} run --security-opt seccomp=unconfined ..."
    return "note", says, run if kind in ("docker", "podman") else None


def filters(root: Path) -> Assessment:
    """Filters that packets of the loopback pass, which AF_INET pays for and AF_UNIX doesn't."""
    if not (root / "proc/net").exists():
        raise LookupError("no /proc/net")
    found = [one for one in surroundings.packet_filters(root) if one != "br_netfilter"]
    seen = [one for one in found if "root alone" not in one]
    if not seen:
        hidden = "; iptables' tables are shown to root alone" if found else ""
        return "ok", f"none seen on the loopback (those of nftables aren't shown){hidden}", None
    says = f"packets of the loopback may pass {', '.join(seen)}: AF_INET pays for it, AF_UNIX not"
    ordinary = "" if os.geteuid() == 0 else "r"
    bare = f"unshare -{ordinary}n sh -c 'ip link set lo up && ipcbench compare'"
    return "note", says, bare if shutil.which("ip") else None


def small_pipes(root: Path) -> Assessment:
    """The capacity of a new pipe of this user."""
    if not hasattr(fcntl, "F_GETPIPE_SZ"):
        raise LookupError("the size of a pipe isn't told")
    ends = os.pipe()
    try:
        size_bytes = fcntl.fcntl(ends[0], fcntl.F_GETPIPE_SZ)
    finally:
        for end in ends:
            os.close(end)
    usual_bytes = _USUAL_PIPE_PAGES * resource.getpagesize()
    if size_bytes >= usual_bytes:
        return "ok", f"a new pipe holds {display_size(size_bytes)}", None
    text = text_of(root / "proc/sys/fs/pipe-user-pages-soft") or ""
    says = (
        f"a new pipe holds {display_size(size_bytes)} and not {display_size(usual_bytes)}: this"
        " user's pipes reached fs.pipe-user-pages-soft"
    )
    if not text.isdigit():
        return "warn", says, "end programs of this user that hold many pipes"
    says += f", {counted(int(text), 'page')}"
    if int(text) >= _USUAL_SOFT_PAGES:
        return "warn", says, "end programs of this user that hold many pipes"
    return "warn", says, set_sysctl(f"fs.pipe-user-pages-soft={_USUAL_SOFT_PAGES}")


def in_container(root: Path) -> Assessment:
    """Whether this seems to be a container, and by which sign."""
    sign = surroundings.container(root)
    if sign is None:
        return "ok", "no sign of one", None
    return "note", f"{sign}: its limits hold here, and some settings are the host's", None


def python(_root: Path) -> Assessment:
    """The build of this Python."""
    build = surroundings.python_build()
    if "debug" in build:
        return "warn", f"a {build} build: slower than what is used elsewhere", None
    return "ok", f"a {build} build", None


def loopback(_root: Path) -> Assessment:
    """Whether the loopback interface is up."""
    if is_loopback_down():
        return "warn", "the interface is down: no inet transport can run", "sudo ip link set lo up"
    return "ok", "the interface is up", None


def congestion(root: Path) -> Assessment:
    """The congestion control of TCP, which decides on streams of large messages."""
    folder = root / "proc/sys/net/ipv4"
    name = text_of(folder / "tcp_congestion_control")
    if name is None:
        raise LookupError("no TCP")
    if name == _MOST_CONGESTION:
        return "ok", f"{name}, as on most machines", None
    says = (
        f"{name}, where most machines have {_MOST_CONGESTION}: it changes TCP's streams of large"
        " messages"
    )
    kind = "available" if os.geteuid() == 0 else "allowed"
    choice = (text_of(folder / f"tcp_{kind}_congestion_control") or "").split()
    both = f"ipcbench compare inet inet:congestion={_MOST_CONGESTION} unix"
    return "note", says, both if _MOST_CONGESTION in choice else None


def _cpu_file(group: Group) -> tuple[str, str]:
    """The file of a cgroup's quota, and the text that ends it."""
    return ("cpu.max", "max") if group.version == 2 else ("cpu.cfs_quota_us", "-1")


def _lift(folder: Path, root: Path, file: tuple[str, str], update: str, pod: str, unit: str) -> str:
    """The remedy of a cgroup's limit, by who set it: a container's engine, systemd, or somebody.

    `file` is the limit's name in the cgroup and the text that ends it; the others are its names for
    `docker update`, in a pod's resources, and in a unit of systemd.
    """
    name, none = file
    path = folder / name
    kind = (surroundings.container(root) or "").partition(" ")[0]
    if kind == "kubepods":
        return f"have the pod's {pod} removed by whoever deploys it"
    if kind in ("docker", "podman") and is_read_only(path):
        return f"on the host: {kind} update {update} CONTAINER"
    if folder.name.endswith((".service", ".scope", ".slice")):
        return f"sudo systemctl set-property --runtime {folder.name} {unit}="
    return write(none, shown(path, root))


CHECKS: tuple[tuple[str, Callable[[Path], Assessment]], ...] = (
    ("CPU kinds", cpu_kinds),
    ("CPU idle", cpu_idle),
    ("quota", quota),
    ("memory", memory),
    ("container", in_container),
    ("Python", python),
    ("mitigations", mitigations),
    ("security", security),
    ("loopback", loopback),
    ("filters", filters),
    ("congestion", congestion),
    ("small pipes", small_pipes),
)
"""The topic and function of each check, in the order of the output."""
