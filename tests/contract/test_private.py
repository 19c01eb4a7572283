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

from ipcbench.case import Case
from ipcbench.errors import ResultsError, UsageError
from ipcbench.measure.pair import Pair
from ipcbench.results.files import write_atomically
from ipcbench.system.scratch import scratch, sweep
from ipcbench.transports import multiproc
from ipcbench.transports.base import DEV_SHM, Transport, Workspace, momentary_name
from ipcbench.transports.registry import transports
from tests.command import ROOT, environment
from tests.leaks import any_number

_DEV_MQUEUE = Path("/dev/mqueue")
_SYSV_KINDS = ("shm", "sem", "msg")


@pytest.fixture
def generous() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def _files(folder: Path) -> dict[str, os.stat_result]:
    """All that has a name in this folder or below, and the folder."""
    if not folder.is_dir():
        return {}
    return {str(path): path.lstat() for path in (folder, *folder.rglob("*"))}


def _has_a_name(target: str) -> bool:
    """Whether this is a path of something a pair may have made: memory without a file is not.

    A System V segment is mapped as /SYSV and its key, with a mode that nobody can use; the one that
    counts is in the table of segments.
    """
    nameless = ("/dev/null", "/dev/zero", "/proc/", "/SYSV")
    return target.startswith("/") and not target.startswith(nameless)


def _mapped() -> dict[str, os.stat_result]:
    """The files that this process has mapped shared; also those whose name is gone already."""
    found = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, permissions, *_, name = line.split(maxsplit=5)
        if permissions.endswith("s") and _has_a_name(name):
            found[f"mapped {name}"] = Path(f"/proc/self/map_files/{place}").stat()
    return found


def _opened() -> dict[str, os.stat_result]:
    """The files, named pipes and POSIX queues that this process holds open."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            name, about = str(link.readlink()), link.stat()
        except OSError:
            continue  # the descriptor that lists the folder
        if _has_a_name(name):
            found[f"open {name}"] = about
    return found


def _sysv() -> dict[str, tuple[int, int]]:
    """Modes and owners of the System V objects, by kind and id."""
    found = {}
    for kind in _SYSV_KINDS:
        table = Path("/proc/sysvipc") / kind
        rows = [row.split() for row in table.read_text().splitlines()] if table.exists() else []
        for row in rows[1:]:
            columns = dict(zip(rows[0], row, strict=True))
            owner = int(columns["uid"])
            found[f"{kind} {row[1]}"] = int(columns["perms"], 8) & 0o777, owner
    return found


def _named(directory: Path) -> dict[str, tuple[int, int]]:
    """Modes and owners of everything that a pair in this directory may have made."""
    shared = {
        name: about
        for folder in (DEV_SHM, _DEV_MQUEUE)
        for name, about in _files(folder).items()
        if name != str(folder)
    }
    every = _files(directory) | shared | _opened() | _mapped()
    return {
        name: (stat.S_IMODE(about.st_mode), about.st_uid) for name, about in every.items()
    } | _sysv()


def _is_private(about: tuple[int, int]) -> bool:
    mode, owner = about
    return owner == os.getuid() and mode in {0o600, 0o700}


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
"""What must be seen of some, so that this test can't look past everything."""


@pytest.mark.usefixtures("generous")
@pytest.mark.parametrize("transport", transports(), ids=lambda transport: transport.name)
def test_all_that_has_a_name_is_the_owners_alone(transport: Transport, tmp_path: Path) -> None:
    if reason := transport.unavailable():
        pytest.skip(reason)
    directory = tmp_path / "d"  # short: a socket's path has 108 bytes
    directory.mkdir(mode=0o700)
    size = 64 if transport.carries_payload else 0
    workload = transport.workloads[0]
    try:
        before = _named(directory)
    except PermissionError:
        pytest.skip("only root may look at the files behind mappings")
    with Pair(Case(workload, transport.name, size, "python", "free"), None, Workspace(directory)):
        made = {name: about for name, about in _named(directory).items() if name not in before}
    assert {name: about for name, about in made.items() if not _is_private(about)} == {}
    if transport.name in MADE:
        assert any(re.search(MADE[transport.name], name) for name in made), made


@pytest.mark.usefixtures("generous")
def test_scratch_directories_are_the_owners_alone() -> None:
    with scratch() as private, private.launch():
        found = _files(private.directory)
        modes = {name: (stat.S_IMODE(a.st_mode), a.st_uid) for name, a in found.items()}
        assert len(modes) == 3  # itself, the file that names its owner, and the launch's
        assert all(map(_is_private, modes.values())), modes


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
        "    assert [str(o) for _, o in launcher.measure([(case, 20)])]\n"
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
