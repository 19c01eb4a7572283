"""Runs the command line as a user would, in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
QUICK = ("--rounds=1", "--values=1", "--warmups=0", "--min-time=2ms")
"""Arguments of the shortest possible run."""
_LOOK_EVERY_S = 0.01
"""Looking without a pause would take a core from what is looked for."""


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
        timeout=100,
    )


def ipcbench(
    *arguments: str, cwd: Path = ROOT, extra: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The finished `ipcbench ARGUMENTS`."""
    return run("-m", "ipcbench", *arguments, cwd=cwd, extra=extra)


def until(process: "subprocess.Popen[Any]", is_so: Callable[[], object]) -> None:
    """Returns as soon as it is so; fails if the process ends before."""
    while not is_so():
        assert process.poll() is None
        time.sleep(_LOOK_EVERY_S)
