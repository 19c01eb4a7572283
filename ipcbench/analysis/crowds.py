"""Many clients of one server: columns of their cases, and from how many on more give no more.

Pure: launches in, numbers out.
"""

import statistics
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from ipcbench.analysis.stats import Ratio, Verdict, paired_ratio, verdicts
from ipcbench.case import Case
from ipcbench.workloads import CLIENTS, READERS

RATE_KEY = "crowd_messages_per_s"
"""Metadata of a launch, and the column, of the messages a second of all clients together."""
JAIN_KEY, LEAST_KEY, MOST_KEY = (f"fairness_{name}_ratio" for name in ("jain", "least", "most"))
"""Metadata of a launch: Jain's index of its clients, and the least and the most to the mean."""
LEAST_CLIENT_KEY, MOST_CLIENT_KEY = (f"fairness_{name}_client" for name in ("least", "most"))
"""Metadata of a launch: the numbers of these two clients, from 1."""
MODEL_KEY = "server_model"
MEMORY_KEY = "rss_server_bytes"
PRIVATE_KEY = "private_server_bytes"
"""Metadata of a launch, and the column, of the server's pages that no other process maps."""
IDLE_KEY, LIMIT_KEY = "link_idle_bytes", "link_limit_bytes"
"""Metadata of a launch: memory of a client's link in the kernel, idle and at most."""
READ_KEY = "link_memory"

FAIR = 0.9
"""Jain's index from which a server is fair to its clients. Of two it is below that where one has
less than half as much as the other."""

_MEDIANS = (RATE_KEY, JAIN_KEY, LEAST_KEY, MOST_KEY, MEMORY_KEY)

_NUMBERS = (LEAST_CLIENT_KEY, MOST_CLIENT_KEY)

READERS_COLUMN = "readers_count"
CROWD_COLUMNS = ("clients_count", MODEL_KEY, *_MEDIANS, *_NUMBERS, READERS_COLUMN)
"""Columns of the clients of one server, or the readers of one writer; but for their number, they
are empty where it is one.

Ratios and amounts are medians over launches, and the numbers of the clients with the least and the
most those of most launches. Memory counts pages that processes share in each.
"""

_MEMORY = ("pss_server_bytes", PRIVATE_KEY, IDLE_KEY, LIMIT_KEY, "link_slabs_bytes")

MEMORY_COLUMNS = (*_MEMORY, READ_KEY)
"""Columns of the memory of many clients: of their server, and of the link of each in the kernel.

All but the last, which says how those of a link were read, are medians over launches.
"""

FAILURES_KEY = "connect_failures"
"""Metadata of a launch, and the column, of connections that failed: `EAGAIN=12`, or `none`."""
FAILED_KEY = "connect_failures_count"
OVERFLOWS_KEY = "listen_overflows_count"
_COUNTS = (FAILED_KEY, OVERFLOWS_KEY, "listen_drops_count")

FAILURE_COLUMNS = (FAILURES_KEY, *_COUNTS)
"""Columns of the connections of many clients that failed, by errno, and that listeners dropped.

Sums over launches, with their warm-up. What was dropped is counted over the network namespace.
"""

_Line = TypeVar("_Line", bound=Hashable)
_Launches = Mapping[Hashable, float]


def crowd_columns(case: Case, group: pd.DataFrame | None = None) -> dict[str, Any]:
    """The columns of the clients of one server, of a case and its launches, if it has any.

    They are CROWD_COLUMNS, MEMORY_COLUMNS and FAILURE_COLUMNS.
    """
    if CLIENTS not in case.definition.knobs:
        return {}
    are_readers, number = case.clients.are_readers, case.clients.number
    row: dict[str, Any] = {"clients_count": 1 if are_readers else number}
    if READERS in case.definition.knobs:
        row[READERS_COLUMN] = number if are_readers else 1
    if group is None or case.clients.number == 1:
        return row
    row |= {name: group[name].median() for name in (*_MEDIANS, *_MEMORY) if name in group}
    known = [name for name in (*_COUNTS, FAILURES_KEY) if name in group and group[name].count()]
    row |= {name: int(group[name].sum()) for name in _COUNTS if name in known}
    if FAILURES_KEY in known:
        row[FAILURES_KEY] = failures_text(group[FAILURES_KEY].dropna())
    row |= {key: group[key].iloc[0] for key in (MODEL_KEY, READ_KEY) if key in group}
    named = {name: usual_client(group, name) for name in _NUMBERS}
    return row | {name: one.number for name, one in named.items() if one is not None}


