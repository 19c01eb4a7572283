"""Transports with slots in shared memory: the knobs that all of them have.

A mechanism says which memory it shares and on which of the kernel's objects its ends sleep; how
they wait, and how many slots there are, is the same for all.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from ipcbench.case import Loop
from ipcbench.terms import Knob, Span, Whole, words
from ipcbench.transports.base import Link, Medium, Traffic, Transport, Workspace
from ipcbench.transports.parts.counters import SpinThenSleep, SpinWords, order_limit
from ipcbench.transports.parts.slots import (
    Counters,
    Memory,
    SlotsLink,
    memory_size,
    slot_stride,
)
from ipcbench.units import display_amount

WAIT = Knob("wait", words("sleep", "spin", "adaptive"), "sleep", "how an end waits for the other")
_USUAL_SPIN = "20us"
SPIN = Knob("spin", Span(0.01), _USUAL_SPIN, "how long wait=adaptive spins before it sleeps")
"""At the default both ends of a busy pair go on spinning. With 1 us they are asleep in nine round
trips of ten: a wake-up takes longer than the other end then spins (the commit says more). On one
CPU each wait costs all of it."""
SLOTS = Knob("slots", Whole(2, 4096), None, "slots of a stream's ring; messages in turn need one")

_MOST_RING_BYTES = 1024**3


class InSharedMemory(Transport):
    """Base of the transports that copy messages into slots in shared memory and out of them."""

    memory: ClassVar[Medium]
    """The medium that the slots are in."""
    sleeps_on: ClassVar[Medium]
    """The medium that an end sleeps on."""
    overlaps = True
    holds_in_flight = True
    knobs = (WAIT, SPIN, SLOTS)

    def settle(self) -> None:
        self.mediums = (self.memory, self.sleeps_on)
        match self.setting("wait"):
            case "spin":
                self.mediums = (self.memory,)
                self.spins = True
                self.waits = "spins: its CPU does nothing else"
                self.summary = f"{self.summary.partition(';')[0]}; spins"
            case "adaptive":
                spin = self.setting("spin")
                first = "looks once" if spin == "0" else f"spins for {spin}"
                self.waits = f"{first}, then {self.waits}"
                self.summary = f"{self.summary.partition(';')[0]}; spins, then sleeps"
            case _:
                pass

    def clash(self, settings: Mapping[str, str]) -> str | None:
        wait = settings.get("wait", WAIT.default)
        if "spin" not in settings or wait == "adaptive":
            return None
        return f"spin is for wait=adaptive, and this is wait={wait}; set that, or leave spin out"

    def rejects(self, traffic: Traffic) -> str | None:
        return self._too_many_slots(traffic) or super().rejects(traffic)

    def rejects_driver(self, driver: Loop) -> str | None:
        return (order_limit(driver) if self.spins else None) or super().rejects_driver(driver)

    def memory_bytes(self, traffic: Traffic) -> int:
        return memory_size(traffic, self.slots)

    def link(self, traffic: Traffic, workspace: Workspace) -> Link:
        memory = self.make_memory(self.memory_bytes(traffic), workspace)
        return SlotsLink(traffic, memory, self._counters(workspace), self.slots)

    @property
    def slots(self) -> int | None:
        """Slots of a stream's ring, where a number is asked for."""
        asked = self.setting("slots")
        return None if asked is None else int(asked)

    @abstractmethod
    def make_memory(self, size_bytes: int, workspace: Workspace) -> Memory:
        """Makes the memory. Raises Unavailable or OSError."""

    @abstractmethod
    def sleeping(self, workspace: Workspace) -> Counters:
        """The counters that an end sleeps on, none made yet."""

    def _counters(self, workspace: Workspace) -> Counters:
        match self.setting("wait"):
            case "spin":
                return SpinWords()
            case "adaptive":
                spin = self.setting("spin") or _USUAL_SPIN
                return SpinThenSleep(self.sleeping(workspace), spin)
            case _:
                return self.sleeping(workspace)

    def _too_many_slots(self, traffic: Traffic) -> str | None:
        """The reason why so many slots of this size are too much; None if they aren't."""
        stride = slot_stride(traffic.message_size_bytes)
        needed = (self.slots or 0) * stride
        if traffic.echoes or needed <= _MOST_RING_BYTES:
            return None
        most = _MOST_RING_BYTES // stride
        told = f"{self.slots} slots take {display_amount(needed)}"
        limit = f"a ring takes at most {display_amount(_MOST_RING_BYTES)}"
        remedy = f"write slots={most}, or less" if most > 1 else "leave slots out"
        return f"{told} and {limit}; {remedy}"
