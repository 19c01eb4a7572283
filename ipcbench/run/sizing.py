"""Sizes of launches: messages in a batch, and how long launches and runs will take. Pure."""

import math
from collections.abc import Collection

from ipcbench.case import Case

FEWEST_PACED = 50
"""Messages that the batches of a launch have together at least, where knobs decide how long one
takes: the time of a batch alone would leave one or two of them."""
_FOR_A_P99 = 1000
"""Messages of a launch that a p99 takes: ten of them are beyond it."""
_LONGEST_FOR_A_P99_S = 2.0
"""Most seconds that the batches of a launch take longer for it."""
_FEWEST_SCHEDULED = 2
"""Messages that have a rate."""
_LAUNCH_OVERHEAD_S = 0.15
_CLIENT_OVERHEAD_S = 0.03
"""More seconds of a launch for each client beside the first, which has to be forked and checked."""
_CALIBRATION_S = 0.2


def messages_of(case: Case, message_s: float, values: int, min_time_s: float) -> int:
    """Messages of a batch that takes about `min_time_s`, by the seconds from one to the next."""
    return max(_fewest(case, values), round(min_time_s / message_s))


def scheduled_messages(case: Case, values: int, min_time_s: float) -> int | None:
    """Messages of a batch by the rate at which they are sent; None where replies set the pace.

    Enough for a launch's p99, unless that takes more than some seconds. Where several links carry
    them in turn, so many are of each.
    """
    if case.arrivals is None:
        return None
    rate_per_s = case.arrivals.rate_per_s
    wanted = min(_FOR_A_P99 / values, rate_per_s * _LONGEST_FOR_A_P99_S / values)
    messages = max(_FEWEST_SCHEDULED, math.ceil(max(rate_per_s * min_time_s, wanted)))
    return math.ceil(messages / case.clients.number)


def expected_launch_s(case: Case, values: int, warmups: int, min_time_s: float) -> float:
    """Seconds that a launch of the case will take about: its batches, and the sampled burst."""
    overhead_s = _LAUNCH_OVERHEAD_S + (case.clients.number - 1) * _CLIENT_OVERHEAD_S
    of_all_s = case.rhythm.least_s * case.clients.number  # one server works for all clients
    batch_s = max(min_time_s, _fewest(case, values) * of_all_s)
    messages = scheduled_messages(case, values, min_time_s)
    if messages is not None and case.arrivals is not None:
        batch_s = messages * case.clients.number / case.arrivals.rate_per_s
        return (values + warmups) * batch_s + overhead_s
    return (values + warmups + 1) * batch_s + overhead_s


def expected_calibration_s(cases: Collection[Case]) -> float:
    """Seconds that the calibrations of these cases will take about."""
    return sum(
        _CALIBRATION_S
        + case.rhythm.least_s
        + (case.clients.number - 1) * (_CLIENT_OVERHEAD_S + case.rhythm.least_s)
        for case in cases
        if case.arrivals is None
    )


def _fewest(case: Case, values: int) -> int:
    """The fewest messages of a batch."""
    paced = math.ceil(FEWEST_PACED / values) if case.rhythm.least_s else 1
    return max(paced, case.flow.fewest_messages, case.clients.fewest_messages)
