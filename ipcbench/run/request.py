"""How much is measured in each launch."""

from dataclasses import dataclass

MOST_TOGETHER = 12
"""Most pairs at once: the cases of a usual table. A waiting pair takes 30 MB and its buffers."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Size of a launch: batches, samples and time limits."""

    values: int = 9
    warmups: int = 1
    min_time_s: float = 0.025
    """Wanted duration of one batch."""
    timeout_s: float = 30.0
    """Time limit of a launch."""
    samples: int = 20_000
    """Single round trips to time in a latency launch, at most one batch."""
    together: int = MOST_TOGETHER
    """Most pairs that exist at once and take turns."""
