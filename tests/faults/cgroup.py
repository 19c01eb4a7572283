"""A real cgroup with a limit of CPU time, removed whatever happens."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ipcbench.system.cgroups import groups

_LIMIT_S = 10
_PERIOD_US = 2000
"""So short that whatever runs for one slice of the scheduler uses a small quota up."""


@contextmanager
def limited_cpu(cpus: float) -> Iterator[tuple[list[str], Path]]:
    """A command prefix that runs it in a cgroup with this quota, and the cgroup's folder.

    Skips the test where no cgroup may be made.
    """
    if os.geteuid() != 0:
        pytest.skip("only root may make a cgroup")
    found = groups("cpu")
    if not found:
        pytest.skip("no cgroup hierarchy has the controller cpu here")
    version = found[0].version
    top = [one.folder for one in found if one.version == version][
        -1
    ]  # version 2 has no processes in a cgroup with limited children
    folder = top / f"ipcbench-test-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup may be made here: {error.strerror}")
    try:
        _set_quota(folder, version, round(cpus * _PERIOD_US))
        line = 'echo $$ >"$0"/cgroup.procs && exec "$@"'
        yield ["sh", "-c", line, str(folder)], folder
    finally:
        _remove(folder)


def _set_quota(folder: Path, version: int, quota_us: int) -> None:
    try:
        if version == 2:
            (folder / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
    except OSError as error:
        pytest.skip(f"no quota may be set here: {error.strerror}")


def _remove(folder: Path) -> None:
    """Removes the cgroup, and first ends what still runs there: a cgroup in use can't be."""
    deadline_s = time.monotonic() + _LIMIT_S
    while True:
        try:
            folder.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline_s:
                raise
        if time.monotonic() > deadline_s - _LIMIT_S / 2:
            for process in map(int, (folder / "cgroup.procs").read_text().split()):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
