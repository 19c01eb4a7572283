"""Runs the command line as a user would, in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.preloaded import Preloaded

ROOT = Path(__file__).parent.parent
QUICK = ("--rounds=1", "--values=1", "--warmups=0", "--min-time=2ms")
"""Arguments of the shortest possible run."""
_LIMIT_S = 100
_LOOK_EVERY_S = 0.03
"""Looking without a pause would take a core from what is looked for: to read a file takes 10 ms."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: this one's, with the checkout importable from anywhere."""
    inherited = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return inherited | {"PYTHONPATH": str(ROOT)} | dict(extra or {})


def run(
    *arguments: str, cwd: Path = ROOT, extra: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The finished `python ARGUMENTS`, with its output as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(extra),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )


def ipcbench(
    *arguments: str, cwd: Path = ROOT, extra: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The finished `ipcbench ARGUMENTS`: in a fork that is spared the loading of the libraries."""
    if _concerns_the_start(extra or {}):
        return run("-m", "ipcbench", *arguments, cwd=cwd, extra=extra)
    return preloaded().run(arguments, cwd, environment(extra), _LIMIT_S)


def _concerns_the_start(extra: Mapping[str, str]) -> bool:
    """Whether Python itself reads some of these variables, or files that they lead to, at once."""
    folders = extra.get("PYTHONPATH", "").split(os.pathsep)
    return any(Path(folder, "sitecustomize.py").exists() for folder in folders) or any(
        name.startswith("PYTHON") and name != "PYTHONPATH" for name in extra
    )


@cache
def preloaded() -> Preloaded:
    """This process's own, which is started with the first call."""
    return Preloaded(ROOT)


def until(process: "subprocess.Popen[Any]", is_so: Callable[[], object]) -> None:
    """Returns as soon as it is so; fails if the process ends before."""
    while not is_so():
        assert process.poll() is None
        time.sleep(_LOOK_EVERY_S)
