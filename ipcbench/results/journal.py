"""Saves a run as it grows: each launch to a journal beside the file, folded in now and then.

To write the whole file after each launch costs time and bytes that grow with the square of the
launches. So a launch is one line, appended to `run.json.journal` and synced. The file is written
anew, atomically, when the journal has outgrown it, and at the end; the journal is then removed. All
that is written stays proportional to the number of launches.

File and journal together hold every launch that was saved, whenever the process dies, and none
twice: the file names the journal that belongs to it by a token, and each fold writes another token.
So a journal that is older than its file, or another run's, is no longer its journal.
`store.load` takes both; `validation.read_journal` says what a line may be.
"""

import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pyperf

from ipcbench.errors import ResultsError, explain_write
from ipcbench.results.files import journal_path, sync_folder, write_atomically
from ipcbench.results.intent import Intent
from ipcbench.results.migration import FORMAT
from ipcbench.results.store import Results, Unmeasured, dumps, unmeasured_as_json

_LEAST_BYTES = 256 * 1024
"""Size up to which a journal is never folded; a small file would be written all the time."""
_TOKEN_BYTES = 8
_OPENED = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_MADE = _OPENED | os.O_CREAT | os.O_EXCL

_Identity = tuple[int, int, int]


class _Left(NamedTuple):
    """File and journal as a save left them: device, number and size; None for a missing one."""

    file: _Identity | None
    journal: _Identity | None


class Journal:
    """Saves the results of one run to a file; `save` after each launch, `close` at the end."""

    def __init__(self, path: Path | None) -> None:
        """Saves to this file; None: nowhere. Nothing is written before the first save."""
        self._path = path
        self._results: Results | None = None
        self._token = ""
        self._saved = 0
        """Number of additions to the results that file and journal hold."""
        self._intent: Intent | None = None
        """The plan that the file holds: a run of several stages has another in each."""
        self._left: _Left | None = None
        """None if the next save must write the whole file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Closes. A run that ends by an error ends by that, even if the last fold fails."""
        try:
            self.close()
        except ResultsError:
            if error is None:
                raise

    def save(self, results: Results) -> None:
        """Saves what was added since the last save. Raises ResultsError if it can't be.

        After an error file and journal still hold all that was saved before.
        """
        path, left = self._path, self._left
        if path is None:
            return
        # Somebody may have moved the file or the journal away while the run goes on: `_seen` tells.
        is_same = results is self._results and results.intent == self._intent
        if left is None or not is_same or _seen(path) != left:
            self._fold(path, results, secrets.token_hex(_TOKEN_BYTES))
            return
        lines = "".join(map(_line, results.added[self._saved :])).encode()
        if _size(left.journal) + len(lines) > max(_LEAST_BYTES, _size(left.file)):
            self._fold(path, results, secrets.token_hex(_TOKEN_BYTES))
        elif lines:
            self._append(path, left, lines)
            self._saved = len(results.added)

    def close(self, results: Results | None = None) -> None:
        """Folds the journal into the file and removes it. Raises ResultsError if it can't be.

        File and journal stay as they are then. Without a save before, nothing is written.
        """
        known = self._results if results is None else results
        if self._path is not None and self._results is not None and known is not None:
            self._fold(self._path, known, None)
            self._results = None

    def _fold(self, path: Path, results: Results, token: str | None) -> None:
        """Writes the whole file, with a token that no journal has yet, and removes the journal."""
        self._left = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(f"{path.parent} can't be made: {error.strerror}") from error
        write_atomically(path, dumps(results, token))
        try:
            journal_path(path).unlink(missing_ok=True)
        except OSError as error:
            raise ResultsError(f"{journal_path(path)} is in the way: {error.strerror}") from error
        self._results, self._token, self._saved = results, token or "", len(results.added)
        self._intent = results.intent
        self._left = _seen(path)

    def _append(self, path: Path, left: _Left, lines: bytes) -> None:
        """Appends lines to the journal, which is made with the first of them, and syncs them."""
        self._left = None
        journal, is_new = journal_path(path), left.journal is None
        if is_new:
            header = {"ipcbench_journal": FORMAT, "token": self._token}
            lines = f"{json.dumps(header)}\n".encode() + lines
        try:
            descriptor = os.open(journal, _MADE if is_new else _OPENED, 0o666)
            try:
                _write_all(descriptor, lines)
                os.fsync(descriptor)
            except BaseException:
                with suppress(OSError):  # a half line is dropped by readers, too
                    os.ftruncate(descriptor, _size(left.journal))
                raise
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(journal.parent)
        except OSError as error:
            raise ResultsError(f"{path} can't be written: {explain_write(error)}") from error
        self._left = _seen(path)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _seen(path: Path) -> _Left:
    return _Left(_identity(path), _identity(journal_path(path)))


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size


def _size(identity: _Identity | None) -> int:
    return 0 if identity is None else identity[2]


def _line(item: pyperf.Run | Unmeasured) -> str:
    if isinstance(item, Unmeasured):
        return f"{json.dumps({'unmeasured': unmeasured_as_json(item)})}\n"
    launch: dict[str, Sequence[object] | dict[str, object]] = {
        "values": item.values,
        "warmups": item.warmups,
        "metadata": item.get_metadata(),
    }
    return f"{json.dumps({'launch': launch}, separators=(',', ':'))}\n"
