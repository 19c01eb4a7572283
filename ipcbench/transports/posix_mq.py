"""POSIX message queues, one each way. mq_overview(7).

A queue is unlinked as soon as it is made: the server inherits its descriptor, so the kernel frees
it with the last of the two. Its name is in the workspace's ledger for the moment that it exists.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ipcbench.transports.base import (
    Endpoint,
    Link,
    QueueShape,
    Transport,
    Unavailable,
    Workload,
    Workspace,
    buffer_pair,
    kernel_setting,
    known,
)

try:
    import posix_ipc
except ImportError:  # an extra: pip install 'ipcbench[posix]'
    posix_ipc = None

QUEUE_KIND = "posix-mq"
"""What the ledger calls a queue; the number beside it is in its name."""

_MESSAGES = 10
"""The default of fs.mqueue.msg_max, so that an ordinary user may have it."""
_WHOLE = slice(None)


class QueueLink(Link):
    """A queue from client to server, and for round trips one back."""

    def __init__(self, size_bytes: int, workload: Workload, workspace: Workspace) -> None:
        self._size_bytes = size_bytes
        self._echoes = workload == "latency"
        self._workspace = workspace
        self._queues: list[Any] = []
        try:
            self._forth = self._queue()
            self._back = self._queue() if self._echoes else None
        except BaseException:
            self.close()
            raise

    def client(self) -> Endpoint:
        return self._endpoint(sends=self._forth, receives=self._back, echoes=False)

    def server(self) -> Endpoint:
        return self._endpoint(sends=self._back, receives=self._forth, echoes=self._echoes)

    def close(self) -> None:
        while self._queues:
            self._queues.pop().close()

    def _queue(self) -> Any:
        number = int.from_bytes(os.urandom(6))
        self._workspace.note(QUEUE_KIND, number)
        most = kernel_setting("fs.mqueue.msg_max") or _MESSAGES
        try:
            queue = posix_ipc.MessageQueue(
                _name(number),
                posix_ipc.O_CREX,
                mode=0o600,
                max_messages=min(_MESSAGES, most),
                max_message_size=self._size_bytes,
            )
        except (posix_ipc.Error, OSError) as error:
            raise Unavailable(
                f"no POSIX queue could be made: {error}; see sysctl fs.mqueue and ulimit -q"
            ) from error
        queue.unlink()
        self._workspace.strike(QUEUE_KIND, number)
        self._queues.append(queue)
        return queue

    def _endpoint(self, *, sends: Any | None, receives: Any | None, echoes: bool) -> Endpoint:
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=echoes)
        return Endpoint(
            send=partial(sends.send, outgoing) if sends else _one_way,
            receive=_receiver(receives.receive, incoming) if receives else _one_way,
            outgoing=outgoing,
            incoming=incoming,
            facts={"queue_messages_count": self._forth.max_messages},
            close=lambda: None,
            shape=QueueShape(
                "queue", "posix", receives.mqd if receives else -1, sends.mqd if sends else -1
            ),
        )


class PosixMq(Transport):
    """POSIX message queues."""

    name = "posix-mq"
    summary = "POSIX message queues, one each way"
    waits = "blocks in mq_receive"
    source = "mq_overview(7)"
    groups = ("posix",)

    def unavailable(self) -> str | None:
        if posix_ipc is None:
            return "the package posix_ipc is missing; pip install 'ipcbench[posix]'"
        if not posix_ipc.MESSAGE_QUEUES_SUPPORTED:
            return "this system has no POSIX message queues"
        return None

    def limit(self, message_size_bytes: int, workload: Workload) -> str | None:
        most = kernel_setting("fs.mqueue.msgsize_max")
        if most is None or message_size_bytes <= most:
            return None
        return (
            f"a message of a POSIX queue holds at most {most:,} bytes (fs.mqueue.msgsize_max);"
            f" raise it with sysctl fs.mqueue.msgsize_max={message_size_bytes}"
        )

    def limits(self) -> Mapping[str, str]:
        return known(
            {
                "fs.mqueue.msgsize_max": "bytes a message",
                "fs.mqueue.msg_max": "messages a queue",
                "fs.mqueue.queues_max": "queues",
            }
        )

    def link(self, message_size_bytes: int, workload: Workload, workspace: Workspace) -> Link:
        return QueueLink(message_size_bytes, workload, workspace)


def remove_queue(number: int) -> None:
    """Removes the queue of this number, for a process that didn't live to; gone is no error."""
    if posix_ipc is None:
        return
    try:
        posix_ipc.unlink_message_queue(_name(number))
    except (posix_ipc.ExistentialError, posix_ipc.PermissionsError):
        pass  # gone already, or never ours


def _name(number: int) -> str:
    return f"/ipcbench-{number:012x}"


def _receiver(receive: Callable[[], tuple[bytes, int]], message: memoryview) -> Callable[[], None]:
    def receive_into() -> None:
        message[_WHOLE], _ = receive()  # another length than the message's is a ValueError

    return receive_into


def _one_way() -> None:
    raise OSError("a throughput link streams from client to server only")
