"""Facts of an open loop: rows of the table of metadata that launches of the workload `load` have.

All are of a launch's timed batches together. Pure.
"""

import re

from ipcbench.results.histogram import FROM_SENDING_KEY, LATENESS_KEY
from ipcbench.results.keys import Key
from ipcbench.results.rules import histogram, like, number, whole

OBJECTIVE_KEY = "objective"
"""Metadata of the objective that rates are judged by: `p99<200us`."""

OFFERED_RATE_KEY = "load_offered_per_s"
ACHIEVED_RATE_KEY = "load_achieved_per_s"
SLOPE_KEY = "load_delay_slope_ratio"
"""Metadata of the seconds by which the response time grows each second; below 0 if it falls."""
WINDOW_FULL_KEY = "load_window_full_count"
COUNT_KEYS = (
    "load_offered_count",
    "load_sent_count",
    "load_delivered_count",
    "load_answered_count",
    WINDOW_FULL_KEY,
)
"""Metadata of counts of messages: in the schedule, sent, received by the server, answered; and sent
late since the window was full."""

_OBJECTIVE = re.compile(
    r"(p50|p90|p99|p99\.9|max|mean)<=?[0-9]{1,9}(\.[0-9]{1,9})?(ns|us|ms|s)", re.ASCII
)
_COUNT = whole(0, 10**12)
_RATE = number(1e-9, 1e12)


def _of_launch(name: str, said: str) -> Key:
    return Key(name, "launch", None, _COUNT, said=said)


OF_RUNS = (
    Key(
        OBJECTIVE_KEY,
        "run",
        "objective",
        like(_OBJECTIVE, "an objective like 'p99<200us'"),
        is_inherited=True,
    ),
)

OF_LAUNCHES = (
    Key(FROM_SENDING_KEY, "launch", None, histogram("response times from the actual sending")),
    Key(LATENESS_KEY, "launch", None, histogram("the sender's lateness")),
    Key(OFFERED_RATE_KEY, "launch", None, _RATE, said="messages offered a second"),
    Key(ACHIEVED_RATE_KEY, "launch", None, _RATE, said="messages answered a second"),
    Key(SLOPE_KEY, "launch", None, number(-1e9, 1e9), said="growth of the response time"),
    _of_launch(COUNT_KEYS[0], "messages of the schedule"),
    _of_launch(COUNT_KEYS[1], "messages sent"),
    _of_launch(COUNT_KEYS[2], "messages that the server received"),
    _of_launch(COUNT_KEYS[3], "messages answered"),
    _of_launch(WINDOW_FULL_KEY, "messages sent late since the window was full"),
)
