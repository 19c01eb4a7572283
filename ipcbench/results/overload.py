"""What `ipcbench full` found of each mechanism, as typed facts and as a JSON document.

Not a result file: no times are compared, and a number holds for a kernel and its settings. Whoever
needs to know what a mechanism does when nobody reads loads the document: `load`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from ipcbench.errors import ResultsError
from ipcbench.results.files import read_text

KIND = "ipcbench full"
FORMAT = 1
"""Raised if a reader of the document must change; a new key is no reason."""
_MOST_BYTES = 16 * 1024 * 1024

Status = Literal["measured", "n/a", "failed"]
WhenFull = Literal["blocks", "refuses", "drops", "not-full"]
Number = int | float


@dataclass(frozen=True, slots=True)
class Fill:
    """A mechanism with unread messages of one size; None where something isn't told.

    A number that differs between launches is their median here, and its least and most are in
    `varies`, by the field's name.
    """

    transport: str
    message_size_bytes: int
    status: Status
    reason: str = ""
    launches_count: int = 0
    when_full: WhenFull | None = None
    """What becomes of the message after the last that fits."""
    refused_with: str | None = None
    """The errno of a blocking send that refuses, or else the reason that Python gives."""
    nonblocking_errno: str | None = None
    """Of a send that doesn't wait; `taken` if it succeeds though a blocking one waits."""
    messages_count: int | None = None
    """Messages that fit unread, or that were sent of one that doesn't fill."""
    expected_messages_count: int | None = None
    """The same by the kernel's rule, where it is one of arithmetic."""
    unread_bytes: int | None = None
    memory_bytes: int | None = None
    memory_source: str | None = None
    limit_name: str | None = None
    limit: int | None = None
    woken_after_messages_count: int | None = None
    """Messages that are read until the blocked writer wakes; None if it doesn't."""
    expected_woken_messages_count: int | None = None
    """The same by the kernel's rule."""
    woken_step_messages_count: int | None = None
    """How exactly that is known."""
    varies: Mapping[str, tuple[Number, Number]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ends:
    """What a mechanism's ends meet, whatever the size: connections, and the reader's death."""

    transport: str
    status: Status
    reason: str = ""
    launches_count: int = 0
    connections_count: int | None = None
    """Connections made while nobody accepts; None for a mechanism without."""
    next_connection: str | None = None
    """An errno's name, `waits` if it is tried again in silence, or `not-full`."""
    connect_retry_s: float | None = None
    unconnected_messages_count: int | None = None
    """Datagrams in the queue of a UNIX socket that isn't connected to their sender."""
    blocked_notice: str | None = None
    """What a blocked writer learns of its reader's death: an errno's name, `EOF`, or `nothing`."""
    blocked_notice_s: float | None = None
    blocked_sigpipe: bool | None = None
    idle_notice: str | None = None
    """What a writer learns that sends after its reader's death; `blocks` if it learns nothing and
    fills what there is."""
    idle_sends_count: int | None = None
    """Sends after the death that seem to succeed."""
    idle_sigpipe: bool | None = None
    varies: Mapping[str, tuple[Number, Number]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overload:
    """All that one run of `ipcbench full` found."""

    kernel: str
    launches_count: int
    sizes_bytes: tuple[int, ...]
    most_messages_count: int
    most_bytes: int
    fills: tuple[Fill, ...]
    ends: tuple[Ends, ...]


def document(found: Overload) -> str:
    """The JSON document: keys are the names of the fields."""
    return json.dumps({"kind": KIND, "format": FORMAT, **asdict(found)}, indent=1) + "\n"


def load(path: Path) -> Overload:
    """Reads a document. Raises ResultsError for any other file."""
    try:
        whole = json.loads(read_text(path, _MOST_BYTES))
    except ValueError as error:
        raise ResultsError(f"{path} is not JSON: {error}") from error
    if not isinstance(whole, dict) or whole.get("kind") != KIND:
        raise ResultsError(f"{path} is no document of ipcbench full; make one with --json")
    if whole.get("format") != FORMAT:
        raise ResultsError(f"{path} has format {whole.get('format')!r}, and {FORMAT} is known here")
    try:
        return Overload(
            kernel=str(whole["kernel"]),
            launches_count=int(whole["launches_count"]),
            sizes_bytes=tuple(map(int, whole["sizes_bytes"])),
            most_messages_count=int(whole["most_messages_count"]),
            most_bytes=int(whole["most_bytes"]),
            fills=tuple(_made(Fill, row) for row in whole["fills"]),
            ends=tuple(_made(Ends, row) for row in whole["ends"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"{path} lacks what a document of ipcbench full has: {error}") from error


_Row = TypeVar("_Row", Fill, Ends)


def _made(kind: type[_Row], row: Mapping[str, Any]) -> _Row:
    """A row; keys that a later version has added are left out."""
    known = {one.name for one in fields(kind)}
    values = {name: value for name, value in row.items() if name in known}
    varies = values.get("varies", {}).items()
    values["varies"] = {name: (least, most) for name, (least, most) in varies}
    return kind(**values)
