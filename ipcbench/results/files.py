"""Files of a bounded size read once, and files replaced atomically; of gzip, if named so."""

import os
import stat
from pathlib import Path

from ipcbench.errors import ResultsError, explain_write
from ipcbench.results.packed import ENDING, MAGIC, is_packed, packed, unpacked

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Without O_NONBLOCK, opening a FIFO waits until somebody writes to it."""


def read_text(path: Path, most_bytes: int) -> str:
    """The text of a regular file of at most `most_bytes`, read once. Raises ResultsError.

    A file called `*.gz` is unpacked; the bound is one on what it holds, too. A FIFO, a socket or a
    device is refused rather than waited for.
    """
    content: bytes | bytearray = b""
    try:
        content = _read(path, most_bytes)
        return content.decode("utf-8")
    except FileNotFoundError as error:
        raise ResultsError(f"{path} isn't there; name a result file") from error
    except OSError as error:
        raise ResultsError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        if content.startswith(MAGIC):
            raise ResultsError(f"{path} is gzip; give it a name that ends in {ENDING}") from error
        raise ResultsError(f"{path} is not text; name a result file (JSON)") from error


def _read(path: Path, most_bytes: int) -> bytes | bytearray:
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise ResultsError(f"{path} is a folder; name the JSON file in it")
    # Checked before it is opened, since opening a device may have effects; and once more after,
    # since the name may stand for another file by then.
    if stat.S_ISREG(kind):
        with open(os.open(path, _FLAGS), "rb") as file:  # noqa: PTH123  (it has a descriptor)
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode):
                if is_packed(path) and found.st_size <= most_bytes:
                    return unpacked(file, path, most_bytes)
                # It may grow while it is read, and a file of /proc reports 0 bytes.
                content = b"" if found.st_size > most_bytes else file.read(most_bytes + 1)
                if max(found.st_size, len(content)) > most_bytes:
                    raise ResultsError(f"{path} is larger than {most_bytes} bytes")
                return content
    raise ResultsError(f"{path} is not a regular file; copy what it gives into one")


def journal_path(path: Path) -> Path:
    """The journal beside a result file: what was saved since the file was last written."""
    return path.with_name(f"{path.name}.journal")


def beside(path: Path, ending: str) -> Path:
    """The file beside a result file that has this ending: run.csv of run.json or run.json.gz."""
    return (path.with_suffix("") if is_packed(path) else path).with_suffix(ending)


def sync_folder(folder: Path) -> None:
    """Makes a new name in this folder survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str, mode: int = 0o666) -> None:
    """Replaces a file atomically: a reader sees the old text or the new, whole.

    A file called `*.gz` is packed. The mode is what the user's umask leaves of `mode`: results are
    to be shared. The text goes to a new temporary file of a random name first, and a link planted
    under that name is not followed.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                content = text.encode("utf-8")
                file.write(packed(content) if is_packed(path) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise ResultsError(f"{path} can't be written: {explain_write(error)}") from error
