"""Whether what the kernel shows is what a transport claims, and nothing else. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from ipcbench.evidence.channels import TITLES, Channel, Seen
from ipcbench.transports.base import Claim, Workload

Verdict = Literal["proved", "refuted", "not witnessed"]

TRACELESS: frozenset[Claim] = frozenset(("futex", "process-vm"))
"""What the kernel keeps no table of."""
TRAITS: frozenset[Claim] = frozenset(
    ("socket-file", "abstract-name", "no-name", "nodelay", "nagle", "largest")
)
"""What is said of another claim; the rest are things that join two processes."""
_OF_CONNECTIONS: frozenset[Claim] = frozenset(("nodelay", "nagle"))
"""What a listening socket doesn't tell."""


class Claimed(NamedTuple):
    """What is to be proved of one pair."""

    claims: tuple[Claim, ...]
    is_control: bool
    workload: Workload
    sent_bytes: int
    """Payload that the client has sent."""


class Finding(NamedTuple):
    """A verdict, its reason, and what it rests on."""

    verdict: Verdict
    reason: str
    looked_at: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Verdict and reason in one line, without a path of this machine."""
        return f"{self.verdict}: {self.reason}"


def judged(claimed: Claimed, seen: Seen) -> Finding:
    """What the kernel's word is worth for this claim.

    Proved is a claim if what joins the two is of the kinds that it names, all of them and no
    other. So one mechanism under another's name is found out, and one beside it too.
    """
    connects = claimed.workload == "connect"
    relevant = [channel for channel in seen.channels if connects or not channel.listens]
    told = described(relevant)
    lines = tuple(line for channel in relevant for line in channel.lines)
    if not claimed.claims and not claimed.is_control:
        return Finding("not witnessed", "the transport makes no claim", seen.looked_at, lines)
    doubt = _doubt(claimed, relevant)
    if doubt is not None:
        what = ", ".join(claimed.claims) or "nothing"
        reason = f"the claim is {what}, but {doubt}; what joins both: {told}"
        return Finding("refuted", reason, seen.looked_at, lines)
    return Finding("proved", told + _remarks(claimed), seen.looked_at, lines)


def described(found: Iterable[Channel]) -> str:
    """What joins the two, in one line."""
    ordered = sorted(found, key=lambda channel: list(TITLES).index(channel.kind))
    parts = [
        f"{TITLES[kind]}: {', '.join(channel.text for channel in group)}"
        for kind, group in groupby(ordered, lambda channel: channel.kind)
    ]
    return "; ".join(parts) or "nothing"


def _doubt(claimed: Claimed, found: Sequence[Channel]) -> str | None:
    """Why the claim isn't proved; None if it is."""
    kinds = {channel.kind for channel in found}
    wanted = set(claimed.claims) - TRAITS - TRACELESS
    for missing in sorted(wanted - kinds):
        return f"no {TITLES[missing]} joins both"
    for other in sorted(kinds - wanted):
        return f"there is {TITLES[other]} too"
    hidden = _OF_CONNECTIONS if claimed.workload == "connect" else frozenset()
    for trait in sorted((set(claimed.claims) & TRAITS) - hidden):
        having = {channel.kind for channel in found if trait in channel.traits}
        if not having:
            return f"nothing is {trait}"
        for channel in found:
            if channel.kind in having and trait not in channel.traits:
                return f"not every {TITLES[channel.kind]} is {trait}"
    return _idle(claimed, found)


def _idle(claimed: Claimed, found: Sequence[Channel]) -> str | None:
    """Why these channels can't have carried the messages; None if they can."""
    for kind in {channel.kind for channel in found}:
        same = [channel for channel in found if channel.kind == kind]
        if not any(channel.forth for channel in same):
            return f"no {TITLES[kind]} leads from the client to the server"
        if claimed.workload == "latency" and not any(channel.back for channel in same):
            return f"no {TITLES[kind]} leads back to the client"
    counted = [channel.moved_bytes for channel in found if channel.moved_bytes is not None]
    if counted and sum(counted) < claimed.sent_bytes:
        return f"the kernel counted {sum(counted):,} of {claimed.sent_bytes:,} bytes"
    return None


def _remarks(claimed: Claimed) -> str:
    if claimed.is_control:
        return " joins the two, as claimed"
    if "process-vm" in claimed.claims:
        return (
            f"; nothing that could carry {claimed.sent_bytes:,} bytes of payload, so they went from"
            " process to process (the kernel keeps no table of such copies)"
        )
    if "futex" in claimed.claims:
        return "; the kernel keeps no table of futexes"
    if claimed.workload == "connect":
        return "; nothing else joins the two, so every connection was made there"
    return ""
