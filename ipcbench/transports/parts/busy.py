"""A wait with a busy CPU, for whatever is to take a known time."""

from collections.abc import Callable
from time import perf_counter_ns


def busy_wait(duration_ns: int) -> Callable[[], None]:
    """Makes a call that returns after this many nanoseconds on the clock."""

    def wait() -> None:
        end = perf_counter_ns() + duration_ns
        while perf_counter_ns() < end:
            pass

    return wait
