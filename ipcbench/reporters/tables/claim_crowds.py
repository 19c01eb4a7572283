"""Answers to claims at saturation: with many clients, and who ran out of CPU. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from ipcbench import units
from ipcbench.analysis.comparisons import Claim
from ipcbench.analysis.judging import Compared, Judgement, Says
from ipcbench.reporters.tables.claim_words import PLACES, sides
from ipcbench.reporters.tables.columns import ratio_text
from ipcbench.text import counted


def at_saturation(judgement: Judgement) -> Iterator[str]:
    """Yields sentences on one client, and on many: what came of it, and who ran out.

    For example: `with 8 clients across cores, the server saturated (97% of its CPU or more): holds:
    uvloop-protocol-unix 2.51x faster`
    """
    if not judgement.claim.crowd:
        return
    alike: dict[tuple[int, str], list[Compared]] = {}
    for one in judgement.compared:
        case = one.comparison.subject
        alike.setdefault((case.clients.number, case.placement), []).append(one)
    if not any(clients > 1 for clients, _ in alike):
        if alike:
            yield "not measured with many clients; the answer may rest on that"
        return
    for (clients, placement), those in sorted(alike.items()):
        where = f"with {counted(clients, 'client')} {PLACES.get(placement, f'on {placement}')}"
        known = [one for one in those if one.unsaturated is None]
        busy = [one.server_busy for one in known if one.server_busy is not None]
        state = ""
        if busy:
            share = units.display_percent(min(busy))
            state = f", the server saturated ({share} of its CPU or more)"
        if known:
            yield f"{where}{state}: {_answers_text(judgement.claim, known)}"
        for text in _untold(those):
            yield f"{where}: {text}"


def _answers_text(claim: Claim, compared: Sequence[Compared]) -> str:
    """What comparisons say of a claim, and their ratios: `holds: uvloop-streams 3.20x faster`."""
    ratios: dict[Says, list[str]] = {}
    for one in compared:
        said = f"{one.comparison.subject.transport} {ratio_text(one.ratio.estimate, one.says)}"
        ratios.setdefault(one.says, []).append(said)
    yes, no = sides(claim)
    words: Mapping[Says, str] = {"agrees": yes, "contradicts": no, "undecided": "open"}
    return "; ".join(
        f"{words[says]}: {', '.join(ratios[says])}" for says in words if says in ratios
    )


def _untold(compared: Sequence[Compared]) -> Iterator[str]:
    """Yields the comparisons that can't tell, those with one reason together."""
    names: dict[str, list[str]] = {}
    for one in compared:
        if one.unsaturated is not None:
            names.setdefault(lack_text(one), []).append(one.comparison.subject.transport)
    for lack, those in names.items():
        yield f"can't tell here: {lack} ({', '.join(those)})"


def lack_text(one: Compared) -> str:
    """The reason why a server of many clients wasn't saturated, in words."""
    match one.unsaturated:
        case "clients":
            return "the clients ran out, not the server"
        case "shared":
            return "the server and its clients share a CPU"
        case "others":
            return "other programs had the server's CPU"
        case "neither":
            return "the server had CPU time left"
        case "unknown":
            return "who ran out was not recorded"
        case None:
            return ""
        case _:
            assert_never(one.unsaturated)
