"""An endpoint as plain numbers: what the loop in C needs to know of it."""

from typing import Literal, NamedTuple


class StreamShape(NamedTuple):
    """Descriptors of a byte stream, or of a socket that keeps records and loses none.

    `records`: one system call that sends makes one record, however many buffers it takes.
    """

    kind: Literal["stream"]
    reader: int
    writer: int
    is_socket: bool
    records: bool = False


class DatagramShape(NamedTuple):
    """A connected socket that keeps messages apart and may lose them.

    `numbers`: this end writes a sequence number over a message's first bytes; both ends check it.
    `half_window`: after so many messages the receiver gives the sender credit for as many; the
    sender starts with twice that. 0: no credit is needed.
    """

    kind: Literal["datagram"]
    descriptor: int
    numbers: bool
    half_window: int


class QueueShape(NamedTuple):
    """Message queues; -1 where an end receives or sends nothing.

    For `sysv` a message's type is in the eight bytes in front of both buffers.
    """

    kind: Literal["queue"]
    system: Literal["sysv", "posix"]
    receives: int
    sends: int


class CounterShape(NamedTuple):
    """A counter that one end increments and the other waits to decrement.

    `where` is a semaphore set (semop), the address of a sem_t (posix-sem), a descriptor (eventfd),
    or the offset in the shared memory of a 32-bit word that counts the increments (spin, futex; the
    next word is the futex's own).

    With `word`, the offset of such a word, the waiting end polls the word for `spin_ns` before it
    sleeps on the kernel's object, and the other end wakes it only if it sleeps. -1: it only sleeps.
    """

    kind: Literal["semop", "posix-sem", "eventfd", "spin", "futex"]
    where: int
    word: int = -1
    spin_ns: int = 0


class DirectionShape(NamedTuple):
    """One direction through shared memory: slots from `offset` on, `stride` bytes apart.

    `filled` counts slots, `free` counts parts of `part_slots` slots; None where replies keep
    the slots free.
    """

    offset: int
    stride: int
    parts: int
    part_slots: int
    filled: CounterShape
    free: CounterShape | None


class SlotsShape(NamedTuple):
    """Slots in shared memory; None where an end sends or receives nothing."""

    kind: Literal["slots"]
    memory: memoryview
    sends: DirectionShape | None
    receives: DirectionShape | None


class NothingShape(NamedTuple):
    """An endpoint that moves nothing."""

    kind: Literal["nothing"]


class CopyShape(NamedTuple):
    """An endpoint whose `send` copies outgoing to incoming."""

    kind: Literal["copy"]


Shape = StreamShape | DatagramShape | QueueShape | SlotsShape | NothingShape | CopyShape
"""Description of an endpoint for the loop in C (measure/native.c)."""
