"""The surroundings of a run: facts of the machine, its cgroup and its kernel that change times.

Rows of the table of metadata. Each says how the fact is read, whether `diff` cautions where it
differs, which topic of `doctor` has advice on it, and which flag it raises. `system.surroundings`
reads those of a run, under these names; a launch reads only how often it was throttled. A system
that doesn't show a fact leaves it out. Pure.
"""

from collections.abc import Iterator

from ipcbench.results.keys import Key
from ipcbench.results.rules import TEXT, ValueRule, number, whole

NONE = "none"
"""The value of a limit that isn't set, and of a list without entries."""
QUOTA_KEY = "cgroup_cpu_quota"
MEMORY_KEY = "cgroup_memory_limit_bytes"
SOFT_PIPE_PAGES_KEY = "pipe_user_pages_soft"
PERIODS_KEY = "cgroup_cpu_periods_count"
THROTTLED_KEY = "cgroup_cpu_throttled_count"
THROTTLED_TIME_KEY = "cgroup_cpu_throttled_s"
THROTTLED, SMALL_PIPE = "throttled", "small-pipe"

_COUNT = whole(0, 2**62)
_COUNT_OR_NONE = ValueRule(
    f"{_COUNT.wanted}, or {NONE!r}", lambda value: value == NONE or _COUNT.fits(value)
)


def _of_run(
    name: str,
    title: str,
    read_from: str,
    rule: ValueRule = TEXT,
    *,
    cautions: bool = True,
    is_missed: bool = False,
    advice: str | None = None,
    flag: str | None = None,
) -> Key:
    return Key(
        name,
        "run",
        title,
        rule,
        cautions=cautions,
        read_from=read_from,
        is_missed=is_missed,
        advice=advice,
        flag=flag,
    )


def _of_launch(name: str, said: str, rule: ValueRule) -> Key:
    read_from = "cpu.stat before and after each batch, where there is a quota"
    return Key(
        name,
        "launch",
        None,
        rule,
        said=said,
        read_from=read_from,
        advice="quota",
        flag=THROTTLED,
    )


OF_RUNS = (
    _of_run(
        QUOTA_KEY,
        "CPU quota",
        "cpu.max or cpu.cfs_quota_us of the process's cgroup and of those above it",
        is_missed=True,
        advice="quota",
    ),
    _of_run(
        MEMORY_KEY,
        "memory limit of the cgroup",
        "memory.max, memory.high or memory.limit_in_bytes of that cgroup and of those above",
        _COUNT_OR_NONE,
        advice="memory",
    ),
    _of_run(
        "cgroup_cpuset",
        "CPUs of the cgroup",
        "cpuset.cpus.effective or cpuset.effective_cpus",
        advice="CPUs",
    ),
    _of_run(
        "allowed_cpus", "allowed CPUs", "Cpus_allowed_list of /proc/self/status", advice="CPUs"
    ),
    _of_run(
        "cpu_kinds",
        "kinds of CPUs",
        "cpu_capacity, cpuinfo_max_freq, cpu_core and cpu_atom in /sys/devices",
        advice="CPU kinds",
    ),
    _of_run(
        "cpuidle",
        "CPU idle states",
        "current_driver, current_governor and the states' latency in /sys/devices/system/cpu",
        advice="CPU idle",
    ),
    _of_run(
        "clock_source",
        "clock source",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        advice="clock",
    ),
    _of_run(
        "cpu_mitigations",
        "mitigations",
        "/sys/devices/system/cpu/vulnerabilities, but for what doesn't affect this CPU",
        advice="mitigations",
    ),
    _of_run("lsm", "security modules", "/sys/kernel/security/lsm", advice="security"),
    _of_run(
        "seccomp", "seccomp", "Seccomp and Seccomp_filters of /proc/self/status", advice="security"
    ),
    _of_run(
        "packet_filters",
        "packet filters",
        "ip_tables_names and ip6_tables_names in /proc/net, /proc/sys/net, /proc/modules",
        advice="filters",
    ),
    _of_run("timer_slack_s", "timer slack", "/proc/self/timerslack_ns", number(0, 1e9)),
    _of_run(
        SOFT_PIPE_PAGES_KEY,
        "pages of a user's pipes",
        "/proc/sys/fs/pipe-user-pages-soft",
        _COUNT,
        cautions=False,
        advice="small pipes",
        flag=SMALL_PIPE,
    ),
    _of_run(
        "container",
        "container",
        "/.dockerenv, /run/.containerenv, /run/systemd/container, /proc/1",
        advice="container",
    ),
    _of_run(
        "python_build",
        "Python's build",
        "sys and sysconfig of each interpreter: debug, free-threaded, JIT",
        is_missed=True,
        advice="Python",
    ),
)
"""Facts that the driver reads once a run, in the order of a page."""

OF_LAUNCHES = (
    _of_launch(PERIODS_KEY, "periods of the quota during batches", _COUNT),
    _of_launch(THROTTLED_KEY, "those in which it stopped the launch", _COUNT),
    _of_launch(THROTTLED_TIME_KEY, "CPU time for which it was stopped", number(0, 1e12)),
)
"""Facts that each launch counts over its batches."""


def table() -> Iterator[str]:
    """The table of docs/surroundings.md."""
    yield "| fact | what it is | read from | `diff` cautions | `doctor` | flag |"
    yield "|---|---|---|---|---|---|"
    for key in (*OF_RUNS, *OF_LAUNCHES):
        cautions = "yes" if key.cautions else ""
        flag = f"`{key.flag}`" if key.flag else ""
        cells = (f"`{key.name}`", key.words, key.read_from or "", cautions, key.advice or "", flag)
        yield f"| {' | '.join(cells)} |"
