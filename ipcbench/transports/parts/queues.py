"""Message queues, one each way; shared by the System V and POSIX transports.

Both packages have the same calls: `send` takes a buffer, `receive` returns a bytes object and its
type or priority. A subclass of the link makes and closes the queues.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

from ipcbench.transports.base import (
    WHOLE,
    Endpoint,
    Link,
    Traffic,
    Workspace,
    message_buffer,
    one_way_only,
)
from ipcbench.transports.shapes import QueueShape

_PAGE_BYTES = 4096


class QueueLink(Link):
    """A queue from client to server, and for round trips another back."""

    system: ClassVar[Literal["sysv", "posix"]]

    def __init__(self, traffic: Traffic, workspace: Workspace) -> None:
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        self._workspace = workspace
        self._queues: list[Any] = []
        try:
            self._to_server = self._add()
            self._to_client = self._add() if self._echoes else None
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def make(self, size_bytes: int, workspace: Workspace) -> Any:
        """Makes a queue for messages of this size. Raises Unavailable."""

    @abstractmethod
    def close_queue(self, queue: Any, workspace: Workspace) -> None:
        """Closes a queue, or removes it, in its maker."""

    @abstractmethod
    def number(self, queue: Any) -> int:
        """The queue's id or descriptor, for the loop in C."""

    @abstractmethod
    def ready(self, queue: Any) -> Callable[[], bool]:
        """Makes a call that tells whether the queue has a message."""

    def client(self) -> Endpoint:
        return self._endpoint(sends=self._to_server, receives=self._to_client, echoes=False)

    def server(self) -> Endpoint:
        return self._endpoint(sends=self._to_client, receives=self._to_server, echoes=self._echoes)

    def close(self) -> None:
        while self._queues:
            self.close_queue(self._queues.pop(), self._workspace)

    def _add(self) -> Any:
        queue = self.make(self._size_bytes, self._workspace)
        self._queues.append(queue)
        return queue

    def _endpoint(self, *, sends: Any | None, receives: Any | None, echoes: bool) -> Endpoint:
        outgoing = _behind_a_type(self._size_bytes)
        incoming = outgoing if echoes else _behind_a_type(self._size_bytes)
        numbers = [-1 if queue is None else self.number(queue) for queue in (receives, sends)]
        return Endpoint(
            send=partial(sends.send, outgoing) if sends else one_way_only,
            receive=_receiver(receives.receive, incoming) if receives else one_way_only,
            ready=self.ready(receives) if receives else one_way_only,
            outgoing=outgoing,
            incoming=incoming,
            facts={"queues_count": len(self._queues)},
            shape=QueueShape("queue", self.system, *numbers),
        )


def _behind_a_type(size_bytes: int) -> memoryview:
    """Makes a buffer with a page in front of it, which has room for a message's type."""
    return message_buffer(_PAGE_BYTES + size_bytes)[_PAGE_BYTES:]


def _receiver(receive: Callable[[], tuple[bytes, int]], message: memoryview) -> Callable[[], None]:
    def receive_into() -> None:
        message[WHOLE], _ = receive()  # another length than the message's is a ValueError

    return receive_into
