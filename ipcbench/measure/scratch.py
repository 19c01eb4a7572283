"""A private directory that never outlives the processes that use it, and its janitor.

The janitor is forked before anything is made. It waits for the end of a pipe whose write end every
process of the run holds, so it acts exactly when all of them are gone, whatever ended them, and
removes what the directory's ledgers name and then the directory. A run that ends in peace leaves
the same work to the same janitor.
"""

import fcntl
import os
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from ipcbench.errors import LaunchFailed, UsageError
from ipcbench.measure import process
from ipcbench.shortage import in_words, start_in_words
from ipcbench.transports import counters, multiproc, posix_mq, sysv_msg
from ipcbench.transports.base import LEDGER
from ipcbench.transports.sysv_shm import SEMAPHORE_KIND, remove_semaphore

PREFIX = "ipcbench-"
OWNER = "owner"
"""The file in a scratch directory that names the process that made it, and when that began.

That process holds a lock on it as long as it lives.
"""
_NAME_BYTES = 6
_UNFINISHED_AFTER_S = 3600.0
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
        """A directory of its own for one launch, swept when the launch is over.

        Raises LaunchFailed if it can't be made.
        """
        directory = self.directory / secrets.token_hex(4)
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            reason = f"no directory for a launch could be made: {in_words(error)}"
            raise LaunchFailed(reason) from error
        try:
            yield directory
        finally:
            sweep(directory)


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A private directory in TMPDIR, removed by the janitor however this process ends."""
    directory = _temporary_folder() / (PREFIX + secrets.token_hex(_NAME_BYTES))
    with ExitStack() as furnished, _janitor(directory) as held:
        owner = _create(directory)
        furnished.callback(os.close, owner)  # let go of when the janitor is done
        yield Scratch(directory, held)


@contextmanager
def _janitor(directory: Path) -> Iterator[int]:
    """The descriptor by which the janitor of a directory is held off its work. UsageError."""
    read_end, write_end = os.pipe()
    janitor: int | None = None
    try:
        try:
            # A signal's handler would raise in the child too, and have it go on as this process.
            with process.signals_held_back():
                janitor = os.fork()
                if janitor == 0:
                    _wait_and_sweep(directory, read_end)
        except OSError as error:
            raise UsageError(f"no process could be started: {start_in_words(error)}") from error
        finally:
            os.close(read_end)
        yield write_end
    finally:
        os.close(write_end)
        if janitor is not None:
            _await_janitor(janitor)


def _temporary_folder() -> Path:
    """The folder for temporary files. Raises UsageError."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise UsageError(f"no temporary folder can be written; set TMPDIR ({error})") from error


def _own(path: Path) -> int:
    """The open file that names this process as a directory's owner, locked for its life.

    Locked before it says anything: whoever can read it can't have the lock. No process that this
    one starts keeps a copy, so the kernel drops the lock when this one ends. flock(2).
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: process id and start time must do
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, f"{os.getpid()} {process.start_time(os.getpid())}".encode("ascii"))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _create(directory: Path) -> int:
    """Makes the directory and its owner's file, which it returns open. Raises UsageError."""
    try:
        directory.mkdir(mode=0o700)
        return _own(directory / OWNER)
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
    for kind, key in _noted_below(directory):
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
    """What this user's runs left behind; nothing of a run that still lives. Raises UsageError.

    Another run, or its janitor, may remove something meanwhile: that isn't left over.
    """
    return [
        Leftover(directory, _noted_below(directory))
        for directory in sorted(_temporary_folder().glob(f"{PREFIX}*"))
        if _is_ours(directory) and (_is_orphaned(directory / OWNER) or _is_unfinished(directory))
    ]


def _noted_below(directory: Path) -> list[tuple[str, int]]:
    """What the ledgers below a directory say is outstanding, but for what is removed meanwhile."""
    found = []
    for folder, _, names in os.walk(directory):  # passes over what it can't list
        if LEDGER in names:
            with suppress(OSError):
                found += outstanding(Path(folder, LEDGER).read_text(encoding="ascii"))
    return found


def _is_orphaned(owner: Path) -> bool:
    """Whether the run of an owner's file is over: its process is gone, and so is its lock.

    The lock tells of a process in another namespace, whose id says nothing here; the process tells
    where the file system has no locks.
    """
    try:
        with owner.open(encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look don't collide
            return not _is_alive(file.read())
    except (OSError, ValueError):
        return False


def _is_unfinished(directory: Path) -> bool:
    """Whether a run was killed just after it made this directory: it is old, and without an owner.

    Nothing can be in it. Its making takes milliseconds; it is left alone for an hour.
    """
    name = directory.name.removeprefix(PREFIX)
    if len(name) != 2 * _NAME_BYTES or not set(name) <= set("0123456789abcdef"):
        return False
    try:
        old = time.time() - directory.stat().st_mtime > _UNFINISHED_AFTER_S
        inside = [(entry.name, entry.stat().st_size) for entry in directory.iterdir()]
    except OSError:
        return False
    return old and inside in ([], [(OWNER, 0)])


def _is_ours(directory: Path) -> bool:
    """Whether it is a directory, no link to one, and this user's, whatever it is called."""
    try:
        about = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()


def _is_alive(owner: str) -> bool:
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
    """The janitor's life; runs in the child, where signals are held back, and never returns."""
    try:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        process.accept_signals()
        os.setsid()
        process.silence_standard_streams()
        process.close_quietly(process.open_descriptors() - {0, 1, 2, read_end})
        while os.read(read_end, 1):
            pass  # nobody writes; only the end of file is awaited
        sweep(directory)
    finally:
        os._exit(0)
