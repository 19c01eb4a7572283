"""An object that somebody removes under a running pair: the sentence says so, at either end."""

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipcbench.case import LOOPS, Case, Loop
from ipcbench.errors import LaunchFailed
from ipcbench.measure.pair import Pair, refused
from ipcbench.system.scratch import outstanding
from ipcbench.transports.base import LEDGER, Link, Side, Workspace
from ipcbench.transports.pipe import FifoLink
from ipcbench.transports.registry import get_transport, removers
from ipcbench.transports.unix import UnixLink
from ipcbench.workloads import Workload

ENDLESS = 50_000_000_000
_IPCRM = {"sysv-sem": "-S", "sysv-msg": "-Q"}
"""Options of ipcrm(1) that remove by key, by the kind in a ledger."""


@contextmanager
def _soon(do: Callable[[], object]) -> Iterator[None]:
    """Does it while the block is at work, and then repeats SIGCHLD, as the driver does."""
    over = threading.Event()

    def work() -> None:
        over.wait(0.05)
        do()
        while not over.wait(0.1):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGCHLD)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _remove_an_object(directory: Path) -> None:
    kind, key = outstanding((directory / LEDGER).read_text(encoding="ascii"))[0]
    if shutil.which("ipcrm"):
        subprocess.run(["ipcrm", _IPCRM[kind], str(key)], check=True, timeout=30)
    else:
        removers()[kind](key)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("name", "workload", "what"),
    [
        ("sysv-shm", "latency", "a System V semaphore"),
        ("sysv-shm", "throughput", "a System V semaphore"),
        ("sysv-sem", "latency", "a System V semaphore"),
        ("sysv-msg", "latency", "a System V queue"),
        ("sysv-msg", "throughput", "a System V queue"),
    ],
)
def test_a_system_v_object_that_is_removed_under_a_pair_is_told_as_that(
    name: str, workload: Workload, what: str, loop: Loop, tmp_path: Path
) -> None:
    transport = get_transport(name)
    case = Case(workload, name, transport.size_of(workload, 64), loop, "free")
    if reason := transport.unavailable() or refused(case):
        pytest.skip(reason)
    with (
        Pair(case, None, Workspace(tmp_path)) as pair,
        pytest.raises(LaunchFailed) as raised,
        _soon(lambda: _remove_an_object(tmp_path)),
    ):
        pair.run(ENDLESS)
    assert str(raised.value) == (
        f"timed batch: {what} was removed while the pair used it, as ipcrm does, or systemd-logind"
        " when its user logs out (RemoveIPC=no in logind.conf keeps them)"
    )


@pytest.mark.parametrize(("name", "file"), [("unix", "socket"), ("mp-connection", "listener")])
def test_a_socket_file_that_is_removed_between_connections_is_told_as_that(
    name: str, file: str, tmp_path: Path
) -> None:
    case = Case("connect", name, 1, "python", "free")
    with (
        Pair(case, None, Workspace(tmp_path)) as pair,
        pytest.raises(LaunchFailed) as raised,
        _soon((tmp_path / file).unlink),
    ):
        pair.run(ENDLESS)
    assert str(raised.value).startswith(
        "timed batch: the socket file was removed while the pair needed it, as cleaners of"
    )


@pytest.mark.parametrize(
    ("name", "link", "file", "what"),
    [
        ("unix", UnixLink, "socket", "the socket file"),
        ("fifo", FifoLink, "forth", "a named pipe"),
        ("fifo", FifoLink, "back", "a named pipe"),
    ],
)
def test_a_file_that_is_removed_before_the_ends_have_met_is_told_as_that(
    name: str,
    link: type[Link],
    file: str,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = link.keep_only

    def removing(self: Link, side: Side) -> None:
        (tmp_path / file).unlink(missing_ok=True)
        keep(self, side)

    monkeypatch.setattr(link, "keep_only", removing)
    case = Case("latency", name, 64, "python", "free")
    with pytest.raises(LaunchFailed) as raised, _soon(lambda: None):
        Pair(case, None, Workspace(tmp_path)).__enter__()
    assert str(raised.value) == (
        f"hand-shake: {what} was removed while the pair needed it, as cleaners of temporary files"
        " do (systemd-tmpfiles, tmpreaper); set TMPDIR to a folder that isn't cleaned"
    )


@pytest.mark.parametrize("name", ["unix", "fifo"])
def test_a_name_that_is_removed_once_the_ends_have_met_changes_nothing(
    name: str, tmp_path: Path
) -> None:
    with Pair(Case("latency", name, 64, "python", "free"), None, Workspace(tmp_path)) as pair:
        for path in tmp_path.iterdir():
            path.unlink()
        assert pair.run(10) > 0
        pair.check()
