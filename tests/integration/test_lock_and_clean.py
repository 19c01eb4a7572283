"""Two runs never spoil each other, and what a killed run left can be removed exactly."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbench.errors import UsageError
from ipcbench.system import process
from ipcbench.system.lock import machine_lock
from ipcbench.system.scratch import OWNER, PREFIX
from ipcbench.transports.base import LEDGER, Traffic, Workspace
from ipcbench.transports.registry import get_transport
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
    program = (
        "from ipcbench.system.lock import machine_lock\n"
        "with machine_lock() as path:\n"
        "    print(path, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        assert held.read_text().strip() == str(holder.pid)
        holder.kill()
    with machine_lock() as path:
        assert path == held
        assert held.read_text().strip() == str(os.getpid())
    assert held.stat().st_mode & 0o777 == 0o600


def _left_behind(folder: Path, owner: str) -> Path:
    """A scratch directory with a noted semaphore that exists, as a killed run leaves it."""
    directory = folder / f"{PREFIX}00112233"
    launch = directory / "launch"
    launch.mkdir(parents=True)
    (directory / OWNER).write_text(owner)
    link = get_transport("sysv-sem").link(Traffic(0, "latency"), Workspace(launch))
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
def test_the_next_run_removes_what_a_dead_run_made_and_says_so(
    elsewhere: Path, tmp_path: Path
) -> None:
    directory = _left_behind(elsewhere, f"{os.getpid()} 1")
    done = ipcbench(*MEASURED, cwd=tmp_path)
    assert done.returncode == 0
    (line,) = (line for line in done.stderr.splitlines() if "removed" in line)
    assert line.startswith(f"ipcbench: removed what a killed run left: {directory}, sysv-sem ")
    assert not directory.exists()


@pytest.mark.skipif(get_transport("sysv-sem").unavailable() is not None, reason="no System V IPC")
def test_clean_touches_nothing_of_a_run_that_lives(elsewhere: Path, tmp_path: Path) -> None:
    directory = _left_behind(elsewhere, f"{os.getpid()} {process.start_time(os.getpid())}")
    (elsewhere / f"{PREFIX}not-a-run").mkdir()
    assert ipcbench("clean", cwd=tmp_path).stdout == "nothing was left behind\n"
    assert directory.exists()
    (directory / OWNER).write_text(f"{os.getpid()} 1")
    ipcbench("clean", cwd=tmp_path)
    (elsewhere / f"{PREFIX}not-a-run").rmdir()  # nobody's: still there


def _others_folder(path: Path) -> None:
    path.mkdir()
    os.chown(path, 12345, 12345)


def _open_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _link_to_a_folder(path: Path) -> None:
    (path.parent / "trap").mkdir(mode=0o700)
    path.symlink_to(path.parent / "trap")


def _file(path: Path) -> None:
    path.write_text("")


def _others_lock(path: Path) -> None:
    path.mkdir(mode=0o700)
    (path / "lock").write_text("1")
    os.chown(path / "lock", 12345, 12345)


def _link_to_a_file(path: Path) -> None:
    path.mkdir(mode=0o700)
    (path.parent / "victim").write_text("precious")
    (path / "lock").symlink_to(path.parent / "victim")


def _fifo(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.mkfifo(path / "lock")


@pytest.mark.parametrize(
    "trap",
    [
        *(_others_folder, _open_folder, _link_to_a_folder, _file),
        *(_others_lock, _link_to_a_file, _fifo),
    ],
)
def test_what_somebody_puts_where_the_lock_goes_is_passed_over(
    trap: Callable[[Path], None],
    elsewhere: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if trap in {_others_folder, _others_lock} and os.getuid() != 0:
        pytest.skip("only root can give a file to another user")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trap(elsewhere / f".ipcbench-{os.getuid()}")
    before = sorted(elsewhere.rglob("*"))
    with machine_lock(), pytest.raises(UsageError, match=f"process {os.getpid()}"), machine_lock():
        pass
    assert (tmp_path / "ipcbench" / "lock").read_text().strip() == str(os.getpid())
    assert sorted(elsewhere.rglob("*")) == before
    if trap is _link_to_a_file:
        assert (elsewhere / "victim").read_text() == "precious"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_runtime_folder_that_others_may_write_is_passed_over(
    mode: int, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    runtime.chmod(mode)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with machine_lock() as path:
        assert path is not None
        assert path.parent.parent == elsewhere
    assert list(runtime.iterdir()) == []


def test_a_lock_file_that_says_no_number_is_not_repeated(elsewhere: Path) -> None:
    with machine_lock() as path:
        assert path is not None
        path.write_text("\x1b[31mhello")
        with pytest.raises(UsageError, match=r"another run \(process unknown\)"), machine_lock():
            pass


def test_without_any_place_there_is_no_lock(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with machine_lock() as path, machine_lock() as other:
        assert path is other is None
