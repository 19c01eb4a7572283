"""The advice of `doctor`: a command that works where it is given, or who must give it.

Checks write a remedy as an ordinary user of a machine of their own would type it, with `sudo`. It
is turned into another here: in a container the setting may be the host's, root needs no sudo.
"""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from ipcbench.system.surroundings import container, text_of

Level = Literal["ok", "note", "warn", "fatal"]
"""Severity of a check.

`ok`: as it should be. `note`: worth knowing. `warn`: numbers are worse than they need be.
`fatal`: nothing can be measured.
"""
Assessment = tuple[Level, str, str | None]
"""The level, the fact found, and a remedy, which is dropped if the level is `ok`."""

_SUDO = "sudo "
_TARGET = re.compile(r"\btee (?P<file>\S+)|\bsysctl -w '?(?P<sysctl>[\w.-]+)=")
_SETTING = re.compile(r"\bsysctl -w (?P<setting>'[^']*'|\S+)")
_OF_A_CONTAINER = re.compile(r"net\.|fs\.mqueue\.|kernel\.(msg|shm|sem)")
"""Sysctls that a container has of its own (docker-run(1), --sysctl)."""
_CAP_SYS_ADMIN = 21


class Standing(NamedTuple):
    """The position of whoever is advised: what they, and root here, may do to this machine."""

    is_root: bool
    root_may_all: bool
    """Whether root may do all here: that of a container may not."""
    container: str | None
    has_sudo: bool
    may_write: Callable[[str], bool]
    """Whether they may write a file, by its path."""
    is_read_only: Callable[[str], bool]
    """Whether nobody here may write a file, root included."""


def standing(root: Path = Path("/")) -> Standing:
    """The position of this process."""
    is_root = os.geteuid() == 0
    return Standing(
        is_root=is_root,
        # Of another user the bounding set tells what a program of root's could have here.
        root_may_all=_has_capability(root, "CapEff" if is_root else "CapBnd", _CAP_SYS_ADMIN),
        container=container(root),
        has_sudo=shutil.which("sudo") is not None,
        may_write=lambda path: os.access(path, os.W_OK),
        is_read_only=is_read_only,
    )


def is_read_only(path: str | Path) -> bool:
    """Whether a file is on a file system that is mounted so that nobody may write it."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


ORDINARY = Standing(False, True, None, True, lambda _path: False, lambda _path: False)
"""An ordinary user who may use sudo, on a machine of their own."""


def suited(remedy: str, who: Standing) -> str:
    """A remedy that works in this position; where none does, who must carry out which command."""
    if _SUDO not in remedy:
        return remedy
    plain = remedy.replace(_SUDO, "")
    target = _target(remedy)
    if who.may_write(target) if target else who.is_root and who.root_may_all:
        return plain
    root_may = not who.is_read_only(target) if target else who.root_may_all
    if not who.is_root and (root_may or who.container is None):
        return remedy if who.has_sudo else f"as root: {plain}"
    if who.container is None:
        return f"as a root who may (this one isn't allowed to): {plain}"
    kind, setting = who.container.split()[0], _SETTING.search(remedy)
    if kind in ("docker", "podman") and setting and _OF_A_CONTAINER.match(_name(setting)):
        return f"start the container anew: {kind} run --sysctl {setting['setting']} ..."
    return f"on the host, as root: {plain}"


def set_sysctl(setting: str) -> str:
    """The remedy of a sysctl, from `name=value`."""
    return f"{_SUDO}sysctl -w {shlex.quote(setting)}"


def write(value: str, path: str) -> str:
    """The remedy of a file below /proc or /sys that wants another value."""
    return f"echo {value} | {_SUDO}tee {path}"


def _name(setting: "re.Match[str]") -> str:
    return setting["setting"].strip("'")


def _target(remedy: str) -> str | None:
    """The file that a remedy writes; None if it can't be told."""
    found = _TARGET.search(remedy)
    if found is None:
        return None
    if found["file"]:
        return found["file"]
    return f"/proc/sys/{found['sysctl'].replace('.', '/')}"


def _has_capability(root: Path, which: str, number: int) -> bool:
    status = text_of(root / "proc/self/status") or ""
    told = re.search(rf"^{which}:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return told is not None and bool(int(told[1], 16) >> number & 1)
