"""Wraps a transport with a known busy-wait at its server, for the selftest.

Either after every message, or only after one that found the server idle.
"""

from collections.abc import Callable
from itertools import repeat
from time import perf_counter_ns
from typing import ClassVar

from ipcbench.case import Loop
from ipcbench.terms import Knob
from ipcbench.transports.base import (
    DELAY,
    IDLE_DELAY,
    Endpoint,
    Link,
    Side,
    Traffic,
    Transport,
    Workspace,
    do_nothing,
    lengthened,
    no_native_loop,
)
from ipcbench.transports.parts.busy import busy_wait
from ipcbench.units import format_duration

IDLE_NS = 3_000_000
"""From so long without a message on, a server was idle: no round trip takes that long."""
_PROBE_NS = 2_000
_CALLS = 500
_REPEATS = 9


class DelayedLink(Link):
    """Wraps a link; its server waits after each message it received."""

    knob: ClassVar[Knob] = DELAY

    def __init__(self, link: Link, delay_ns: int) -> None:
        self._link = link
        self._delay_ns = delay_ns

    def client(self) -> Endpoint:
        return self._link.client()

    def server(self) -> Endpoint:
        endpoint = self._link.server()
        endpoint.lengthen(self._wait())
        others = endpoint.effective
        endpoint.effective = lambda: {
            **others(),
            self.knob.name: format_duration(self._delay_ns / 1e9),
        }
        return endpoint

    def _wait(self) -> Callable[[], None]:
        return calibrated_wait(self._delay_ns)

    def keep_only(self, side: Side) -> None:
        self._link.keep_only(side)

    def vanished(self) -> str | None:
        return self._link.vanished()

    def close(self) -> None:
        self._link.close()


class IdleDelayedLink(DelayedLink):
    """Wraps a link; its server waits after each message that it was idle before."""

    knob: ClassVar[Knob] = IDLE_DELAY

    def _wait(self) -> Callable[[], None]:
        return when_idle(calibrated_wait(self._delay_ns))


class Delayed(Transport):
    """A transport with a delay at its server; not listed, made by `get_transport`."""

    name = "delayed"
    summary = "another transport, whose server waits a known time"
    waits = "as the other one"
    source = "docs/methodology.md"
    groups = ("selftest",)
    _link_type: ClassVar[type[DelayedLink]] = DelayedLink

    def __init__(self, transport: Transport, delay_ns: int) -> None:
        self._transport = transport
        self._delay_ns = delay_ns
        self.mediums = transport.mediums
        self.leftovers, self.origin = transport.leftovers, transport.origin
        self.replies, self.streams = transport.replies, transport.streams
        self.overlaps = transport.overlaps
        self.holds_in_flight = transport.holds_in_flight
        self.client_blocks = transport.client_blocks
        self.spins = transport.spins
        self.server_models = transport.server_models

    def unavailable(self) -> str | None:
        return self._transport.unavailable()

    @property
    def all_knobs(self) -> tuple[Knob, ...]:
        return self._transport.all_knobs

    def rejects(self, traffic: Traffic) -> str | None:
        return self._transport.rejects(traffic) or super().rejects(traffic)

    def rejects_driver(self, driver: Loop) -> str | None:
        reason = no_native_loop(driver, "a known delay is waited for in Python only")
        return reason or self._transport.rejects_driver(driver)

    def dev_shm_bytes(self, traffic: Traffic) -> int:
        return self._transport.dev_shm_bytes(traffic)

    def memory_bytes(self, traffic: Traffic) -> int:
        return self._transport.memory_bytes(traffic)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        link = self._transport.link(traffic, workspace)
        return self._link_type(link, self._delay_ns)


class DelayedWhenIdle(Delayed):
    """A transport with a delay at its server after idleness, as a CPU has that fell asleep."""

    summary = "another transport, whose server waits a known time after idleness"
    _link_type = IdleDelayedLink


def when_idle(wait: Callable[[], None]) -> Callable[[], None]:
    """Makes a call that waits if the one before was long ago, and else does nothing."""
    last = perf_counter_ns()

    def perhaps_wait() -> None:
        nonlocal last
        if perf_counter_ns() - last >= IDLE_NS:
            wait()
        last = perf_counter_ns()

    return perhaps_wait


def calibrated_wait(delay_ns: int) -> Callable[[], None]:
    """Makes a busy wait that takes this many nanoseconds longer, on average, than one of 0.

    The difference is the true delay: the cost of the calls and of the first clock read, which
    depends on how cold the caches are, is in both and cancels. The overshoot of the last clock read
    doesn't depend on the delay; it is measured here on a short wait and subtracted.
    """
    if delay_ns == 0:
        return busy_wait(0)
    probe_ns = min(delay_ns, _PROBE_NS)
    undelayed_ns = _mean_ns(lengthened(do_nothing, busy_wait(0)))
    added_ns = _mean_ns(lengthened(do_nothing, busy_wait(probe_ns))) - undelayed_ns
    return busy_wait(max(0, round(delay_ns - (added_ns - probe_ns))))


def _mean_ns(call: Callable[[], None]) -> float:
    """Nanoseconds of a call: the median of a few means."""
    from statistics import median  # loaded where it is needed: every start would pay

    means = []
    for _ in range(_REPEATS):
        began = perf_counter_ns()
        for _ in repeat(None, _CALLS):
            call()
        means.append((perf_counter_ns() - began) / _CALLS)
    return median(means)
