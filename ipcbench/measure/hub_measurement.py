"""The time functions of a launch whose one client has many links; loaded for those alone."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ipcbench.case import Case
from ipcbench.measure.hub import Hub
from ipcbench.measure.measurement import Facts, Measurement
from ipcbench.measure.responses import Responses, mean_response_s
from ipcbench.system.cpus import Cpus
from ipcbench.transports.base import Workspace


class OfReaders(Measurement):
    """Batches of one writer, each message of which goes to all readers."""

    _hub: Hub

    def _start(self, cpus: Cpus | None, workspace: Workspace, note: Callable[[str], None]) -> None:
        args = self._args
        hub = Hub(self._case, cpus, workspace, args.tether, note, seed=args.seed)
        self._hub = self._resources.enter_context(hub)

    def _wait_for_turn(self) -> None:
        self._hub.wait_for_turn()

    def _timed(self, messages: int) -> float:
        return self._hub.run(messages)

    def _finished(self) -> Facts:
        """Runs the last check."""
        self._hub.check()
        return self._hub.facts()


class OfSpreadLoad(OfReaders):
    """Batches of a client that sends by a schedule, over several links in turn.

    The messages are those of each link: so many times as many are sent.
    """

    def __init__(self, case: Case, args: Any, resources: ExitStack) -> None:
        super().__init__(case, args, resources)
        self._responses = Responses()

    def _timed(self, messages: int) -> float:
        self._hub.run(messages)
        batch = self._hub.last_batch
        if self._is_kept:
            self._responses.add(batch, self._hub.delivered_count)
        return mean_response_s(batch) * messages

    def _finished(self) -> Facts:
        """Keeps the times of all messages, and runs the last check."""
        self._hub.check()
        self._keep(self._responses.samples_ns)
        return self._hub.facts() | self._responses.facts()
