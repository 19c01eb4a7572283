"""Events of a run, as data: emitted by the driver, received by displays and the log. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ipcbench.case import Case

EndReason = Literal["complete", "budget", "target", "aborted"]


@dataclass(frozen=True, slots=True)
class Began:
    """The run is about to make its first launches."""

    to_come: Mapping[Case, int]
    """Launches of each case, calibrations not counted."""
    rounds: int
    """The last round's number."""
    expected_launch_s: float
    """Expected seconds a launch, until one has been timed."""
    to_calibrate: int = 0
    """Number of cases that are calibrated first."""
    deadline_left_s: float | None = None
    """Seconds until the run's deadline; None if it has none."""
    has_target: bool = False
    """Whether the run ends as soon as its results are precise enough."""


@dataclass(frozen=True, slots=True)
class Launching:
    """Launches of these cases begin, and alternate their batches; round 0 calibrates."""

    round_number: int
    cases: Sequence[Case]


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch succeeded."""

    round_number: int
    case: Case
    took_s: float
    """The launch's share of the time since `Launching`."""
    values_s: Sequence[float]
    """Seconds a message, one value for each batch; empty for a calibration."""


@dataclass(frozen=True, slots=True)
class TryingAgain:
    """A launch yielded no number and is retried once."""

    round_number: int
    case: Case
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A launch yielded no number for the second time; the case is given up."""

    round_number: int
    case: Case
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """The warnings on the results so far have changed after a round."""

    round_number: int
    warnings: Mapping[str, str]
    """A sentence for each flag that is raised; empty if all are withdrawn."""


@dataclass(frozen=True, slots=True)
class Ended:
    """There will be no more launches: all were made, or the run ended early."""

    why: EndReason


Event = Began | Launching | Launched | TryingAgain | Failed | Warned | Ended
Observer = Callable[[Event], None]


def broadcast(observers: Sequence[Observer]) -> Observer:
    """An observer that passes each event on to all of these, in order."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
