import os
import resource
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ipcbench.checks import doctor
from ipcbench.checks.advice import Level
from ipcbench.checks.doctor import Check, examine, exit_code, pyperf_advice, render
from ipcbench.errors import EXIT_CASES_FAILED, EXIT_OK
from ipcbench.system import machine
from ipcbench.system.process import start_time
from ipcbench.system.scratch import OWNER, PREFIX
from ipcbench.transports.controls import Null
from ipcbench.transports.unix import Unix

CPU = "sys/devices/system/cpu"
CLOCK = "sys/devices/system/clocksource/clocksource0"
SHOWN_BY_PYPERF = """\
Show the system configuration

System state
============

CPU: use 2 logical CPUs: 0-1

Advices
=======

Perf event: Set max sample rate to 1
Linux scheduler: Use isolcpus=<cpu list> kernel parameter to isolate CPUs
Linux scheduler: Use rcu_nocbs=<cpu list> kernel parameter
CPU scaling governor: Use CPU scaling governor 'performance'

Warnings
========

Turbo Boost (MSR): Failed to read MSR 0x1a0

Errors
======

IRQ affinity: Failed to read the mask

Run "python -m pyperf system tune" to tune the system
"""


class Missing(Unix):
    def unavailable(self) -> str | None:
        return "no sockets; try another kernel"


def _all_found(root: Path, topic: str, files: dict[str, str] | None = None) -> list[Check]:
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [found for found in examine(root) if found.topic == topic]


def _found(root: Path, topic: str, files: dict[str, str] | None = None) -> Check:
    (found,) = _all_found(root, topic, files)
    return found


def _siblings(*lists: str) -> dict[str, str]:
    return {f"{CPU}/cpu{n}/topology/thread_siblings_list": text for n, text in enumerate(lists)}


def _virtualised(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    made_up = machine.Machine("a CPU", 2, kind, "Linux 6", "none", "CPython 3.11")
    monkeypatch.setattr(machine, "this_machine", lambda: made_up)


def _ask_instead_of_pyperf(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(doctor, "_PYPERF", (sys.executable, "-c", program))


def test_nothing_is_raised_and_nothing_proposed_where_all_files_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _virtualised(monkeypatch, "kvm")
    hidden = [found for found in examine(tmp_path) if "not shown" in found.says]
    assert {found.topic for found in hidden} >= {"cores", "governor", "load", "swap", "pipe"}
    assert {(found.level, found.remedy) for found in hidden} == {("note", None)}


def test_every_finding_on_this_machine_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_instead_of_pyperf(monkeypatch, f"print({SHOWN_BY_PYPERF!r})")
    findings = examine()
    for found in findings:
        assert found.says.strip()
        assert "\n" not in found.says + (found.remedy or "")
    assert {topic for topic, _ in doctor.CHECKS} | {"pyperf"} <= {f.topic for f in findings}


def test_a_fine_setting_has_no_remedy(tmp_path: Path) -> None:
    found = _found(tmp_path, "pipe", {"proc/sys/fs/pipe-max-size": "1048576\n"})
    says = "most a pipe can be made to hold: 1 MiB (fs.pipe-max-size)"
    assert found == Check("pipe", "ok", says, None)


def test_cores_of_their_own_are_ok(tmp_path: Path) -> None:
    found = _found(tmp_path, "cores", _siblings("0\n", "1\n"))
    assert (found.level, found.says) == ("ok", "2 cores, no SMT")


def test_shared_cores_are_noted_with_an_example(tmp_path: Path) -> None:
    found = _found(tmp_path, "cores", _siblings("0", "1,3", "2,4", "1,3", "2,4"))
    assert (found.level, found.says) == ("note", "3 cores, 5 CPUs by SMT (1,3 share one)")
    assert found.remedy == f"echo off | sudo tee /{CPU}/smt/control"


@pytest.mark.parametrize(
    ("siblings", "says"),
    [(["0"], "1 core, no SMT"), (["0-1", "0-1"], "1 core, 2 CPUs by SMT (0-1 share one)")],
)
def test_one_core_for_both_ends_is_a_warning(
    tmp_path: Path, siblings: list[str], says: str
) -> None:
    found = _found(tmp_path, "cores", _siblings(*siblings))
    assert found == Check("cores", "warn", f"{says}: the two ends can't have a core each")


@pytest.mark.parametrize(
    ("allowed", "cpus", "level", "remedy"),
    [
        ([0, 1], 4, "ok", None),
        ([3], 4, "warn", "taskset -c 0-3 ipcbench compare"),
        ([0], 1, "warn", None),
    ],
)
def test_one_cpu_for_this_process_is_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    allowed: list[int],
    cpus: int,
    level: str,
    remedy: str | None,
) -> None:
    monkeypatch.setattr(doctor, "allowed_cpus", lambda: allowed)
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    found = _found(tmp_path, "CPUs")
    assert (found.level, found.remedy) == (level, remedy)
    assert found.says.startswith(f"this process may use {len(allowed)} of {cpus} CPU")


def test_only_performance_on_every_cpu_is_a_fine_governor(tmp_path: Path) -> None:
    governor = f"{CPU}/cpu{{}}/cpufreq/scaling_governor"
    found = _found(tmp_path, "governor", {governor.format(0): "performance\n"})
    assert (found.level, found.says) == ("ok", "performance")
    found = _found(tmp_path, "governor", {governor.format(1): "powersave\n"})
    assert found.level == "warn"
    assert found.says.startswith("performance and powersave: ")
    assert found.remedy == "sudo cpupower frequency-set -g performance"


@pytest.mark.parametrize("topic", ["governor", "turbo"])
@pytest.mark.parametrize(("kind", "level"), [("kvm", "note"), ("bare-metal", "warn")])
def test_a_frequency_that_isnt_shown_matters_only_on_bare_metal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topic: str, kind: str, level: Level
) -> None:
    _virtualised(monkeypatch, kind)
    assert _found(tmp_path, topic) == Check(topic, level, "not shown by this system")


