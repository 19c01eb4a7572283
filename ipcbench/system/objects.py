"""Objects of this machine that outlive a process: which there are, which are new, their removal."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ipcbench.transports.base import DEV_SHM

_SYSV = Path("/proc/sysvipc")
_FOLDERS = (DEV_SHM, Path("/dev/mqueue"))
_REMOVES = {"shm": "-m", "sem": "-s", "msg": "-q"}
"""Options of ipcrm(1) for the kinds of System V objects."""


def objects() -> frozenset[str]:
    """This user's System V and POSIX objects, as `shm 5` or a path."""
    found = set()
    for kind in _REMOVES:
        with suppress(OSError):
            found |= {f"{kind} {number}" for number in _mine(_SYSV / kind)}
    for folder in _FOLDERS:
        with suppress(OSError):
            found |= {str(path) for path in folder.iterdir() if _is_mine(path)}
    return frozenset(found)


def removal_of(left: str) -> str:
    """The command that removes an object."""
    kind, _, number = left.partition(" ")
    return f"ipcrm {_REMOVES[kind]} {number}" if kind in _REMOVES else f"rm {left}"


def remove(left: Iterable[str]) -> None:
    """Removes objects, as far as that can be done."""
    for one in left:
        with suppress(OSError):
            if one.startswith("/"):
                os.unlink(one)  # noqa: PTH108  (a queue's too: mq_overview(7))
            else:
                subprocess.run(removal_of(one).split(), check=False, capture_output=True)


def _mine(table: Path) -> Iterator[str]:
    """The ids in a table of /proc/sysvipc that belong to this user."""
    head, *rows = (row.split() for row in table.read_text().splitlines())
    for row in rows:
        if int(row[head.index("uid")]) == os.getuid():
            yield row[1]


def _is_mine(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.getuid()
    except OSError:
        return False
