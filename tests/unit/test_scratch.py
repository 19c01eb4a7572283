import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipcbench.errors import UsageError
from ipcbench.system import process
from ipcbench.system.scratch import OWNER, PREFIX, leftovers, outstanding, scratch, sweep
from ipcbench.transports.base import DEV_SHM, LEDGER, Traffic, Workspace, momentary_name
from ipcbench.transports.registry import get_transport, removers
from tests.leaks import any_number


def test_a_ledger_names_what_was_made_and_not_taken_back() -> None:
    ledger = "+ sysv-sem 1\n+ sysv-sem 2\n- sysv-sem 1\n+ sysv-sem 3\n"
    assert outstanding(ledger) == [("sysv-sem", 2), ("sysv-sem", 3)]


def test_a_scratch_directory_is_private_and_gone_afterwards() -> None:
    with scratch() as private:
        assert private.directory.name.startswith(PREFIX)
        assert private.directory.stat().st_mode & 0o777 == 0o700
        with private.launch() as launch:
            (launch / "file").touch()
        assert not launch.exists()
    assert not private.directory.exists()


def test_a_sweep_removes_the_semaphores_a_dead_process_noted(tmp_path: Path) -> None:
    if reason := get_transport("sysv-shm").unavailable():
        pytest.skip(reason)
    link = get_transport("sysv-shm").link(Traffic(64, "throughput"), Workspace(tmp_path))
    keys = [key for _, key in outstanding((tmp_path / LEDGER).read_text())]
    assert len(keys) == 2
    sweep(tmp_path)
    assert not tmp_path.exists()
    rows = Path("/proc/sysvipc/sem").read_text().splitlines()[1:]
    assert not {int(row.split()[0]) for row in rows} & set(keys)
    tmp_path.mkdir()
    link.close()  # finds nothing to remove, and that is no error


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_janitor_cleans_up_after_a_process_that_is_killed(stop: signal.Signals) -> None:
    program = """
import sys
from ipcbench.system.scratch import scratch
from ipcbench.transports.base import Traffic, Workspace
from ipcbench.transports.registry import get_transport
with scratch() as private:
    link = get_transport("unix").link(Traffic(64, "latency"), Workspace(private.directory))
    shm = get_transport("sysv-shm")
    if not shm.unavailable():
        keep = shm.link(Traffic(64, "latency"), Workspace(private.directory))
    print(private.directory, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        directory = Path(process.stdout.readline().strip())
        assert directory.is_dir()
        os.kill(process.pid, stop)
    # The janitor is not this process's child; `leaves_nothing_behind` waits for it, and sees the
    # directory and the semaphores.
    assert process.returncode == -stop


def test_a_sweep_removes_names_that_a_dead_process_had_for_a_moment(tmp_path: Path) -> None:
    if not DEV_SHM.is_dir():
        pytest.skip(f"there is no {DEV_SHM}")
    number = any_number()
    made = [DEV_SHM / f"sem.{momentary_name(number)}", DEV_SHM / momentary_name(number + 1)]
    for path in made:
        path.touch(mode=0o600)
    workspace = Workspace(tmp_path)
    workspace.note("posix-sem", number)
    workspace.note("posix-shm", number + 1)
    sweep(tmp_path)
    assert not any(path.exists() for path in made)
    sweep(tmp_path)  # gone already is no error


def test_a_janitor_removes_every_kind_without_an_import_after_its_fork() -> None:
    if not DEV_SHM.is_dir():
        pytest.skip(f"there is no {DEV_SHM}")
    program = """
import os, sys
from ipcbench.system.scratch import scratch
def without_imports(fork=os.fork):
    pid = fork()
    if pid == 0:
        sys.meta_path.clear()
    return pid
os.fork = without_imports
with scratch() as private:
    print(private.directory, flush=True)
    sys.stdin.read()
