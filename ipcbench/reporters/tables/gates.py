"""The answers of gates, as parts of the model and as messages. Pure."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from ipcbench.analysis.gates import CaseResult, GateResult
from ipcbench.reporters.model import Blank, Cell, Grid, GridColumn, GridRow, Line, Part
from ipcbench.reporters.tables.diff import interval_text
from ipcbench.text import counted
from ipcbench.units import display_change

MOST_LISTED = 10
"""Most cases of a gate that are told one by one; the rest is counted."""

_GATES = (
    GridColumn("gate", "gate", is_number=False),
    GridColumn("compared", "versus", is_number=False),
    GridColumn("answer", "answer", is_number=False),
    GridColumn("judged", "judged_cases_count"),
    GridColumn("tripped", "tripped_cases_count"),
    GridColumn("not judged", "unjudged_cases_count"),
)
_CASES = (
    GridColumn("gate", "gate", is_number=False),
    GridColumn("case", "case", is_number=False),
    GridColumn("answer", "answer", is_number=False),
    GridColumn("why", "why", is_number=False),
)


def gate_parts(results: Sequence[GateResult]) -> Iterator[Part]:
    """Yields a row a gate, then a row for each case that wasn't passed, then the notes."""
    if not results:
        return
    yield Blank()
    yield Grid("Gates: answers, and numbers of cases", _GATES, [_gate_row(one) for one in results])
    rows = [
        GridRow(
            (
                Cell(one.gate.text, one.gate.text),
                Cell(case.case.id, case.case.id),
                Cell(case.outcome, case.outcome),
                Cell(why_text(case), why_text(case)),
            )
        )
        for one in results
        for case in (*one.of("tripped"), *one.of("not judged"))
    ]
    if rows:
        yield Grid("Cases that a gate didn't pass", _CASES, rows)
    yield from (Line(note, "warning") for note in gate_notes(results))


def gate_messages(one: GateResult) -> Iterator[str]:
    """Yields a message for each case that tripped the gate, and one for all that weren't judged.

    Nothing for a gate that passed.
    """
    tripped, unjudged = one.of("tripped"), one.of("not judged")
    for case in tripped[:MOST_LISTED]:
        yield f"gate tripped: {one.gate.text}: {case.case.id}: {why_text(case)}"
    if len(tripped) > MOST_LISTED:
        more = counted(len(tripped) - MOST_LISTED, "more case")
        yield f"gate tripped: {one.gate.text}: by {more}"
    if one.why and not one.judged_count:
        yield f"gate not judged: {one.gate.text}: {one.why}"
    elif unjudged:
        of = f"{len(unjudged)} of {counted(len(one.cases), 'case')}"
        first = f"{unjudged[0].case.id}: {unjudged[0].why}"
        more = "" if len(unjudged) == 1 else f"; and {len(unjudged) - 1} more"
        yield f"gate not judged: {one.gate.text}: {of}: {first}{more}"


def gate_notes(results: Sequence[GateResult]) -> Iterator[str]:
    """Yields the notes on answers, each with all gates that it is about: `gate cpu>5%: ...`."""
    gates: dict[str, list[str]] = {}
    for one in results:
        for note in one.notes:
            gates.setdefault(note, []).append(one.gate.text)
    for note, texts in gates.items():
        several = "gates" if len(texts) > 1 else "gate"
        yield f"{several} {', '.join(texts)}: {note}"


def why_text(case: CaseResult) -> str:
    """The change that a case was judged by, or the reason why it wasn't."""
    match case.outcome:
        case "not judged":
            return case.why
        case "passed" | "tripped":
            change = case.change
            if change is None:
                return ""
            return f"{display_change(change.moved)} (95%: {interval_text(change)})"
        case _:
            assert_never(case.outcome)


def _gate_row(one: GateResult) -> GridRow:
    counts = [len(one.of("tripped")), len(one.of("not judged"))]
    return GridRow(
        (
            Cell(one.gate.text, one.gate.text),
            Cell(one.versus, one.versus),
            Cell(one.outcome, one.outcome),
            Cell(str(one.judged_count), one.judged_count),
            *(Cell(str(count), count) for count in counts),
        )
    )
