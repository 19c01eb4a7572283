"""A server of threads tells of all CPU time of its process once, and of each thread's own waits."""

import threading
import time
from collections.abc import Callable

from ipcbench.measure.servers import Meter
from ipcbench.measure.usage import Usage

_BURNT_S = 0.03


def _cpu_s(used: Usage) -> float:
    return used.user_s + used.system_s


def _burn() -> None:
    """Takes some CPU time in a thread that is no client's, as libraries have some."""

    def work() -> None:
        until = time.process_time() + _BURNT_S
        while time.process_time() < until:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _batch(used: Callable[[], Usage], work: Callable[[], None]) -> Usage:
    before = used()
    work()
    return used() - before


def test_the_threads_of_libraries_are_counted() -> None:
    found = _batch(Meter().of_thread(), _burn)
    assert _cpu_s(found) > _BURNT_S / 2
    assert found.wall_s > 0


def test_what_is_used_between_batches_is_not_counted() -> None:
    used = Meter().of_thread()
    _batch(used, _burn)
    _burn()
    assert _cpu_s(_batch(used, lambda: None)) < _BURNT_S / 2


def test_the_last_thread_to_end_tells_for_all() -> None:
    meter = Meter()
    first, second = meter.of_thread(), meter.of_thread()
    before_first, before_second = first(), second()
    _burn()
    of_first = first() - before_first
    of_second = second() - before_second
    assert _cpu_s(of_first) == 0
    assert _cpu_s(of_second) > _BURNT_S / 2
    assert of_first.wall_s > 0