"""
    number = any_number()
    made = [DEV_SHM / f"sem.{momentary_name(number)}", DEV_SHM / momentary_name(number)]
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        directory = Path(run.stdout.readline().strip())
        (janitor,) = process.children(run.pid)
        watch = os.pidfd_open(janitor)
        try:
            for path in made:
                path.touch(mode=0o600)
            for kind in removers():
                Workspace(directory).note(kind, number)
            run.kill()
            assert select.select([watch], [], [], 30)[0]
            left = [path for path in (*made, directory) if path.exists()]
        finally:
            os.close(watch)
            for path in made:
                path.unlink(missing_ok=True)
    assert left == []


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def _directory_of(owner: str, folder: Path) -> Path:
    directory = folder / f"{PREFIX}0123456789ab"
    directory.mkdir()
    (directory / OWNER).write_text(owner)
    (directory / LEDGER).write_text("")
    return directory


@pytest.mark.parametrize("name", [OWNER, LEDGER])
def test_what_another_removes_while_it_is_looked_at_is_no_error(
    name: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _directory_of(f"{os.getpid()} 1", elsewhere)
    opened = Path.open

    def open_too_late(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == name:
            shutil.rmtree(directory)
        return opened(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_too_late)
        assert [left.objects for left in leftovers()] == [[]] * (name == LEDGER)
        assert not directory.exists()
    _directory_of(f"{os.getpid()} 1", elsewhere)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_too_late)
        sweep(directory)
    assert not directory.exists()


def test_without_a_temporary_folder_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_usable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.gettempdir", none_usable)
        with pytest.raises(UsageError, match="no temporary folder can be written; set TMPDIR"):
            leftovers()
        with pytest.raises(UsageError, match="set TMPDIR"), scratch():
            pass


def test_a_run_whose_process_id_says_nothing_here_is_known_by_its_lock(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scratch() as private:
        # As another process namespace with the same temporary folder sees it.
        with monkeypatch.context() as patch:
            patch.setattr(process, "start_time", lambda _: None)
            assert leftovers() == []
        assert private.directory.is_dir()
    directory = _directory_of(f"{os.getpid()} 1", elsewhere)
    assert [left.directory for left in leftovers()] == [directory]
    shutil.rmtree(directory)


def test_a_janitor_keeps_no_lock_of_a_run_that_was_killed(elsewhere: Path) -> None:
    program = """
import sys
from ipcbench.system.scratch import scratch
with scratch() as private:
    print(private.directory, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(elsewhere)},
    ) as run:
        assert run.stdout is not None
        directory = Path(run.stdout.readline().strip())
        (janitor,) = process.children(run.pid)
        os.kill(janitor, signal.SIGSTOP)
        try:
            assert leftovers() == []
            run.kill()
            run.wait(timeout=30)
            assert [left.directory for left in leftovers()] == [directory]
        finally:
            os.kill(janitor, signal.SIGCONT)


@pytest.mark.parametrize(
    ("name", "inside", "age_s", "found"),
    [
        ("0123456789ab", [], 7200, True),
        ("0123456789ab", [OWNER], 7200, True),
        ("0123456789ab", [], 60, False),
        ("0123456789ab", ["notes"], 7200, False),
        ("my-own-notes", [], 7200, False),
    ],
)
def test_a_directory_whose_maker_was_killed_before_it_put_its_name_in_is_left_over(
    name: str, inside: list[str], age_s: int, found: bool, elsewhere: Path
) -> None:
    directory = elsewhere / (PREFIX + name)
    directory.mkdir()
    for file in inside:
        (directory / file).touch()
    made_s = directory.stat().st_mtime - age_s
    os.utime(directory, (made_s, made_s))
    assert [left.directory for left in leftovers()] == [directory] * found
    shutil.rmtree(directory)


def test_a_signal_at_the_janitors_birth_doesnt_make_it_go_on_as_the_run() -> None:
    program = """
import os, signal
from ipcbench.system.signals import Interrupts
from ipcbench.system.scratch import scratch
def interrupted(fork=os.fork):
    pid = fork()
    if pid == 0:
        signal.raise_signal(signal.SIGINT)
    return pid
os.fork = interrupted
with Interrupts():
    try:
        with scratch():
            print("measured", flush=True)
    finally:
        print("ended", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("measured\nended\n", "", 0)
