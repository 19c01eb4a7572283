"""Rules that the kernel's tables decide: the way claimed, and objects for the owner alone."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import get_args

from ipcbench.case import LOOPS, Loop
from ipcbench.evidence.verdict import TRACELESS, TRAITS
from ipcbench.measure.pair import Pair
from ipcbench.testing.subject import NotTried, NotWitnessed, Rule, Subject, once, over, require
from ipcbench.transports.base import DEV_SHM, Medium, Workspace
from ipcbench.workloads import WORKLOADS, Workload

MESSAGES = 10
DEV_MQUEUE = Path("/dev/mqueue")
SYSV_KINDS = ("shm", "sem", "msg")

Modes = dict[str, tuple[int, int]]
"""Mode and owner of each object, by what it is."""


def _claim(subject: Subject) -> None:
    claimed = set(subject.mechanism.mediums)
    unknown = claimed - set(get_args(Medium))
    require(not unknown, f"`mediums` names what nobody knows: {', '.join(sorted(unknown))}")
    if not claimed:
        raise NotWitnessed("`mediums` is empty: no launch is proved, each is 'not witnessed'")
    require(claimed - TRAITS - TRACELESS, "`mediums` names nothing that the kernel has a table of")


def _evidence(subject: Subject, loop: Loop, workload: Workload) -> None:
    case = subject.case(workload, loop)
    with Pair(case, None, subject.workspace()) as pair:
        pair.run(MESSAGES)
        finding = pair.inspect()
    if finding.outcome == "not witnessed":
        raise NotWitnessed(finding.digest)
    require(finding.outcome == "proved", finding.digest)
    require("\n" not in finding.digest, "the evidence has more than one line")
    told = "".join((finding.digest, *finding.found))
    require(
        str(subject.directory.parent) not in told,
        "the evidence, which is published, names a directory of this machine",
    )


@contextmanager
def _generous_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def files_below(folder: Path) -> dict[str, os.stat_result]:
    """All that has a name in this folder or below, and the folder.

    Others may use it, too: what vanishes meanwhile is left out.
    """
    found = {}
    for path in (folder, *folder.rglob("*")) if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            found[str(path)] = path.lstat()
    return found


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


def _sysv() -> Modes:
    """Modes and owners of the System V objects, by kind and id."""
    found = {}
    for kind in SYSV_KINDS:
        table = Path("/proc/sysvipc") / kind
        rows = [row.split() for row in table.read_text().splitlines()] if table.exists() else []
        for row in rows[1:]:
            columns = dict(zip(rows[0], row, strict=True))
            owner = int(columns["uid"])
            found[f"{kind} {row[1]}"] = int(columns["perms"], 8) & 0o777, owner
    return found


def _named(directory: Path) -> Modes:
    """Modes and owners of everything that a pair in this directory may have made."""
    shared = {
        name: about
        for folder in (DEV_SHM, DEV_MQUEUE)
        for name, about in files_below(folder).items()
        if name != str(folder)
    }
    every = files_below(directory) | shared | _opened() | _mapped()
    return {
        name: (stat.S_IMODE(about.st_mode), about.st_uid) for name, about in every.items()
    } | _sysv()


def is_private(about: tuple[int, int]) -> bool:
    """Whether an object of this mode and owner is this user's alone."""
    mode, owner = about
    return owner == os.getuid() and mode in {0o600, 0o700}


def made_by_a_pair(subject: Subject) -> Modes:
    """All with a name that a running pair has made, under a umask that takes nothing away."""
    directory = subject.directory / "d"  # short: a socket's path has 108 bytes
    directory.mkdir(mode=0o700)
    case = subject.case(subject.transport.workloads[0])
    with _generous_umask():
        try:
            before = _named(directory)
        except PermissionError:
            raise NotTried("only root may look at the files behind mappings") from None
        with Pair(case, None, Workspace(directory)):
            return {name: about for name, about in _named(directory).items() if name not in before}


def _owner_only(subject: Subject) -> None:
    made = made_by_a_pair(subject)
    open_to_others = [
        f"{name.replace(str(subject.directory), '')} (mode {about[0]:o})"
        for name, about in made.items()
        if not is_private(about)
    ]
    require(not open_to_others, f"not its owner's alone: {', '.join(open_to_others)}")


RULES = (
    Rule("claim", "it claims what the kernel can confirm", once(_claim)),
    Rule(
        "evidence",
        "the kernel proves its claim",
        over(_evidence, loop=LOOPS, workload=WORKLOADS),
    ),
    Rule("owner-only", "all that has a name is the owner's alone", once(_owner_only)),
)
"""The rules that the kernel decides."""
