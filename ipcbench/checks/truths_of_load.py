"""Response times of an open loop that are known beforehand, beside measured ones.

A server that works for S on each message, at rates below what it can answer: with even arrivals no
message waits for another; with random ones they wait as long as queueing theory says; and after a
pause of the server as many are late as came meanwhile, and while it caught up.
"""

import os
import signal
import statistics
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, NoReturn

from ipcbench.case import Case, Loop, parse_workload
from ipcbench.checks.answers import answer_of
from ipcbench.checks.truths import TOLERANCE, Truth, measured
from ipcbench.measure.pair import Pair
from ipcbench.results.launches import by_case
from ipcbench.results.store import Results
from ipcbench.run.request import Effort
from ipcbench.system import process
from ipcbench.system.cpus import Cpus, default_placement, placement_cpus
from ipcbench.system.scratch import Scratch
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport
from ipcbench.units import display_time, format_duration

WORK_NS = 200_000
_WORK = format_duration(WORK_NS / 1e9)
_TRANSPORT = "sysv-shm-spin"
"""Nobody sleeps: the time from a message's arrival to the server's work is always the same."""
_LOOP: Loop = "python"
_SIZE_BYTES = 64
_AT_A_TIME = 8
"""Messages in flight with which the server never waits for one."""
_SHARES = (0.2, 0.5, 0.8)
"""Shares of what the server can answer, at even times."""
_RANDOM_SHARES = (0.5, 0.8)
EFFORT = Effort(values=5, warmups=1, min_time_s=0.1, samples=0)

PAUSE_S = 0.05
_PAUSED_RATE_PER_S = 2_500
"""Half of what the server can answer."""
_PAUSE_AFTER_S = 0.1
_PAUSED_COUNT = 1_500
"""Messages of the batch: some before the pause, and enough after it for all to be in time again."""
_WARM_UP_COUNT = 200
_LIMIT_S = 30.0


def runs_here() -> bool:
    """Whether the ends can have a CPU each, which spin, and the transport is there."""
    is_apart = default_placement() != "same-core"
    return is_apart and get_transport(_TRANSPORT).unavailable() is None


def cases() -> list[Case]:
    """The cases to measure; empty where the ends can't have a CPU each."""
    if not runs_here():
        return []
    workloads = [f"latency:work={_WORK}:window={_AT_A_TIME}"]
    workloads += [_load(share, works=works) for share in _SHARES for works in (False, True)]
    workloads += [_load(share, is_random=True) for share in _RANDOM_SHARES]
    return [_case(workload) for workload in workloads]


def _case(workload: str) -> Case:
    return Case(workload, _TRANSPORT, _SIZE_BYTES, _LOOP, default_placement())


def _load(share: float, *, works: bool = True, is_random: bool = False) -> str:
    """The term of a load at this share of what the server can answer."""
    settings = [f"rate={round(share * 1e9 / WORK_NS)}"]
    settings += ["arrivals=poisson"] if is_random else []
    settings += [f"window={_AT_A_TIME * 8}"]
    settings += [f"work={_WORK}"] if works else []
    return parse_workload(":".join(["load", *settings]))


_Launches = Mapping[str, Mapping[int, Sequence[float]]]
"""Seconds of a response in the mean of each batch, by the workload's term and the round."""


def truths(results: Results) -> list[Truth]:
    """What is known of these cases beside what was measured; empty if they weren't."""
    launches = {
        case.workload: {one.round_number: one.values_s for one in of_case}
        for case, of_case in by_case(results.launches()).items()
        if case.transport == _TRANSPORT and case.workload_name in ("load", "latency")
    }
    if not cases() or not all(case.workload in launches for case in cases()):
        return []
    return [*_even(launches), *_random(launches)]


def _even(launches: _Launches) -> Iterator[Truth]:
    """Yields that at even times no message waits: the work is all that it adds, at every rate."""
    work_s = WORK_NS * 1e-9
    for share in _SHARES:
        what = f"even arrivals, {share:.0%} of the most, work of {display_time(work_s)}"
        with_work, without = (
            _undisturbed(launches[_load(share, works=works)]) for works in (True, False)
        )
        differences = [with_work[key] - without[key] for key in with_work.keys() & without.keys()]
        yield Truth(what, work_s, *measured(differences), TOLERANCE * work_s)


def _random(launches: _Launches) -> Iterator[Truth]:
    """Yields the mean wait of messages that come at random times.

    Of a server that takes D for each message it is rho D / (2 (1 - rho)), with rho the share of the
    time that it is busy (M/D/1: the formula of Pollaczek and Khinchine). D is measured: it is what
    a message takes where the server never waits.

    Found is the median of all batches, which one that something else held up doesn't change. They
    are long enough for it to be near the mean.
    """
    closed = launches[f"latency:work={_WORK}:window={_AT_A_TIME}"]
    service_s = statistics.median(map(statistics.median, closed.values())) / _AT_A_TIME
    for share in _RANDOM_SHARES:
        busy = share * 1e9 / WORK_NS * service_s
        known_s = busy * service_s / (2 * (1 - busy))
        at_random = launches[_load(share, is_random=True)]
        evenly = _undisturbed(launches[_load(share)])
        waits = [
            mean_s - evenly[key]
            for key in at_random.keys() & evenly.keys()
            for mean_s in at_random[key]
        ]
        what = f"mean wait of random arrivals, {share:.0%} of the most"
        yield Truth(what, known_s, *measured(waits), 2 * TOLERANCE * known_s, by_interval=True)


