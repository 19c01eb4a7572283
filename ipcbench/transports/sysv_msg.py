"""System V message queues, one each way. msgop(2), sysvipc(7)."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from ipcbench.transports.base import Link, Traffic, Transport, Workspace, kernel_setting, known
from ipcbench.transports.parts import sysv
from ipcbench.transports.parts.queues import QueueLink
from ipcbench.workloads import ServerModel

QUEUE_KIND = "sysv-msg"
"""Kind of a System V queue in the ledger; the number beside it is its key."""


class SysvQueueLink(QueueLink):
    """System V queues, removed with the link or by the ledger."""

    system = "sysv"

    def make(self, size_bytes: int, workspace: Workspace) -> Any:
        queue = partial(sysv.ipc.MessageQueue, mode=0o600, max_message_size=size_bytes)
        return sysv.made(QUEUE_KIND, workspace, queue, "queues, kernel.msgmni,")

    def close_queue(self, queue: Any, workspace: Workspace) -> None:
        sysv.removed(QUEUE_KIND, workspace, queue)

    def vanished(self) -> str | None:
        return sysv.vanished("a System V queue", self._queues)

    def number(self, queue: Any) -> int:
        identifier: int = queue.id
        return identifier

    def ready(self, queue: Any) -> Callable[[], bool]:
        def has_message() -> bool:
            return queue.current_messages > 0  # type: ignore[no-any-return]

        return has_message


def remove_queue(key: int) -> None:
    """Removes the queue of this key, left by a process that died; a missing one is no error."""
    sysv.remove("MessageQueue", key)


class SysvMsg(Transport):
    """System V message queues."""

    name = "sysv-msg"
    summary = "System V message queues, one each way"
    waits = "blocks in msgrcv"
    source = "msgop(2), sysvipc(7)"
    groups = ("sysv",)
    mediums = ("sysv-msg",)
    overlaps = True
    # The kernel notes a waiting thread as the last one to receive, which is no process that a table
    # shows (pipelined_send of ipc/msg.c): with threads nothing would prove who is joined.
    server_models: tuple[ServerModel, ...] = ("fork",)
    leftovers = MappingProxyType({QUEUE_KIND: remove_queue})

    def unavailable(self) -> str | None:
        return sysv.unavailable()

    def rejects(self, traffic: Traffic) -> str | None:
        size = traffic.message_size_bytes
        for name in ("kernel.msgmax", "kernel.msgmnb"):
            most = kernel_setting(name)
            if most is not None and size > most:
                return (
                    f"a message of a System V queue holds at most {most:,} bytes ({name});"
                    f" raise it with sysctl {name}={size}"
                )
        return super().rejects(traffic)

    def system_limits(self) -> Mapping[str, str]:
        return known(
            {
                "kernel.msgmax": "bytes a message",
                "kernel.msgmnb": "bytes a queue",
                "kernel.msgmni": "queues",
            }
        )

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        return SysvQueueLink(traffic, workspace)
