"""A process that a limit of the system ended is told with that limit, and with what helps."""

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipcbench.system.cgroups import memory_groups
from tests.command import environment
from tests.faults.scarce import LATENCY, command, finished, limited, measured, refusal, unshared

MIB = 2**20
SIDES = ("server", "worker")
CAUSES = {
    "cpu-time-soft": (
        r"was killed by SIGXCPU [^:]+: it had used [01]\.\d s of CPU time and its soft limit"
        r" RLIMIT_CPU is 1 s; raise it with ulimit -t, as does whoever set it: a shell, .*"
    ),
    "cpu-time-hard": (
        r"was killed by SIGKILL [^:]+: it had used [01]\.\d s of CPU time and its hard limit"
        r" RLIMIT_CPU is 1 s; .*"
    ),
    "seccomp": (
        r"was killed by SIGSYS [^:]+: a seccomp filter forbids a system call that it made; "
        r"filters are set by containers and sandboxes: .*"
    ),
    "file-size": (
        r"was killed by SIGXFSZ [^:]+: no file of it may be longer than 10 bytes \(RLIMIT_FSIZE\);"
        r" raise ulimit -f"
    ),
    "cut-file": (
        r"was killed by SIGBUS [^:]+: a page of memory that it shares wasn't there: somebody cut a"
        r" mapped file short, or its file system is full"
    ),
    "killed": r"was killed by SIGKILL [^:]+",
}
"""The sentence of each end, behind whom it is about; of the last, no cause is known."""


def _told(who: str, end: str, prefix: Sequence[str] = ()) -> str:
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.faults.dying", who, end],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("who", SIDES)
@pytest.mark.parametrize("end", CAUSES)
def test_an_end_by_a_limit_is_told_with_the_limit(who: str, end: str) -> None:
    where = "in the timed batch" if who == "server" else "before its pair was made"
    told = _told(who, end)
    assert re.fullmatch(f"the {who} {CAUSES[end]}", told), told
    assert f" {where}" in told


@pytest.mark.parametrize("who", SIDES)
def test_shared_memory_that_has_no_room_is_told_as_that(who: str) -> None:
    told = _told(who, "no-room", unshared(["-m"], "mount -t tmpfs tmpfs /dev/shm -o size=64k"))
    assert re.search(r"was killed by SIGBUS .*: /dev/shm has [\d,]+ bytes free; make room", told)


@contextmanager
def _group(limit_bytes: int) -> Iterator[list[str]]:
    """A command prefix that runs it in a control group with so much memory.

    Skips the test where none can be made.
    """
    here = next(iter(memory_groups()), None)
    if here is None:
        pytest.skip("no control group for memory is visible")
    folder = here.folder / f"ipcbench-test-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (folder / name).exists():
                (folder / name).write_text(str(limit_bytes))
                break
        else:
            pytest.skip("control groups don't limit memory here")
        joins = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
        yield ["sh", "-c", joins, str(folder)]
    finally:
        folder.rmdir()


@pytest.mark.parametrize("who", SIDES)
def test_a_kill_by_the_oom_killer_is_told_as_that(who: str) -> None:
    with _group(80 * MIB) as inside:
        told = _told(who, "out-of-memory", inside)
    found = re.fullmatch(
        rf"the {who} was killed by SIGKILL [^:]+: the kernel's OOM killer ran \(oom_kill went from"
        r" 0 to 1 in memory\.(events|oom_control) of the control group (\S+)\); the tightest limit"
        r" is memory\.(max|limit_in_bytes) of the control group (\S+) \(80 MiB\); allow more"
        r" memory, or choose smaller messages",
        told,
    )
    assert found, told
    assert found[2] == found[4]


def test_messages_that_a_control_group_has_no_room_for_are_refused_before_the_first_launch(
    tmp_path: Path,
) -> None:
    with _group(300 * MIB) as inside:
        line = [*inside, *command("unix", "pipe", "sysv-shm", "--sizes=64m")]
        said = refusal(finished(line, tmp_path))
    assert re.search(
        r"messages of 64m need 512 MiB of memory and [\d.]+ MiB is free under memory\.\w+ of the"
        r" control group \S+ \(300 MiB\); choose a smaller size",
        said,
    )


def test_in_a_control_group_with_little_memory_all_are_measured_fewer_at_once(
    tmp_path: Path,
) -> None:
    names = ("unix", "pipe", "sysv-shm", "inet")
    with _group(200 * MIB) as inside:
        done = finished([*inside, *command(*names, *LATENCY)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "trying again" not in done.stderr
    assert measured(tmp_path / "run.json") == set(names)


def test_a_limit_on_the_size_of_files_is_named(tmp_path: Path) -> None:
    small = limited("resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))")
    done = finished([*small, *command("unix", *LATENCY)], tmp_path)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode in {2, 3}, said
    assert "Traceback" not in said
    assert "raise its limit with ulimit -f" in said
