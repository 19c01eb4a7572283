"""The answers to common claims, as parts of the model. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from ipcbench import units
from ipcbench.analysis.comparisons import ALIKE, Claim, Comparison
from ipcbench.analysis.floors import UNKNOWN, Floor
from ipcbench.analysis.judging import (
    Answer,
    Buffer,
    ByCongestion,
    Compared,
    Dimension,
    Judgement,
    Says,
    traits,
)
from ipcbench.analysis.stats import FEWEST_LAUNCHES
from ipcbench.reporters.model import (
    Blank,
    Cell,
    Grid,
    GridColumn,
    GridRow,
    Heading,
    Line,
    LineKind,
    Part,
)
from ipcbench.reporters.tables.claim_crowds import at_saturation, lack_text
from ipcbench.reporters.tables.claim_words import (
    conditions_text,
    control_text,
    place_text,
    sides,
)
from ipcbench.reporters.tables.columns import definition, interval_text, knobs_text, ratio_text
from ipcbench.reporters.tables.floors import floor_text
from ipcbench.reporters.tables.words import listed
from ipcbench.terms import Term
from ipcbench.text import counted
from ipcbench.workloads import without_clients

_KINDS: Mapping[Answer, LineKind] = {
    "holds": "good",
    "fails": "bad",
    "depends": "mixed",
    "open": "plain",
    "not measured": "plain",
}
_ANSWERS = (("claim", "claim"), ("here", "answer"))
_DIMENSIONS: dict[Dimension, str] = {
    "workload": "the workload",
    "clients": "the number of clients",
    "other": "what it is beside",
    "size": "the size",
    "placement": "the placement",
    "congestion": "TCP's congestion control",
    "loop": "the loop",
    "interpreter": "the interpreter",
}
_BUFFERS = {
    "client_so_sndbuf_bytes": "to send",
    "server_so_rcvbuf_bytes": "to receive",
    "client_pipe_size_bytes": "in it",
}


def claim_parts(judgements: Sequence[Judgement], noise_floor: Floor = UNKNOWN) -> Iterator[Part]:
    """Yields each claim with its answer, its caveat and its comparisons; then a legend."""
    for judgement in judgements:
        claim = judgement.claim
        yield Heading(f'"{claim.quote}"', {"claim": claim.name, "answer": judgement.answer})
        yield Line(f"-> {answer_text(judgement)}", _KINDS[judgement.answer])
        for text in _more(judgement):
            yield Line(f"   {text}")
        yield Line(claim.caveat, "quiet")
        if judgement.buffers:
            yield Line(buffers_text(judgement.buffers), "quiet")
        for loop in dict.fromkeys(one.comparison.subject.loop for one in judgement.compared):
            yield Blank()
            yield _table(judgement, loop)
        yield Blank()
    yield from _legend(judgements, noise_floor)


def answers(judgements: Sequence[Judgement]) -> Grid:
    """The table with a row a claim: its text, and the answer here."""
    columns = [GridColumn(name, key, is_number=False) for name, key in _ANSWERS]
    rows = [
        GridRow((Cell(one.claim.quote, one.claim.name), Cell(_answer_and_rest(one), one.answer)))
        for one in judgements
    ]
    return Grid("Claims", columns, rows)


def answer_text(judgement: Judgement) -> str:
    """The answer in words, with its conditions: `holds (12 of 12 comparisons decided)`."""
    yes, no = sides(judgement.claim)
    decided = f"({judgement.decided} of {counted(len(judgement.compared), 'comparison')}"
    decided += " decided)"
    little = 2 * judgement.decided < len(judgement.compared)
    where = " where anything is decided, which is little" if little else ""
    match judgement.answer:
        case "not measured":
            needs = judgement.claim.needs
            return f"can't tell: not measured; it needs {needs}" if needs else "not measured"
        case "open":
            if judgement.compared and all(one.unsaturated for one in judgement.compared):
                lacks = dict.fromkeys(map(lack_text, judgement.compared))
                return f"can't tell here: {'; '.join(lacks)} {decided}"
            if any(one.ratio.interval for one in judgement.compared):
                return f"open: chance or this machine's noise can explain all differences {decided}"
            return f"open: too few launches; it takes {FEWEST_LAUNCHES} (--budget) {decided}"
        case "holds":
            return f"{yes}{where} {decided}"
        case "fails":
            return f"{no}{where} {decided}"
        case "depends":
            return f"depends on {_conditions(judgement)} {decided}"
        case _:
            assert_never(judgement.answer)


def _answer_and_rest(judgement: Judgement) -> str:
    return "; ".join([answer_text(judgement), *_more(judgement)])


def _more(judgement: Judgement) -> Iterator[str]:
    """Yields what is told of an answer beside it."""
    yield from rests_on(judgement)
    yield from throughputs(judgement)
    yield from at_saturation(judgement)


def rests_on(judgement: Judgement) -> Iterator[str]:
    """Yields sentences on the surroundings that an answer rests on: TCP's congestion control.

    For example: `throughput at 64 KiB on one core: with bbr 1.92x faster; with cubic no difference`
    """
    if not judgement.claim.tells_congestion or not judgement.compared:
        return
    controls = [control_text(control) for control in judgement.congestion]
    if not controls:
        yield "TCP's congestion control was not recorded; the answer may rest on it"
    elif len(controls) == 1:
        yield f"TCP's congestion control was {controls[0]}; not measured under another one"
    elif not any(one.differs for one in judgement.by_congestion):
        yield f"no sure difference between TCP's congestion controls {listed(controls)}"
    # The claim names the transports; a loop is named where there are several.
    loops = {one.comparison.subject.loop for one in judgement.compared}
    implied = ("subject", "other", "clients", "loop" if len(loops) == 1 else "")
    for one in judgement.by_congestion:
        if one.differs:
            yield _by_control(one, implied)


def throughputs(judgement: Judgement) -> Iterator[str]:
    """Yields sentences on what several messages in flight bring, for a claim that is about them.

    `unix at 64 B on one core: 3.10x the messages with 16 in flight; response time: 5.16x slower`
    """
    loops = {one.comparison.subject.loop for one in judgement.compared}
    implied = ("clients", "loop") if len(loops) == 1 else ("clients",)
    for one in judgement.compared:
        subject, other = one.comparison.cases
        window, deeper = subject.flow.window, subject.flow.window / other.flow.window
        if one.comparison.is_with_itself and deeper > 1:
            # Messages in flight are throughput x response time (Little 1961), of both cases.
            gain = units.three_digits(deeper / one.ratio.estimate)
            where = place_text(tuple(traits(one.comparison).items()), implied)
            brings = f"{gain}x the messages with {window} in flight"
            yield f"{where}: {brings}; response time: {_outcome(one)}"


def _by_control(one: ByCongestion, implied: Sequence[str]) -> str:
    """The outcomes under each congestion control, those that are equal together."""
    under: dict[str, list[str]] = {}
    for compared in one.compared:
        control = control_text(compared.comparison.congestion)
        under.setdefault(_outcome(compared), []).append(control)
    told = [f"with {listed(controls)} {outcome}" for outcome, controls in under.items()]
    where = place_text([(name, value) for name, (value,) in one.where.values], implied)
    return f"{where}: {'; '.join(told)}"


def _outcome(one: Compared) -> str:
    """A ratio in words; a difference below that of ALIKE that isn't decided is none."""
    if one.says != "undecided":
        return ratio_text(one.ratio.estimate, one.says)
    interval = one.ratio.interval
    low, high = ALIKE
    is_alike = interval is not None and low < interval.low and interval.high < high
    return "no difference" if is_alike else "open"


