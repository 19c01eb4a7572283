"""How a run gets on, in plain lines: for a file, a pipe, or a terminal that can't be redrawn."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.text import Text

from ipcbench.events import Began, Ended, Event, Failed, Launched, Launching, TryingAgain
from ipcbench.foreign import printable
from ipcbench.reporters.timeleft import TimeLeft
from ipcbench.units import counted, display_left


class Display(Protocol):
    """What shows a run's events while it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None: ...


class Silence:
    """No display at all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def __call__(self, event: Event) -> None:
        """Shows nothing."""


class PlainProgress(Silence):
    """A line at each round's beginning, and one for each failure."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._round: int | None = None
        self._rounds = 0
        self._left: TimeLeft

    def __call__(self, event: Event) -> None:
        """Tells an event, if it is one to tell."""
        match event:
            case Began(to_come, rounds, expected_launch_s):
                self._rounds = rounds
                self._left = TimeLeft(to_come, expected_launch_s)
                self._say(f"{counted(len(to_come), 'case')}, {counted(rounds, 'round')}")
            case Launching(round_number) if round_number != self._round:
                self._round = round_number
                what = f"round {round_number} of {self._rounds}" if round_number else "calibrating"
                self._say(f"{what}, {display_left(self._left.seconds())} left")
            case Launched(round_number, case, took_s) if round_number:
                self._left.launched(case, took_s)
            case TryingAgain(_, case, reason):
                self._say(f"trying again: {case.id}: {reason}")
            case Failed(_, case, reason):
                self._left.gave_up(case)
                self._say(f"failed: {case.id}: {reason}")
            case Launching() | Launched() | Ended():
                pass

    def _say(self, line: str) -> None:
        self._console.print(Text(printable(line)), soft_wrap=True)
