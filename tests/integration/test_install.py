"""What is installed where there is no compiler: all but the loop in C, and that is said."""

import os
import shutil
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path

import pytest

from tests.command import ROOT

LEAST_SETUPTOOLS = 77
"""What `build-system` of pyproject.toml asks for."""
LIMIT_S = 100


def missing_to_build() -> str | None:
    """What a build from a checkout, without the network, needs and doesn't find."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return "this is no checkout: its files can't be listed"
    if util.find_spec("pip") is None:
        return "no pip in this environment"
    try:
        version = metadata.version("setuptools")
    except metadata.PackageNotFoundError:
        return "no setuptools in this environment, and a test downloads none"
    if int(version.partition(".")[0]) < LEAST_SETUPTOOLS:
        return f"setuptools {version} here, and {LEAST_SETUPTOOLS} is needed"
    return None


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is in git, so that a build writes nothing into the checkout itself."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "ipcbench", "*.toml", "setup.py", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    copy = tmp_path / "checkout"
    for name in filter(None, listed.stdout.decode().split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    return copy


@pytest.mark.skipif(missing_to_build() is not None, reason=str(missing_to_build()))
def test_without_a_compiler_all_else_is_installed_and_the_lack_is_said(
    checkout: Path, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    install += ["--no-index", "--disable-pip-version-check", f"--target={target}", str(checkout)]
    alone = os.environ | {"PYTHONPATH": str(target)}
    made = subprocess.run(
        install,
        cwd=tmp_path,
        env=os.environ | {"CC": "/bin/false", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert not list(target.rglob("_native*.so"))
    shown = subprocess.run(
        [sys.executable, "-m", "ipcbench", "list"],
        cwd=tmp_path,
        env=alone,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert shown.returncode == 0, shown.stderr
    said = " ".join(shown.stdout.split())
    assert "the extension wasn't built: install a C compiler and Python's headers" in said
