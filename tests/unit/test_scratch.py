import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ipcbench.measure.scratch import PREFIX, outstanding, scratch, sweep
from ipcbench.transports import get_transport
from ipcbench.transports.base import DEV_SHM, LEDGER, Workspace, momentary_name


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
    link = get_transport("sysv-shm").link(64, "throughput", Workspace(tmp_path))
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
from ipcbench.measure.scratch import scratch
from ipcbench.transports.base import Workspace
from ipcbench.transports import get_transport
with scratch() as private:
    link = get_transport("unix").link(64, "latency", Workspace(private.directory))
    shm = get_transport("sysv-shm")
    if not shm.unavailable():
        keep = shm.link(64, "latency", Workspace(private.directory))
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
    made = [DEV_SHM / f"sem.{momentary_name(7)}", DEV_SHM / momentary_name(8)]
    for path in made:
        path.touch(mode=0o600)
    workspace = Workspace(tmp_path)
    workspace.note("posix-sem", 7)
    workspace.note("posix-shm", 8)
    sweep(tmp_path)
    assert not any(path.exists() for path in made)
    sweep(tmp_path)  # gone already is no error