class UsualClient(NamedTuple):
    """The client that had the least, or the most, in more launches than any other."""

    number: int
    """Its number, from 1."""
    launches: int
    """Launches in which it was this one."""
    of_launches: int


def usual_client(group: pd.DataFrame, key: str) -> UsualClient | None:
    """The client that most launches name under this key; the lowest of several, None of none."""
    numbers = [] if key not in group else [int(one) for one in group[key].dropna()]
    if not numbers:
        return None
    number = min(set(numbers), key=lambda one: (-numbers.count(one), one))
    return UsualClient(number, numbers.count(number), len(numbers))


def times_by_errno(failures: str) -> str:
    """The failures of a text in words: `with EAGAIN 1,200 times`."""
    each = (one.partition("=") for one in failures.split())
    return ", ".join(f"with {name} {int(count):,} times" for name, _, count in each)


def failures_text(each: Iterable[str]) -> str:
    """The failures of several launches together: `EAGAIN=12 ETIMEDOUT=1`, or `none`."""
    total: Counter[str] = Counter()
    for text in each:
        for one in text.split():
            name, _, count = one.partition("=")
            if count.isdigit():
                total[name] += int(count)
    return " ".join(f"{name}={count}" for name, count in sorted(total.items())) or "none"


def rates(launches: pd.DataFrame) -> pd.Series:
    """The messages a second of each of these launches, of all its clients together.

    Of one as of many they are all messages over the time of all batches: beside the median of the
    batches of one client, many would look slower where some batches are disturbed.
    """
    alone = 1 / launches["batches_s"].map(statistics.fmean)
    return launches[RATE_KEY].fillna(alone) if RATE_KEY in launches else alone


class Beyond(NamedTuple):
    """A number of clients above the knee, against the knee."""

    clients: float
    cost: Ratio
    """The time from one message to the next, of all clients together, over that at the knee."""
    verdict: Verdict
    """`slower`: they are surely fewer messages a second. Never `faster`."""


class Knee(NamedTuple):
    """The number of clients from which on more of them give no more messages a second."""

    clients: float
    beyond: tuple[Beyond, ...]
    """All greater numbers that were measured. None: more may give more, which wasn't measured."""


def knees(
    costs: Mapping[_Line, Mapping[float, _Launches]], noise_floor: float
) -> dict[_Line, Knee]:
    """The knee of each line, by the time from one message to the next of each launch.

    These are by number of clients, and then by run and round. The knee is the least number above
    which none gives surely more. All numbers are compared with each other, and the verdicts are
    computed together. A line has none where there are too few launches to tell.
    """
    ratios = {
        (line, less, more): paired_ratio(by_clients[more], by_clients[less])
        for line, by_clients in costs.items()
        for less, more in combinations(sorted(by_clients), 2)
    }
    said = dict(zip(ratios, verdicts(list(ratios.values()), noise_floor), strict=True))
    found = {}
    for line, by_clients in costs.items():
        numbers = sorted(by_clients)
        own = {key[1:]: verdict for key, verdict in said.items() if key[0] == line}
        if None in own.values():
            continue
        clients = _knee(numbers, own)
        beyond = []
        for more in (number for number in numbers if number > clients):
            ratio, verdict = ratios[line, clients, more], own[clients, more]
            if ratio is not None and verdict is not None:
                beyond.append(Beyond(more, ratio, verdict))
        found[line] = Knee(clients, tuple(beyond))
    return found


def _knee(numbers: Sequence[float], said: Mapping[tuple[float, float], Verdict | None]) -> float:
    """The least of these numbers above which none is surely faster."""
    for place, number in enumerate(numbers):
        if not any(said[number, more] == "faster" for more in numbers[place + 1 :]):
            return number
    return numbers[-1]
