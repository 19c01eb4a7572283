"""Makes stdout and stderr safe to print to: closed, full, a broken pipe, or a poor encoding.

A run measures and saves whether or not anybody reads what it prints.
"""

import codecs
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_STANDARD = (0, 1, 2)
_ERRORS = "ipcbench.plain"
_PLAIN = {"µ": "u", "─": "-", "—": "-", "–": "-", "×": "x", "±": "+-", "…": "...", "≤": "<="}  # noqa: RUF001
"""Replacements for characters that the locale's encoding lacks."""


class Streams:
    """State of standard output."""

    def __init__(self) -> None:
        self.failure: OSError | None = None
        """The error that stopped the output; a reader that closed its pipe is no error."""


@contextmanager
def patient_streams() -> Iterator[Streams]:
    """Context in which `sys.stdout` and `sys.stderr` take whatever is printed, and never raise.

    Once a write has failed, all further output is dropped. Streams that are not the
    process's own (a test's capture) are left as they are.
    """
    _open_what_is_closed()
    codecs.register_error(_ERRORS, _plainly)
    streams = Streams()
    before = sys.stdout, sys.stderr
    if sys.stdout is sys.__stdout__:
        sys.stdout = _patient(1, before[0], streams)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _patient(2, before[1], Streams())
    try:
        yield streams
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _open_what_is_closed() -> None:
    """Opens the null device for each standard descriptor that is closed.

    Otherwise the next file or pipe would get its number, and be taken for a standard stream.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number


def _patient(descriptor: int, like: TextIO | None, streams: Streams) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Sink(descriptor, streams)),
        encoding=like.encoding if like is not None else "utf-8",
        errors=_ERRORS,
        line_buffering=descriptor == 2 or os.isatty(descriptor),
    )


class _Sink(io.RawIOBase):
    """A raw stream that drops its output once a write to its descriptor has failed."""

    def __init__(self, descriptor: int, streams: Streams) -> None:
        self._descriptor = descriptor
        self._streams = streams

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            select.select([], [self._descriptor], [])
            return 0  # the buffer above tries again
        except BrokenPipeError:
            pass
        except OSError as error:
            self._streams.failure = error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._descriptor)
        os.close(null)
        return len(data)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in unknown), error.end
