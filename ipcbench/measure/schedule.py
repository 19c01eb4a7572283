"""The schedule of an open loop: when each message is to be sent, whatever became of those before.

It is computed before the clock runs, from a seed, so that two launches can have the same one.
"""

import random
from array import array

from ipcbench.measure.drivers.base import Samples
from ipcbench.workloads import Arrivals


def schedule(arrivals: Arrivals, messages: int, seed: str) -> Samples:
    """Nanoseconds from the first message to each of so many, which is at 0.

    Even times are the multiples of the interval, each rounded by itself: no error adds up. Random
    ones have exponential intervals between them (a Poisson process).
    """
    interval_ns = 1e9 / arrivals.rate_per_s
    if not arrivals.is_random:
        return array("q", (round(number * interval_ns) for number in range(messages)))
    draw = random.Random(seed).expovariate
    at_ns, times_ns = 0.0, array("q", bytes(8 * messages))
    for number in range(1, messages):
        at_ns += draw(1.0) * interval_ns
        times_ns[number] = round(at_ns)
    return times_ns
