"""The time function of a launch of many clients; loaded for those alone."""

from collections.abc import Callable

from ipcbench.measure.crowd import Crowd
from ipcbench.measure.measurement import Facts, Measurement
from ipcbench.measure.tether import SAMPLES
from ipcbench.system.cpus import Cpus
from ipcbench.transports.base import Workspace


class OfCrowd(Measurement):
    """Batches of many clients, whose messages each take what their common window tells."""

    _crowd: Crowd

    def _start(self, cpus: Cpus | None, workspace: Workspace, note: Callable[[str], None]) -> None:
        crowd = Crowd(self._case, cpus, workspace, self._args.tether, note)
        self._crowd = self._resources.enter_context(crowd)

    def _wait_for_turn(self) -> None:
        self._crowd.wait_for_turn()

    def _timed(self, messages: int) -> float:
        if self._args.calibrate_loops:
            return self._crowd.calibrate(messages)
        return self._crowd.run(messages, is_kept=self._is_kept) * messages

    def _finished(self) -> Facts:
        """Keeps the times of the common windows, and runs the last check."""
        if self._case.definition.replies:
            self._keep(lambda: {SAMPLES: self._crowd.samples_ns()})
        self._crowd.check()
        return self._crowd.facts()