@pytest.mark.parametrize(
    ("name", "on", "off"), [("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")]
)
def test_turbo_is_a_warning_with_the_file_that_ends_it(
    tmp_path: Path, name: str, on: str, off: str
) -> None:
    found = _found(tmp_path, "turbo", {f"{CPU}/{name}": f"{on}\n"})
    assert found.level == "warn"
    assert found.remedy == f"echo {off} | sudo tee /{CPU}/{name}"
    assert _found(tmp_path, "turbo", {f"{CPU}/{name}": f"{off}\n"}) == Check("turbo", "ok", "off")


def test_isolated_cpus_come_with_the_way_to_measure_there(tmp_path: Path) -> None:
    assert _found(tmp_path, "isolated", {f"{CPU}/isolated": "\n"}).level == "note"
    found = _found(tmp_path, "isolated", {f"{CPU}/isolated": "2-3\n"})
    assert found.level == "ok"
    assert "taskset -c 2-3 ipcbench compare" in found.says


@pytest.mark.parametrize(
    ("text", "cpus"), [(" (null)\n", None), ("", None), ("\n", None), ("2-3,7\n", "2-3,7")]
)
def test_odd_text_in_place_of_isolated_cpus_means_none(
    tmp_path: Path, text: str, cpus: str | None
) -> None:
    found = _found(tmp_path, "isolated", {f"{CPU}/isolated": text})
    if cpus is None:
        assert found == Check(
            "isolated", "note", "no CPUs: other work may run on the measured ones"
        )
    else:
        assert found.level == "ok"
        assert f"taskset -c {cpus} ipcbench compare" in found.says


def test_a_governor_of_odd_text_is_none(tmp_path: Path) -> None:
    found = _found(tmp_path, "governor", {f"{CPU}/cpu0/cpufreq/scaling_governor": "(null)\n"})
    assert found.says == "not shown by this system"


@pytest.mark.parametrize(("kind", "level"), [("bare-metal", "ok"), ("kvm", "note")])
def test_a_virtual_machine_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: str
) -> None:
    _virtualised(monkeypatch, kind)
    found = _found(tmp_path, "machine")
    assert found.level == level
    assert kind in found.says


@pytest.mark.parametrize(
    ("source", "available", "level", "better"),
    [
        ("tsc", "tsc hpet", "ok", False),
        ("hpet", "hpet tsc acpi_pm", "warn", True),
        ("hpet", "hpet hyperv_clocksource_tsc_page", "warn", False),
    ],
)
def test_a_clock_that_needs_a_system_call_is_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    available: str,
    level: str,
    better: bool,
) -> None:
    clock = SimpleNamespace(perf_counter_ns=iter(range(0, 10**9, 40)).__next__)
    monkeypatch.setattr(doctor, "time", clock)
    files = {f"{CLOCK}/current_clocksource": source, f"{CLOCK}/available_clocksource": available}
    found = _found(tmp_path, "clock", files)
    assert (found.level, found.says) == (level, f"{source}, smallest step 40.0 ns in 5000 reads")
    remedy = f"echo tsc | sudo tee /{CLOCK}/current_clocksource"
    assert found.remedy == (remedy if better else None)


