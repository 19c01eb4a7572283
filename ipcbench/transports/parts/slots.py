"""Slots in shared memory for whole messages; shared by every transport that maps memory.

Each direction is a ring of slots. The sender copies its private buffer into the next slot and
increments `filled`; the receiver decrements `filled` and copies the slot into a private buffer: one
copy in, one copy out. Where there are replies, each way has as many slots as messages may be in
flight, one where the ends take turns: the replies waited for keep them free. A stream has one
bounded ring and a second counter, `free`, on which the sender waits. It counts parts of the ring:
with counters in the kernel, giving each slot back separately would cost two more system calls a
message.

A transport chooses the memory (`Memory`) and the way to wait (`Counters`). The memory begins with a
cache line for each counter that is a word in it; the slots follow.
"""

import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import cycle
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from ipcbench.transports.base import (
    WHOLE,
    Endpoint,
    Link,
    Side,
    Traffic,
    Unavailable,
    buffer_pair,
    one_way_only,
)
from ipcbench.transports.shapes import CounterShape, DirectionShape, SlotsShape

CACHE_LINE_BYTES = 64
TO_SERVER_FILLED, TO_SERVER_FREE, TO_CLIENT_FILLED = range(3)
"""Places of the counters of a link."""
_HEADER_BYTES = 3 * CACHE_LINE_BYTES
_RING_BYTES = 2 * 1024 * 1024
"""Size of a throughput ring: more than the private cache of a core, so that a slot has left the
sender's cache when it is used again: a line costs more from another core's cache than from the
shared one. Chosen from 256 KiB, 2 MiB and 4 MiB on an EPYC with 512 KiB of L2 (see the commit); of
a Xeon with 2 MiB of L2 a ring of 8 MiB is faster across cores, and slower on one."""
_PARTS = 4
"""Parts of a ring. With two, the sender of short messages runs out of slots; eight cost more than
they gain (the commit that set it says more)."""
_MOST_SLOTS = 256
_FEWEST_SLOTS = 2


class Ring(NamedTuple):
    """Size of a ring of slots: `parts` parts of `part_slots` slots each."""

    parts: int
    part_slots: int

    @property
    def slots(self) -> int:
        """Number of slots in all parts."""
        return self.parts * self.part_slots


class Counter(NamedTuple):
    """One end's access to a counter: increments it, or waits until it can decrement it."""

    increase: Callable[[], None]
    decrease: Callable[[], Any]
    ready: Callable[[], bool]
    """Whether `decrease` wouldn't wait; asked by the end that decrements."""
    shape: CounterShape
    views: tuple[memoryview, ...] = ()
    """Views that must be released before the memory is unmapped."""


class Memory(ABC):
    """Memory that client and server share; made before the fork."""

    @abstractmethod
    def view(self) -> memoryview:
        """A writable view of all the memory, for one endpoint."""

    @abstractmethod
    def close(self) -> None:
        """Unmaps the memory in this process, once no view of it is left. Allowed twice."""


class Counters(ABC):
    """Counters by which the ends of a link wait for each other; made before the fork."""

    knobs: Mapping[str, str] = MappingProxyType({"wait": "sleep"})
    """The way to wait, as the knobs of a transport spell it."""
    are_words: ClassVar[bool] = False
    """Whether a counter of the kernel's is a word in the memory itself, at the place's line."""

    @abstractmethod
    def make(self, place: int, value: int, memory: memoryview) -> None:
        """Makes the counter of this place with this value. Raises Unavailable or OSError."""

    @abstractmethod
    def end(self, place: int, memory: memoryview) -> Counter:
        """The counter of this place for one end, the only one to increment or to decrement it."""

    def vanished(self) -> str | None:
        """Tells of a counter that somebody removed; None if all are there. See `Link`."""
        return None

    def close(self) -> None:  # noqa: B027  (words in memory go with the memory)
        """Removes the counters. Allowed twice."""


class SharedMapping(Memory):
    """Memory mapped from a descriptor, or anonymous (-1), and shared by the fork."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        """Takes the descriptor over; it is closed once the memory is mapped."""
        try:
            if descriptor != -1:
                reserve(descriptor, size_bytes)
            self._mapped = mmap.mmap(descriptor, size_bytes, flags=mmap.MAP_SHARED)
        finally:
            if descriptor != -1:
                os.close(descriptor)

    def view(self) -> memoryview:
        return memoryview(self._mapped)

    def close(self) -> None:
        self._mapped.close()


def reserve(descriptor: int, size_bytes: int) -> None:
    """Makes a file this long and reserves room for all of it. Raises Unavailable without room.

    Otherwise, when the memory runs out, a write to a mapped hole raises an unexplained SIGBUS.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size_bytes)
        else:
            os.ftruncate(descriptor, size_bytes)
    except OSError as error:
        raise Unavailable(
            f"no room for {size_bytes:,} bytes of shared memory: {error.strerror}; make some"
        ) from error


