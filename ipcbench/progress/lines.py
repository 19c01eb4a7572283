"""Progress as plain lines, for a file, a pipe, or a terminal that can't be redrawn."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.text import Text

from ipcbench.events import Began, Event, Failed, Launching, TryingAgain, Warned
from ipcbench.progress.timeleft import TimeLeft
from ipcbench.text import counted, printable


class Display(Protocol):
    """A context manager that shows the events it is called with."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None: ...

    def __call__(self, event: Event) -> None: ...


class Silence:
    """A display that shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Does nothing."""

    def __call__(self, event: Event) -> None:
        """Ignores the event."""


class Narrator(Silence):
    """The common part of displays: counts the time left, and prints retries and failures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._left = TimeLeft()

    def __call__(self, event: Event) -> None:
        """Counts an event, and prints the line of one on a launch without a number."""
        self._left(event)
        match event:
            case TryingAgain(_, case, reason):
                self._say(f"trying again: {case.id}: {reason}")
            case Failed(_, case, reason):
                self._say(f"failed: {case.id}: {reason}")
            case _:
                pass

    def _say(self, line: str) -> None:
        self._console.print(Text(printable(line)), soft_wrap=True)


class PlainProgress(Narrator):
    """Prints a line for each round, retry, failure and new warning."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._round: int | None = None
        self._rounds = 0
        self._warned: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Prints the line of an event, if it has one."""
        super().__call__(event)
        match event:
            case Began(to_come, rounds):
                self._rounds = rounds
                self._say(f"{counted(len(to_come), 'case')}, {counted(rounds, 'round')}")
            case Launching(round_number) if round_number != self._round:
                self._round = round_number
                what = f"round {round_number} of {self._rounds}" if round_number else "calibrating"
                self._say(f"{what}, {self._left.text()}")
            case Warned(round_number, warnings) if round_number < self._rounds:
                # Warnings of the last round stand below the table, which comes next.
                for flag in [flag for flag in warnings if flag not in self._warned]:
                    self._warned.add(flag)
                    self._say(f"warning so far: {flag}: {warnings[flag]}")
            case _:
                pass
