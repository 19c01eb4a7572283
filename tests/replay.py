"""A launcher that replays launches, so that driver, statistics and reporters are tested exactly."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from ipcbench.case import Case
from ipcbench.errors import LaunchFailed
from ipcbench.events import Event
from ipcbench.results.launches import Measured
from ipcbench.results.store import Metadata, Results
from ipcbench.run.driver import Run, execute

RUN_METADATA: Metadata = {
    "run_id": "feed",
    "seed": 7,
    "baseline": "inet",
    "command": "ipcbench compare",
    "machine": "test-cpu-2cpu-kvm",
    "cpu_model": "Test CPU",
    "cpu_count": 2,
    "virtualisation": "kvm",
    "governor": "none",
    "kernel": "Linux 6.0",
    "python": "CPython 3.11.0",
}


_Event = TypeVar("_Event")

Recorded = Mapping[Case, Sequence[Sequence[float] | str]]
"""For each case, the values of its launches, or the reason why one fails; the last one lasts."""


def launch(case: Case, values: Sequence[float], messages: int = 100) -> Measured:
    """One launch of a case as a worker would have written it."""
    is_null = case.transport.partition(":")[0] == "null"
    facts: Metadata = {
        "unit": "second",
        "date": "2026-11-24 06:00:00.000000",
        "ipcbench_version": "0.1.0",
        "role": "floor" if is_null else "mechanism",
        "messages_checked": 0 if is_null else 34,
        "hostname": "secret-host",
        "python_executable": "/home/somebody/python",
    }
    return Measured(tuple(values), messages, ((messages, 1e-5),), facts)


class Replay:
    """Answers each launch of a case with its next recorded values, or fails as recorded."""

    def __init__(self, recorded: Recorded) -> None:
        self._to_come = {case: list(launches) for case, launches in recorded.items()}
        self.together = 2
        self.closed = 0
        self.calls: list[tuple[str, str]] = []

    def calibrate(self, cases: Sequence[Case]) -> Iterator[tuple[Case, int | LaunchFailed]]:
        for case in cases:
            self.calls.append(("calibrate", case.id))
            fails = self._to_come[case][:1] == ["no calibration"]
            yield case, LaunchFailed("no calibration") if fails else 100

    def measure(
        self, launches: Sequence[tuple[Case, int]], round_number: int
    ) -> Iterator[tuple[Case, Measured | LaunchFailed]]:
        try:
            for case, messages in launches:
                self.calls.append(("measure", case.id))
                to_come = self._to_come[case]
                lasts = isinstance(to_come[0], str) and len(to_come) == 1
                recorded = to_come[0] if lasts else to_come.pop(0)
                if isinstance(recorded, str):
                    yield case, LaunchFailed(recorded)
                else:
                    yield case, launch(case, recorded, messages)
        finally:
            self.closed += 1


class Silent:
    """An observer that records its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def all(self, kind: type[_Event]) -> list[_Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


def replayed(
    recorded: Recorded,
    rounds: int,
    save: Callable[[Results], None] = lambda _: None,
    facts: Metadata | None = None,
) -> tuple[Results, Replay, Silent]:
    """The results of a run over recorded launches, with the launcher and observer it used.

    `facts` are metadata of every launch, beside RUN_METADATA or instead of what it says.
    """
    results, launcher, observer = Results(), Replay(recorded), Silent()
    run = Run(list(recorded), rounds, 7, 0.0, 0.6, RUN_METADATA | (facts or {}))
    execute(run, launcher, results, save, observer)
    return results, launcher, observer
