"""Finds what a test leaves behind: processes, IPC objects, sockets, files.

Others may test, or measure, on the same machine at the same time. What is theirs is known by its
owner: processes carry the mark of the test that started them, directories are in a temporary folder
of this session's own, and an object is another's if a process without our mark uses it, or another
session's ledger notes it. Whatever nobody else is known to own counts as left behind by us.
"""

import ctypes
import os
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ipcbench.system.scratch import PREFIX, outstanding
from ipcbench.transports.base import LEDGER, momentary_name

MARK = "IPCBENCH_TEST_MARK"
"""Environment variable of every process that a test starts, directly or not."""
TEMPORARY_PREFIX = "tests-of-ipcbench-"
"""Beginning of the name of a session's own temporary folder."""
LEFT_ON_PURPOSE = "liar-"
"""Beginning of the names of objects that one of tests/data/liars leaves; test_liars has them."""
_SESSION = secrets.token_hex(8)
_GRACE_S = 5.0
_FEWEST_LOOKS = 10
"""Looks at what is there before any of it counts as left behind. One look takes seconds on a busy
machine, and an object that another session removes meanwhile has no owner in it any more."""
_GETPID = 11
"""semctl(2): the command that returns the process that last changed a semaphore."""
_USERS = {"shm": ("cpid", "lpid"), "sem": (), "msg": ("lspid", "lrpid")}
"""Columns of a table of System V objects that name processes. sysvipc(7), proc_sysvipc(5)."""
_SYSV = Path("/proc/sysvipc")
_NAMED = (Path("/dev/shm"), Path("/dev/mqueue"))
_SHARED_TEMPORARY = {Path(tempfile.gettempdir()), Path("/tmp")}
_SCRATCH_DIRECTORIES = (
    f"{PREFIX}*",
    f"{TEMPORARY_PREFIX}*/{PREFIX}*",
    "pytest-of-*/pytest-*/*",
    f"chaos-*/tmp/{PREFIX}*",
)
"""Folders with ledgers of anybody: a user's runs, a session's, a test's own, and of `chaos`."""


def new_mark() -> str:
    """A mark for one test, which tells the session, too."""
    return f"{_SESSION}-{secrets.token_hex(8)}"


def any_number() -> int:
    """A number for an object in a ledger that no other run has chosen; it fits a key, too."""
    return secrets.randbelow(2**31 - 2) + 1


class SystemV(NamedTuple):
    """A System V object: its kind, id and key, and processes that have used it."""

    kind: str
    identifier: int
    key: int
    users: tuple[int, ...]

    def __str__(self) -> str:
        return f"System V {self.kind} {self.identifier}"


def marked_processes(mark: str, known: Collection[int] = ()) -> set[str]:
    """The living processes, other than this one, that descend from the test of this mark.

    None of those `known` does, which were there before the test.
    """
    found = set()
    for pid in set(_processes()).difference(known):
        if _mark_of(pid) == mark and pid != os.getpid():
            with suppress(OSError):  # ended since
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.add(f"process {pid}: {command}")
    return found


