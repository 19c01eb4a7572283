"""Knobs of the transports with slots in shared memory: what they refuse, and what follows."""

import pytest

from ipcbench.errors import UsageError
from ipcbench.transports.base import Traffic
from ipcbench.transports.parts.counters import Eventfds, SpinThenSleep
from ipcbench.transports.parts.slots import CACHE_LINE_BYTES, ring, usual_slots
from ipcbench.transports.registry import canonical, get_transport, transports

WAITS = {
    "sleep": "sleeps on a POSIX semaphore",
    "spin": "spins: its CPU does nothing else",
    "adaptive": "spins for 20us, then sleeps on a POSIX semaphore",
    "adaptive:spin=0": "looks once, then sleeps on a POSIX semaphore",
}
SHARING = [one.name for one in transports() if any(knob.name == "slots" for knob in one.knobs)]


def test_what_shares_memory_has_the_knobs_and_what_only_signals_has_none() -> None:
    assert [
        *("sysv-shm", "sysv-shm-spin", "posix-shm", "mmap-file", "memfd-eventfd", "shm-futex"),
        "mp-shared-memory",
    ] == SHARING


@pytest.mark.parametrize(
    ("written", "known_as"),
    [
        ("sysv-shm:wait=spin", "sysv-shm-spin"),
        ("sysv-shm:wait=sleep", "sysv-shm"),
        ("sysv-shm:slots=08:wait=adaptive", "sysv-shm:wait=adaptive:slots=8"),
        ("shm-futex:wait=adaptive:spin=20us", "shm-futex:wait=adaptive"),
        ("shm-futex:wait=adaptive:spin=0us", "shm-futex:wait=adaptive:spin=0"),
        ("shm-futex:wait=adaptive:spin=0.05ms", "shm-futex:wait=adaptive:spin=50us"),
    ],
)
def test_one_way_to_wait_has_one_name(written: str, known_as: str) -> None:
    assert canonical(written) == known_as


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        ("sysv-shm:spin=20us", "spin is for wait=adaptive, and this is wait=sleep"),
        ("posix-shm:wait=spin:spin=5us", "spin is for wait=adaptive, and this is wait=spin"),
        ("sysv-shm-spin:spin=5us", "spin is for wait=adaptive, and this is wait=spin"),
        ("posix-shm:wait=adaptive:spin=11ms", "more than 10ms"),
        ("posix-shm:wait=never", "wait takes sleep or spin or adaptive"),
        ("posix-shm:slots=1", "slots takes a whole number, 2 to 4096"),
        ("posix-shm:slots=4097", "slots takes a whole number, 2 to 4096"),
        ("eventfd:wait=spin", "wait"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(term: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        canonical(term)


def test_how_an_end_waits_is_told_in_words() -> None:
    told = {term: get_transport(f"posix-shm:wait={term}").waits for term in WAITS}
    assert told == WAITS


def test_spinning_alone_needs_no_semaphore_and_never_shares_a_cpu() -> None:
    spin, adaptive = (get_transport(f"posix-shm:wait={wait}") for wait in ("spin", "adaptive"))
    assert (spin.mediums, adaptive.mediums) == (("posix-shm",), ("posix-shm", "posix-sem"))
    assert (spin.spins, adaptive.spins) == (True, False)
    traffic = Traffic(64, "throughput")
    assert spin.dev_shm_bytes(traffic) < adaptive.dev_shm_bytes(traffic)


@pytest.mark.parametrize("slots", range(2, 200))
def test_a_ring_has_as_many_slots_as_are_asked_for_in_parts(slots: int) -> None:
    found = ring(slots)
    assert found.slots == slots
    assert found.parts >= min(4, slots)


@pytest.mark.parametrize(
    ("size", "slots"),
    [(1, 256), (8192, 256), (65_536, 32), (65_537, 28), (2**20, 2), (700_000, 2), (2**30, 2)],
)
def test_without_a_number_a_ring_fits_its_bytes(size: int, slots: int) -> None:
    assert usual_slots(size) == slots


def test_slots_take_memory_and_too_many_are_refused_before_any_is_made() -> None:
    many = get_transport("memfd-eventfd:slots=4096")
    assert many.memory_bytes(Traffic(4096, "throughput")) > 4096 * 4096
    assert many.memory_bytes(Traffic(4096, "latency")) < 3 * 4096
    assert many.rejects(Traffic(2**18, "throughput")) is None
    assert many.rejects(Traffic(2**20, "throughput")) == (
        "4096 slots take 4 GiB and a ring takes at most 1 GiB; write slots=1024, or less"
    )
    assert many.rejects(Traffic(2**20, "latency")) is None


def test_an_end_that_spins_first_is_ready_once_the_kernels_object_is_raised_too() -> None:
    counters = SpinThenSleep(Eventfds(), "20us")
    memory = memoryview(bytearray(CACHE_LINE_BYTES))
    counters.make(0, 0, memory)
    waits, raises = counters.end(0, memory), counters.end(0, memory)
    word = memory[:4].cast("I")
    word[0] = 1  # the other end is between its two steps
    assert not waits.ready()
    word[0] = 0
    raises.increase()
    assert waits.ready()
    waits.decrease()
    assert not waits.ready()
    counters.close()
