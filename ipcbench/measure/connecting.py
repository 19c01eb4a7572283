"""Connections of many clients that failed or were dropped, as pyperf metadata."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from ipcbench.evidence.tables import tcp_extensions
from ipcbench.measure.end_facts import Facts
from ipcbench.transports.parts.rush import failures_of

_TABLE = Path("/proc/net/netstat")


class Dropped(NamedTuple):
    """Counts of this network namespace, whoever's they are. proc_net(5)."""

    overflows: int = 0
    """Connections for which a listener's queue had no room."""
    drops: int = 0
    """Connections that a listener dropped, for this or another reason."""

    @classmethod
    def until_now(cls) -> Self | None:
        """The counts until now; None where this kernel doesn't tell them."""
        try:
            told = tcp_extensions(_TABLE.read_text())
            return cls(told["ListenOverflows"], told["ListenDrops"])
        except (OSError, ValueError, LookupError):
            return None

    def plus(self, before: Self, after: Self | None) -> Self:
        """These counts, and what came to them between two times.

        Between batches others take their turns.
        """
        if after is None:
            return self
        return type(self)(
            self.overflows + max(0, after.overflows - before.overflows),
            self.drops + max(0, after.drops - before.drops),
        )


def of_dropped(dropped: Dropped | None) -> Facts:
    """The counts as metadata; none where the kernel doesn't tell them."""
    if dropped is None:
        return {}
    return {
        "listen_overflows_count": dropped.overflows,
        "listen_drops_count": dropped.drops,
    }


def without_failures(ends: Facts) -> Facts:
    """The facts of both ends without those that `of_failures` tells of all clients."""
    return {
        name: value
        for name, value in ends.items()
        if not failures_of({name.removeprefix("client_"): 0})
    }


def of_failures(each: Iterable[Mapping[str, int]]) -> Facts:
    """The failures of connect(2) of all clients together, by errno's name."""
    total: Counter[str] = Counter()
    for failures in each:
        total.update(failures)
    text = " ".join(f"{name}={count}" for name, count in sorted(total.items()))
    return {"connect_failures": text or "none", "connect_failures_count": total.total()}
