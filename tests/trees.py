"""Made-up trees of /proc and /sys, for what reads them below a root."""

from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, str]
"""Texts of files by their paths below the root."""


def tree(root: Path, files: Files) -> Path:
    """Writes these files below the root, and returns it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def v1(controllers: str, path: str, files: Files) -> dict[str, str]:
    """The files of a process in this cgroup of version 1, and files by their paths there."""
    mounted = f"/sys/fs/cgroup/{controllers}"
    return _all(
        f"4:{controllers}:{path}\n1:name=systemd:/\n",
        f"9 1 0:9 / {mounted} rw,relatime shared:5 - cgroup cgroup rw,{controllers}\n",
        {f"{mounted[1:]}{name}": text for name, text in files.items()},
    )


def v2(path: str, files: Files) -> dict[str, str]:
    """The files of a process in this cgroup of version 2, and files by their paths there."""
    mounted = "/sys/fs/cgroup"
    return _all(
        f"0::{path}\n",
        f"9 1 0:9 / {mounted} rw,nosuid,relatime - cgroup2 cgroup2 rw,nsdelegate\n",
        {f"{mounted[1:]}{name}": text for name, text in files.items()},
    )


def _all(membership: str, mounts: str, files: Files) -> dict[str, str]:
    first = "1 0 0:1 / /proc rw - proc proc rw\n"
    found = {"proc/self/cgroup": membership, "proc/self/mountinfo": first + mounts}
    return found | dict(files)