def _conditions(judgement: Judgement) -> str:
    """The dimensions that an answer depends on, and how, in words."""
    if not judgement.depends_on:
        return "more than a sentence can tell: see the rows"
    yes, no = sides(judgement.claim)
    said = [(yes, judgement.agrees), (no, judgement.contradicts)]
    told = [f"{word} {conditions_text(conditions)}" for word, conditions in said if conditions]
    told += [f"{word} otherwise" for word, conditions in said if not conditions]
    dimensions: Mapping[Dimension, str] = {**_DIMENSIONS, "subject": judgement.claim.subjects_are}
    on = listed([dimensions[dimension] for dimension in judgement.depends_on])
    return f"{on}: {'; '.join(told)}"


def says_text(claim: Claim, says: Says) -> str:
    """The outcome of a comparison, in a word."""
    yes, no = sides(claim)
    match says:
        case "undecided":
            return "open"
        case "agrees":
            return yes if claim.asserts == "which" else "agrees"
        case "contradicts":
            return no if claim.asserts == "which" else "against"
        case _:
            assert_never(says)


def buffers_text(buffers: Sequence[Buffer]) -> str:
    """The sizes of buffers in words, by transport."""
    each: dict[str, list[str]] = {}
    for buffer in buffers:
        sizes = "/".join(map(units.display_size, buffer.sizes_bytes))
        each.setdefault(buffer.transport, []).append(f"{sizes} {_BUFFERS[buffer.name]}")
    told = [f"{transport} {', '.join(sizes)}" for transport, sizes in each.items()]
    return f"buffers here: {'; '.join(told)}"


