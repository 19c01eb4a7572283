"""A transport of another package, from its installation in a fresh environment to a report."""

import json
import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ipcbench.results import store
from tests.command import QUICK, ROOT
from tests.integration.test_install import missing_to_build

OUTSIDE = ROOT / "tests/data/outside"
LIMIT_S = 100
FEW = (*QUICK[1:], "--rounds=2", "--sizes=64", "--workloads=latency")

pytestmark = [
    pytest.mark.early,
    pytest.mark.skipif(missing_to_build() is not None, reason=str(missing_to_build())),
]


class Environment(NamedTuple):
    """A virtual environment that has ipcbench as it is here, and the package."""

    folder: Path
    package: Path
    """The sources of the package, a copy."""

    def python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The finished `python ARGUMENTS` of the environment, in a folder beside it."""
        outer = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [self.folder / "bin/python", *arguments],
            cwd=self.folder.parent,
            env=outer,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def ipcbench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The finished `ipcbench ARGUMENTS` of the environment."""
        return self.python("-m", "ipcbench", *arguments)

    def install(self) -> None:
        """Installs the package as its sources are now."""
        quietly = ("--no-deps", "--no-build-isolation", "--no-index", "--force-reinstall")
        done = self.python(
            *("-m", "pip", "--disable-pip-version-check", "install", *quietly, str(self.package))
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the package installed; nothing is downloaded for it."""
    folder = tmp_path_factory.mktemp("outside")
    made = Environment(folder / "venv", folder / "package")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", made.folder], check=True, timeout=LIMIT_S
    )
    (packages,) = made.folder.glob("lib/python*/site-packages")
    seen = [str(ROOT), *site.getsitepackages()]  # this checkout, and what it depends on
    (packages / "here.pth").write_text("".join(f"{path}\n" for path in seen))
    shutil.copytree(OUTSIDE, made.package, ignore=shutil.ignore_patterns("__pycache__"))
    made.install()
    return made


@pytest.fixture(scope="module")
def run(fresh: Environment) -> Path:
    """The file of a run over the package's transport and another one."""
    path = fresh.folder.parent / "run.json"
    done = fresh.ipcbench("compare", "seqpair", "socketpair", *FEW, "-o", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of another package, ipcbench-seqpair 1.0: seqpair" in done.stdout
    assert "Traceback" not in done.stderr
    return path


def test_it_is_listed_under_its_own_group_and_explained(fresh: Environment) -> None:
    lines = fresh.ipcbench("list").stdout.splitlines()
    title = lines.index("Pairs (@pairs), of other packages")
    assert lines[title + 1].startswith("  seqpair               yes UNIX domain sequenced-packet")
    assert lines[title + 2].strip() == "of ipcbench-seqpair 1.0"
    assert (
        "package:                  ipcbench-seqpair 1.0"
        in fresh.ipcbench("explain", "@pairs").stdout
    )
    assert "seqpair" not in fresh.ipcbench("list", "--no-plugins").stdout


def test_no_group_of_ipcbench_has_it(fresh: Environment) -> None:
    assert "seqpair" not in fresh.ipcbench("explain", "@all", "@sockets").stdout
    unknown = fresh.ipcbench("compare", "@trios")
    assert unknown.returncode == 2
    assert re.fullmatch(
        r"ipcbench: unknown group '@trios'; did you mean '@.*'\?\n|.*@pairs.*\n", unknown.stderr
    )


def test_check_tries_every_rule_on_it(fresh: Environment) -> None:
    done = fresh.ipcbench("check", "seqpair")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "no rule broken, of 1 transport"
    assert "BROKEN" not in done.stdout
    proved = fresh.ipcbench("evidence", "seqpair")
    assert proved.stdout.splitlines()[-1] == "proved: 1"


def test_its_own_test_passes_in_its_own_pytest(fresh: Environment) -> None:
    options = ("-q", "-p", "no:cacheprovider", "-W", "error", f"--rootdir={fresh.package}")
    done = fresh.python("-m", "pytest", *options, str(fresh.package / "tests"))
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_its_knobs_are_written_behind_its_name(fresh: Environment) -> None:
    path = fresh.folder.parent / "knob.json"
    named = ("seqpair", "seqpair:sndbuf=64k")
    done = fresh.ipcbench("compare", *named, *FEW, "-o", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of another package, ipcbench-seqpair 1.0: seqpair, seqpair:sndbuf=64k" in done.stdout


def test_the_package_and_its_version_are_in_every_launch(run: Path) -> None:
    told = {
        (launch.case.transport, launch.facts.get("transport_package"))
        for launch in store.load(run).launches()
    }
    assert ("seqpair", "ipcbench-seqpair 1.0") in told
    assert {package for name, package in told if name != "seqpair"} == {None}
    assert len(told) > 2


def test_a_report_of_its_results_loads_nothing_of_it(fresh: Environment, run: Path) -> None:
    (module,) = fresh.folder.glob("lib/python*/site-packages/seqpair.py")
    source = module.read_text()
    sentinel = fresh.folder.parent / "imported"
    module.write_text(f"import pathlib\npathlib.Path({str(sentinel)!r}).touch()\n{source}")
    try:
        done = fresh.ipcbench("report", str(run), "--csv", "-")
        assert done.returncode == 0, done.stderr
        assert "seqpair" in done.stdout
        assert "ipcbench-seqpair 1.0" in done.stdout
        assert not sentinel.exists()
        fresh.ipcbench("list")
        assert sentinel.exists()
    finally:
        module.write_text(source)


def test_a_run_is_resumed_with_the_same_version_and_no_other(fresh: Environment, run: Path) -> None:
    again = run.with_name("again.json")
    cut = json.loads(run.read_text())
    for benchmark in cut["benchmarks"]:
        benchmark["runs"].pop()
    again.write_text(json.dumps(cut))
    short = again.read_text()
    done = fresh.ipcbench("compare", "--resume", str(again))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(again.read_text())["benchmarks"][0]["runs"]) == 2

    again.write_text(short)
    project = fresh.package / "pyproject.toml"
    text = project.read_text()
    project.write_text(text.replace('version = "1.0"', 'version = "1.1"'))
    try:
        fresh.install()
        done = fresh.ipcbench("compare", "--resume", str(again))
    finally:
        project.write_text(text)
        fresh.install()
    assert done.returncode == 2
    assert done.stderr == (
        f"ipcbench: {again} was begun with plugins seqpair of ipcbench-seqpair 1.0 and this is"
        " seqpair of ipcbench-seqpair 1.1; launches of both aren't one run: measure anew\n"
    )
    without = fresh.ipcbench("compare", "--resume", str(again), "--no-plugins")
    assert without.returncode == 2
    assert f"{again} can't be gone on with: seqpair was of ipcbench-seqpair 1.0; unknown" in (
        without.stderr
    )
    assert len(without.stderr.splitlines()) == 1
