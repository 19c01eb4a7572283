"""The live view of a run in a terminal: progress, the time left, and the medians so far.

The view is redrawn between launches only: a thread that redraws while a pair is measured would
take one of the cores it is measured on.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self, assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.analysis.stats import median_interval
from ipcbench.case import Case
from ipcbench.events import Began, Ended, Event, Failed, Launched, Launching, TryingAgain, Warned
from ipcbench.progress.lines import Narrator
from ipcbench.text import printable

_BAR_WIDTH = 24
_CELL_WIDTH = 16
"""Characters of a cell like `58.2 µs ±12.3%`, and the gap after it."""
_LINES_BESIDE_THE_ROWS = 7
"""Lines of the view above the rows, and the one that counts the rows left out."""
_MOST_WARNINGS = 4
_HEIGHT_FOR_A_WARNING = 6
"""Lines of the terminal's height for each warning shown."""


class _Place(NamedTuple):
    """The part of a case that a column of the table stands for: all but the transport."""

    workload: str
    message_size_bytes: int
    placement: str
    loop: str
    interpreter: str

    @classmethod
    def of(cls, case: Case) -> Self:
        where = case.workload, case.message_size_bytes, case.placement, case.loop
        return cls(*where, case.interpreter)


class LiveView(Narrator):
    """The live display; call it with each event. At its end only lines on failures remain."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rounds = self._total = self._done = self._round = 0
        self._current: Sequence[Case] = ()
        self._to_come: dict[Case, int] = {}
        self._times_s: dict[Case, list[float]] = {}
        self._warnings: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Updates the state from an event, and redraws if a launch is about to begin."""
        super().__call__(event)
        match event:
            case Began(to_come, rounds):
                self._rounds, self._total = rounds, event.to_calibrate + sum(to_come.values())
                self._done, self._warnings, self._to_come = 0, {}, dict(to_come)
                self._times_s = {case: [] for case in to_come}
            case Launching(round_number, cases):
                self._round, self._current = round_number, cases
                self._live.update(self.picture(), refresh=True)
            case Launched(round_number, case, _, values_s):
                self._done += 1
                if round_number:
                    self._to_come[case] -= 1
                    self._times_s[case].append(statistics.median(values_s))
            case Failed(round_number, case):
                self._total -= self._to_come.pop(case, 0) + (round_number == 0)
                self._times_s.pop(case, None)
            case Warned(_, warnings):
                self._warnings = warnings
            case TryingAgain() | Ended():
                pass
            case _:
                assert_never(event)

    def picture(self) -> RenderableType:
        """The content of the view now."""
        parts: list[RenderableType] = [self._progress(), Text(self._what(), style="dim")]
        if any(self._times_s.values()):
            warnings = list(self._warned())
            parts += [Text(), self._table(len(warnings)), *warnings]
        return Group(*parts)

    def _progress(self) -> RenderableType:
        where = f"round {self._round} of {self._rounds}" if self._round else "calibrating"
        done, left = f"{self._done}/{self._total}", self._left.text()
        words_width = len(where) + len(done) + len(left) + 3  # and the gaps
        bar_width = max(1, min(_BAR_WIDTH, self._console.width - words_width))
        line = Table.grid(padding=(0, 1))
        line.add_row(
            Text(where),
            ProgressBar(
                total=max(1, self._total),
                completed=self._done,
                width=bar_width,
            ),
            Text(done),
            Text(left, style="cyan"),
        )
        return line

    def _what(self) -> str:
        names = dict.fromkeys(case.transport for case in self._current)
        first = self._current[0]
        size = units.display_size(first.message_size_bytes)
        text = f"{first.workload} {size} {first.placement}: {', '.join(names)}"
        width = self._console.width
        return text if len(text) <= width else f"{text[: width - 3]}..."

    def _table(self, lines_below: int) -> Table:
        """The medians of the launches so far, each with half the width of its interval."""
        places = self._shown_places()
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column("so far")
        for place in places:
            size = units.display_size(place.message_size_bytes)
            label = f"\n{place.interpreter}" if place.interpreter else ""
            table.add_column(
                f"{place.workload}\n{size} {place.loop}\n{place.placement}{label}",
                justify="right",
                no_wrap=True,
            )
        names = list(dict.fromkeys(case.transport for case in self._times_s))
        most = max(1, self._console.height - _LINES_BESIDE_THE_ROWS - lines_below)
        for name in names[:most]:
            table.add_row(name, *(_so_far(self._times_at(name, place)) for place in places))
        if len(names) > most:
            table.add_row(Text(f"and {len(names) - most} more", style="dim"))
        return table

    def _shown_places(self) -> list[_Place]:
        """The places that fit the width, the ones now being measured among them."""
        places = list(dict.fromkeys(_Place.of(case) for case in self._times_s))
        longest = max(len(case.transport) for case in self._times_s)
        room = max(1, (self._console.width - longest - 2) // _CELL_WIDTH)
        measured = {_Place.of(case) for case in self._current}
        wanted = sorted(places, key=lambda place: place not in measured)[:room]
        return [place for place in places if place in wanted]

    def _times_at(self, name: str, place: _Place) -> Sequence[float]:
        for case, times_s in self._times_s.items():
            if case.transport == name and _Place.of(case) == place:
                return times_s
        return ()

    def _warned(self) -> Iterator[Text]:
        """Yields the lines of the warnings so far, as many as the height allows."""
        told = [f"{flag}: {says}" for flag, says in self._warnings.items()]
        most = max(1, min(_MOST_WARNINGS, self._console.height // _HEIGHT_FOR_A_WARNING))
        more = [f"and {len(told) - most} more"] if told[most:] else []
        for line in ["", *told[:most], *more] if told else ():
            yield Text(printable(line), style="yellow", overflow="ellipsis", no_wrap=True)


def _so_far(times_s: Sequence[float]) -> str:
    if not times_s:
        return ""
    text = units.display_time(statistics.median(times_s))
    interval = median_interval(times_s)
    if interval is None:
        return text
    half_width = (interval.high - interval.low) / 2 / statistics.median(times_s)
    return f"{text} ±{units.display_percent(half_width)}"
