"""The text of `ipcbench evidence`: a pair of each transport, and what the kernel says of it.

Prints nothing.
"""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

from ipcbench.case import Case
from ipcbench.errors import EXIT_CASES_FAILED, EXIT_OK, LaunchFailed
from ipcbench.evidence.verdict import Finding
from ipcbench.measure.pair import Pair
from ipcbench.measure.scratch import Scratch
from ipcbench.transports import get_transport
from ipcbench.transports.base import Workspace

_MESSAGES = 10
_MESSAGE_BYTES = 64
_MARGIN = 12
_COLUMNS = 78


class Exhibit(NamedTuple):
    """What there is to say of one transport: the kernel's word, or why there is none."""

    name: str
    finding: Finding | None
    reason: str | None = None
    failed: bool = False

    @property
    def verdict(self) -> str:
        """One word, or two, for the count at the end."""
        if self.finding is not None:
            return self.finding.outcome
        return "failed" if self.failed else "can't run here"


def exhibit(name: str, scratch: Scratch) -> Exhibit:
    """Starts a pair, lets a few messages through, looks while both live, and ends it."""
    transport = get_transport(name)
    size = _MESSAGE_BYTES if transport.carries_payload else 0
    workload = transport.workloads[0]
    reason = transport.unavailable() or transport.limit(size, workload)
    if reason is not None:
        return Exhibit(name, None, reason)
    case = Case(workload, name, size, "python", "free")
    try:
        with scratch.launch() as directory, Pair(case, None, Workspace(directory)) as pair:
            pair.run(_MESSAGES)
            return Exhibit(name, pair.inspect())
    except LaunchFailed as error:
        return Exhibit(name, None, str(error), failed=True)


def told(exhibit: Exhibit) -> Iterator[str]:
    """What was claimed, where was looked, the lines that were found, and the verdict."""
    transport, finding = get_transport(exhibit.name), exhibit.finding
    yield f"{exhibit.name}: {transport.summary}"
    if finding is None:
        yield f"  {exhibit.verdict}: {exhibit.reason}"
        return
    mediums = ", ".join(transport.mediums)
    yield from _labelled("claim", [mediums or "nothing joins the two"])
    yield from _labelled("looked at", wrap(", ".join(finding.looked_at), _COLUMNS - _MARGIN))
    yield from _labelled("found", finding.found or ["nothing"])
    yield f"  {finding.digest}"


def counted(exhibits: Sequence[Exhibit]) -> str:
    """How many of them came to which verdict."""
    verdicts = [exhibit.verdict for exhibit in exhibits]
    return ", ".join(f"{verdict}: {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts))


def exit_code(exhibits: Sequence[Exhibit]) -> int:
    """0 if all that can run here is proved."""
    fine = {"proved", "can't run here"}
    return EXIT_OK if {each.verdict for each in exhibits} <= fine else EXIT_CASES_FAILED


def _labelled(label: str, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {label if number == 0 else '':{_MARGIN}}{line}"
