"""Runs the command line as a user would, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUICK = ("--rounds=1", "--values=1", "--warmups=0", "--min-time=2ms")
"""Arguments of the shortest possible run."""


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
