"""A private directory that never outlives the processes that use it, and its janitor.

The janitor is forked before anything is made. It waits for the end of a pipe whose write end every
process of the run holds, so it acts exactly when all of them are gone, whatever ended them. It
removes the objects that the directory's ledgers name, and then the directory. A run that ends
normally leaves this work to the janitor too.
"""

import fcntl
import os
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from ipcbench.errors import LaunchFailed, UsageError, explain, explain_start
from ipcbench.system import process
from ipcbench.system.signals import ENDING_SIGNALS, accept_signals, signals_held_back
from ipcbench.transports.base import LEDGER
from ipcbench.transports.registry import removers

PREFIX = "ipcbench-"
OWNER = "owner"
"""The file in a scratch directory that names its maker, by process id and start time.

The maker holds a lock on it as long as it lives."""
_NAME_BYTES = 6
_UNFINISHED_AFTER_S = 3600.0
_JANITOR_LIMIT_S = 3.0

Removers = Mapping[str, Callable[[int], None]]
"""How to remove an object by its key, by its kind."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch directory, and the descriptor that every process using it holds."""

    directory: Path
    held: int
    removers: Removers
    """Collected when the directory was made, so that no sweep of it needs an import."""

    @contextmanager
    def launch(self) -> Iterator[Path]:
        """Makes a directory for one launch and sweeps it after the block. Raises LaunchFailed."""
        directory = self.directory / secrets.token_hex(4)
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            reason = f"no directory for a launch could be made: {explain(error)}"
            raise LaunchFailed(reason) from error
        try:
            yield directory
        finally:
            sweep(directory, self.removers)


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A private directory in TMPDIR, removed by the janitor however this process ends."""
    directory = _temporary_folder() / (PREFIX + secrets.token_hex(_NAME_BYTES))
    known = removers()
    with ExitStack() as furnished, _janitor(directory, known) as held:
        owner = _create(directory)
        furnished.callback(os.close, owner)  # let go of when the janitor is done
        yield Scratch(directory, held, known)


@contextmanager
def _janitor(directory: Path, known: Removers) -> Iterator[int]:
    """Starts a directory's janitor, which waits until the yielded descriptor is closed.

    It knows its removers from before the fork: later, a module might not load for want of memory
    or descriptors, or be gone. Raises UsageError.
    """
    read_end, write_end = os.pipe()
    janitor: int | None = None
    try:
        try:
            # A signal's handler would raise in the child too, and have it go on as this process.
            with signals_held_back():
                janitor = os.fork()
                if janitor == 0:
                    _wait_and_sweep(directory, known, read_end)
        except OSError as error:
            raise UsageError(f"no process could be started: {explain_start(error)}") from error
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
    """Creates, locks and opens the file that names this process as a directory's owner.

    It is locked before it has content, so a reader of the content never finds it unlocked while
    the owner lives. No child keeps a copy, so the kernel drops the lock with this process:
    flock(2).
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
    """Makes the directory and its owner file, and returns the file open. Raises UsageError."""
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
    """Waits for the janitor to finish, up to a limit: it can finish alone."""
    deadline = time.monotonic() + _JANITOR_LIMIT_S
    while os.waitpid(janitor, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)


def sweep(directory: Path, known: Removers | None = None) -> None:
    """Removes every object that a ledger below this directory names, then the directory.

    Removes nothing if the directory is another user's or a link. `known` is how to remove an object
    of each kind: by default, of every transport's.
    """
    if not _is_ours(directory):
        return
    noted = _noted_below(directory)
    known = removers(kind for kind, _ in noted) if known is None else known
    for kind, key in noted:
        if kind in known:
            known[kind](key)
    shutil.rmtree(directory, ignore_errors=True)


class Leftover(NamedTuple):
    """Remains of a run that was killed together with its janitor."""

    directory: Path
    objects: list[tuple[str, int]]
    """Kinds and keys of the objects that outlived the run's processes."""

    def __str__(self) -> str:
        return ", ".join([str(self.directory), *(f"{kind} {key}" for kind, key in self.objects)])


def leftovers() -> list[Leftover]:
    """Finds the remains of this user's dead runs. Raises UsageError.

    Anything that another run or its janitor removes meanwhile is not left over.
    """
    return [
        Leftover(directory, _noted_below(directory))
        for directory in sorted(_temporary_folder().glob(f"{PREFIX}*"))
        if _is_ours(directory) and (_is_orphaned(directory / OWNER) or _is_unfinished(directory))
    ]


def _noted_below(directory: Path) -> list[tuple[str, int]]:
    """Outstanding objects by all ledgers below a directory; skips a ledger removed meanwhile."""
    found = []
    for folder, _, names in os.walk(directory):  # passes over what it can't list
        if LEDGER in names:
            with suppress(OSError):
                # As bytes: a text file's codec is a module, which a janitor may be unable to load.
                found += outstanding(Path(folder, LEDGER).read_bytes().decode("ascii"))
    return found


def _is_orphaned(owner: Path) -> bool:
    """Whether the run of an owner file is over: its process is gone, and so is its lock.

    The lock covers a process in another namespace, whose id means nothing here; the process id
    covers a file system without locks.
    """
    try:
        with owner.open(encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look don't collide
            return not _is_alive(file.read())
    except (OSError, ValueError):
        return False


def _is_unfinished(directory: Path) -> bool:
    """Whether a run was killed just after it made this directory: it is old and has no owner.

    Such a directory is empty. The owner file follows within milliseconds; it is given an hour.
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
    """Whether the path is a directory of this user's and no link."""
    try:
        about = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()


def _is_alive(owner: str) -> bool:
    """Whether the process named in an owner file is alive; True if the content is incomplete."""
    try:
        pid, began = map(int, owner.split())
    except ValueError:
        return True
    return process.start_time(pid) == began


def outstanding(ledger: str) -> list[tuple[str, int]]:
    """Objects that a ledger lists as made and not removed, as (kind, key), oldest first."""
    made: dict[tuple[str, int], None] = {}
    for line in ledger.splitlines():
        sign, kind, key = line.split()
        if sign == "+":
            made[kind, int(key)] = None
        else:
            made.pop((kind, int(key)), None)
    return list(made)


def _wait_and_sweep(directory: Path, known: Removers, read_end: int) -> NoReturn:
    """Runs the janitor, in the child, with signals held back; never returns."""
    try:
        for ignored in ENDING_SIGNALS:
            signal.signal(ignored, signal.SIG_IGN)
        accept_signals()
        os.setsid()
        process.silence_standard_streams()
        process.close_quietly(process.open_descriptors() - {0, 1, 2, read_end})
        while os.read(read_end, 1):
            pass  # nobody writes; only the end of file is awaited
        sweep(directory, known)
    finally:
        os._exit(0)
