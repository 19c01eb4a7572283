"""POSIX message queues, one each way. mq_overview(7).

A queue is unlinked as soon as it is made: the server inherits its descriptor, so the kernel frees
it with the last of the two. The name is in the workspace's ledger while it exists.
"""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ipcbench.transports.base import (
    Link,
    Traffic,
    Transport,
    Unavailable,
    Workspace,
    kernel_setting,
    known,
    momentary_name,
)
from ipcbench.transports.parts.queues import QueueLink
from ipcbench.transports.parts.readiness import readable

try:
    import posix_ipc
except ImportError:  # an extra: pip install 'ipcbench[posix]'
    posix_ipc = None

QUEUE_KIND = "posix-mq"
"""Kind of a POSIX queue in the ledger; the number beside it is part of its name."""

_MESSAGES = 10
"""Messages a queue: the default of fs.mqueue.msg_max, which any user may have."""


class PosixQueueLink(QueueLink):
    """POSIX queues without a name, closed with their processes."""

    system = "posix"

    def make(self, size_bytes: int, workspace: Workspace) -> Any:
        number = int.from_bytes(os.urandom(6))
        workspace.note(QUEUE_KIND, number)
        most = kernel_setting("fs.mqueue.msg_max") or _MESSAGES
        try:
            queue = posix_ipc.MessageQueue(
                f"/{momentary_name(number)}",
                posix_ipc.O_CREX,
                mode=0o600,
                max_messages=min(_MESSAGES, most),
                max_message_size=size_bytes,
            )
        except (posix_ipc.Error, OSError) as error:
            raise Unavailable(
                f"no POSIX queue could be made: {error}; see sysctl fs.mqueue and ulimit -q"
            ) from error
        queue.unlink()
        workspace.strike(QUEUE_KIND, number)
        return queue

    def close_queue(self, queue: Any, workspace: Workspace) -> None:
        queue.close()

    def number(self, queue: Any) -> int:
        descriptor: int = queue.mqd
        return descriptor

    def ready(self, queue: Any) -> Callable[[], bool]:
        return readable(self.number(queue))  # on Linux a queue is a descriptor (mq_overview(7))


def remove_queue(number: int) -> None:
    """Removes the queue of this number, left by a process that died; a missing one is no error."""
    if posix_ipc is None:
        return
    try:
        posix_ipc.unlink_message_queue(f"/{momentary_name(number)}")
    except (posix_ipc.ExistentialError, posix_ipc.PermissionsError):
        pass  # gone already, or never ours


class PosixMq(Transport):
    """POSIX message queues."""

    name = "posix-mq"
    summary = "POSIX message queues, one each way"
    waits = "blocks in mq_receive"
    source = "mq_overview(7)"
    groups = ("posix",)
    mediums = ("posix-mq",)
    overlaps = True
    leftovers = MappingProxyType({QUEUE_KIND: remove_queue})

    def unavailable(self) -> str | None:
        if posix_ipc is None:
            return "the package posix_ipc is missing; pip install 'ipcbench[posix]'"
        if not posix_ipc.MESSAGE_QUEUES_SUPPORTED:
            return "this system has no POSIX message queues"
        return None

    def rejects(self, traffic: Traffic) -> str | None:
        most, size = kernel_setting("fs.mqueue.msgsize_max"), traffic.message_size_bytes
        if most is None or size <= most:
            return super().rejects(traffic)
        return (
            f"a message of a POSIX queue holds at most {most:,} bytes (fs.mqueue.msgsize_max);"
            f" raise it with sysctl fs.mqueue.msgsize_max={size}"
        )

    def system_limits(self) -> Mapping[str, str]:
        return known(
            {
                "fs.mqueue.msgsize_max": "bytes a message",
                "fs.mqueue.msg_max": "messages a queue",
                "fs.mqueue.queues_max": "queues",
            }
        )

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return PosixQueueLink(traffic, workspace)
