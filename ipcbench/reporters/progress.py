"""How a run gets on, on stderr: a bar in a terminal, plain lines elsewhere.

The display is redrawn between launches only. A thread that redraws while a pair is measured would
take one of the cores it is measured on.
"""

import statistics
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from ipcbench.case import Case
from ipcbench.units import counted, display_left, format_size


class TimeLeft:
    """Says how long the launches that are still to come will take, from those that were."""

    def __init__(self, to_come: Mapping[Case, int], expected_launch_s: float) -> None:
        self._to_come = dict(to_come)
        self._expected_launch_s = expected_launch_s
        self._took_s: dict[Case, list[float]] = {}

    def launched(self, case: Case, took_s: float) -> None:
        """Counts one launch."""
        self._took_s.setdefault(case, []).append(took_s)
        self._to_come[case] -= 1

    def gave_up(self, case: Case) -> None:
        """Expects no more launches of a case."""
        self._to_come[case] = 0

    def seconds(self) -> float:
        """Seconds left: each case by its own launches, those without any by what all took."""
        means = {case: statistics.fmean(took_s) for case, took_s in self._took_s.items()}
        typical_s = statistics.fmean(means.values()) if means else self._expected_launch_s
        return sum(count * means.get(case, typical_s) for case, count in self._to_come.items())


class PlainProgress:
    """A line at each round's beginning, and one for each failure."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._round: int | None = None
        self._rounds = 0
        self._left: TimeLeft

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def began(self, to_come: Mapping[Case, int], rounds: int, expected_launch_s: float) -> None:
        self._rounds = rounds
        self._left = TimeLeft(to_come, expected_launch_s)
        self._say(f"{counted(len(to_come), 'case')}, {counted(rounds, 'round')}")

    def launching(self, cases: Sequence[Case], round_number: int) -> None:
        if round_number == self._round:
            return
        self._round = round_number
        what = f"round {round_number} of {self._rounds}" if round_number else "calibrating"
        self._say(f"{what}, {display_left(self._left.seconds())} left")

    def launched(self, case: Case, round_number: int, took_s: float) -> None:
        if round_number:
            self._left.launched(case, took_s)

    def trying_again(self, case: Case, round_number: int, reason: str) -> None:
        self._say(f"trying again: {case.id}: {reason}")

    def failed(self, case: Case, round_number: int, reason: str) -> None:
        self._left.gave_up(case)
        self._say(f"failed: {case.id}: {reason}")

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class BarProgress(PlainProgress):
    """One line that stays in its place: how far, the time left, and the case being measured."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar = Progress(
            TextColumn("{task.fields[phase]}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]} left", style="cyan"),
            TextColumn("{task.fields[case]}", style="dim"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, phase="", left="", case="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._bar.stop()

    def began(self, to_come: Mapping[Case, int], rounds: int, expected_launch_s: float) -> None:
        self._rounds = rounds
        self._left = TimeLeft(to_come, expected_launch_s)
        self._bar.update(self._task, total=len(to_come) + sum(to_come.values()))

    def launching(self, cases: Sequence[Case], round_number: int) -> None:
        self._bar.update(
            self._task,
            phase=f"round {round_number}/{self._rounds}" if round_number else "calibrating",
            left=display_left(self._left.seconds()),
            case=_what(cases),
            refresh=True,
        )

    def launched(self, case: Case, round_number: int, took_s: float) -> None:
        super().launched(case, round_number, took_s)
        self._bar.advance(self._task)


def _what(cases: Sequence[Case]) -> str:
    """What a group of launches has in common, and how many it is."""
    case = cases[0]
    size = format_size(case.message_size_bytes)
    return f"{case.workload} {size} {case.placement}, {counted(len(cases), 'case')}"
