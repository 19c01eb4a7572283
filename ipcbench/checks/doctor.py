"""Checks whether this machine is fit to be measured, and what would help (`ipcbench doctor`).

Most checks read /proc and /sys below a root; a missing file is reported, and never an error.
Facts of this process (its CPUs, clock, descriptors, temporary folder) come from the system,
whatever the root. `around` has the checks of what is set around it: cgroup, kernel, container.

`python -m pyperf system show` adds what isn't checked here: perf's sampling rate, address space
randomisation, the CPUs of interrupts and of RCU callbacks, nohz_full and the power cable. It is run
as a program, since as a library it prints and exits.
"""

import os
import re
import resource
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import NamedTuple

from ipcbench.checks import around
from ipcbench.checks.advice import ORDINARY, Assessment, Level, Standing, set_sysctl, suited, write
from ipcbench.errors import EXIT_CASES_FAILED, EXIT_OK
from ipcbench.system import machine, quota
from ipcbench.system.cpus import allowed_cpus
from ipcbench.system.scratch import leftovers
from ipcbench.system.surroundings import cpu_list, format_cpu_list, text_of
from ipcbench.text import counted
from ipcbench.transports.registry import transports
from ipcbench.units import display_amount, display_size, display_time, three_digits

_CPU = "sys/devices/system/cpu"
_CLOCK = "sys/devices/system/clocksource/clocksource0"
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
"""Clock sources that can't be read without a system call (vdso(7))."""
_CLOCK_READS = 5000
_COARSE_S = 1e-6
_BUSY_SHARE, _QUIET_SHARE = 0.5, 0.1
"""Load per CPU above which other work disturbs a measurement, and below which it hardly does."""
_FEWEST_DESCRIPTORS = 64
"""Descriptors that a run and a launch hold at once, with room to spare."""
_NO_LIMIT = 2**62
"""The kernel's default for shmmax is just under 2**64: no limit in all but name (shmget(2))."""
_PYPERF = (sys.executable, "-P", "-m", "pyperf", "system")
_PYPERF_LIMIT_S = 10.0
_MOST_PYPERF_LINES = 5
_CHECKED_HERE = ("CPU scaling governor:", "Turbo Boost", "Linux scheduler: Use isolcpus=")


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check: a line of text, and a command that mends it if there is one."""

    topic: str
    level: Level
    says: str
    remedy: str | None = None


class Limit(NamedTuple):
    """A sysctl, what it bounds, and the smallest value that doesn't limit a measurement."""

    topic: str
    sysctl: str
    bounds: str
    comfortable: int
    counts: str | None = None  # the unit, unless it is bytes
    word: int = 0  # index of the number in the file


# Comfortable is the kernel's default or, where this is less, room for messages of 64 KiB.
LIMITS = (
    Limit("pipe", "fs.pipe-max-size", "most a pipe can be made to hold", 1024**2),
    Limit("SysV message", "kernel.msgmax", "largest message of a queue", 64 * 1024),
    Limit("SysV queue", "kernel.msgmnb", "most a queue holds", 128 * 1024),
    Limit("SysV segment", "kernel.shmmax", "largest segment", 64 * 1024**2),
    Limit("SysV sets", "kernel.sem", "most semaphores at once", 128, counts="set", word=3),
    Limit("POSIX queue", "fs.mqueue.msg_max", "most a queue holds", 10, counts="message"),
    Limit("POSIX msg", "fs.mqueue.msgsize_max", "largest message of a queue", 64 * 1024),
    Limit("receive max", "net.core.rmem_max", "largest SO_RCVBUF", 212992),
    Limit("send max", "net.core.wmem_max", "largest SO_SNDBUF", 212992),
    Limit("receive", "net.core.rmem_default", "SO_RCVBUF unless set", 212992),
    Limit("send", "net.core.wmem_default", "SO_SNDBUF unless set", 212992),
)


def examine(root: Path = Path("/")) -> list[Check]:
    """Runs every check; takes as long as pyperf's own check, at most 10 s."""
    checks = [_checked(topic, check, root) for topic, check in CHECKS]
    reasons = [(transport.name, transport.unavailable()) for transport in transports()]
    checks += [Check(name, "note", f"can't run: {why}") for name, why in reasons if why]
    return checks + (_pyperf() if root == Path("/") else [])  # pyperf reads no other root


def render(checks: Iterable[Check], who: Standing = ORDINARY) -> list[str]:
    """A line for each check, and an indented one for its remedy, as it works for whom it tells."""
    lines = []
    for found in checks:
        lines.append(f"{found.level:5} {found.topic:12} {found.says}")
        if found.remedy is not None:
            lines.append(f"      try: {suited(found.remedy, who)}")
    return lines


