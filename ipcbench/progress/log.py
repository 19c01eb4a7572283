"""Writes the events of a run as lines of JSON, for programs that watch it; docs/events.md."""

import json
import os
import re
import select
import stat
import time
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.events import Event

_PATIENCE_S = 0.2
"""Longest wait for a full FIFO, between launches, before its reader is given up."""

SCHEMA = 1
"""Version of the format; raised when a key loses its name, type or meaning."""


class EventLog:
    """Writes each event it is called with as one line. Use as a context manager.

    A failure to write never ends a run: later events are dropped, and `failure` says why.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or a FIFO that has a reader, and empties a file that is there.

        UsageError where that can't be done.
        """
        try:
            # A FIFO that nobody reads would block the open for ever.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            reason = "nobody reads it" if is_special(path) else error.strerror
            raise UsageError(f"{path} can't take events: {reason}") from error
        self._descriptor = descriptor
        self._began_s = time.monotonic()
        self.failure: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def __call__(self, event: Event) -> None:
        """Writes the event as one line."""
        if self.failure is not None:
            return
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        try:
            self._write(event_line(event, now, time.monotonic() - self._began_s).encode("ascii"))
        except OSError as error:
            self.failure = error.strerror or str(error)

    def _write(self, line: bytes) -> None:
        """Writes the whole line or raises OSError; a reader that stalls must not stop a run."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("its reader has stopped reading") from None
                select.select([], [self._descriptor], [], left_s)


def event_line(event: Event, now: str, elapsed_s: float) -> str:
    """One event as a line; `elapsed_s` is since the log was opened, by a monotonic clock."""
    line = {
        "schema": SCHEMA,
        "event": event_name(type(event)),
        "time": now,
        "elapsed_s": round(elapsed_s, 6),
    }
    line |= {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    return json.dumps(line) + "\n"


def event_name(kind: type[Event]) -> str:
    """The name of an event in the log: `TryingAgain` is `trying_again`."""
    return re.sub("(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, Case):
        return value.id
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def is_special(path: Path) -> bool:
    """Whether it is a FIFO, a terminal or another device: there is nothing to replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
