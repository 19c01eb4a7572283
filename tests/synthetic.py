"""Synthetic results: of an open loop, and a large run to measure the size of its page.

`python -m tests.synthetic FILE` makes the latter.
"""

import random
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ipcbench.analysis.load import asked_rate
from ipcbench.case import Case
from ipcbench.measure.connecting import of_failures
from ipcbench.results import store
from ipcbench.results.histogram import FROM_SENDING_KEY, HISTOGRAM_KEY, LATENESS_KEY, Histogram
from ipcbench.results.load import (
    ACHIEVED_RATE_KEY,
    COUNT_KEYS,
    OFFERED_RATE_KEY,
    SLOPE_KEY,
    WINDOW_FULL_KEY,
)
from ipcbench.results.store import Metadata, Results
from ipcbench.run.choice import plan
from tests.command import ipcbench
from tests.replay import RUN_METADATA, launch

_SIZES = tuple(2**power for power in range(6, 26, 2))
_TRANSPORTS = ("unix", "inet", "inet6", "pipe", "sysv-shm")
_SAMPLES = 400
_ENDS = ("client", "server")


def large(cases: int, rounds: int, facts: Metadata | None = None) -> Results:
    """Results of that many cases with that many launches each, times and samples of chance.

    `facts` are metadata of every launch.
    """
    chance = random.Random(3)
    results = Results()
    planned = plan(
        _TRANSPORTS,
        ("latency", "throughput"),
        _SIZES,
        placements=("same-core", "cross-core"),
    )[:cases]
    for round_number in range(1, rounds + 1):
        for number, case in enumerate(planned):
            time_s = 1e-5 * (1 + case.message_size_bytes / 5e3) * chance.lognormvariate(0, 0.2)
            measured = launch(case, [time_s * chance.lognormvariate(0, 0.02) for _ in range(9)])
            sampled = (int(time_s * 1e9 * chance.lognormvariate(0, 0.3)) for _ in range(_SAMPLES))
            elapsed_s = round_number * 60 + number * 0.3
            metadata: Metadata = {"round": round_number, "run_elapsed_s": elapsed_s}
            if case.workload == "latency":
                metadata[HISTOGRAM_KEY] = str(Histogram.of(sampled))
            results.add_launch(case, measured, RUN_METADATA | (facts or {}) | metadata)
    return results


@cache
def _histogram(samples_ns: tuple[int, ...]) -> str:
    """The text of a histogram; most launches of a test have the same samples."""
    return str(Histogram.of(samples_ns))


class Answers(NamedTuple):
    """The responses of each launch of a case of the open loop, and what its schedule came to."""

    responses_ns: Sequence[int]
    from_send_ns: Sequence[int] = ()
    """Empty: the same."""
    lateness_ns: Sequence[int] = (100,)
    answered_share: float = 1.0
    """Of the rate that was offered."""
    slopes: Sequence[float] = (0.0,)
    """The growth of the response time in each round, over and over."""
    window_full_share: float = 0.0
    server_busy_ratio: float = 0.5
    factors: Sequence[float] = (1.0,)
    """By how much the responses of each round are longer, over and over."""


def open_loop(
    answers: Mapping[Case, Answers],
    rounds: int = 6,
    peaks: Mapping[Case, float] | None = None,
    facts: Metadata | None = None,
) -> Results:
    """Results of an open loop, with the closed loops `peaks`, each with its seconds a value.

    `facts` are metadata of every launch.
    """
    results = Results()
    for round_number in range(1, rounds + 1):
        common: Metadata = RUN_METADATA | (facts or {})
        common = common | {"round": round_number, "run_elapsed_s": round_number * 10.0}
        for case, time_s in (peaks or {}).items():
            results.add_launch(case, launch(case, [time_s]), common)
        for case, one in answers.items():
            count = len(one.responses_ns)
            factor = one.factors[(round_number - 1) % len(one.factors)]
            responses = tuple(round(time_ns * factor) for time_ns in one.responses_ns)
            rate = asked_rate(case.workload)
            metadata: Metadata = {
                HISTOGRAM_KEY: _histogram(responses),
                FROM_SENDING_KEY: _histogram(tuple(one.from_send_ns) or responses),
                LATENESS_KEY: _histogram(tuple(one.lateness_ns)),
                OFFERED_RATE_KEY: rate,
                ACHIEVED_RATE_KEY: rate * one.answered_share,
                SLOPE_KEY: one.slopes[(round_number - 1) % len(one.slopes)],
                **dict.fromkeys(COUNT_KEYS, count),
                WINDOW_FULL_KEY: round(count * one.window_full_share),
                "cpu_busy_client_ratio": 1.0,
                "cpu_busy_server_ratio": one.server_busy_ratio,
                **dict.fromkeys((f"cpu_user_{end}_s_per_message" for end in _ENDS), 2e-6),
                **dict.fromkeys((f"cpu_system_{end}_s_per_message" for end in _ENDS), 3e-6),
            }
            mean_s = sum(responses) / count * 1e-9
            results.add_launch(case, launch(case, [mean_s], count), common | metadata)
    return results