def exit_code(checks: Iterable[Check]) -> int:
    """The exit code: 0 unless a check is `fatal`."""
    return EXIT_CASES_FAILED if any(f.level == "fatal" for f in checks) else EXIT_OK


def _checked(topic: str, check: Callable[[Path], Assessment], root: Path) -> Check:
    """Runs one check; its LookupError or ValueError means that the system doesn't show the fact."""
    try:
        level, says, remedy = check(root)
    except (LookupError, ValueError):
        matters = (
            topic in ("governor", "turbo") and machine.this_machine().virtualisation == "bare-metal"
        )
        return Check(topic, "warn" if matters else "note", "not shown by this system")
    return Check(topic, level, says, None if level == "ok" else remedy)


def _read(root: Path, pattern: str) -> list[str]:
    """The text of each matching file that may be read and has a value."""
    texts = (text_of(path) for path in sorted(root.glob(pattern)))
    return [text for text in texts if text is not None]


def _cores(root: Path) -> Assessment:
    siblings = _read(root, f"{_CPU}/cpu[0-9]*/topology/thread_siblings_list")
    cores, cpus, example = len(set(siblings)), len(siblings), max(siblings, key=len)
    smt = f"{cpus} CPUs by SMT ({example} share one)" if cores < cpus else "no SMT"
    says = f"{counted(cores, 'core')}, {smt}"
    if cores == 1:
        return "warn", f"{says}: the two ends can't have a core each", None
    return "ok" if cores == cpus else "note", says, write("off", f"/{_CPU}/smt/control")


def _allowed(root: Path) -> Assessment:
    allowed, cpus = len(allowed_cpus()), os.cpu_count() or 1
    says = f"this process may use {allowed} of {counted(cpus, 'CPU')}"
    remedy = f"taskset -c 0-{cpus - 1} ipcbench compare" if cpus > 1 else None
    granted = cpu_list(quota.cpuset(root))
    if granted and len(granted) <= allowed < cpus:
        says += f", as its cgroup has {format_cpu_list(granted)} alone"
        remedy = f"have the cgroup's cpuset widened to 0-{cpus - 1} by whoever set it"
    return "ok" if allowed > 1 else "warn", says, remedy


