"""Implementations of `slots.Counters`: spinning, POSIX semaphores, eventfds, futexes."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any, assert_never

from ipcbench.case import Loop
from ipcbench.transports.base import DEV_SHM, Unavailable, Workspace, momentary_name
from ipcbench.transports.parts.dev_shm import remove_from_dev_shm
from ipcbench.transports.parts.readiness import readable
from ipcbench.transports.parts.slots import CACHE_LINE_BYTES, Counter, Counters
from ipcbench.transports.shapes import CounterShape
from ipcbench.units import parse_span

SEMAPHORE_KIND = "posix-sem"
"""Kind of a POSIX semaphore in the ledger; the number beside it is part of its name."""

SEMAPHORES_PER_LINK = 2
"""POSIX semaphores of a link with slots: one each way, or the two of a ring."""

_WORD_BYTES = 4
_WORD_MASK = 2**32 - 1
_ORDERED_STORES = {"x86_64", "amd64", "i386", "i686"}
_SEMAPHORE, _MOST_SEMAPHORE = 1, 2**31 - 1
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
_SYS_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
"""System call numbers of futex(2), which the C library doesn't wrap."""


class SpinWords(Counters):
    """Words in the shared memory, which the waiting end polls.

    A word counts the increments, which only one end makes; the other end counts its decrements
    in private. Data written before an increment must be visible before it: on x86 the hardware
    guarantees that (Intel SDM 3A, 8.2.2), elsewhere only the loop in C.
    """

    knobs = MappingProxyType({"wait": "spin"})

    def make(self, place: int, value: int, memory: memoryview) -> None:
        start = place * CACHE_LINE_BYTES
        with memory[start : start + _WORD_BYTES].cast("I") as word:
            word[0] = value

    def end(self, place: int, memory: memoryview) -> Counter:
        start = place * CACHE_LINE_BYTES
        part = memory[start : start + _WORD_BYTES]
        word = part.cast("I")
        lowered = 0

        def increase() -> None:
            word[0] = (word[0] + 1) & _WORD_MASK

        def decrease() -> None:
            nonlocal lowered
            while word[0] == lowered:
                pass
            lowered = (lowered + 1) & _WORD_MASK

        def ready() -> bool:
            return word[0] != lowered

        return Counter(increase, decrease, ready, CounterShape("spin", start), (word, part))


def order_limit(loop: Loop) -> str | None:
    """The reason why a loop can't use words in shared memory on this CPU; None where it can."""
    machine = os.uname().machine
    match loop:
        case "native":
            return None
        case "python" if machine.lower() in _ORDERED_STORES:
            return None
        case "python":
            return f"on {machine} Python can't order its stores; use --loop native"
        case _:
            assert_never(loop)


