"""Terminal output: width, control codes, and the display of progress."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.table import Table

from ipcbench.progress.lines import Display, PlainProgress, Silence
from ipcbench.progress.live import LiveView
from ipcbench.reporters.model import Part
from ipcbench.reporters.terminal import UNBOUNDED, folded, rendered


def console(stream: TextIO) -> Console:
    """A console on this stream: no control codes into a pipe, or where NO_COLOR is set."""
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(file=stream, highlight=False, color_system=None if plain else "auto")


def show(parts: Iterable[Part], stream: TextIO) -> None:
    """Writes the parts of a report to the stream."""
    target = console(stream)
    if not (target.is_terminal or "COLUMNS" in os.environ):
        target.width = UNBOUNDED
    for renderable in (one for part in parts for one in rendered(part)):
        if not isinstance(renderable, Table):
            # A line in a file is left whole: whoever reads it can wrap it.
            target.print(renderable, soft_wrap=not target.is_terminal)
        else:
            for piece in folded(renderable, target, target.width):
                target.print(piece)


def progress(*, quiet: bool = False) -> Display:
    """The display of a run's progress on stderr: live in a terminal, lines elsewhere."""
    if quiet:
        return Silence()
    target = console(sys.stderr)
    moving = target.is_terminal and not target.is_dumb_terminal and target.color_system is not None
    return LiveView(target) if moving else PlainProgress(target)