class SlotsLink(Link):
    """Shared memory with slots, its counters, and the endpoints that use them."""

    def __init__(
        self, traffic: Traffic, memory: Memory, counters: Counters, slots: int | None = None
    ) -> None:
        """`slots`: of a stream's ring; None for the number that fits the message's size."""
        self._size_bytes = traffic.message_size_bytes
        self._echoes = traffic.echoes
        self._memory = memory
        self._counters = counters
        self._endpoints: list[Endpoint] = []
        self._ring = ring_of(traffic, slots)
        try:
            with memory.view() as view:
                for page in range(0, len(view), mmap.PAGESIZE):
                    view[page] = 0  # resident from now on
                counters.make(TO_SERVER_FILLED, 0, view)
                if self._echoes:
                    counters.make(TO_CLIENT_FILLED, 0, view)
                else:
                    counters.make(TO_SERVER_FREE, self._ring.parts, view)
        except BaseException:
            self.close()
            raise

    def client(self) -> Endpoint:
        return self._endpoint("client")

    def server(self) -> Endpoint:
        return self._endpoint("server")

    def vanished(self) -> str | None:
        return self._counters.vanished()

    def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close()
        self._endpoints.clear()
        self._counters.close()
        self._memory.close()

    def _endpoint(self, side: Side) -> Endpoint:
        whole = self._memory.view()
        for page in range(0, len(whole), mmap.PAGESIZE):
            whole[page]
        stride = slot_stride(self._size_bytes)
        to_server = _Direction(
            self._counters, whole, _HEADER_BYTES, stride, self._ring, self._size_bytes
        )
        to_server.attach(TO_SERVER_FILLED, None if self._echoes else TO_SERVER_FREE)
        to_client = None
        if self._echoes:
            start = _HEADER_BYTES + self._ring.slots * stride
            to_client = _Direction(
                self._counters, whole, start, stride, self._ring, self._size_bytes
            )
            to_client.attach(TO_CLIENT_FILLED, None)
        sends, receives = (to_server, to_client) if side == "client" else (to_client, to_server)
        outgoing, incoming = buffer_pair(self._size_bytes, echoes=self._echoes and side == "server")

        def close() -> None:
            # Memory that is unmapped under a live view crashes the process.
            for direction in filter(None, (to_server, to_client)):
                direction.release()
            whole.release()

        endpoint = Endpoint(
            send=sends.sender(outgoing) if sends else one_way_only,
            receive=receives.receiver(incoming) if receives else one_way_only,
            ready=receives.ready if receives else one_way_only,
            outgoing=outgoing,
            incoming=incoming,
            facts={"shared_memory_size_bytes": len(whole), "ring_slots_count": self._ring.slots},
            effective=self._knobs_in_force,
            close=close,
            shape=SlotsShape(
                "slots",
                whole,
                sends.shape() if sends else None,
                receives.shape() if receives else None,
            ),
        )
        self._endpoints.append(endpoint)
        return endpoint

    def _knobs_in_force(self) -> Mapping[str, str]:
        return {**self._counters.knobs, "slots": str(self._ring.slots)}


