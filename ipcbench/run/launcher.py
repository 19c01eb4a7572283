"""Launches cases in worker processes; a group starts together and alternates batches."""

import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ipcbench.case import Case, Placement
from ipcbench.errors import LaunchFailed
from ipcbench.measure.tether import LATENESS, SAMPLES, SAMPLES_FROM_SENDING
from ipcbench.results.histogram import FROM_SENDING_KEY, HISTOGRAM_KEY, LATENESS_KEY, Histogram
from ipcbench.results.launches import Measured, read_measured
from ipcbench.run.interpreters import environment
from ipcbench.run.request import Effort
from ipcbench.run.sizing import messages_of, scheduled_messages
from ipcbench.run.worker_process import WorkerProcess, wait_until_ready
from ipcbench.system.cpus import Cpus
from ipcbench.system.scratch import Scratch
from ipcbench.system.signals import signals_held_back
from ipcbench.transports.base import Traffic

WORKER = "ipcbench.measure.worker"
_HISTOGRAMS = {
    SAMPLES: HISTOGRAM_KEY,
    SAMPLES_FROM_SENDING: FROM_SENDING_KEY,
    LATENESS: LATENESS_KEY,
}
"""Keys of the histograms, by the files of a worker that have their samples."""
_CALIBRATION_SHARE = 0.25
"""Share of the wanted time at which a calibration stops doubling; it extrapolates the rest."""


class Launcher(Protocol):
    """Interface to the driver: real workers, or recorded launches in the tests.

    Both calls yield an answer for each case as soon as it is done: the measurement, or the
    LaunchFailed. Closing the iterator ends all that was started.
    """

    together: int
    """Most cases that one call may ask for."""

    def calibrate(self, cases: Sequence[Case]) -> Iterator[tuple[Case, int | LaunchFailed]]:
        """Number of messages for each case with which a batch takes about the wanted time."""

    def measure(
        self, launches: Sequence[tuple[Case, int]], round_number: int
    ) -> Iterator[tuple[Case, Measured | LaunchFailed]]:
        """Launches each case once, with this many messages a batch, in this round."""


class WorkerLauncher:
    """Launches real workers, each in a process group and a directory of its own.

    The workers of a group start together, which keeps every CPU busy with imports. Then they take
    turns, a batch each, until all have their values. So a disturbance of a second slows all
    compared cases alike. One worker measures at a time; the others sleep in a read.
    """

    def __init__(
        self,
        scratch: Scratch,
        cpus: Mapping[Placement, Cpus | None],
        effort: Effort,
        programs: Mapping[str, Path] | None = None,
    ) -> None:
        """`programs` are the interpreters that cases name, by label."""
        self._scratch = scratch
        self._cpus = cpus
        self._effort = effort
        self._programs = programs or {}
        self.together = effort.together

    def calibrate(self, cases: Sequence[Case]) -> Iterator[tuple[Case, int | LaunchFailed]]:
        enough = self._effort.min_time_s * _CALIBRATION_SHARE
        options = ("--calibrate-loops", "--warmups=0", "--values=3", f"--min-time={enough!r}")
        unknown = []
        for case in cases:
            messages = scheduled_messages(case, self._effort.values, self._effort.min_time_s)
            if messages is None:
                unknown.append((case, options))
            else:
                yield case, messages
        for case, outcome in self._launched(unknown):
            if isinstance(outcome, LaunchFailed):
                yield case, outcome
            else:
                yield case, self._messages(case, outcome)

    def measure(
        self, launches: Sequence[tuple[Case, int]], round_number: int
    ) -> Iterator[tuple[Case, Measured | LaunchFailed]]:
        effort = self._effort
        counts = (
            f"--warmups={effort.warmups}",
            f"--values={effort.values}",
            f"--samples={effort.samples}",
        )
        return self._launched(
            [
                (case, (f"--loops={messages}", *counts, *self._seeded(case, round_number)))
                for case, messages in launches
            ]
        )

    def _seeded(self, case: Case, round_number: int) -> tuple[str, ...]:
        """The argument for a case with a schedule: another in each round, the same for each case.

        A worker of an earlier version knows neither.
        """
        return () if case.arrivals is None else (f"--seed={self._effort.seed}/{round_number}",)

    def _messages(self, case: Case, calibration: Measured) -> int:
        """Messages that take the wanted time, by the fastest of the last three batches.

        A single batch may be slow because the machine was busy: a few milliseconds lost there would
        make every batch of the run too short.

        Of many clients it is the last one: in shorter batches hardly any time is common to all, or
        none, which would make every batch of the run far too long.
        """
        batches = calibration.warmups[-1 if case.clients.number > 1 else -3 :]
        seconds_per_message = min(value for _, value in batches)
        effort = self._effort
        return messages_of(case, seconds_per_message, effort.values, effort.min_time_s)

    def _launched(
        self, launches: Sequence[tuple[Case, Sequence[str]]]
    ) -> Iterator[tuple[Case, Measured | LaunchFailed]]:
        with ExitStack() as started:
            workers: dict[Case, tuple[WorkerProcess, Path]] = {}
            for case, options in launches:
                try:
                    directory = started.enter_context(self._scratch.launch())
                    output = directory / "launch.json"
                    command = self._command(case, options, output)
                    with signals_held_back():
                        worker = WorkerProcess(
                            command,
                            directory,
                            self._scratch.held,
                            self._effort.timeout_s,
                            environment() if case.interpreter else None,
                            may_block=Traffic.of(case).window > 1,
                        )
                        workers[case] = started.enter_context(worker), output
                except LaunchFailed as failure:
                    yield case, self._without_path(case, failure)
            wait_until_ready([worker for worker, _ in workers.values()])
            while workers:
                for case, (worker, output) in list(workers.items()):
                    try:
                        if worker.turn():
                            continue
                        outcome: Measured | LaunchFailed = _result(output)
                    except LaunchFailed as failure:
                        outcome = self._without_path(case, failure)
                    del workers[case]
                    yield case, outcome

    def _without_path(self, case: Case, failure: LaunchFailed) -> LaunchFailed:
        """The failure, told without where an interpreter is: reasons are published."""
        if not case.interpreter:
            return failure
        return LaunchFailed(str(failure).replace(str(self._programs[case.interpreter]), "python"))

    def _command(self, case: Case, options: Sequence[str], output: Path) -> list[str]:
        program = self._programs[case.interpreter] if case.interpreter else sys.executable
        own = case._replace(interpreter="")  # a label is the driver's word for the program
        command = [str(program), "-P", "-m", WORKER, own.id, "--worker", *options]
        command += [f"--directory={output.parent}", f"--output={output}"]
        cpus = self._cpus[case.placement]
        return [*command, f"--cpus={cpus[0]},{cpus[1]}"] if cpus is not None else command


def _result(output: Path) -> Measured:
    """Reads a worker's result file and adds its samples as a histogram. Raises LaunchFailed."""
    try:
        measured = read_measured(output)
        found = {}
        for name, key in _HISTOGRAMS.items():
            samples = output.parent / name
            if samples.exists():
                found[key] = str(Histogram.of(array("q", samples.read_bytes())))
        return replace(measured, facts={**measured.facts, **found}) if found else measured
    except (OSError, ValueError, KeyError) as error:
        raise LaunchFailed(f"the worker left no readable result: {error}") from error
