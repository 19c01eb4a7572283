"""The columns on many clients of one server, beside how many messages they send. Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ipcbench import units
from ipcbench.analysis.crowds import (
    FAILURES_KEY,
    IDLE_KEY,
    JAIN_KEY,
    LEAST_KEY,
    LIMIT_KEY,
    MEMORY_KEY,
    MOST_KEY,
    OVERFLOWS_KEY,
    PRIVATE_KEY,
)
from ipcbench.analysis.served import Served
from ipcbench.analysis.sweeps import Point, Sweep
from ipcbench.reporters.model import EMPTY, Cell, GridColumn
from ipcbench.reporters.tables.columns import value_of

LEGEND = (
    "CPU allows: messages a second, by the server's CPU time of one; "
    "Jain: index of the messages of each client, 1 if all had the same; least, most: of a client,"
    " to the mean; waits: for a CPU, a client's share of the time; memory: of the server in RAM,"
    " with pages that its processes share counted in each; own: its pages that no other process"
    " maps; link, at most: memory of a client's link in the kernel, idle and with full buffers"
)


class ClientFact(NamedTuple):
    """A column, and the number of a point that it has."""

    title: str
    key: str
    of: Callable[[Served], Any]
    text: Callable[[Any], str]
    is_number: bool = True

    @property
    def head(self) -> GridColumn:
        """The column of the model."""
        return GridColumn(self.title, self.key, self.is_number)

    def value(self, point: Point) -> Any:
        """The number of a point; None if it isn't known."""
        return None if point.served is None else self.of(point.served)

    def cell(self, point: Point) -> Cell:
        """The cell of a point; empty if the number isn't known."""
        value = self.value(point)
        return EMPTY if value is None else Cell(self.text(value), value_of(value))


_FACTS = (
    ClientFact(
        "CPU allows",
        "server_cpu_allows_per_s",
        lambda one: 1 / one.server_cpu_s if one.server_cpu_s else None,
        units.display_rate,
    ),
    ClientFact("p50", "round_trip_p50_s", lambda one: one.p50_s, units.display_time),
    ClientFact("p99", "round_trip_p99_s", lambda one: one.p99_s, units.display_time),
    ClientFact("Jain", JAIN_KEY, lambda one: one.jain, "{:.3f}".format),
    ClientFact("least", LEAST_KEY, lambda one: one.least, units.display_percent),
    ClientFact("most", MOST_KEY, lambda one: one.most, units.display_percent),
    ClientFact(
        "ran out", "ran_out", lambda one: one.ran_out, lambda who: who.removesuffix("-bound"), False
    ),
    ClientFact("waits", "cpu_queued_client_ratio", lambda one: one.waited, units.display_percent),
    ClientFact("memory", MEMORY_KEY, lambda one: one.server_memory_bytes, units.display_amount),
    ClientFact("own", PRIVATE_KEY, lambda one: one.server_private_bytes, units.display_amount),
    ClientFact("link", IDLE_KEY, lambda one: one.link_idle_bytes, units.display_amount),
    ClientFact("at most", LIMIT_KEY, lambda one: one.link_limit_bytes, units.display_amount),
    ClientFact("failed", FAILURES_KEY, lambda one: one.failures, str, False),
    ClientFact("dropped", OVERFLOWS_KEY, lambda one: one.overflows, "{:.0f}".format),
)


FAILURES_LEGEND = (
    "p50, p99: of a client's own connections; failed: connections by errno, tried again at once;"
    " dropped: by a full queue of TCP, tried again by the kernel in silence"
)


def client_facts(sweep: Sweep) -> tuple[ClientFact, ...]:
    """The columns that any point of a sweep has a number for."""
    points = [point for line in sweep.lines for point in line.points]
    return tuple(fact for fact in _FACTS if any(fact.value(point) is not None for point in points))