class Crowd(NamedTuple):
    """What the launches of a case come to that has many clients, or one."""

    messages_per_s: float
    """Of all clients together."""
    jain: float = 1.0
    least: float = 1.0
    most: float = 1.0
    least_clients: Sequence[int] = (1,)
    """Numbers of the clients with the least of each round, over and over."""
    most_clients: Sequence[int] = (1,)
    waits: float = 0.3
    """Share of the time that a client waits for a CPU."""
    server_busy_ratio: float = 0.5
    server_cpu_s: float | None = None
    """CPU time of the server a message."""
    memory_bytes: int = 20 * 1024**2
    private_bytes: int | None = None
    link_bytes: tuple[int, int] | None = None
    """Memory of an idle link, and of a full one."""
    failures: Mapping[str, int] | None = None
    """Connections that failed in each launch, by errno's name."""
    factors: Sequence[float] = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.003)
    """By how much more messages there are in each round, over and over."""


def crowds(cases: Mapping[Case, Crowd], rounds: int = 8) -> Results:
    """Results of one server with many clients: round trips by Little's law, or streams."""
    results = Results()
    for round_number in range(1, rounds + 1):
        for case, one in cases.items():
            rate = one.messages_per_s * one.factors[(round_number - 1) % len(one.factors)]
            clients = case.clients.number
            is_own = case.definition.quantity == "round_trip"
            time_s = (clients if is_own else 1) / rate
            metadata: Metadata = {
                "round": round_number,
                "run_elapsed_s": round_number * 10.0,
                "cpu_busy_client_ratio": 0.7,
                "cpu_busy_server_ratio": one.server_busy_ratio,
                "cpu_queued_client_ratio": one.waits if clients > 1 else 0.0,
            }
            if one.server_cpu_s is not None:
                metadata["cpu_user_server_s_per_message"] = one.server_cpu_s / 4
                metadata["cpu_system_server_s_per_message"] = one.server_cpu_s * 3 / 4
            if case.definition.replies:
                metadata[HISTOGRAM_KEY] = _histogram((round(time_s * 1e9),) * 1000)
            if clients > 1:
                metadata |= {
                    "clients_count": clients,
                    "server_model": "epoll",
                    "crowd_messages_per_s": rate,
                    "fairness_jain_ratio": one.jain,
                    "fairness_least_ratio": one.least,
                    "fairness_most_ratio": one.most,
                    "fairness_least_client": one.least_clients[
                        (round_number - 1) % len(one.least_clients)
                    ],
                    "fairness_most_client": one.most_clients[
                        (round_number - 1) % len(one.most_clients)
                    ],
                    "rss_server_bytes": one.memory_bytes,
                }
                if one.private_bytes is not None:
                    metadata["private_server_bytes"] = one.private_bytes
                if one.failures is not None:
                    metadata |= of_failures([one.failures])
                if one.link_bytes is not None:
                    names = ("link_idle_bytes", "link_limit_bytes")
                    metadata |= dict(zip(names, one.link_bytes, strict=True))
            results.add_launch(case, launch(case, [time_s]), RUN_METADATA | metadata)
    return results


def main(path: Path) -> None:
    """Writes a run of 200 cases of 20 launches, and prints the time and size of its page."""
    store.save(large(200, 20), path)
    page = path.with_suffix(".html")
    began_s = time.monotonic()
    done = ipcbench("report", str(path), "--html", str(page), "--force")
    if done.returncode:
        sys.exit(done.stderr)
    took_s = time.monotonic() - began_s
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; {page}: {page.stat().st_size / 1e6:.1f} MB")
    print(f"report --html took {took_s:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
