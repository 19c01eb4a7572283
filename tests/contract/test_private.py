"""Whatever a pair makes with a name is for its owner alone, under the most generous umask."""

import os
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcbench.errors import ResultsError, UsageError
from ipcbench.results.files import write_atomically
from ipcbench.system.scratch import scratch, sweep
from ipcbench.testing.kernel import files_below, is_private, made_by_a_pair
from ipcbench.testing.subject import NotTried, Subject
from ipcbench.transports import multiproc
from ipcbench.transports.base import DEV_SHM, Workspace, momentary_name
from ipcbench.transports.registry import get_transport
from tests.command import ROOT, environment
from tests.leaks import any_number


@pytest.fixture
def generous() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


MADE = {
    "unix": "socket",
    "unix-seqpacket": "socket",
    "mp-connection": "listener",
    "fifo": "open .*/forth",
    "sysv-msg": r"msg \d+",
    "sysv-sem": r"sem \d+",
    "sysv-shm": r"sem \d+",
    "posix-mq": "open /ipcbench-",
    "posix-shm": "mapped /dev/shm/.*",
    "mmap-file": "mapped .*/mapped",
    "mp-shared-memory": "mapped /dev/shm/.*",
}
"""What must be seen of some, so that the contract's rule can't look past everything."""


@pytest.mark.parametrize("name", MADE)
def test_the_rule_that_all_is_the_owners_alone_looks_past_nothing(
    name: str, tmp_path: Path
) -> None:
    try:
        made = made_by_a_pair(Subject(get_transport(name), tmp_path))
    except NotTried as reason:
        pytest.skip(str(reason))
    assert any(re.search(MADE[name], one) for one in made), made


@pytest.mark.usefixtures("generous")
def test_scratch_directories_are_the_owners_alone() -> None:
    with scratch() as private, private.launch():
        found = files_below(private.directory)
        modes = {name: (stat.S_IMODE(a.st_mode), a.st_uid) for name, a in found.items()}
        assert len(modes) == 3  # itself, the file that names its owner, and the launch's
        assert all(map(is_private, modes.values())), modes


def test_a_scratch_directory_is_never_one_that_was_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    trap = tmp_path / "ipcbench-guessed"
    trap.symlink_to(elsewhere)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        patch.setattr(secrets, "token_hex", lambda _: "guessed")
        with pytest.raises(UsageError, match="File exists"), scratch():
            pass
    assert trap.is_symlink()
    trap.unlink()
    assert list(elsewhere.iterdir()) == []


def test_a_link_to_a_ledger_makes_nobody_remove_anything(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    number = any_number()
    Workspace(elsewhere).note(multiproc.SEGMENT_KIND, number)
    (tmp_path / "trap").symlink_to(elsewhere)
    victim = DEV_SHM / momentary_name(number)
    victim.touch()
    try:
        sweep(tmp_path / "trap")
        assert victim.exists()
        sweep(elsewhere)
        assert not victim.exists()
    finally:
        victim.unlink(missing_ok=True)


def test_what_a_worker_writes_for_its_driver_is_the_owners_alone(tmp_path: Path) -> None:
    program = (
        "import os, stat, sys; os.umask(0)\n"
        "from pathlib import Path\n"
        "from ipcbench.case import Case\n"
        "from ipcbench.run import launcher as launch\n"
        "from ipcbench.system.scratch import scratch\n"
        "read = launch._result\n"
        "def looked(output):\n"
        "    for path in output.parent.iterdir():\n"
        "        print(path.name, oct(stat.S_IMODE(path.lstat().st_mode)))\n"
        "    return read(output)\n"
        "launch._result = looked\n"
        "effort = launch.Effort(values=1, warmups=0, samples=10)\n"
        "case = Case.parse('latency/unix/64/python/free')\n"
        "with scratch() as private:\n"
        "    launcher = launch.WorkerLauncher(private, {'free': None}, effort)\n"
        "    assert [str(o) for _, o in launcher.measure([(case, 20)], 1)]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    modes = dict(line.split() for line in done.stdout.splitlines())
    assert {"launch.json", "samples"} <= set(modes), modes
    assert set(modes.values()) == {"0o600"}, modes


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o666), (0o022, 0o644), (0o077, 0o600)])
def test_a_result_file_has_the_mode_that_the_umask_lets_in(
    umask: int, mode: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "run.json", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == mode


def test_saving_follows_no_link_and_touches_no_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(os, "urandom", bytes)  # somebody guessed it
    trap = tmp_path / ".run.json.00000000.tmp"
    trap.symlink_to(victim)
    with pytest.raises(ResultsError, match="File exists"):
        write_atomically(tmp_path / "run.json", "x")
    assert victim.read_text() == "precious"
    assert trap.is_symlink()
    assert not (tmp_path / "run.json").exists()
