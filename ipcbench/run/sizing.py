"""Sizes of launches: messages in a batch, and how long launches and runs will take. Pure."""

import math
from collections.abc import Collection

from ipcbench.case import Case

FEWEST_PACED = 50
"""Messages that the batches of a launch have together at least, where knobs decide how long one
takes: the time of a batch alone would leave one or two of them."""
_LAUNCH_OVERHEAD_S = 0.15
_CALIBRATION_S = 0.2


def messages_of(case: Case, message_s: float, values: int, min_time_s: float) -> int:
    """Messages of a batch that takes about `min_time_s`, by the seconds from one to the next."""
    return max(_fewest(case, values), round(min_time_s / message_s))


def expected_launch_s(case: Case, values: int, warmups: int, min_time_s: float) -> float:
    """Seconds that a launch of the case will take about: its batches, and the sampled burst."""
    batch_s = max(min_time_s, _fewest(case, values) * case.rhythm.least_s)
    return (values + warmups + 1) * batch_s + _LAUNCH_OVERHEAD_S


def expected_calibration_s(cases: Collection[Case]) -> float:
    """Seconds that the calibrations of these cases will take about."""
    return sum(_CALIBRATION_S + case.rhythm.least_s for case in cases)


def _fewest(case: Case, values: int) -> int:
    """The fewest messages of a batch."""
    paced = math.ceil(FEWEST_PACED / values) if case.rhythm.least_s else 1
    return max(paced, case.flow.fewest_messages)
