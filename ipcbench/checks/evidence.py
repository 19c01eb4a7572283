"""Checks a pair of each transport against the kernel's tables, for `ipcbench evidence`.

Prints nothing.
"""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

from ipcbench.case import Case
from ipcbench.errors import EXIT_CASES_FAILED, EXIT_OK, LaunchFailed
from ipcbench.evidence.verdict import Finding
from ipcbench.measure.pair import Pair, refused
from ipcbench.system.scratch import Scratch
from ipcbench.transports.base import Workspace
from ipcbench.transports.registry import get_transport

_MESSAGES = 10
_MESSAGE_BYTES = 64
_MARGIN = 12
_COLUMNS = 78


class Inspection(NamedTuple):
    """The outcome for one transport: the kernel's tables compared, or why they weren't."""

    name: str
    finding: Finding | None
    reason: str | None = None
    failed: bool = False

    @property
    def verdict(self) -> str:
        """The outcome in a word or two, for the count at the end."""
        if self.finding is not None:
            return self.finding.outcome
        return "failed" if self.failed else "can't run here"

    @property
    def is_fine(self) -> bool:
        """Whether the transport is proved, or can't run here."""
        return not self.failed if self.finding is None else self.finding.outcome == "proved"


def inspect_pair(name: str, scratch: Scratch) -> Inspection:
    """Starts a pair, exchanges messages, reads the tables while both ends live, and ends it."""
    transport = get_transport(name)
    workload = transport.workloads[0]
    size = transport.size_of(workload, _MESSAGE_BYTES)
    case = Case(workload, name, size, "python", "free")
    reason = transport.unavailable() or refused(case)
    if reason is not None:
        return Inspection(name, None, reason)
    try:
        with scratch.launch() as directory, Pair(case, None, Workspace(directory)) as pair:
            pair.run(_MESSAGES)
            return Inspection(name, pair.inspect())
    except LaunchFailed as error:
        return Inspection(name, None, str(error), failed=True)


def described(inspection: Inspection) -> Iterator[str]:
    """Lines on one transport: its claim, the tables read, the entries found, the verdict."""
    transport, finding = get_transport(inspection.name), inspection.finding
    yield f"{inspection.name}: {transport.summary}"
    if finding is None:
        yield f"  {inspection.verdict}: {inspection.reason}"
        return
    mediums = ", ".join(transport.mediums)
    yield from _labelled("claim", [mediums or "nothing joins the two"])
    yield from _labelled("looked at", wrap(", ".join(finding.looked_at), _COLUMNS - _MARGIN))
    yield from _labelled("found", finding.found or ["nothing"])
    yield f"  {finding.digest}"


def counted(inspections: Sequence[Inspection]) -> str:
    """The number of transports with each verdict, as text."""
    verdicts = [inspection.verdict for inspection in inspections]
    return ", ".join(f"{verdict}: {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts))


def exit_code(inspections: Sequence[Inspection]) -> int:
    """The exit code: 0 if every transport that can run here is proved."""
    return EXIT_OK if all(each.is_fine for each in inspections) else EXIT_CASES_FAILED


def _labelled(label: str, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {label if number == 0 else '':{_MARGIN}}{line}"
