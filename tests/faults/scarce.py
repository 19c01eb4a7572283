"""Makes one thing scarce for a real command line: limits, namespaces, an ordinary user."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ipcbench.results import store
from tests.command import QUICK, environment

OPTIONS = (*QUICK, "--sizes=64")
LATENCY = (*OPTIONS, "--workloads=latency")
Done = subprocess.CompletedProcess[str]
_LIMIT_S = 60
_FIRST_USER = 51_234
_USERS_EACH = 100
"""Users that each process of pytest-xdist may take, so that no two take one."""
WORKER = "PYTEST_XDIST_WORKER"
"""Variable of a process that runs tests beside others, and its name: `gw0`."""


def command(*arguments: str) -> list[str]:
    """The command line of a comparison whose results are in run.json."""
    return [sys.executable, "-m", "ipcbench", "compare", *arguments, "-o", "run.json"]


def finished(line: Sequence[str], cwd: Path, extra: Mapping[str, str | None] | None = None) -> Done:
    """The finished command; a variable that is None in `extra` isn't set for it."""
    variables = environment({k: v for k, v in (extra or {}).items() if v is not None})
    for name, value in (extra or {}).items():
        if value is None:
            variables.pop(name, None)
    return subprocess.run(
        line, cwd=cwd, env=variables, capture_output=True, text=True, timeout=_LIMIT_S
    )


def explained(done: Done, code: int) -> str:
    """The output in one line, after checks of exit code and of no traceback."""
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, said
    for bug in ("Traceback", "internal error", "SIGBUS", "SIGSEGV"):
        assert bug not in said
    return said


def refusal(done: Done) -> str:
    """The error line of a command that was refused before it measured anything."""
    explained(done, 2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def measured(path: Path) -> set[str]:
    """The mechanisms that have a number in a result file."""
    return {launch.case.transport for launch in store.load(path).launches() if launch.is_mechanism}


def limited(statements: str) -> list[str]:
    """A command prefix that runs these Python statements first."""
    code = f"import os, resource, sys; {statements}; os.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code]


def unshared(kinds: Sequence[str], setup: str, after: str = "true") -> list[str]:
    """A command prefix that runs it in namespaces of its own, set up by a shell.

    `after` is run there when the command is done. Skips the test if the machine forbids it.
    """
    if shutil.which("unshare") is None:
        pytest.skip("unshare(1) is missing")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    inside = ["unshare", *user, *kinds, "sh", "-e", "-c"]
    probe = subprocess.run(
        [*inside, f"{setup}\n{shlex.quote(sys.executable)} -c pass"],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    if probe.returncode != 0:
        pytest.skip(f"no such namespace here: {probe.stderr.strip()}")
    return [*inside, f'{setup}\nset +e; "$@"; code=$?; {after}; exit $code', "sh"]


def ordinary_user(folder: Path) -> list[str]:
    """A command prefix that runs it as an ordinary user, who owns this folder.

    If root runs the tests, the user is one without any processes, who may read all files, since
    the interpreter could be anywhere.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv(1) is missing")
    taken = _users_of_processes()
    first = _FIRST_USER + _USERS_EACH * int(os.environ.get(WORKER, "gw0").removeprefix("gw"))
    user = next(number for number in range(first, first + _USERS_EACH) if number not in taken)
    os.chown(folder, user, user)
    reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *reads]


def processes_of_user() -> int:
    """How many processes count against RLIMIT_NPROC of a command behind `ordinary_user`."""
    if os.geteuid() == 0:
        return 0
    if WORKER in os.environ:
        pytest.skip("other tests start processes of this user meanwhile; try make test JOBS=0")
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # ended since
            count += process.num_threads() if process.uids().real == os.getuid() else 0
    return count


def _users_of_processes() -> set[int]:
    users = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # ended since
            users.add(process.uids().real)
    return users
