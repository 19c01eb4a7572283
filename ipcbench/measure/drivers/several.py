"""The contract of one client that has an end of each of several links: `spread`, `fan_out`."""

from collections.abc import Sequence
from typing import Protocol

from ipcbench.measure.drivers.base import Acknowledged, Client


class Several(Protocol):
    """One client's ends of several links, driven by one thread."""

    @property
    def ends(self) -> Sequence[Client]:
        """The ends, for what is asked of them one by one."""

    def prepare(self, messages: int) -> None:
        """Gets ready for a batch of so many messages of each link, untimed."""

    def batch(self, messages: int, acknowledged: Sequence[Acknowledged]) -> float:
        """Times so many messages of each link, in seconds; returns once all are acknowledged."""
