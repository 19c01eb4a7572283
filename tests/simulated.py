"""An end whose other side, and whose clock, are simulated: for what sends by a schedule."""

from collections import deque
from collections.abc import Callable

from ipcbench.transports.base import Endpoint

TICK_NS = 100
"""What a look at the clock, or for a reply, takes."""


class Server:
    """A server that answers one message after the other, each after the same time."""

    def __init__(self, service_ns: int, size: int = 64) -> None:
        self.now_ns = 0
        self.service_ns = service_ns
        self.received: list[bytes] = []
        """The messages, in the order in which they came."""
        self.most_in_flight = 0
        self.slow: dict[int, int] = {}
        """Nanoseconds that the sending of a message takes, by its place, where it takes any."""
        self._size = size
        self._free_ns = 0
        self._replies: deque[tuple[int, bytes]] = deque()
        self._incoming = memoryview(bytearray(size))
        self._outgoing = memoryview(bytearray(size))

    def clock(self) -> int:
        """The time, which goes on as it is looked at."""
        self.now_ns += TICK_NS
        return self.now_ns

    def endpoint(
        self, *, overwrites: bool = False, close: Callable[[], None] = lambda: None
    ) -> Endpoint:
        """The client's end; it may number messages itself, over their first bytes."""

        def send() -> None:
            if overwrites:
                self._outgoing[:8] = bytes([255] * 8)
            self.now_ns += self.slow.get(len(self.received), 0)
            self.received.append(bytes(self._outgoing))
            self._free_ns = max(self._free_ns, self.now_ns) + self.service_ns
            self._replies.append((self._free_ns, self.reply(self.received[-1])))
            self.most_in_flight = max(self.most_in_flight, len(self._replies))

        def receive() -> None:
            at_ns, message = self._replies.popleft()
            self.now_ns = max(self.now_ns, at_ns)
            self._incoming[:] = message

        return Endpoint(
            send=send,
            receive=receive,
            ready=self._ready,
            outgoing=self._outgoing,
            incoming=self._incoming,
            close=close,
        )

    def reply(self, message: bytes) -> bytes:
        """What is sent back."""
        return message

    def _ready(self) -> bool:
        self.now_ns += TICK_NS
        return bool(self._replies) and self._replies[0][0] <= self.now_ns
