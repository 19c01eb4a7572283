"""Traps that several mechanisms share. docs/traps.md shows each of them sprung."""

from ipcbench.transports.base import Trap

DELAYED_ACK = Trap(
    "delayed-ack",
    "a message in two writes waits some 40 ms (Nagle's algorithm, delayed ACK)",
    "nodelay=on",
)
"""Nagle's algorithm holds a small last segment back until all before it is acknowledged; the other
end, which has nothing to send yet, delays that ACK by TCP_DELACK_MIN (include/net/tcp.h)."""

PACED = Trap(
    "congestion-control",
    "bbr paces large messages on loopback too: they may take several times as long",
    "congestion=cubic",
)

FILLS_PIPE = Trap(
    "one-message-fills-it",
    "a message of the pipe's size or more makes the writer sleep",
    "size=1m",
)
FILLS_SOCKET = Trap(
    "one-message-fills-it",
    "a message of the send buffer or more makes the sender sleep",
    "sndbuf=4m",
)


def tcp_traps(*, nodelay: bool) -> tuple[Trap, ...]:
    """The traps of a TCP stream."""
    return (PACED, FILLS_SOCKET) if nodelay else (DELAYED_ACK, PACED, FILLS_SOCKET)
