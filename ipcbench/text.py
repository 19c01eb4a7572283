"""Reads untrusted files with a size bound, and escapes text for display."""

import os
import stat
from pathlib import Path

from ipcbench.errors import ResultsError

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Without O_NONBLOCK, opening a FIFO waits until somebody writes to it."""


def printable(text: str) -> str:
    r"""The text in one line, with unprintable characters escaped: ESC is `\x1b`.

    Escaped are control codes, ends of lines, codes that turn the direction of writing, lone
    surrogates and blanks that aren't spaces. Printable text is returned as it is.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def read_text(path: Path, most_bytes: int) -> str:
    """The text of a regular file of at most `most_bytes`, read once. Raises ResultsError.

    A FIFO, a socket or a device is refused rather than waited for.
    """
    try:
        return _read(path, most_bytes).decode("utf-8")
    except FileNotFoundError as error:
        raise ResultsError(f"{path} isn't there; name a result file") from error
    except OSError as error:
        raise ResultsError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path} is not text; name a result file (JSON)") from error


def _read(path: Path, most_bytes: int) -> bytes:
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise ResultsError(f"{path} is a folder; name the JSON file in it")
    # Checked before it is opened, since opening a device may have effects; and once more after,
    # since the name may stand for another file by then.
    if stat.S_ISREG(kind):
        with open(os.open(path, _FLAGS), "rb") as file:  # noqa: PTH123  (it has a descriptor)
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode):
                # It may grow while it is read, and a file of /proc reports 0 bytes.
                content = b"" if found.st_size > most_bytes else file.read(most_bytes + 1)
                if max(found.st_size, len(content)) > most_bytes:
                    raise ResultsError(f"{path} is larger than {most_bytes} bytes")
                return content
    raise ResultsError(f"{path} is not a regular file; copy what it gives into one")


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count of things for people: `1 round`, `5 rounds`, `2 launches`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