class PosixSemaphores(Counters):
    """POSIX semaphores that both processes have mapped. sem_overview(7).

    They are the semaphores of multiprocessing, unlinked as soon as they are made, so that the
    kernel frees them with the last process. For that moment their name is in the ledger.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._semaphores: dict[int, Any] = {}

    def make(self, place: int, value: int, memory: memoryview) -> None:
        try:
            from _multiprocessing import SemLock  # type: ignore[import-not-found]
        except ImportError as error:
            raise Unavailable(f"this Python has no POSIX semaphores: {error}") from error
        number = int.from_bytes(os.urandom(6))
        self._workspace.note(SEMAPHORE_KIND, number)
        name = f"/{momentary_name(number)}"
        with semaphores_explained():
            self._semaphores[place] = SemLock(_SEMAPHORE, value, _MOST_SEMAPHORE, name, True)
        self._workspace.strike(SEMAPHORE_KIND, number)

    def end(self, place: int, memory: memoryview) -> Counter:
        semaphore = self._semaphores[place]
        shape = CounterShape("posix-sem", semaphore.handle)
        is_zero = semaphore._is_zero  # noqa: SLF001  (sem_getvalue has no public name)

        def ready() -> bool:
            return not is_zero()

        return Counter(semaphore.release, semaphore.acquire, ready, shape)

    def close(self) -> None:
        self._semaphores.clear()


class Eventfds(Counters):
    """Event descriptors that count. eventfd(2), EFD_SEMAPHORE."""

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}

    def make(self, place: int, value: int, memory: memoryview) -> None:
        self._descriptors[place] = os.eventfd(value, os.EFD_SEMAPHORE | os.EFD_CLOEXEC)

    def end(self, place: int, memory: memoryview) -> Counter:
        descriptor = self._descriptors[place]
        return Counter(
            partial(os.eventfd_write, descriptor, 1),
            partial(os.eventfd_read, descriptor),
            readable(descriptor),
            CounterShape("eventfd", descriptor),
        )

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


class FutexWords(Counters):
    """Words in the shared memory on which the waiting end sleeps. futex(2).

    The word after each tells the loop in C whether the other end sleeps. Python can't order that
    read after its own store, so it always wakes. It calls futex through ctypes, since the standard
    library doesn't have it.
    """

    are_words = True

    def make(self, place: int, value: int, memory: memoryview) -> None:
        start = place * CACHE_LINE_BYTES
        with memory[start : start + 2 * _WORD_BYTES].cast("I") as words:
            words[0], words[1] = value, 0

    def end(self, place: int, memory: memoryview) -> Counter:
        start = place * CACHE_LINE_BYTES
        part = memory[start : start + 2 * _WORD_BYTES]
        words = part.cast("I")
        import ctypes  # loaded where it is needed: every start of the command line would pay

        held = ctypes.c_uint32.from_buffer(part)  # tells where the memory is
        address = ctypes.addressof(held)
        del held
        wait, wake = _futex_calls(address)
        lowered = 0

        def increase() -> None:
            words[0] = (words[0] + 1) & _WORD_MASK
            wake()

        def decrease() -> None:
            nonlocal lowered
            while words[0] == lowered:
                wait(lowered)
            lowered = (lowered + 1) & _WORD_MASK

        def ready() -> bool:
            return words[0] != lowered

        return Counter(increase, decrease, ready, CounterShape("futex", start), (words, part))


class SpinThenSleep(Counters):
    """Words in the shared memory, which the waiting end polls for a while before it sleeps.

    The loop in C goes by the word, and enters the kernel only to sleep and to wake. Python can't
    order its store of the word before its look whether the other end sleeps, so there the kernel's
    object counts, as it does without spinning, and the word is a hint that it won't block.
    """

    def __init__(self, sleeping: Counters, spin: str) -> None:
        """`spin`: how long to poll, like `20us`."""
        self._sleeping = sleeping
        self._spin_ns = round(parse_span(spin) * 1e9)
        self.knobs = {"wait": "adaptive", "spin": spin}

    def make(self, place: int, value: int, memory: memoryview) -> None:
        start = place * CACHE_LINE_BYTES
        with memory[start : start + 2 * _WORD_BYTES].cast("I") as words:
            words[0], words[1] = value, 0
        self._sleeping.make(place, value, memory)

    def end(self, place: int, memory: memoryview) -> Counter:
        counter = self._sleeping.end(place, memory)
        start = place * CACHE_LINE_BYTES
        part = memory[start : start + _WORD_BYTES]
        word = part.cast("I")
        increase_in_kernel, sleep, spin_ns = counter.increase, counter.decrease, self._spin_ns
        wont_sleep = counter.ready
        lowered = 0

        def increase() -> None:
            word[0] = (word[0] + 1) & _WORD_MASK
            increase_in_kernel()

        def decrease() -> None:
            nonlocal lowered
            if word[0] == lowered:
                end_ns = perf_counter_ns() + spin_ns
                while word[0] == lowered and perf_counter_ns() < end_ns:
                    pass
            sleep()
            lowered = (lowered + 1) & _WORD_MASK

        def ready() -> bool:
            # The other end may have raised the word, and be about to enter the kernel.
            return word[0] != lowered and wont_sleep()

        return Counter(
            increase_in_kernel if self._sleeping.are_words else increase,
            decrease,
            ready,
            counter.shape._replace(word=start, spin_ns=spin_ns),
            (*counter.views, word, part),
        )

    def vanished(self) -> str | None:
        return self._sleeping.vanished()

    def close(self) -> None:
        self._sleeping.close()


def remove_semaphore(number: int) -> None:
    """Removes the semaphore of this number, left by a process that died while it had a name."""
    remove_from_dev_shm(f"sem.{momentary_name(number)}")


SEMAPHORES = MappingProxyType({SEMAPHORE_KIND: remove_semaphore})
"""The `leftovers` of a transport with POSIX semaphores."""


@contextmanager
def semaphores_explained() -> Iterator[None]:
    """Turns a failure to make a POSIX semaphore in the block into Unavailable with the reason."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"no POSIX semaphore could be made: {error.strerror}; see that {DEV_SHM} can be written"
            " and has room"
        ) from error


def futex_unavailable() -> str | None:
    """The reason why Python can't call futex(2) here; None where it can."""
    if sys.platform == "linux" and os.uname().machine in _SYS_FUTEX:
        return None
    return f"futex(2) can't be called on {sys.platform} {os.uname().machine}"


def _futex_calls(address: int) -> tuple[Callable[[int], None], Callable[[], None]]:
    """Makes `wait(value)`, which sleeps while the word has this value, and `wake()`."""
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).syscall
    call.argtypes = (
        *(ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32),
    )
    call.restype = ctypes.c_long
    number = _SYS_FUTEX.get(os.uname().machine, -1)

    def wait(value: int) -> None:
        if call(number, address, _FUTEX_WAIT, value, None, None, 0) == -1:
            reason = ctypes.get_errno()
            if reason not in (errno.EAGAIN, errno.EINTR):
                raise OSError(reason, os.strerror(reason))

    def wake() -> None:
        if call(number, address, _FUTEX_WAKE, 1, None, None, 0) == -1:
            reason = ctypes.get_errno()
            raise OSError(reason, os.strerror(reason))

    return wait, wake
