"""Judges whether the carriers found are a transport's mediums, and no others. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from ipcbench.evidence.channels import TITLES, Carrier, Seen
from ipcbench.transports.base import Medium

Outcome = Literal["proved", "refuted", "not witnessed"]

TRACELESS: frozenset[Medium] = frozenset(("futex", "process-vm"))
"""Mediums of which the kernel keeps no table."""
TRAITS: frozenset[Medium] = frozenset(
    (
        *("socket-file", "abstract-name", "no-name", "nodelay", "nagle"),
        *("nagle-at-server", "nagle-at-client", "largest"),
    )
)
"""Mediums that are a property of another one; the rest are carriers themselves."""
_OF_CONNECTIONS: frozenset[Medium] = frozenset(
    ("nodelay", "nagle", "nagle-at-server", "nagle-at-client")
)
"""Traits that only a connected socket has, not a listening one."""


class Expected(NamedTuple):
    """The expected evidence of one pair."""

    mediums: tuple[Medium, ...]
    is_control: bool
    replies: bool
    """Whether messages go back to the client too."""
    connects: bool
    """Whether connections are made and ended all the time, so that only the listening is seen."""
    sent_bytes: int
    """Bytes of payload that the client has sent."""


class Finding(NamedTuple):
    """An outcome, its reason, and the lines of the tables that it rests on."""

    outcome: Outcome
    reason: str
    looked_at: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Outcome and reason in one line, without a path of this machine."""
        return f"{self.outcome}: {self.reason}"


def judged(expected: Expected, seen: Seen) -> Finding:
    """Judges a transport's claim against what the kernel shows.

    A claim is proved if the carriers found are of all the kinds that it names and of no other. So
    one mechanism under another's name is detected, and a second one beside it too.
    """
    relevant = [carrier for carrier in seen.carriers if expected.connects or not carrier.listens]
    told = described(relevant)
    lines = tuple(line for carrier in relevant for line in carrier.lines)
    if not expected.mediums and not expected.is_control:
        return Finding("not witnessed", "the transport makes no claim", seen.looked_at, lines)
    doubt = _doubt(expected, relevant)
    if doubt is not None:
        what = ", ".join(expected.mediums) or "nothing"
        reason = f"the claim is {what}, but {doubt}; what joins both: {told}"
        return Finding("refuted", reason, seen.looked_at, lines)
    return Finding("proved", told + _remarks(expected), seen.looked_at, lines)


def described(found: Iterable[Carrier]) -> str:
    """Describes the carriers in one line."""
    ordered = sorted(found, key=lambda carrier: list(TITLES).index(carrier.kind))
    parts = [
        f"{TITLES[kind]}: {', '.join(carrier.text for carrier in group)}"
        for kind, group in groupby(ordered, lambda carrier: carrier.kind)
    ]
    return "; ".join(parts) or "nothing"


def _doubt(expected: Expected, found: Sequence[Carrier]) -> str | None:
    """The reason why the claim isn't proved; None if it is."""
    kinds = {carrier.kind for carrier in found}
    wanted = set(expected.mediums) - TRAITS - TRACELESS
    for missing in sorted(wanted - kinds):
        return f"no {TITLES[missing]} joins both"
    for other in sorted(kinds - wanted):
        return f"there is {TITLES[other]} too"
    hidden = _OF_CONNECTIONS if expected.connects else frozenset()
    for trait in sorted((set(expected.mediums) & TRAITS) - hidden):
        having = {carrier.kind for carrier in found if trait in carrier.traits}
        if not having:
            return f"nothing is {trait}"
        for carrier in found:
            if carrier.kind in having and trait not in carrier.traits:
                return f"not every {TITLES[carrier.kind]} is {trait}"
    return _idle(expected, found)


def _idle(expected: Expected, found: Sequence[Carrier]) -> str | None:
    """The reason why these carriers can't have carried the messages; None if they can."""
    for kind in {carrier.kind for carrier in found}:
        same = [carrier for carrier in found if carrier.kind == kind]
        if not any(carrier.to_server for carrier in same):
            return f"no {TITLES[kind]} leads from the client to the server"
        if expected.replies and not any(carrier.to_client for carrier in same):
            return f"no {TITLES[kind]} leads back to the client"
    counted = [carrier.moved_bytes for carrier in found if carrier.moved_bytes is not None]
    if counted and sum(counted) < expected.sent_bytes:
        return f"the kernel counted {sum(counted):,} of {expected.sent_bytes:,} bytes"
    return None


def _remarks(expected: Expected) -> str:
    if expected.is_control:
        return " joins the two, as claimed"
    if "process-vm" in expected.mediums:
        return (
            f"; nothing that could carry {expected.sent_bytes:,} bytes of payload, so they went"
            " from process to process (the kernel keeps no table of such copies)"
        )
    if "futex" in expected.mediums:
        return "; the kernel keeps no table of futexes"
    if expected.connects:
        return "; nothing else joins the two, so every connection was made there"
    return ""
