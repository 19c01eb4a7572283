"""The time functions that pyperf calls in a launch, and what the launch makes of its batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from ipcbench.case import Case
from ipcbench.measure.drivers.base import Samples
from ipcbench.measure.pair import Pair
from ipcbench.measure.responses import Responses, mean_response_s
from ipcbench.measure.tether import SAMPLES, PhaseNote
from ipcbench.system.cpus import Cpus, placement_cpus
from ipcbench.transports.base import Workspace

Facts = dict[str, int | float | str]


class Measurement(ABC):
    """The time function of a launch: it starts the processes at the first call and keeps them."""

    def __init__(self, case: Case, args: Any, resources: ExitStack) -> None:
        self._case = case
        self._args = args
        self._resources = resources
        self._batches = 0
        self._note: PhaseNote

    def time(self, messages: int) -> float:
        """Waits for a turn and times a batch of this many messages, in seconds."""
        if self._batches:
            self._wait_for_turn()
        else:
            self._begin()
        self._batches += 1
        return self._timed(messages)

    def finish(self) -> Facts:
        """Ends the launch with its last check; returns its facts, none if it never began."""
        if not self._batches:
            return {}
        facts = self._finished()
        self._note.write("save of its values")
        return facts

    @property
    def _is_kept(self) -> bool:
        """Whether the batch is one of the launch's values, and no warm-up."""
        return bool(self._batches > self._args.warmups)

    @abstractmethod
    def _start(self, cpus: Cpus | None, workspace: Workspace, note: Callable[[str], None]) -> None:
        """Starts the processes, which `resources` end."""

    @abstractmethod
    def _wait_for_turn(self) -> None:
        """Waits while the other launches of the group run their batches."""

    @abstractmethod
    def _timed(self, messages: int) -> float:
        """Times a batch, in seconds."""

    @abstractmethod
    def _finished(self) -> Facts:
        """Makes what else is to be made of the launch, and its last check."""

    def _begin(self) -> None:
        args, tether = self._args, self._args.tether
        if tether is not None:
            directory = args.directory
            tether.wait_for_turn()
        else:
            # By hand there is no driver to clean up after this process.
            from ipcbench.system.scratch import scratch

            directory = self._resources.enter_context(scratch()).directory
        self._note = PhaseNote(directory)
        cpus = args.cpus or placement_cpus(self._case.placement)
        self._start(cpus, Workspace(directory), self._note.write)

    def _keep(self, samples_ns: Callable[[], Mapping[str, Samples]]) -> None:
        """Leaves samples for the driver, by the names of their files, if it wants any."""
        if self._args.samples and self._args.directory:
            for name, each_ns in samples_ns().items():
                (self._args.directory / name).write_bytes(each_ns.tobytes())


class OfPair(Measurement):
    """Batches of one client that waits for its replies, or streams."""

    _pair: Pair

    def _start(self, cpus: Cpus | None, workspace: Workspace, note: Callable[[str], None]) -> None:
        args = self._args
        pair = Pair(self._case, cpus, workspace, args.tether, note, seed=args.seed)
        self._pair = self._resources.enter_context(pair)

    def _wait_for_turn(self) -> None:
        self._pair.wait_for_turn()

    def _timed(self, messages: int) -> float:
        self._messages = messages
        elapsed = self._pair.run(messages)
        if self._args.calibrate_loops:
            # The batch is to be that much shorter.
            return elapsed + messages * self._case.rhythm.gap_s
        # Of a window each message takes as long as the whole of it (Little's law).
        return elapsed * self._case.flow.window

    def _finished(self) -> Facts:
        """Times single round trips, where the workload has any, and runs the last check."""
        if self._case.definition.samples:
            wanted = max(self._args.samples, self._case.flow.fewest_messages)
            count = min(wanted, self._messages)
            self._keep(lambda: {SAMPLES: self._pair.sample(count)})
        self._pair.check()
        return self._pair.facts()


class OfLoad(OfPair):
    """Batches of a client that sends by a schedule: a value is a mean response."""

    def __init__(self, case: Case, args: Any, resources: ExitStack) -> None:
        super().__init__(case, args, resources)
        self._responses = Responses()

    def _timed(self, messages: int) -> float:
        self._pair.run(messages)
        batch = self._pair.last_batch
        if self._is_kept:
            self._responses.add(batch, self._pair.delivered_count)
        return mean_response_s(batch) * messages

    def _finished(self) -> Facts:
        """Keeps the times of all messages, and runs the last check."""
        self._pair.check()
        self._keep(self._responses.samples_ns)
        return self._pair.facts() | self._responses.facts()