def _table(judgement: Judgement, loop: str) -> Grid:
    """A table of the comparisons in one loop; several pairs of transports have a heading each."""
    claim = judgement.claim
    first, second = _titles(claim)
    has_pairs = len(claim.subjects) * len(claim.others) != 1 or any(
        one.comparison.other.transport not in claim.others for one in judgement.compared
    )
    columns = (
        GridColumn(f"{loop} loop", "case", is_number=False),
        GridColumn(first, "time_median_s"),
        GridColumn(second, "other_time_median_s"),
        GridColumn(f"{first} is", "time_to_other_ratio"),
        GridColumn("95%", "time_to_other_low_ratio"),
        GridColumn("says", "says", is_number=False),
    )
    rows = []
    pair = None
    for one in judgement.compared:
        if one.comparison.subject.loop != loop:
            continue
        names = (one.comparison.subject.transport, one.comparison.other.transport)
        if names != pair and has_pairs:
            rows.append(GridRow([Cell(_pair_text(one.comparison))], "heading"))
        pair = names
        rows.append(_row(claim, one))
    return Grid("", columns, rows, {"claim": claim.name, "loop": loop})


def _pair_text(comparison: Comparison) -> str:
    """Both transports, and knobs of the workload: `unix beside inet with cubic`."""
    subject, other = (case.transport for case in comparison.cases)
    knobs = knobs_text(without_clients(comparison.subject.workload))
    if comparison.is_with_itself:
        return f"{subject}{knobs} beside itself{knobs_text(comparison.other.workload)}"
    if not comparison.congestion:
        return f"{subject} beside {other}{knobs}"
    control = control_text(comparison.congestion)
    return f"{subject} beside {Term.parse(other).name} with {control}"


def _titles(claim: Claim) -> tuple[str, str]:
    if len(claim.subjects) * len(claim.others) != 1:
        return claim.titles
    return claim.subjects[0], claim.others[0]


def _row(claim: Claim, one: Compared) -> GridRow:
    (case, other), ratio = one.comparison.cases, one.ratio
    row = definition(case.workload)
    has_size = row.fixed_size_bytes is None
    size = f" {units.display_size(case.message_size_bytes)}" if has_size else ""
    interval = "" if ratio.interval is None else interval_text(*ratio.interval, ratio.estimate)
    low, high = (None, None) if ratio.interval is None else ratio.interval
    # Whether the ratio is decided, the last column says.
    faster = ratio_text(ratio.estimate, one.says)
    label = f" {case.interpreter}" if case.interpreter else ""
    many = f", {case.clients.number} clients" if case.clients.number > 1 else ""
    named = f"{row.words.short}{size} {case.placement}{label}{many}"
    return GridRow(
        (
            Cell(named, case.id, {"other_case": other.id}),
            Cell(units.display_time(one.time_s), one.time_s),
            Cell(units.display_time(one.other_time_s), one.other_time_s),
            Cell(faster, ratio.estimate),
            Cell(interval, low, {"time_to_other_high_ratio": high}),
            Cell("can't tell" if one.unsaturated else says_text(claim, one.says), one.says),
        )
    )


def _legend(judgements: Sequence[Judgement], noise_floor: Floor) -> Iterator[Line]:
    """Yields lines that explain the words in the tables."""
    compared = sum(len(judgement.compared) for judgement in judgements)
    if not compared:
        return
    low, high = ALIKE
    floor = f" (its noise floor: {floor_text(noise_floor)})" if noise_floor.ratio else ""
    yield Line("times: a full round trip, a message of a stream, or a connection; less is better")
    yield Line(f"agrees, against: at most 5% of what these {compared} comparisons decide is false")
    yield Line(f"open: chance or this machine's noise{floor} can explain it")
    yield Line(f"'not much': the ratio of times is surely between {low:.2f} and {high:.2f}")