def _undisturbed(launches: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Seconds of a response of each launch, of the batch that nothing else held up most.

    At even times all batches are alike, and whatever takes the CPU away for a while makes messages
    wait that wouldn't.
    """
    return {number: min(batches_s) for number, batches_s in launches.items()}


class Pause(NamedTuple):
    """What a pause of the server did to the messages of a batch, which came before and after it."""

    paused_s: float
    """Seconds from the signal that stopped the server to the one that let it go on."""
    late_count: int
    """The message with the longest response, and those after it that were late as well.

    Late is what took longer than usual by half of the server's work. Usual is the shortest one
    before the pause: one that nothing else held up.
    """
    longest_s: float
    """How much longer the longest response took."""
    together_s: float
    """How much longer the late ones took, all together."""


def pause_truths(private: Scratch, service_s: float, pauses: int) -> list[Truth]:
    """What is known of the messages around a pause of the server, beside what was measured.

    Those that are due while it is stopped wait for it, and those that come while it catches up wait
    for these: at a rate r that is a share rho of the most, a pause of T makes r T / (1 - rho) late,
    by T at first and by evenly less from one to the next. A closed loop asks nothing meanwhile:
    there one message is late, by T. `service_s` is what the server takes for a message. So many
    pauses are made of each loop, and the middle one is told. Raises LaunchFailed.
    """
    rate = f"rate={_PAUSED_RATE_PER_S}:window={_AT_A_TIME * 8}:work={_WORK}"
    opened = _typical_pause(f"load:{rate}", private, pauses)
    closed = _typical_pause(f"latency:work={_WORK}", private, pauses)
    late_s = opened.paused_s / (1 - _PAUSED_RATE_PER_S * service_s)
    together_s = _PAUSED_RATE_PER_S * late_s * opened.paused_s / 2
    pause = f"pause of {display_time(PAUSE_S)}"
    return [
        _single(f"{pause}: the longest delay", opened.paused_s, opened.longest_s),
        _single(
            f"{pause}: for how long messages are late",
            late_s,
            opened.late_count / _PAUSED_RATE_PER_S,
        ),
        _single(f"{pause}: the delays together", together_s, opened.together_s),
        _single(f"{pause}: the same in a closed loop", closed.paused_s, closed.together_s),
    ]


def service_of(results: Results) -> float:
    """Seconds that the server takes for a message where it never waits, by these results."""
    closed = _case(f"latency:work={_WORK}:window={_AT_A_TIME}")
    times = [one.time_s for one in results.launches() if one.case == closed]
    return statistics.median(times) / _AT_A_TIME


def _single(what: str, known_s: float, found_s: float) -> Truth:
    return Truth(what, known_s, found_s, found_s, found_s, TOLERANCE * known_s)


def _typical_pause(workload: str, private: Scratch, count: int) -> Pause:
    """The middle one of so many pauses, by how much it delayed for its length."""
    pauses = [_pause_of(workload, private) for _ in range(count)]
    return sorted(pauses, key=lambda one: one.together_s / max(one.paused_s, 1e-9))[count // 2]


def _pause_of(workload: str, private: Scratch) -> Pause:
    case, cpus = _case(workload), placement_cpus(default_placement())
    return Pause(*answer_of(lambda place: _paused(case, cpus, place), private, _LIMIT_S))


def _paused(case: Case, cpus: Cpus | None, directory: Path) -> Pause:
    """Stops the server in the middle of a batch, and looks at its messages."""
    with Pair(case, cpus, Workspace(directory)) as pair:
        pair.run(_WARM_UP_COUNT)
        stopper = _Stopper(pair.server_pid, cpus and cpus[1])
        if case.arrivals is None:
            responses_ns = pair.sample(_PAUSED_COUNT)
        else:
            pair.run(_PAUSED_COUNT)
            batch = pair.last_batch
            times = zip(batch.intended_ns, batch.answered_ns, strict=True)
            responses_ns = array("q", (end - begin for begin, end in times))
        usual_s = min(responses_ns[:_WARM_UP_COUNT]) * 1e-9  # others may hold up half of them
        delays = [one * 1e-9 - usual_s for one in responses_ns]
        longest_s = max(delays)
        after = delays[delays.index(longest_s) :]
        late = list(takewhile(lambda delay: delay > WORK_NS * 1e-9 / 2, after))
        return Pause(stopper.paused_s(), len(late), longest_s, sum(late))


class _Stopper:
    """A process of its own that stops the server for a while: the client's threads are busy."""

    def __init__(self, server: int, cpu: int | None) -> None:
        self._told, tell = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _stop(server, cpu, tell)
        os.close(tell)

    def paused_s(self) -> float:
        """Waits for its end; returns seconds between the two signals."""
        text = os.read(self._told, 64)
        os.waitpid(self._pid, 0)
        os.close(self._told)
        return float(text)


def _stop(server: int, cpu: int | None, tell: int) -> NoReturn:
    """Stops the server after a while, lets it go on, tells how long that was, and ends.

    It ends after the batch: to take a process down is milliseconds of the CPU that it shares.
    """
    try:
        process.pin(cpu)  # beside the server: the client's CPU is the generator's alone
        time.sleep(_PAUSE_AFTER_S)
        began_s = time.perf_counter()
        os.kill(server, signal.SIGSTOP)
        time.sleep(PAUSE_S)
        paused_s = time.perf_counter() - began_s  # after the signal the server has this CPU
        os.kill(server, signal.SIGCONT)
        os.write(tell, repr(paused_s).encode())
        time.sleep(_PAUSE_AFTER_S + _PAUSED_COUNT / _PAUSED_RATE_PER_S)
    finally:
        os._exit(0)
