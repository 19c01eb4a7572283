"""A private directory that never outlives the processes that use it, and its janitor.

The janitor is forked before anything is made. It waits for the end of a pipe whose write end every
process of the run holds, so it acts exactly when all of them are gone, whatever ended them, and
removes what the directory's ledgers name and then the directory. A run that ends in peace leaves
the same work to the same janitor.
"""

import os
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from ipcbench.errors import UsageError
from ipcbench.measure import process
from ipcbench.shortage import start_in_words
from ipcbench.transports import counters, multiproc, posix_mq, sysv_msg
from ipcbench.transports.base import LEDGER
from ipcbench.transports.sysv_shm import SEMAPHORE_KIND, remove_semaphore

PREFIX = "ipcbench-"
OWNER = "owner"
"""The file in a scratch directory that names the process that made it, and when that began."""
_JANITOR_LIMIT_S = 3.0
_REMOVERS: dict[str, Callable[[int], None]] = {
    SEMAPHORE_KIND: remove_semaphore,
    sysv_msg.QUEUE_KIND: sysv_msg.remove_queue,
    posix_mq.QUEUE_KIND: posix_mq.remove_queue,
    counters.SEMAPHORE_KIND: counters.remove_semaphore,
    multiproc.SEGMENT_KIND: multiproc.remove_segment,
}


@dataclass(frozen=True, slots=True)
class Scratch:
    """The directory, and the descriptor that every process using it holds."""

    directory: Path
    held: int

    @contextmanager
    def launch(self) -> Iterator[Path]:
        """A directory of its own for one launch, swept when the launch is over."""
        directory = self.directory / secrets.token_hex(4)
        directory.mkdir(mode=0o700)
        try:
            yield directory
        finally:
            sweep(directory)


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A private directory in TMPDIR, removed by the janitor however this process ends."""
    try:
        directory = Path(tempfile.gettempdir()) / (PREFIX + secrets.token_hex(6))
    except FileNotFoundError as error:
        raise UsageError(f"no temporary folder can be written; set TMPDIR ({error})") from error
    read_end, write_end = os.pipe()
    try:
        janitor = os.fork()
    except OSError as error:
        for end in (read_end, write_end):
            os.close(end)
        raise UsageError(f"no process could be started: {start_in_words(error)}") from error
    if janitor == 0:
        _wait_and_sweep(directory, read_end)
    os.close(read_end)
    try:
        _furnish(directory)
        yield Scratch(directory, write_end)
    finally:
        os.close(write_end)
        _await_janitor(janitor)


def _write_owner(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()} {process.start_time(os.getpid())}")


def _furnish(directory: Path) -> None:
    """Makes the directory and the file that names its owner. Raises UsageError."""
    try:
        directory.mkdir(mode=0o700)
        _write_owner(directory / OWNER)
    except FileNotFoundError as error:
        raise UsageError(f"{directory.parent} isn't there; set TMPDIR") from error
    except OSError as error:
        raise UsageError(
            f"{directory.parent} can't be used: {error.strerror}; make room there, or set TMPDIR to"
            " another folder"
        ) from error


def _await_janitor(janitor: int) -> None:
    """Returns when the janitor is done, or after a while: it needs nobody to finish its work."""
    deadline = time.monotonic() + _JANITOR_LIMIT_S
    while os.waitpid(janitor, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)


def sweep(directory: Path) -> None:
    """Removes every object that a ledger below this directory names, then the directory.

    Nothing if somebody else made what has its name, or made it a link.
    """
    if not _is_ours(directory):
        return
    for ledger in sorted(directory.rglob(LEDGER)):
        for kind, key in outstanding(ledger.read_text(encoding="ascii")):
            if kind in _REMOVERS:
                _REMOVERS[kind](key)
    shutil.rmtree(directory, ignore_errors=True)


class Leftover(NamedTuple):
    """What a run left that was killed together with its janitor."""

    directory: Path
    objects: list[tuple[str, int]]
    """Kinds and keys of what outlives processes and wasn't taken back."""

    def __str__(self) -> str:
        return ", ".join([str(self.directory), *(f"{kind} {key}" for kind, key in self.objects)])


def leftovers() -> list[Leftover]:
    """What this user's runs left behind; nothing of a run whose process still lives."""
    found = []
    for directory in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        if not _is_ours(directory):
            continue
        owner = directory / OWNER
        if not owner.exists() or _lives(owner.read_text()):
            continue
        objects = [
            item
            for ledger in sorted(directory.rglob(LEDGER))
            for item in outstanding(ledger.read_text(encoding="ascii"))
        ]
        found.append(Leftover(directory, objects))
    return found


def _is_ours(directory: Path) -> bool:
    """Whether it is a directory, no link to one, and this user's, whatever it is called."""
    try:
        about = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()


def _lives(owner: str) -> bool:
    """Whether the process of an owner's file is the one that wrote it, or can't be told."""
    try:
        pid, began = map(int, owner.split())
    except ValueError:
        return True
    return process.start_time(pid) == began


def outstanding(ledger: str) -> list[tuple[str, int]]:
    """What a ledger says was made and not taken back, as (kind, key), oldest first."""
    made: dict[tuple[str, int], None] = {}
    for line in ledger.splitlines():
        sign, kind, key = line.split()
        if sign == "+":
            made[kind, int(key)] = None
        else:
            made.pop((kind, int(key)), None)
    return list(made)


def _wait_and_sweep(directory: Path, read_end: int) -> NoReturn:
    """The janitor's life; runs in the child and never returns."""
    try:
        os.setsid()
        for deaf_to in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(deaf_to, signal.SIG_IGN)
        process.silence_standard_streams()
        process.close_quietly(process.open_descriptors() - {0, 1, 2, read_end})
        while os.read(read_end, 1):
            pass  # nobody writes; only the end of file is awaited
        sweep(directory)
    finally:
        os._exit(0)
