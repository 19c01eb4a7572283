"""Turns cases into launches: real workers, a table's started together, measuring by turns."""

import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyperf

from ipcbench.analysis.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.case import Case, Placement
from ipcbench.errors import LaunchFailed
from ipcbench.host import Cpus
from ipcbench.measure.child import WorkerProcess, wait_until_ready
from ipcbench.measure.process import signals_held_back
from ipcbench.measure.scratch import Scratch
from ipcbench.measure.tether import SAMPLES

WORKER = "ipcbench.measure.worker"
_CALIBRATION_SHARE = 0.25
"""A calibration doubles its loops until a batch takes this share of the time wanted; the rest
of the way is a multiplication."""
MOST_TOGETHER = 12
"""The cases of a usual table; a waiting pair holds about 30 MB and its buffers."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured in each launch."""

    values: int = 9
    warmups: int = 1
    min_time_s: float = 0.025
    """What one batch should take."""
    timeout_s: float = 30.0
    """When a launch is given up."""
    samples: int = 20_000
    """Single round trips to time in a latency launch; at most one batch of them."""
    together: int = MOST_TOGETHER
    """How many pairs may take turns."""


class Launcher(Protocol):
    """What the driver needs: real workers, or a replay of recorded launches in the tests.

    Both calls answer for each case, as soon as it is done: with what was measured or with the
    reason why not. Closing the iterator ends what was started.
    """

    together: int
    """How many cases may be asked for at once."""

    def calibrate(self, cases: Sequence[Case]) -> Iterator[tuple[Case, int | LaunchFailed]]:
        """Messages a batch so that it takes about the time wanted."""

    def measure(
        self, launches: Sequence[tuple[Case, int]]
    ) -> Iterator[tuple[Case, pyperf.Benchmark | LaunchFailed]]:
        """One launch of each case with so many messages a batch, as a benchmark of one run."""


class WorkerLauncher:
    """Launches real workers, each in a process group and a directory of its own.

    The workers asked for at once start together, which keeps every CPU busy with imports, and
    then take turns, a batch each, until all have their values. So cases that are compared meet
    the same moments of the machine: a neighbour that slows it for a second slows all of them.
    One measures at a time; a worker that waits does nothing, it sleeps in a read.
    """

    def __init__(
        self, scratch: Scratch, cpus: Mapping[Placement, Cpus | None], effort: Effort
    ) -> None:
        self._scratch = scratch
        self._cpus = cpus
        self._effort = effort
        self.together = effort.together

    def calibrate(self, cases: Sequence[Case]) -> Iterator[tuple[Case, int | LaunchFailed]]:
        enough = self._effort.min_time_s * _CALIBRATION_SHARE
        options = ("--calibrate-loops", "--warmups=0", "--values=3", f"--min-time={enough!r}")
        for case, outcome in self._launched([(case, options) for case in cases]):
            failed = isinstance(outcome, LaunchFailed)
            yield case, outcome if failed else self._messages(outcome)

    def measure(
        self, launches: Sequence[tuple[Case, int]]
    ) -> Iterator[tuple[Case, pyperf.Benchmark | LaunchFailed]]:
        effort = self._effort
        counts = (
            f"--warmups={effort.warmups}",
            f"--values={effort.values}",
            f"--samples={effort.samples}",
        )
        return self._launched(
            [(case, (f"--loops={messages}", *counts)) for case, messages in launches]
        )

    def _messages(self, calibration: pyperf.Benchmark) -> int:
        """Messages that take the time wanted, by the fastest of the last three batches.

        The first batch to last long enough may do so because the machine was elsewhere: a few
        milliseconds lost there would make every batch of the run too short.
        """
        (run,) = calibration.get_runs()
        seconds_per_message: float = min(value for _, value in run.warmups[-3:])
        return max(1, round(self._effort.min_time_s / seconds_per_message))

    def _launched(
        self, launches: Sequence[tuple[Case, Sequence[str]]]
    ) -> Iterator[tuple[Case, pyperf.Benchmark | LaunchFailed]]:
        with ExitStack() as started:
            workers: dict[Case, tuple[WorkerProcess, Path]] = {}
            for case, options in launches:
                try:
                    directory = started.enter_context(self._scratch.launch())
                    output = directory / "launch.json"
                    command = self._command(case, options, output)
                    with signals_held_back():
                        worker = WorkerProcess(
                            command, directory, self._scratch.held, self._effort.timeout_s
                        )
                        workers[case] = started.enter_context(worker), output
                except LaunchFailed as failure:
                    yield case, failure
            wait_until_ready([worker for worker, _ in workers.values()])
            while workers:
                for case, (worker, output) in list(workers.items()):
                    try:
                        if worker.turn():
                            continue
                        outcome: pyperf.Benchmark | LaunchFailed = _result(output)
                    except LaunchFailed as failure:
                        outcome = failure
                    del workers[case]
                    yield case, outcome

    def _command(self, case: Case, options: Sequence[str], output: Path) -> list[str]:
        command = [sys.executable, "-P", "-m", WORKER, case.id, "--worker", *options]
        command += [f"--directory={output.parent}", f"--output={output}"]
        cpus = self._cpus[case.placement]
        return [*command, f"--cpus={cpus[0]},{cpus[1]}"] if cpus is not None else command


def _result(output: Path) -> pyperf.Benchmark:
    """What a worker left: its file, with its samples as a histogram. Raises LaunchFailed."""
    try:
        bench = pyperf.Benchmark.load(str(output))
        samples = output.parent / SAMPLES
        if samples.exists():
            histogram = Histogram.of(array("q", samples.read_bytes()))
            bench.update_metadata({HISTOGRAM_KEY: str(histogram)})
        return bench
    except (OSError, ValueError, KeyError) as error:
        raise LaunchFailed(f"the worker left no readable result: {error}") from error