@pytest.mark.parametrize(("step_ns", "says"), [(4000, "step 4.00 µs"), (0, "step inf s")])
def test_a_coarse_clock_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_ns: int, says: str
) -> None:
    reads = iter(range(10_000))
    clock = SimpleNamespace(perf_counter_ns=lambda: next(reads) * step_ns)
    monkeypatch.setattr(doctor, "time", clock)
    found = _found(tmp_path, "clock", {f"{CLOCK}/current_clocksource": "tsc"})
    assert found.level == "warn"
    assert says in found.says


@pytest.mark.parametrize(("load", "level"), [("0.30", "ok"), ("1.00", "note"), ("2.50", "warn")])
def test_load_is_judged_by_the_number_of_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: str, level: str
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    found = _found(tmp_path, "load", {"proc/loadavg": f"{load} 9.00 9.00 1/80 1234\n"})
    assert found.level == level
    assert found.says.startswith(f"{load} in the last minute, on 4 CPUs")


@pytest.mark.parametrize(
    ("free", "available", "level", "says", "remedy"),
    [
        (2048, 0, "ok", "0 B of 2 MiB in use", None),
        (512, 4096, "warn", "1.5 MiB of 2 MiB in use", "sudo swapoff -a"),
        (512, 1024, "warn", "1.5 MiB of 2 MiB in use", None),
    ],
)
def test_swap_in_use_is_a_warning_and_is_given_up_only_where_it_fits(
    tmp_path: Path, free: int, available: int, level: str, says: str, remedy: str | None
) -> None:
    text = f"MemAvailable: {available} kB\nSwapTotal:    2048 kB\nSwapFree: {free} kB\n"
    found = _found(tmp_path, "swap", {"proc/meminfo": text})
    assert (found.level, found.says, found.remedy) == (level, says, remedy)


@pytest.mark.parametrize("limit", doctor.LIMITS, ids=lambda limit: limit.sysctl)
def test_a_limit_below_what_is_comfortable_is_noted_with_its_sysctl(
    tmp_path: Path, limit: doctor.Limit
) -> None:
    path = f"proc/sys/{limit.sysctl.replace('.', '/')}"
    before = ["7"] * limit.word
    found = _found(tmp_path, limit.topic, {path: " ".join([*before, str(limit.comfortable - 1)])})
    assert found.level == "note"
    assert found.remedy is not None
    assert f"{limit.sysctl}={' '.join([*before, str(limit.comfortable)])}" in found.remedy
    found = _found(tmp_path, limit.topic, {path: " ".join([*before, str(limit.comfortable)])})
    assert (found.level, found.remedy) == ("ok", None)


def test_a_remedy_for_one_of_several_numbers_keeps_the_others(tmp_path: Path) -> None:
    found = _found(tmp_path, "SysV sets", {"proc/sys/kernel/sem": "250\t32000\t32\t64\n"})
    assert found.says == "most semaphores at once: 64 sets (kernel.sem)"
    assert found.remedy == "sudo sysctl -w 'kernel.sem=250 32000 32 128'"


def test_a_limit_near_two_to_the_64_is_none(tmp_path: Path) -> None:
    found = _found(tmp_path, "SysV segment", {"proc/sys/kernel/shmmax": f"{2**64 - 2**24 - 1}"})
    assert found == Check("SysV segment", "ok", "largest segment: no limit (kernel.shmmax)")


@pytest.mark.parametrize("text", ["", "many", "1 2"])
def test_a_file_that_says_something_else_is_as_good_as_missing(tmp_path: Path, text: str) -> None:
    found = _found(tmp_path, "SysV sets", {"proc/sys/kernel/sem": text})
    assert found == Check("SysV sets", "note", "not shown by this system")


@pytest.mark.parametrize(
    ("soft", "level"), [(63, "warn"), (64, "ok"), (resource.RLIM_INFINITY, "ok")]
)
def test_few_descriptors_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soft: int, level: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert _found(tmp_path, "descriptors").level == level