def forked_children() -> set[str]:
    """This process's own children, zombies too: a fork's environ can't tell whose it is."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return {f"child {pid}" for pid in path.read_text().split()} if path.exists() else set()


def kernel_objects() -> set[str]:
    """System V and POSIX objects that exist now, of anybody."""
    return {*map(str, _system_v()), *map(str, _named())}


def own_objects(known: Collection[str], own: Collection[Path]) -> set[str]:
    """System V and POSIX objects that exist now, are not `known`, and nobody else is known to own.

    An object is another's if a living process that isn't of this session uses it, or if it is noted
    in a ledger that is below none of this session's `own` temporary folders.
    """
    system_v = [one for one in _system_v() if str(one) not in known]
    named = [path for path in _named() if str(path) not in known]
    system_v = [one for one in system_v if not any(map(_is_anothers, one.users))]
    if named:
        held = _held_by_others()
        named = [path for path in named if str(path) not in held]
    if system_v or named:
        noted = set(_noted_by_others(own))
        system_v = [one for one in system_v if (f"sysv-{one.kind}", one.key) not in noted]
        names = {name for _, key in noted for name in _names_of(key)}
        named = [path for path in named if path.name not in names]
    return {*map(str, system_v), *map(str, named)}


@contextmanager
def nothing_left(mark: str, own: Collection[Path]) -> Iterator[None]:
    """Fails if what is inside leaves anything behind for longer than a dying process needs.

    `own` are the temporary folders of this session.
    """
    folder = Path(tempfile.gettempdir())
    before = kernel_objects() | forked_children() | _directories(folder)
    known = _processes()
    yield
    deadline = time.monotonic() + _GRACE_S
    left, looks = None, 0
    while left is None or left:
        now = own_objects(before, own) | forked_children() | _directories(folder)
        now = (now | marked_processes(mark, known)) - before
        left = now if left is None else left & now  # what comes and goes is at work, and marked
        looks += 1
        if left and looks >= _FEWEST_LOOKS and time.monotonic() > deadline:
            raise AssertionError(f"left behind: {', '.join(sorted(left))}")
        if left:
            time.sleep(0.02)


def _directories(folder: Path) -> set[str]:
    return {str(path) for path in folder.glob(PREFIX + "*")}


def _system_v() -> list[SystemV]:
    found = []
    for kind, columns in _USERS.items():
        table = _SYSV / kind
        if not table.exists():
            continue
        titles, *rows = (line.split() for line in table.read_text().splitlines())
        for row in rows:
            values = {title: int(value) for title, value in zip(titles, row, strict=True)}
            identifier = values[f"{'msq' if kind == 'msg' else kind}id"]
            users = [values[column] for column in columns]
            if kind == "sem":
                users = _last_changers(identifier, values["nsems"])
            # A key is printed as the number with a sign that key_t is.
            found.append(SystemV(kind, identifier, values["key"], tuple(filter(None, users))))
    return found


def _last_changers(identifier: int, count: int) -> list[int]:
    """The processes that last changed each semaphore of a set; its maker has set each."""
    libc = ctypes.CDLL(None)
    return [max(0, libc.semctl(identifier, number, _GETPID)) for number in range(count)]


def _named() -> list[Path]:
    """POSIX objects of anybody, but for those that a test leaves on purpose, and removes itself."""
    every = [path for folder in _NAMED if folder.is_dir() for path in folder.iterdir()]
    return [path for path in every if not path.name.startswith(LEFT_ON_PURPOSE)]


def _processes() -> list[int]:
    # A path made of each name took a fifth of the fixture's time, twice a test.
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _mark_of(pid: int) -> str | None:
    """The mark of a living process; "" of one without, None of one that is dead."""
    return _variable_of(pid, MARK)


def _variable_of(pid: int, name: str) -> str | None:
    """An environment variable of a living process; "" if it has none, None if it is dead.

    A zombie has no environment any more.
    """
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return ""  # another user's
    except OSError:
        return None
    wanted = f"{name}=".encode()
    entries = environment.split(b"\0") if environment else ()
    values = (entry.removeprefix(wanted) for entry in entries if entry.startswith(wanted))
    return next(values, b"").decode(errors="replace") if environment else None


def _is_anothers(pid: int) -> bool:
    """Whether a process lives and isn't of this session.

    A mark tells that. Without one, this process and what it has started are of this session.
    """
    mark = _mark_of(pid)
    if mark:
        return not mark.startswith(f"{_SESSION}-") and pid != os.getpid()
    return mark is not None and not _descends(pid)


def _descends(pid: int) -> bool:
    """Whether a process is this one or descends from it."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def _held_by_others() -> set[str]:
    """Paths that other sessions' processes have mapped or open, where that can be seen."""
    held: set[str] = set()
    for pid in filter(_is_anothers, _processes()):
        folder = Path(f"/proc/{pid}")
        with suppress(OSError):
            for line in (folder / "maps").read_text(errors="replace").splitlines():
                held.update(line.split(maxsplit=5)[5:])
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                with suppress(OSError):
                    held.add(str(descriptor.readlink()))
    return held


def _noted_by_others(own: Collection[Path]) -> Iterator[tuple[str, int]]:
    """Yields kinds and keys of outstanding objects in ledgers that are below no `own` folder."""
    below = [one.resolve() for one in own]
    for folder in _scratch_of_others():
        for inner, _, files in os.walk(folder):  # which may vanish meanwhile
            ledger = Path(inner, LEDGER)
            if LEDGER not in files or any(ledger.is_relative_to(one) for one in below):
                continue
            with suppress(OSError, ValueError):
                yield from outstanding(ledger.read_text(encoding="ascii"))


def _scratch_of_others() -> Iterator[Path]:
    """Folders with ledgers: those one can see, and those that another session's process alone sees.

    It may have a mount namespace of its own, with its temporary folder on a file system of its own.
    """
    for pattern in _SCRATCH_DIRECTORIES:
        for shared in _SHARED_TEMPORARY:
            yield from (path.resolve() for path in shared.glob(pattern))
    places = {}
    for pid in filter(_is_anothers, _processes()):
        folder = _variable_of(pid, "TMPDIR") or "/tmp"
        with suppress(OSError):
            status = Path(f"/proc/{pid}/root{folder}").stat()
            places[status.st_dev, status.st_ino] = Path(f"/proc/{pid}/root{folder}")
    for place in places.values():
        with suppress(OSError):
            yield from list(place.glob(f"{PREFIX}*"))


def _names_of(key: int) -> tuple[str, ...]:
    """The names that a POSIX object of this number in a ledger may have."""
    return momentary_name(key), f"sem.{momentary_name(key)}"
