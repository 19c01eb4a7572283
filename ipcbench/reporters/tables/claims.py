"""The answers to common claims, as a page for people. Prints nothing."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ipcbench import units
from ipcbench.analysis.claims import ALIKE, Claim
from ipcbench.analysis.judging import Buffer, Compared, Dimension, Judgement, Says, Term
from ipcbench.analysis.stats import FEWEST_LAUNCHES
from ipcbench.reporters.tables.columns import WORDS, interval_text, ratio_text
from ipcbench.reporters.terminal import bare_table
from ipcbench.text import counted

_STYLES = {"holds": "green", "fails": "red", "depends": "yellow"}
_PLACES = {
    "same-core": "on one core",
    "smt": "on two threads of a core",
    "cross-core": "across cores",
    "cross-socket": "across sockets",
    "free": "unpinned",
}
_DIMENSIONS: dict[Dimension, str] = {
    "workload": "the workload",
    "other": "what it is beside",
    "subject": "the kind of socket",
    "size": "the size",
    "placement": "the placement",
    "loop": "the loop",
}
_BUFFERS = {
    "client_so_sndbuf_bytes": "to send",
    "server_so_rcvbuf_bytes": "to receive",
    "client_pipe_size_bytes": "in it",
}


def claim_parts(
    judgements: Sequence[Judgement], noise_floor: float = 0.0
) -> Iterator[RenderableType]:
    """Yields each claim with its answer, its caveat and its comparisons; then a legend."""
    for judgement in judgements:
        claim = judgement.claim
        yield Text(f'"{claim.quote}"', style="bold")
        yield Text(f"-> {answer_text(judgement)}", style=_STYLES.get(judgement.answer, ""))
        yield Text(claim.caveat, style="dim")
        if judgement.buffers:
            yield Text(buffers_text(judgement.buffers), style="dim")
        for loop in dict.fromkeys(one.comparison.subject.loop for one in judgement.compared):
            yield Text()
            yield _table(judgement, loop)
        yield Text()
    yield from _legend(judgements, noise_floor)


def answer_text(judgement: Judgement) -> str:
    """The answer in words, with its conditions: `holds (12 of 12 comparisons decided)`."""
    yes, no = _sides(judgement.claim)
    decided = f"({judgement.decided} of {counted(len(judgement.compared), 'comparison')}"
    decided += " decided)"
    if judgement.answer == "not measured":
        return "not measured"
    if judgement.answer == "open":
        if any(one.ratio.interval for one in judgement.compared):
            return f"open: chance or this machine's noise can explain all differences {decided}"
        return f"open: too few launches; it takes {FEWEST_LAUNCHES} (--budget) {decided}"
    if judgement.answer != "depends":
        little = 2 * judgement.decided < len(judgement.compared)
        where = " where anything is decided, which is little" if little else ""
        return f"{yes if judgement.answer == 'holds' else no}{where} {decided}"
    if not judgement.depends_on:
        return f"depends on more than a sentence can tell: see the rows {decided}"
    said = [(yes, judgement.agrees), (no, judgement.contradicts)]
    told = [f"{word} {terms_text(terms)}" for word, terms in said if terms]
    told += [f"{word} otherwise" for word, terms in said if not terms]
    on = _listed([_DIMENSIONS[dimension] for dimension in judgement.depends_on])
    return f"depends on {on}: {'; '.join(told)} {decided}"


def terms_text(terms: Sequence[Term]) -> str:
    """Terms in words: `for throughput at 64 B on one core and for round trips`."""
    return _listed([_term_text(term) for term in terms])


def says_text(claim: Claim, says: Says) -> str:
    """The outcome of a comparison, in a word."""
    yes, no = _sides(claim)
    if says == "undecided":
        return "open"
    if claim.asserts == "which":
        return yes if says == "agrees" else no
    return "agrees" if says == "agrees" else "against"


def buffers_text(buffers: Sequence[Buffer]) -> str:
    """The sizes of buffers in words, by transport."""
    each: dict[str, list[str]] = {}
    for buffer in buffers:
        sizes = "/".join(map(units.display_size, buffer.sizes_bytes))
        each.setdefault(buffer.transport, []).append(f"{sizes} {_BUFFERS[buffer.name]}")
    told = [f"{transport} {', '.join(sizes)}" for transport, sizes in each.items()]
    return f"buffers here: {'; '.join(told)}"


def _sides(claim: Claim) -> tuple[str, str]:
    if claim.asserts == "which":
        return claim.subjects[0], claim.others[0]
    return "holds", "fails"


def _term_text(term: Term) -> str:
    values = dict(term.values)
    kinds = [WORDS[name].plural for name in values.get("workload", ())]
    of = "of" if kinds else "for"
    said = [f"for {_listed(kinds)}"] if kinds else []
    if "subject" in values:
        said.append(f"{of} {_listed(values['subject'])}")
    if "other" in values:
        said.append(f"beside {_listed(values['other'])}")
    if "size" in values:
        said.append(f"at {_listed([units.display_size(int(size)) for size in values['size']])}")
    if "placement" in values:
        said.append(_listed([_PLACES.get(name, f"on {name}") for name in values["placement"]]))
    if "loop" in values:
        said.append(f"in the {_listed(values['loop'])} loop")
    return " ".join(said)


def _listed(words: Sequence[str]) -> str:
    """Joins words in a sentence: `a`, `a and b`, `a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _table(judgement: Judgement, loop: str) -> Table:
    """A table of the comparisons in one loop; several pairs of transports have a heading each."""
    claim = judgement.claim
    first, second = _titles(claim)
    table = bare_table()
    table.add_column(f"{loop} loop")
    for title in (first, second, f"{first} is", "95%"):
        table.add_column(title, justify="right")
    table.add_column("says")
    pair = None
    for one in judgement.compared:
        if one.comparison.subject.loop != loop:
            continue
        names = (one.comparison.subject.transport, one.comparison.other.transport)
        if names != pair and len(claim.subjects) * len(claim.others) > 1:
            table.add_row(escape(f"{names[0]} beside {names[1]}"), style="italic")
        pair = names
        table.add_row(*map(escape, _cells(claim, one)))
    return table


def _titles(claim: Claim) -> tuple[str, str]:
    if len(claim.subjects) * len(claim.others) > 1:
        return "socket", "other"
    return claim.subjects[0], claim.others[0]


def _cells(claim: Claim, one: Compared) -> tuple[str, ...]:
    case, ratio = one.comparison.subject, one.ratio
    size = "" if case.workload == "connect" else f" {units.display_size(case.message_size_bytes)}"
    interval = "" if ratio.interval is None else interval_text(*ratio.interval, ratio.estimate)
    return (
        f"{WORDS[case.workload].short}{size} {case.placement}",
        units.display_time(one.time_s),
        units.display_time(one.other_time_s),
        ratio_text(ratio.estimate, one.says),  # whether it is decided, the last column says
        interval,
        says_text(claim, one.says),
    )


def _legend(judgements: Sequence[Judgement], noise_floor: float) -> Iterator[RenderableType]:
    """Yields lines that explain the words in the tables."""
    compared = sum(len(judgement.compared) for judgement in judgements)
    if not compared:
        return
    low, high = ALIKE
    floor = f" (its noise floor: {units.display_percent(noise_floor)})" if noise_floor else ""
    yield Text("times: a full round trip, a message of a stream, or a connection; less is better")
    yield Text(f"agrees, against: at most 5% of what these {compared} comparisons decide is false")
    yield Text(f"open: chance or this machine's noise{floor} can explain it")
    yield Text(f"'not much': the ratio of times is surely between {low:.2f} and {high:.2f}")
