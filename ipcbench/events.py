"""What happens in a run, as data: a driver tells it, displays and the events file hear it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ipcbench.case import Case

EndReason = Literal["complete", "budget", "target", "aborted"]


@dataclass(frozen=True, slots=True)
class Began:
    """The run's first launches are about to be made."""

    to_come: Mapping[Case, int]
    """Launches of each case, calibrations not counted."""
    rounds: int
    """The last round's number."""
    expected_launch_s: float
    """What a launch should take, before any has told."""
    to_calibrate: int = 0
    """Cases of these that are calibrated before."""
    deadline_left_s: float | None = None
    """Seconds until the run has to have ended; None where it has all the time."""
    has_target: bool = False
    """Whether the run ends as soon as its results are precise enough."""


@dataclass(frozen=True, slots=True)
class Launching:
    """Launches of these cases begin, and will take turns; round 0 calibrates."""

    round_number: int
    cases: Sequence[Case]


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch ended well."""

    round_number: int
    case: Case
    took_s: float
    """Its share of the time since `Launching`."""
    values_s: Sequence[float]
    """What it measured: seconds a message, one for each batch; none of a calibration."""


@dataclass(frozen=True, slots=True)
class TryingAgain:
    """A launch yielded no number; there will be one more."""

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
    """After a round, what is to be said against the results so far is no longer what it was."""

    round_number: int
    warnings: Mapping[str, str]
    """A sentence for each flag that is raised; none, if all are withdrawn."""


@dataclass(frozen=True, slots=True)
class Ended:
    """There will be no more launches: all were made, or the run ended early."""

    why: EndReason


Event = Began | Launching | Launched | TryingAgain | Failed | Warned | Ended
Observer = Callable[[Event], None]


def broadcast(observers: Sequence[Observer]) -> Observer:
    """One observer that passes each event on, in order."""

    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
