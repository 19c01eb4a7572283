"""The fixture that finds leaks: what is ours, and what another session's at the same time is."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from ipcbench.system.scratch import outstanding, sweep
from ipcbench.transports.base import DEV_SHM, LEDGER, Traffic, Workspace, momentary_name
from ipcbench.transports.registry import get_transport
from tests import leaks
from tests.faults.scarce import unshared
from tests.leaks import MARK, any_number, kernel_objects, new_mark, nothing_left, own_objects

ANOTHERS = "another-session"
"""A mark of no test of this session."""
MAKER = """
import sys
from pathlib import Path
from ipcbench.transports.base import Traffic, Workspace
from ipcbench.transports.registry import get_transport
links = [
    get_transport(name).link(Traffic(64, "latency"), Workspace(Path(sys.argv[1])))
    for name in ("sysv-shm", "sysv-msg")
]
print("made", flush=True)
sys.stdin.read()
"""
"""Makes two semaphores and two queues, and doesn't remove them."""


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak is told at once."""
    monkeypatch.setattr(leaks, "_GRACE_S", 0.1)
    monkeypatch.setattr(leaks, "_FEWEST_LOOKS", 2)  # others would wait in vain for its end, too


@contextmanager
def _maker(
    directory: Path,
    mark: str,
    inside: Sequence[str] = (),
    extra: Mapping[str, str] = MappingProxyType({}),
) -> Iterator["subprocess.Popen[str]"]:
    if reason := get_transport("sysv-shm").unavailable():
        pytest.skip(reason)
    command = [*inside, sys.executable, "-c", MAKER, str(directory)]
    variables = {name: value for name, value in os.environ.items() if name != MARK}
    with subprocess.Popen(
        command,
        env=variables | dict(extra) | ({MARK: mark} if mark else {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "made\n"
        try:
            yield maker
        finally:
            maker.kill()


def _made_in(directory: Path) -> set[str]:
    """The two semaphores and two queues that the maker noted."""
    noted = outstanding((directory / LEDGER).read_text(encoding="ascii"))
    made = {str(one) for one in leaks._system_v() if (f"sysv-{one.kind}", one.key) in noted}
    assert len(made) == 4
    return made


@pytest.mark.parametrize("mark", ["", new_mark()], ids=["unmarked", "of this session"])
def test_objects_of_a_living_process_of_this_session_are_ours(mark: str, tmp_path: Path) -> None:
    with _maker(tmp_path, mark):  # without a mark it is still this process's child
        assert _made_in(tmp_path) <= own_objects((), [tmp_path])
    sweep(tmp_path)


def test_objects_of_a_living_process_of_another_session_are_not_ours(tmp_path: Path) -> None:
    with _maker(tmp_path, ANOTHERS):
        ours = own_objects((), [tmp_path])
        # A queue that was never used has no user: only its ledger tells whose it is.
        assert not {one for one in _made_in(tmp_path) & ours if " msg " not in one}
        assert not _made_in(tmp_path) & own_objects((), [])
    sweep(tmp_path)


def test_objects_that_a_dead_process_of_another_session_noted_are_not_ours(
    temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = temporary_folder / "tests-of-ipcbench-another"
    directory = elsewhere / "ipcbench-0123456789ab"
    directory.mkdir(parents=True)
    monkeypatch.setattr(leaks, "_SHARED_TEMPORARY", {temporary_folder})
    with _maker(directory, ANOTHERS):
        pass
    assert not _made_in(directory) & own_objects((), [])
    assert _made_in(directory) <= own_objects((), [elsewhere])
    sweep(directory)
    elsewhere.rmdir()


def test_a_ledger_that_only_another_sessions_process_sees_is_read(tmp_path: Path) -> None:
    inside = unshared(["-m"], f"mount -t tmpfs tmpfs {tmp_path}; mkdir {tmp_path}/ipcbench-0123")
    variables = {"TMPDIR": str(tmp_path)}
    with _maker(tmp_path / "ipcbench-0123", ANOTHERS, inside, variables) as maker:
        seen_by_it = Path(f"/proc/{maker.pid}/root{tmp_path}/ipcbench-0123")
        made = _made_in(seen_by_it)
        ours = own_objects((), [])
        sweep(seen_by_it)
    assert not made & ours


@pytest.mark.usefixtures("short_grace")
def test_objects_of_our_own_dead_processes_are_told(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"left behind: .*System V msg \d+, .* sem \d+"),
        nothing_left(new_mark(), [tmp_path]),
        _maker(tmp_path, new_mark()),
    ):
        pass
    sweep(tmp_path)


@pytest.mark.usefixtures("short_grace")
def test_objects_of_this_process_are_told(tmp_path: Path) -> None:
    if reason := get_transport("sysv-shm").unavailable():
        pytest.skip(reason)
    with (
        pytest.raises(AssertionError, match=r"left behind: .*System V sem"),
        nothing_left(new_mark(), [tmp_path]),
    ):
        link = get_transport("sysv-shm").link(Traffic(64, "latency"), Workspace(tmp_path))
    link.close()


@pytest.mark.usefixtures("short_grace")
def test_a_name_that_nobody_holds_is_told_and_one_that_another_holds_is_not() -> None:
    if not DEV_SHM.is_dir():
        pytest.skip(f"there is no {DEV_SHM}")
    path = DEV_SHM / momentary_name(any_number())
    holding = "import sys; file = open(sys.argv[1], 'w'); print(1, flush=True); sys.stdin.read()"
    variables = os.environ | {MARK: ANOTHERS}
    try:
        with (
            pytest.raises(AssertionError, match=f"left behind: .*{path}"),
            nothing_left(new_mark(), []),
        ):
            path.touch()
        path.unlink()
        with nothing_left(new_mark(), []):
            holder = subprocess.Popen(
                [sys.executable, "-c", holding, str(path)],
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert holder.stdout is not None
            holder.stdout.readline()
            assert str(path) in kernel_objects() - own_objects((), [])
            holder.communicate()
            path.unlink()
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.usefixtures("short_grace")
def test_a_directory_in_our_temporary_folder_is_told(temporary_folder: Path) -> None:
    directory = temporary_folder / "ipcbench-0123456789ab"
    with (
        pytest.raises(AssertionError, match=f"left behind: .*{directory}"),
        nothing_left(new_mark(), []),
    ):
        directory.mkdir()
    directory.rmdir()