class SignalLink(Link):
    """Counters alone, one each way: an end tells the other that it may go on."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        nothing = memoryview(b"")
        try:
            counters.make(TO_SERVER_FILLED, 0, nothing)
            counters.make(TO_CLIENT_FILLED, 0, nothing)
        except BaseException:
            counters.close()
            raise

    def client(self) -> Endpoint:
        return self._endpoint(sends=TO_SERVER_FILLED, receives=TO_CLIENT_FILLED)

    def server(self) -> Endpoint:
        return self._endpoint(sends=TO_CLIENT_FILLED, receives=TO_SERVER_FILLED)

    def vanished(self) -> str | None:
        return self._counters.vanished()

    def close(self) -> None:
        self._counters.close()

    def _endpoint(self, *, sends: int, receives: int) -> Endpoint:
        nothing = memoryview(bytearray())
        ends = [self._counters.end(place, nothing) for place in (sends, receives)]
        shapes = [DirectionShape(0, 0, 1, 1, counter.shape, None) for counter in ends]
        return Endpoint(
            send=ends[0].increase,
            receive=ends[1].decrease,
            ready=ends[1].ready,
            outgoing=nothing,
            incoming=nothing,
            shape=SlotsShape("slots", nothing, *shapes),
        )


class _Direction:
    """One direction through the memory, as one end uses it: slots and counters."""

    def __init__(
        self,
        counters: Counters,
        memory: memoryview,
        start: int,
        stride: int,
        ring: Ring,
        size_bytes: int,
    ) -> None:
        self._counters = counters
        self._memory = memory
        self._start, self._stride, self._ring = start, stride, ring
        offsets = range(start, start + ring.slots * stride, stride)
        self._slots = [memory[offset : offset + size_bytes] for offset in offsets]

    def attach(self, filled: int, free: int | None) -> None:
        """Attaches the counters at these places."""
        self._filled = self._counters.end(filled, self._memory)
        self._free = None if free is None else self._counters.end(free, self._memory)

    @property
    def ready(self) -> Callable[[], bool]:
        """Tells the receiver whether a slot is filled."""
        return self._filled.ready

    def shape(self) -> DirectionShape:
        """Description of this direction for the loop in C."""
        free = self._free and self._free.shape
        return DirectionShape(self._start, self._stride, *self._ring, self._filled.shape, free)

    def release(self) -> None:
        """Releases every view of the memory."""
        for counter in filter(None, (self._filled, self._free)):
            for view in counter.views:
                view.release()
        for slot in self._slots:
            slot.release()

    def sender(self, message: memoryview) -> Callable[[], None]:
        """Makes a call that puts the message into the next slot."""
        publish = self._filled.increase
        if self._free is None and len(self._slots) == 1:
            (only,) = self._slots

            def send_in_turn() -> None:
                only[WHOLE] = message
                publish()

            return send_in_turn
        if self._free is None:
            free_slot = cycle(self._slots).__next__

            def send_into_free() -> None:
                free_slot()[WHOLE] = message
                publish()

            return send_into_free

        claim, next_slot = self._free.decrease, self._marking(0)

        def send() -> None:
            slot, begins_part = next_slot()
            if begins_part:
                claim()
            slot[WHOLE] = message
            publish()

        return send

    def receiver(self, message: memoryview) -> Callable[[], None]:
        """Makes a call that takes the message out of the next slot."""
        wait = self._filled.decrease
        if self._free is None and len(self._slots) == 1:
            (only,) = self._slots

            def receive_in_turn() -> None:
                wait()
                message[WHOLE] = only

            return receive_in_turn
        if self._free is None:
            filled_slot = cycle(self._slots).__next__

            def receive_from_filled() -> None:
                wait()
                message[WHOLE] = filled_slot()

            return receive_from_filled

        give_back, next_slot = self._free.increase, self._marking(-1)

        def receive() -> None:
            wait()
            slot, ends_part = next_slot()
            message[WHOLE] = slot
            if ends_part:
                give_back()

        return receive

    def _marking(self, place: int) -> Callable[[], tuple[memoryview, bool]]:
        """Makes a call that returns the next slot, and whether it has this place in its part."""
        part = [False] * self._ring.part_slots
        part[place] = True
        return cycle(zip(self._slots, part * self._ring.parts, strict=True)).__next__


def slot_stride(size_bytes: int) -> int:
    """Bytes from one slot to the next: whole cache lines, so that no two slots share one."""
    return -(-size_bytes // CACHE_LINE_BYTES) * CACHE_LINE_BYTES


def ring_of(traffic: Traffic, slots: int | None = None) -> Ring:
    """Size of the slots of one direction: all that may be in flight, or the ring of a stream."""
    if traffic.echoes and traffic.in_flight is not None:
        return Ring(1, traffic.in_flight)
    return ring(slots or usual_slots(traffic.message_size_bytes))


def usual_slots(size_bytes: int) -> int:
    """Number of slots of a stream's ring, 2 to 256, where no other number is asked for."""
    fitting = max(_FEWEST_SLOTS, min(_MOST_SLOTS, _RING_BYTES // slot_stride(size_bytes)))
    return fitting if fitting < _PARTS else fitting - fitting % _PARTS


def ring(slots: int) -> Ring:
    """A ring of so many slots, in equal parts: four, or else the next number that divides them."""
    parts = next((parts for parts in range(_PARTS, slots) if slots % parts == 0), slots)
    return Ring(parts, slots // parts)


def memory_size(traffic: Traffic, slots: int | None = None) -> int:
    """Bytes of shared memory that a link for this traffic takes."""
    count = ring_of(traffic, slots).slots * (2 if traffic.echoes else 1)
    return _HEADER_BYTES + count * slot_stride(traffic.message_size_bytes)
