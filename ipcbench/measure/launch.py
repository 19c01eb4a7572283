"""Turns cases into launches: real workers, a few started together, one measuring at a time."""

import os
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyperf

from ipcbench.analysis.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.case import Case, Placement
from ipcbench.errors import LaunchFailed
from ipcbench.host import Cpus
from ipcbench.measure.child import Worker
from ipcbench.measure.process import signals_held_back
from ipcbench.measure.scratch import Scratch
from ipcbench.measure.tether import SAMPLES

WORKER = "ipcbench.measure.worker"
_CALIBRATION_SHARE = 0.25
"""A calibration doubles its loops until a batch takes this share of the time wanted; the rest
of the way is a multiplication."""
_MOST_TOGETHER = 4


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


class Launcher(Protocol):
    """What the driver needs: real workers, or a replay of recorded launches in the tests.

    Both calls answer for each case in turn, as it is asked for the next answer: with what was
    measured or with the reason why not. Closing the iterator ends what was started.
    """

    together: int
    """How many cases are worth asking for at once."""

    def calibrate(self, cases: Sequence[Case]) -> Iterator[int | LaunchFailed]:
        """Messages a batch so that it takes about the time wanted."""

    def measure(
        self, launches: Sequence[tuple[Case, int]]
    ) -> Iterator[pyperf.Benchmark | LaunchFailed]:
        """One launch of each case with so many messages a batch, as a benchmark of one run."""


class WorkerLauncher:
    """Launches real workers, each in a process group and a directory of its own.

    Starting a worker (the interpreter and pyperf's imports) takes longer than it should measure,
    but it can be done for several at once on several CPUs. Nobody measures before all of them
    wait for their turn, and a worker that waits does nothing: it sleeps in a read.
    """

    def __init__(
        self, scratch: Scratch, cpus: dict[Placement, Cpus | None], effort: Effort
    ) -> None:
        self._scratch = scratch
        self._cpus = cpus
        self._effort = effort
        self.together = min(_MOST_TOGETHER, os.cpu_count() or 1)

    def calibrate(self, cases: Sequence[Case]) -> Iterator[int | LaunchFailed]:
        enough = self._effort.min_time_s * _CALIBRATION_SHARE
        options = ("--calibrate-loops", "--warmups=0", "--values=3", f"--min-time={enough!r}")
        for outcome in self._launched([(case, options) for case in cases]):
            yield outcome if isinstance(outcome, LaunchFailed) else self._messages(outcome)

    def measure(
        self, launches: Sequence[tuple[Case, int]]
    ) -> Iterator[pyperf.Benchmark | LaunchFailed]:
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
    ) -> Iterator[pyperf.Benchmark | LaunchFailed]:
        timeout_s = self._effort.timeout_s
        with ExitStack() as started:
            outputs: list[Path] = []
            workers: list[Worker | LaunchFailed] = []
            for case, options in launches:
                directory = started.enter_context(self._scratch.launch())
                outputs.append(directory / "launch.json")
                command = self._command(case, options, outputs[-1])
                try:
                    with signals_held_back():
                        workers.append(started.enter_context(Worker(command, self._scratch.held)))
                except LaunchFailed as failure:
                    workers.append(failure)
            for worker in workers:
                if isinstance(worker, Worker):
                    worker.wait_until_ready(timeout_s)
            for worker, output in zip(workers, outputs, strict=True):
                yield (
                    worker if isinstance(worker, LaunchFailed) else _run(worker, output, timeout_s)
                )

    def _command(self, case: Case, options: Sequence[str], output: Path) -> list[str]:
        command = [sys.executable, "-P", "-m", WORKER, case.id, "--worker", *options]
        command += [f"--directory={output.parent}", f"--output={output}"]
        cpus = self._cpus[case.placement]
        return [*command, f"--cpus={cpus[0]},{cpus[1]}"] if cpus is not None else command


def _run(worker: Worker, output: Path, timeout_s: float) -> pyperf.Benchmark | LaunchFailed:
    try:
        worker.run(timeout_s)
        bench = pyperf.Benchmark.load(str(output))
        samples = output.parent / SAMPLES
        if samples.exists():
            histogram = Histogram.of(array("q", samples.read_bytes()))
            bench.update_metadata({HISTOGRAM_KEY: str(histogram)})
        return bench
    except LaunchFailed as failure:
        return failure
    except (OSError, ValueError, KeyError) as error:
        return LaunchFailed(f"the worker left no readable result: {error}")