def test_only_what_a_dead_run_made_counts_as_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f"{PREFIX}0123456789ab"
    (tmp_path / f"{PREFIX}notes").mkdir()
    (tmp_path / f"{PREFIX}ba9876543210").touch()
    living = tmp_path / f"{PREFIX}aaaaaaaaaaaa"
    living.mkdir()
    (living / OWNER).write_text(f"{os.getpid()} {start_time(os.getpid())}")
    # `leaves_nothing_behind` looks into the temporary folder while `monkeypatch` still holds.
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        assert _found(tmp_path, "leftovers").level == "ok"
        left.mkdir()
        (left / OWNER).write_text(f"{os.getpid()} 1")
        found = _found(tmp_path, "leftovers")
    assert (found.level, found.remedy) == ("note", "ipcbench clean")
    assert found.says.startswith(f"1 directory in {tmp_path} and 0 kernel objects")


def test_no_temporary_folder_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_usable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "gettempdir", none_usable)
        findings = examine(tmp_path)
    assert [found.topic for found in findings if found.level == "fatal"] == ["leftovers"]
    assert exit_code(findings) == EXIT_CASES_FAILED


def test_a_transport_that_cant_run_is_noted_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "transports", lambda: (Missing(), Unix(), Null()))
    assert _found(tmp_path, "transports") == Check("transports", "ok", "2 of 3 can run")
    says = "can't run: no sockets; try another kernel"
    assert _found(tmp_path, "unix") == Check("unix", "note", says)


def test_nothing_but_controls_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "transports", lambda: (Missing(), Null()))
    findings = examine(tmp_path)
    assert [found.topic for found in findings if found.level == "fatal"] == ["transports"]
    assert exit_code(findings) == EXIT_CASES_FAILED


def test_warnings_are_no_failure() -> None:
    assert exit_code([Check("swap", "warn", "1 MiB of 2 MiB in use")]) == EXIT_OK


def test_a_finding_is_a_line_and_its_remedy_an_indented_one() -> None:
    findings = [
        Check("cores", "ok", "2 cores, no SMT"),
        Check("SysV message", "fatal", "8 KiB", "sudo sysctl -w kernel.msgmax=65536"),
    ]
    assert render(findings) == [
        "ok    cores        2 cores, no SMT",
        "fatal SysV message 8 KiB",
        "      try: sudo sysctl -w kernel.msgmax=65536",
    ]


def test_every_topic_fits_its_column() -> None:
    assert [topic for topic, _ in doctor.CHECKS if len(topic) > 12] == []


def test_pyperf_is_heard_only_on_what_isnt_checked_here() -> None:
    assert pyperf_advice(SHOWN_BY_PYPERF) == [
        "Perf event: Set max sample rate to 1",
        "Linux scheduler: Use rcu_nocbs=<cpu list> kernel parameter",
        "IRQ affinity: Failed to read the mask",
    ]


def test_pyperf_is_heard_for_five_lines_at_most() -> None:
    advice = "\n".join(f"Topic {n}: do it" for n in range(9))
    assert len(pyperf_advice(f"Advices\n=======\n\n{advice}\n\nthe end\n")) == 5


def test_what_pyperf_can_tune_itself_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_instead_of_pyperf(monkeypatch, f"print({SHOWN_BY_PYPERF!r})")
    remedies = [found.remedy for found in _all_found(Path("/"), "pyperf")]
    assert [remedy is not None for remedy in remedies] == [True, False, True]


def test_pyperf_without_advice_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_instead_of_pyperf(monkeypatch, "print('System state')")
    assert _found(Path("/"), "pyperf").level == "ok"


def test_pyperf_that_fails_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_instead_of_pyperf(monkeypatch, "raise SystemExit(1)")
    assert _found(Path("/"), "pyperf").says == "its own check of the system gave no answer"


def test_pyperf_that_hangs_is_ended_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_instead_of_pyperf(monkeypatch, "import os, signal; os.fork(); signal.pause()")
    monkeypatch.setattr(doctor, "_PYPERF_LIMIT_S", 0.3)
    # `leaves_nothing_behind` would see the child.
    assert _found(Path("/"), "pyperf").says == "its own check of the system gave no answer"


def test_pyperf_isnt_asked_about_another_root(tmp_path: Path) -> None:
    assert _all_found(tmp_path, "pyperf") == []
