"""How many messages a mechanism holds while nobody reads, and when a blocked writer goes on."""

from pathlib import Path
from typing import NamedTuple

from ipcbench.measure.full.pair import WatchedPair
from ipcbench.transports.base import Traffic, Transport, Workspace


class Room(NamedTuple):
    """What one fresh pair held, each way being like the other."""

    when_full: str
    """As in `pair.Filled`; `not-full` if it took all messages that were sent."""
    messages_count: int
    """Whole messages that were sent while none was read."""
    woken_after_messages_count: int
    """Messages that were read until the blocked writer went on; 1 if it wasn't blocked."""
    is_plain: bool
    """Whether what is sent is the message alone, by the calls that the kernel has for it."""


def room(transport: Transport, traffic: Traffic, directory: Path, most_messages: int) -> Room:
    """Fills a fresh pair with up to `most_messages`. Raises LaunchFailed, OSError."""
    with WatchedPair(transport, traffic, Workspace(directory), None) as pair:
        filled = pair.fill(most_messages)
        woken = 1
        if filled.when_full == "blocks":
            woken = pair.read_until_woken(filled.sent)["messages"]
        return Room(filled.when_full, filled.sent, woken, pair.is_plain)
