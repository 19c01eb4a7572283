"""Common parts of the System V transports: package, keys in the ledger, removal. sysvipc(7).

Semaphores and queues outlive their makers, so their keys are in the workspace's ledger before they
exist.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ipcbench.transports.base import Unavailable, Workspace

try:
    import sysv_ipc
except ImportError:  # a platform without a wheel and without a compiler
    sysv_ipc = None

ipc: Any = sysv_ipc
"""The package sysv_ipc, or None."""

_KEY_TRIES = 20
_MOST_KEY = 2**31 - 1
"""Largest key: key_t is an int (ftok(3)), so a larger one would be returned as negative."""


def unavailable() -> str | None:
    """The reason why there is no System V IPC here, and the remedy; None where there is."""
    if sysv_ipc is None:
        return (
            "the package sysv_ipc is missing; pip install sysv_ipc"
            " (for a Python that it has no wheel for, that takes a C compiler)"
        )
    if Path("/proc/self").exists() and not Path("/proc/sysvipc").exists():
        return "this kernel was built without System V IPC (CONFIG_SYSVIPC)"
    return None


def made(kind: str, workspace: Workspace, make: Callable[[int, int], Any], limit: str) -> Any:
    """Makes an object by `make(key, flags)` under a random key, recorded in the ledger first.

    `limit` names the limit on the number of such objects. Raises Unavailable.
    """
    for _ in range(_KEY_TRIES):
        # Above 0, which is IPC_PRIVATE, and nobody else will have chosen it.
        key = int.from_bytes(os.urandom(4)) % _MOST_KEY + 1
        workspace.note(kind, key)
        try:
            return make(key, sysv_ipc.IPC_CREX)
        except sysv_ipc.ExistentialError:
            workspace.strike(kind, key)
        except (sysv_ipc.Error, OSError) as error:
            workspace.strike(kind, key)
            raise refused(error, limit) from error
    raise Unavailable(f"no free System V key in {_KEY_TRIES} tries")


def removed(kind: str, workspace: Workspace, item: Any) -> None:
    """Removes an object that `made` made, and its note in the ledger."""
    try:
        item.remove()
    except sysv_ipc.ExistentialError:
        pass  # somebody removed it: gone is what was wanted
    workspace.strike(kind, item.key)


def vanished(what: str, items: Iterable[Any]) -> str | None:
    """Tells that one of these objects was removed under its users (EIDRM, EINVAL); None if not."""
    for item in items:
        try:
            item.uid  # noqa: B018  (asks the kernel)
        except sysv_ipc.ExistentialError:
            return (
                f"{what} was removed while the pair used it, as ipcrm does, or systemd-logind when"
                " its user logs out (RemoveIPC=no in logind.conf keeps them)"
            )
    return None


def remove(find: str, key: int) -> None:
    """Removes the object of this class and key, left by a process that died; if it exists."""
    if sysv_ipc is None:
        return
    try:
        getattr(sysv_ipc, find)(key).remove()
    except (sysv_ipc.ExistentialError, sysv_ipc.PermissionsError):
        pass  # gone already, or never ours


def refused(error: Exception, limit: str) -> Unavailable:
    """Turns an error of System V IPC into Unavailable, with the limit and the remedy."""
    reason = (isinstance(error, OSError) and error.strerror) or error
    return Unavailable(
        f"System V IPC refused: {reason}; if the limit of {limit} is reached (see ipcs -u and"
        " ipcs -l), remove some or raise it"
    )
