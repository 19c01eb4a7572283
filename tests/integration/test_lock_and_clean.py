"""Two runs never spoil each other, and what a killed run left can be removed exactly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ipcbench.measure import process
from ipcbench.measure.lock import lock_path, machine_lock
from ipcbench.measure.scratch import OWNER, PREFIX
from ipcbench.transports import get_transport
from ipcbench.transports.base import LEDGER, Workspace
from tests.command import QUICK, ipcbench

MEASURED = ("compare", "pipe", "--sizes=64", "--workloads=latency", *QUICK, "-o", "run.json")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own, for its commands too."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def test_a_second_run_is_refused_with_the_firsts_process_id(
    elsewhere: Path, tmp_path: Path
) -> None:
    with machine_lock():
        refused = ipcbench(*MEASURED, cwd=tmp_path)
        insisting = ipcbench(*MEASURED, "--no-lock", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"another run (process {os.getpid()}) measures on this machine" in refused.stderr
    assert insisting.returncode == 0, insisting.stderr
    again = ipcbench(*MEASURED, "--force", cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_a_lock_of_a_killed_run_never_blocks(elsewhere: Path, tmp_path: Path) -> None:
    program = "from ipcbench.measure.lock import machine_lock\nwith machine_lock(): input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as holder:
        while not lock_path().exists() or not lock_path().read_text():
            assert holder.poll() is None
        holder.kill()
    with machine_lock():
        assert lock_path().read_text().strip() == str(os.getpid())
    assert lock_path().stat().st_mode & 0o777 == 0o600


def _left_behind(folder: Path, owner: str) -> Path:
    """A scratch directory with a noted semaphore that exists, as a killed run leaves it."""
    directory = folder / f"{PREFIX}00112233"
    launch = directory / "launch"
    launch.mkdir(parents=True)
    (directory / OWNER).write_text(owner)
    link = get_transport("sysv-sem").link(0, "latency", Workspace(launch))
    assert (launch / LEDGER).exists()
    link._counters._semaphores.clear()  # type: ignore[attr-defined]  # forgotten, not removed
    return directory


@pytest.mark.skipif(get_transport("sysv-sem").unavailable() is not None, reason="no System V IPC")
def test_clean_removes_what_a_dead_run_made_and_says_so(elsewhere: Path, tmp_path: Path) -> None:
    # The id of a process that lives, and a time at which it hadn't begun: another had its id.
    directory = _left_behind(elsewhere, f"{os.getpid()} 1")
    looked = ipcbench("clean", "--dry-run", cwd=tmp_path)
    assert looked.stdout.count("would be removed: sysv-sem ") == 2
    assert directory.exists()
    done = ipcbench("clean", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"removed: {directory}" in done.stdout
    assert not directory.exists()
    assert ipcbench("clean", cwd=tmp_path).stdout == "nothing was left behind\n"


@pytest.mark.skipif(get_transport("sysv-sem").unavailable() is not None, reason="no System V IPC")
def test_clean_touches_nothing_of_a_run_that_lives(elsewhere: Path, tmp_path: Path) -> None:
    directory = _left_behind(elsewhere, f"{os.getpid()} {process.start_time(os.getpid())}")
    (elsewhere / f"{PREFIX}not-a-run").mkdir()
    assert ipcbench("clean", cwd=tmp_path).stdout == "nothing was left behind\n"
    assert directory.exists()
    (directory / OWNER).write_text(f"{os.getpid()} 1")
    ipcbench("clean", cwd=tmp_path)
    (elsewhere / f"{PREFIX}not-a-run").rmdir()  # nobody's: still there
