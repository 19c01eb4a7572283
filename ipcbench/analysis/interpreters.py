"""Compares what several interpreters measured in one run: each later one with the first. Pure."""

from collections.abc import Collection, Mapping, Sequence
from statistics import median

from ipcbench.analysis.diff import (
    Change,
    RunComparison,
    Side,
    Uncompared,
    compare_sides,
    lacking,
)
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.launch_frame import noise_floor_of
from ipcbench.analysis.measures import MEASURES, Measure
from ipcbench.analysis.stats import Interval, Ratio
from ipcbench.case import Case
from ipcbench.results.launches import Launch, mechanisms
from ipcbench.results.metadata import INTERPRETERS_KEY, MECHANISM
from ipcbench.results.store import Results

_TABLE = ["workload", "message_size_bytes", "placement", "loop"]
"""Columns that are equal in a table of one interpreter, whose verdicts are computed together."""


def compare_interpreters(
    results: Results, analysis: Analysis, measures: Collection[Measure] = ()
) -> list[RunComparison]:
    """Compares each later interpreter with the first, by the rounds that both were launched in.

    Changes of times are the ratios and verdicts of the frame of cases, turn by turn. Other
    measures have one number a launch, and are compared round by round.
    """
    first, *later = labels_of(results) or [""]
    found = []
    for label in later:
        old, new = (_side(results, name, label) for name in (first, label))
        floor = noise_floor_of(analysis.launches)
        changes_of: dict[Measure, Sequence[Change]] = {"time": _times(analysis, old, new)}
        uncompared = lacking(old, new)
        compared = {change.case for change in changes_of["time"]}
        uncompared += [
            Uncompared(case, _why_uncompared(case), "time")
            for case in (old.launches.keys() & new.launches.keys()) - compared
        ]
        for measure in MEASURES:
            if measure != "time" and measure in measures:
                changes_of[measure], more = compare_sides(old, new, measure, floor, _by_round)
                uncompared += more
        found.append(
            RunComparison(
                changes_of, uncompared, [], floor, first, label, "noise floor within a run"
            )
        )
    return found


def _why_uncompared(case: Case) -> str:
    if case.definition.quantity == "response":
        return "no ratio is told of response times at a rate"
    return "no launches of both in one round"


def labels_of(results: Results) -> list[str]:
    """The labels of a run's interpreters, the first one first, even of one without a launch."""
    cases = [launch.case for launch in results.launches()]
    cases += [item.case for item in results.unmeasured.values()]
    named = sorted({case.interpreter for case in cases} - {""})
    asked = (str(launch.facts.get(INTERPRETERS_KEY, "")) for launch in results.launches())
    order = next(asked, "").split(",")
    return sorted(named, key=lambda label: order.index(label) if label in order else len(order))


def _side(results: Results, name: str, label: str) -> Side:
    """The part of a run that the interpreter `name` measured, under the cases of `label`."""
    measured = mechanisms(results.counted())
    controls = {launch.case for launch in results.launches() if not launch.is_mechanism}
    return Side(
        name,
        {
            case._replace(interpreter=label): launches
            for case, launches in measured.items()
            if case.interpreter == name
        },
        {
            item.case._replace(interpreter=label): item
            for item in results.unmeasured.values()
            if item.case.interpreter == name and item.case not in controls
        },
    )


def _by_round(launches: Sequence[Launch]) -> Mapping[object, Launch]:
    return {launch.key: launch for launch in launches}


def _times(analysis: Analysis, first: Side, later: Side) -> list[Change]:
    """The changes of times, in the order of the tables."""
    frame = analysis.cases
    known = frame[
        frame["time_to_first_interpreter_ratio"].notna()
        & (frame["interpreter"] == later.name)
        & (frame["first_interpreter"] == first.name)
        & (frame["role"] == MECHANISM)
    ]
    changes = []
    for _, table in known.groupby(_TABLE, sort=False):
        for row in table.to_dict("records"):
            case = Case.parse(str(row["case"]))
            old, new = (side.launches[case] for side in (first, later))
            verdict = row["first_interpreter_verdict"]
            is_sure = isinstance(verdict, str)  # else missing, as pandas has it
            bounds = (
                float(row[f"time_to_first_interpreter_{end}_ratio"]) if is_sure else 0.0
                for end in ("low", "high")
            )
            ratio = Ratio(
                float(row["time_to_first_interpreter_ratio"]),
                Interval(*bounds) if is_sure else None,
                float(row["first_interpreter_p_value"]) if is_sure else None,
            )
            changes.append(
                Change(
                    case,
                    "time",
                    _median_s(old),
                    _median_s(new),
                    ratio,
                    verdict if is_sure else None,
                    len(_by_round(old).keys() & _by_round(new).keys()),
                    len(table),
                )
            )
    return changes


def _median_s(launches: Sequence[Launch]) -> float:
    return median(launch.time_s for launch in launches)