def _governor(root: Path) -> Assessment:
    governors = sorted(set(_read(root, f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor")))
    if governors[0] == governors[-1] == "performance":
        return "ok", "performance", None
    says = f"{' and '.join(governors)}: a CPU's frequency follows its load"
    return "warn", says, "sudo cpupower frequency-set -g performance"


def _turbo(root: Path) -> Assessment:
    intel = (root / _CPU / "intel_pstate").exists()
    name, off = ("intel_pstate/no_turbo", "1") if intel else ("cpufreq/boost", "0")
    if _read(root, f"{_CPU}/{name}")[0] == off:
        return "ok", "off", None
    says = "on: a CPU's frequency depends on heat and on the other cores"
    return "warn", says, write(off, f"/{_CPU}/{name}")


def _isolated(root: Path) -> Assessment:
    path = root / _CPU / "isolated"
    if not path.exists():
        raise LookupError("no such file")
    if cpus := format_cpu_list(cpu_list(text_of(path))):
        return "ok", f"CPUs {cpus}; to measure there: taskset -c {cpus} ipcbench compare", None
    return "note", "no CPUs: other work may run on the measured ones", None


def _machine(_root: Path) -> Assessment:
    kind = machine.this_machine().virtualisation
    if kind == "bare-metal":
        return "ok", kind, None
    return "note", f"virtual ({kind}): the host may take a CPU away at any time", None


def _clock(root: Path) -> Assessment:
    source = "".join(_read(root, f"{_CLOCK}/current_clocksource")) or "unknown source"
    reads = [time.perf_counter_ns() for _ in range(_CLOCK_READS)]
    steps = [late - early for early, late in pairwise(reads) if late > early]
    step_s = min(steps, default=float("inf")) / 1e9
    says = f"{source}, smallest step {display_time(step_s)} in {_CLOCK_READS} reads"
    fine = step_s <= _COARSE_S and source not in _SLOW_CLOCKS
    others = {*" ".join(_read(root, f"{_CLOCK}/available_clocksource")).split()} - {source}
    remedy = write("tsc", f"/{_CLOCK}/current_clocksource") if "tsc" in others else None
    return "ok" if fine else "warn", says, remedy


def _load(root: Path) -> Assessment:
    load, cpus = float(_read(root, "proc/loadavg")[0].split()[0]), os.cpu_count() or 1
    says = f"{three_digits(load)} in the last minute, on {counted(cpus, 'CPU')}"
    if load > cpus * _BUSY_SHARE:
        return "warn", f"{says}: wait for quiet", "top -o %CPU"
    return "note" if load > cpus * _QUIET_SHARE else "ok", says, None


def _swap(root: Path) -> Assessment:
    rows = re.findall(r"(\w+): +([0-9]+) kB", _read(root, "proc/meminfo")[0])
    sizes = {name: int(number) * 1024 for name, number in rows}  # its kB is a KiB (proc(5))
    used = sizes["SwapTotal"] - sizes["SwapFree"]
    says = f"{display_amount(used)} of {display_amount(sizes['SwapTotal'])} in use"
    fits = used < sizes["MemAvailable"]
    return "warn" if used else "ok", says, "sudo swapoff -a" if fits else None


def _limit(limit: Limit, root: Path) -> Assessment:
    words = _read(root, f"proc/sys/{limit.sysctl.replace('.', '/')}")[0].split()
    value = int(words[limit.word])
    shown = counted(value, limit.counts) if limit.counts else display_size(value)
    says = f"{limit.bounds}: {'no limit' if value > _NO_LIMIT else shown} ({limit.sysctl})"
    words[limit.word] = str(limit.comfortable)
    remedy = set_sysctl(f"{limit.sysctl}={' '.join(words)}")
    return "ok" if value >= limit.comfortable else "note", says, remedy


def _descriptors(_root: Path) -> Assessment:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return "ok", "no limit", None
    says = f"{counted(soft, 'open file')} at most"
    return "ok" if soft >= _FEWEST_DESCRIPTORS else "warn", says, "ulimit -n 1024"


def _leftovers(_root: Path) -> Assessment:
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return "fatal", "no temporary folder can be written", 'export TMPDIR="$HOME"'
    left = leftovers()
    if not left:
        return "ok", f"none in {folder}", None
    found = counted(len(left), "directory", "directories")
    objects = counted(sum(len(one.objects) for one in left), "kernel object")
    says = f"{found} in {folder} and {objects}, of runs that were killed; the next run removes them"
    return "note", says, "ipcbench clean"


def _transports(_root: Path) -> Assessment:
    every = transports()
    can = [transport for transport in every if transport.unavailable() is None]
    says = f"{len(can)} of {len(every)} can run"
    if all(transport.is_control for transport in can):
        return "fatal", f"{says}, and none that moves a message", None
    return "ok", says, None


def _pyperf() -> list[Check]:
    try:
        output = _pyperf_output()
    except (OSError, TimeoutExpired):
        output = ""
    if "System state" not in output:
        return [Check("pyperf", "note", "its own check of the system gave no answer")]
    remedy = f"sudo {shlex.join([*_PYPERF, 'tune'])}"
    checks = [
        Check("pyperf", "note", line, None if "kernel parameter" in line else remedy)
        for line in pyperf_advice(output)
    ]
    return checks or [Check("pyperf", "ok", "its own check of the system adds nothing")]


def pyperf_advice(output: str) -> list[str]:
    """The first lines of advice and errors in the output of `pyperf system show`."""
    lines = []
    for title, body in pairwise(output.split("\n\n")):
        if title.startswith(("Advices\n", "Errors\n")):
            lines += [line for line in body.splitlines() if not line.startswith(_CHECKED_HERE)]
    return lines[:_MOST_PYPERF_LINES]


def _pyperf_output() -> str:
    command = [*_PYPERF, "show"]
    with Popen(command, stdout=PIPE, stderr=DEVNULL, start_new_session=True) as program:
        try:
            return program.communicate(timeout=_PYPERF_LIMIT_S)[0].decode(errors="replace")
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)  # and the programs that it started


CHECKS: tuple[tuple[str, Callable[[Path], Assessment]], ...] = (
    ("cores", _cores),
    ("CPUs", _allowed),
    ("governor", _governor),
    ("turbo", _turbo),
    ("isolated", _isolated),
    ("machine", _machine),
    *around.CHECKS,
    ("clock", _clock),
    ("load", _load),
    ("swap", _swap),
    *((limit.topic, partial(_limit, limit)) for limit in LIMITS),
    ("descriptors", _descriptors),
    ("leftovers", _leftovers),
    ("transports", _transports),
)
"""The topic and function of each check, in the order of the output."""
