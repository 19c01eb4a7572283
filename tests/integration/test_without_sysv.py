"""A Python for which sysv_ipc has no wheel: all else is listed and measured, and that is said."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ipcbench.run import about
from tests.command import QUICK, run

WITHOUT = """
import sys
sys.modules["sysv_ipc"] = None  # as if it weren't installed
from ipcbench.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _without(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return run("-c", WITHOUT, *arguments, cwd=cwd)


def test_list_says_of_each_transport_what_is_missing_and_what_to_type(tmp_path: Path) -> None:
    done = _without("list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    for name in ("sysv-shm", "sysv-shm-spin", "sysv-msg", "sysv-sem"):
        _, _, after = said.partition(f" {name} no ")
        assert "can't run here: the package sysv_ipc is missing; pip install sysv_ipc" in after
    assert " unix yes " in said


def test_the_usual_transports_but_system_v_are_measured(tmp_path: Path) -> None:
    options = ("--workloads=latency", "--sizes=64", "-o", "run.json")
    done = _without("compare", *QUICK, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sysv-shm" not in done.stdout
    assert "sysv-shm is left out: the package sysv_ipc is missing; pip install" in done.stderr


def test_the_versions_of_a_run_leave_out_what_isnt_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        if name == "sysv_ipc":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    assert about.library_versions() == "pyperf 1.0, psutil 1.0"


def test_what_a_run_with_system_v_left_is_swept_without_the_package() -> None:
    code = 'import sys; sys.modules["sysv_ipc"] = None\n'
    code += "from ipcbench.transports.parts import sysv\n"
    code += 'assert sysv.unavailable().startswith("the package sysv_ipc is missing")\n'
    code += 'sysv.remove("Semaphore", 1)'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
