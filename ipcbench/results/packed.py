"""Files of gzip, told by a name that ends in `.gz`, as pyperf tells them too."""

import zlib
from pathlib import Path
from typing import BinaryIO

from ipcbench.errors import ResultsError

ENDING = ".gz"
MAGIC = b"\x1f\x8b"
_LEVEL = 6
_CHUNK_BYTES = 1024**2


def is_packed(path: Path) -> bool:
    """Whether a file of this name is one of gzip."""
    return path.suffix.lower() == ENDING


def packed(content: bytes) -> bytes:
    """The content as gzip, without a time, so that equal content makes equal files."""
    import gzip  # loaded late: few files are packed

    return gzip.compress(content, _LEVEL, mtime=0)


def unpacked(file: BinaryIO, path: Path, most_bytes: int) -> bytearray:
    """The content of an open gzip file called `path`. Raises ResultsError.

    It is unpacked piece by piece and given up as soon as it exceeds `most_bytes`: a file of 3 MB
    can hold 3 GiB.
    """
    import gzip

    content = bytearray()
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacking:
            while piece := unpacking.read(_CHUNK_BYTES):
                content += piece
                if len(content) > most_bytes:
                    raise ResultsError(f"{path} is larger than {most_bytes} bytes when unpacked")
    except EOFError as error:
        raise ResultsError(f"{path} ends too early for a gzip file; copy it once more") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ResultsError(f"{path} {_fault(file)}") from error
    return content


def _fault(file: BinaryIO) -> str:
    """The reason why a file can't be unpacked."""
    file.seek(0)
    if file.read(len(MAGIC)) == MAGIC:
        return "is damaged: it can't be unpacked; copy it once more"
    return f"is not gzip, though its name ends in {ENDING}; name it without that, or pack it"
