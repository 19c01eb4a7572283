"""The frame of cases that every reporter reads: one row each, with ratios and flags."""

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple, assert_never

import pandas as pd

from ipcbench.analysis import load
from ipcbench.analysis.bounds import Bound, Need, bound
from ipcbench.analysis.capacity import Step
from ipcbench.analysis.crowds import (
    CROWD_COLUMNS,
    FAILURE_COLUMNS,
    MEMORY_COLUMNS,
    crowd_columns,
    rates,
)
from ipcbench.analysis.ladder import LADDER_COLUMNS, columns_of_place, ladder_columns
from ipcbench.analysis.launch_frame import (
    MACHINE,
    Measurements,
    by_round,
    histogram_of,
    interpreters_of,
    launches,
    noise_floor_of,
)
from ipcbench.analysis.objective import Objective, objective_of
from ipcbench.analysis.searches import steps
from ipcbench.analysis.stats import Ratio, alternating_ratio, median_interval, spread, verdicts
from ipcbench.analysis.warnings import Objection, flags_by_case, objections
from ipcbench.case import Case, is_on_one_cpu
from ipcbench.errors import UsageError
from ipcbench.results import metadata
from ipcbench.results.collection import Collection
from ipcbench.results.metadata import MECHANISM
from ipcbench.workloads import GAP, WORK, place_of

PERCENTILES = {
    "round_trip_min_s": 0.0,
    "round_trip_p50_s": 0.5,
    "round_trip_p90_s": 0.9,
    "round_trip_p99_s": 0.99,
    "round_trip_p99_9_s": 0.999,
    "round_trip_max_s": 1.0,
}
"""Columns of single round trips of the sampled bursts, each with its percentile as a share."""

COSTS = tuple(
    f"{what}_{side}_{unit}"
    for side in ("client", "server")
    for what, unit in (
        ("cpu_user", "s_per_message"),
        ("cpu_system", "s_per_message"),
        ("voluntary_switches", "per_message"),
        ("involuntary_switches", "per_message"),
        ("page_faults", "count"),
    )
)
"""Columns of the costs a message has at each end in timed batches, medians over launches.

Page faults are those of all batches of a launch.
"""

AGAINST_FIRST = (
    "first_interpreter",
    "time_to_first_interpreter_ratio",
    "time_to_first_interpreter_low_ratio",
    "time_to_first_interpreter_high_ratio",
    "first_interpreter_p_value",
    "first_interpreter_verdict",
)
"""Columns that compare a case with the same case by the first of several interpreters."""

RHYTHM = (
    "gap_s",
    "gap_in_force_s",
    "gap_by",
    "work_s",
    "work_touches_bytes",
    "mechanism_share_ratio",
)
"""Columns of what the ends do between messages, as asked for, and as it came out.

The last one is the share of a request that isn't the server's work, where one is in flight. Empty
where the workload has no such knob.
"""

IN_FLIGHT = ("in_flight_count", "messages_per_s")
"""Columns of the round trips that are in flight at once, and of the messages answered a second.

The rate is empty with a gap, which is in no time, and that of many clients is of their common
window. Both are empty where the times aren't of round trips.
"""

NEEDS = tuple(
    f"cpu_{what}_{side}_ratio" for side in ("client", "server") for what in ("busy", "queued")
)
"""Columns of the share of its batches' time that an end ran, or waited for a CPU; medians."""

TIMES = (
    "time_median_s",
    "time_min_s",
    "time_lower_quartile_s",
    "time_upper_quartile_s",
    "time_max_s",
    "time_interval_low_s",
    "time_interval_high_s",
    "spread_ratio",
)
"""Columns of the times of launches.

Empty for a case of the open loop that isn't steady: its times say how long was measured.
"""

CASE_COLUMNS = (
    "case",
    *(name for name in Case._fields if name != "interpreter"),
    "role",
    "status",
    "reason",
    "quantity",
    "launches_count",
    "values_count",
    "messages_count",
    "messages_checked_count",
    *TIMES,
    "baseline",
    "time_to_baseline_ratio",
    "time_to_baseline_low_ratio",
    "time_to_baseline_high_ratio",
    "p_value",
    "verdict",
    "time_over_native_s",
    "time_to_native_ratio",
    "time_to_native_low_ratio",
    "time_to_native_high_ratio",
    "throughput_messages_per_s",
    "throughput_bytes_per_s",
    "connections_per_s",
    *PERCENTILES,
    "round_trip_samples_count",
    *COSTS,
    "timed_s",
    "flags",
    *metadata.COLUMNS,
    # At the end, so that columns of before keep their places.
    "interpreter",
    *AGAINST_FIRST,
    *LADDER_COLUMNS,
    *metadata.LATER_COLUMNS,
    *RHYTHM,
    *NEEDS,
    "ran_out",
    *IN_FLIGHT,
    *load.LOAD_COLUMNS,
    *CROWD_COLUMNS,
    *MEMORY_COLUMNS,
    *FAILURE_COLUMNS,
)
"""The columns of `cases` that a CSV has, in order; each is always present."""

MEASURED = "measured"
"""The `status` of a case with a number; every other one says why there is none."""


class Analysis(NamedTuple):
    """Results with the frames and objections computed from them, for every reporter."""

    results: Measurements
    cases: pd.DataFrame
    launches: pd.DataFrame
    objections: list[Objection]
    objective: Objective | None = None
    """The objective that the rates of an open loop are judged by, if there is one."""
    searches: Mapping[str, Step] = MappingProxyType({})
    """How far the searches for it have come, by the ids of their cases; see `searches.steps`."""


def analyse(
    results: Measurements, baseline: str | None = None, objective: Objective | None = None
) -> Analysis:
    """Computes the frames of results, with ratios against `baseline`, and the objections.

    `objective` is by default the one that the run was made for.
    """
    table = launches(results)
    found = objections(results, table)
    cases = _cases(results, table, found, baseline)
    wanted = objective or objective_of(table)
    return Analysis(results, cases, table, found, wanted, steps(results, table, cases, wanted))


def baseline_of(cases: pd.DataFrame) -> str | None:
    """The baseline that rows of `cases` have their ratios against; None if they have no ratio."""
    named = cases["baseline"].dropna()
    return None if named.empty else str(named.iloc[0])


def cases(results: Measurements, baseline: str | None = None) -> pd.DataFrame:
    """One row a case with the columns CASE_COLUMNS and MACHINE, in the order of the tables.

    The order is by workload, size, placement, loop and interpreter; then measured mechanisms,
    fastest first; then controls; then cases without a number. A case that failed in a file has no
    number from it, even if some of its launches have one; if another file measured it, `reason`
    tells of that.
    Ratios are against the same case over `baseline`, by default the one the run was made with;
    without a number for it, there is no ratio. Cases of the open loop have none: they are compared
    by the rate that they keep up with.

    The verdicts of one table (a workload, size, placement, loop and interpreter) are computed
    together, and against the noise floor that the run was made with. So are those on an interpreter
    against the first one. The cases of each machine stand alone.
    """
    return analyse(results, baseline).cases


def _cases(
    results: Measurements, table: pd.DataFrame, found: list[Objection], baseline: str | None
) -> pd.DataFrame:
    rows = [
        row
        for _, own in (table.groupby(MACHINE, sort=False) if len(table) else ())
        for row in _rows_of_machine(own, baseline)
    ]
    rows += [
        {"case": item.case.id, "role": MECHANISM, "status": item.status, "reason": item.reason}
        | item.case._asdict()
        | columns_of_place(item.case)
        | _rhythm(item.case)
        | _in_flight(item.case)
        | load.asked_columns(item.case)
        | crowd_columns(item.case)
        for item in results.unmeasured.values()
    ]
    gaps, flags = _gaps(results), flags_by_case(found)
    for row in rows:
        row["flags"] = flags.get((row.get(MACHINE, ""), row["case"]))
        row.setdefault("reason", gaps.get(row["case"]))
    labels = interpreters_of(table)
    rows.sort(key=lambda row: _table_order(row, labels))
    return pd.DataFrame(rows, columns=[*CASE_COLUMNS, MACHINE]).convert_dtypes()


def _rows_of_machine(table: pd.DataFrame, baseline: str | None) -> list[dict[str, Any]]:
    """The rows of the cases with a number, from all launches of one machine."""
    counted = table[table["is_counted"]]
    every = {str(name): group for name, group in counted.groupby("case")}
    groups = {name: one for name, one in every.items() if not load.is_open_loop(_workload(one))}
    if baseline is None and groups:
        baseline = str(table["baseline"].iloc[-1])
    ratios = _ratios(groups, baseline)
    judged = {name: one for name, one in ratios.items() if (one.estimate, one.p_value) != (1, 1)}
    said = _verdicts(judged, noise_floor_of(table))  # not on the baseline against itself
    first = next(iter(interpreters_of(table)), "")
    against_first = _against_first(groups, first, noise_floor_of(table))
    of_rungs = ladder_columns(groups, noise_floor_of(table))
    rows = [
        _measured(Case.parse(name), group)
        | _compared(baseline, ratios.get(name), said.get(name))
        | against_first.get(name, {})
        | of_rungs.get(name, {})
        | _python_tax(Case.parse(name), groups)
        for name, group in every.items()
    ]
    peaks = load.peaks(rows)
    return [row | _of_peak(row, peaks.get(row["case"])) for row in rows]


def _workload(group: pd.DataFrame) -> str:
    return str(group["workload"].iloc[0])


def _of_peak(row: Mapping[str, Any], peak_per_s: float | None) -> dict[str, Any]:
    """The columns that set the rate of an open loop beside what a closed one answers."""
    if peak_per_s is None:
        return {}
    return {load.PEAK: peak_per_s, load.OF_PEAK: row["rate_per_s"] / peak_per_s}


def _gaps(results: Measurements) -> dict[str, str]:
    """Gaps of single files in a measured case, by case id."""
    found: dict[str, list[str]] = {}
    for gap in results.gaps if isinstance(results, Collection) else ():
        item = gap.unmeasured
        found.setdefault(item.case.id, []).append(f"{item.status} in {gap.file}: {item.reason}")
    return {case: "; ".join(texts) for case, texts in found.items()}


def check_baseline(results: Measurements, baseline: str) -> None:
    """Raises UsageError unless the results have this transport, with or without a number."""
    tried = {launch.case.transport for launch in results.launches()}
    tried |= {item.case.transport for item in results.unmeasured.values()}
    if baseline not in tried:
        names = ", ".join(sorted(tried))
        raise UsageError(f"baseline {baseline!r} is not among the measured: {names}")


def _measured(case: Case, group: pd.DataFrame) -> dict[str, Any]:
    times = group["time_s"].tolist()
    across, interval = spread(times), median_interval(times)
    row: dict[str, Any] = case._asdict() | {
        "case": case.id,
        MACHINE: group[MACHINE].iloc[0],
        "role": group["role"].iloc[0],
        "status": MEASURED,
        "quantity": case.definition.quantity,
        "launches_count": len(group),
        "values_count": int(group["values_count"].sum()),
        "messages_count": int(group["messages_count"].sum()),
        "messages_checked_count": int(group["messages_checked"].sum()),
        "time_median_s": across.median,
        "time_min_s": across.least,
        "time_lower_quartile_s": across.lower_quartile,
        "time_upper_quartile_s": across.upper_quartile,
        "time_max_s": across.most,
        "spread_ratio": across.relative_iqr if len(group) > 1 else None,
        "timed_s": float(group["timed_s"].sum()),
    }
    if interval is not None:
        row["time_interval_low_s"], row["time_interval_high_s"] = interval
    row |= _rhythm(case) | _in_flight(case, across.median) | load.asked_columns(case)
    row |= crowd_columns(case, group)
    if case.clients.number > 1 and row.get("messages_per_s") is not None:
        row["messages_per_s"] = rates(group).median()
    if "gap_in_force_s" in group:
        row["gap_in_force_s"] = group["gap_in_force_s"].median()
    # With more in flight, or at a rate, a reply waits for the work of others.
    takes_turns = case.definition.quantity == "round_trip" and row["in_flight_count"] == 1
    if case.rhythm.work_s and takes_turns and row["role"] == MECHANISM:  # a control doesn't work
        row["mechanism_share_ratio"] = 1 - case.rhythm.work_s / across.median
    row |= _rates(case, across.median, moves_payload=row["role"] == MECHANISM)
    row |= {name: group[name].median() for name in (*COSTS, *NEEDS) if name in group}
    is_open = load.is_open_loop(case.workload)
    row["ran_out"] = load.ran_out(case, row, group) if is_open else _ran_out(case, row)
    facts = (*metadata.COLUMNS, *metadata.LATER_COLUMNS)
    row |= {name: group[name].iloc[0] for name in facts if name in group}
    return _of_open_loop(row, group) if is_open else row | _percentiles(group)


def _of_open_loop(row: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    """The row of a case of the open loop; without times, unless it is steady."""
    found = load.load_columns(group)
    is_steady = found.get(load.STATE, "ok") == "ok"
    return {key: value for key, value in row.items() if is_steady or key not in TIMES} | found


def _ran_out(case: Case, row: Mapping[str, Any]) -> Bound | None:
    """The end that ran out of CPU time; None for a control, and where it wasn't recorded."""
    needs = []
    for side in ("client", "server"):
        busy, queued = (row.get(f"cpu_{what}_{side}_ratio") for what in ("busy", "queued"))
        if busy is None or pd.isna(busy):
            return None
        need = Need(busy, 0.0 if queued is None or pd.isna(queued) else queued)
        # While one of many waits for their CPU, another one is busy there: that is the same time.
        needs.append(Need(max(need)) if case.clients.number > 1 else need)
    if row["role"] != MECHANISM:
        return None
    return bound(*needs, on_one_cpu=is_on_one_cpu(case.placement))


def _rhythm(case: Case) -> dict[str, Any]:
    """The columns of the workload's knobs, of those that it has."""
    row: dict[str, Any] = {}
    if GAP in case.definition.knobs:
        row["gap_s"] = case.rhythm.gap_s
    if case.rhythm.gap_s:
        row["gap_by"] = "spin" if case.rhythm.spins else "sleep"
    if WORK in case.definition.knobs:
        row["work_s"] = case.rhythm.work_s
    if case.rhythm.touched_bytes:
        row["work_touches_bytes"] = case.rhythm.touched_bytes
    return row


def _in_flight(case: Case, time_s: float | None = None) -> dict[str, Any]:
    """The columns IN_FLIGHT of a case, measured or not."""
    if case.definition.quantity != "round_trip":
        return {}
    in_flight = case.flow.window * case.clients.number  # which exclude each other
    row: dict[str, Any] = {"in_flight_count": in_flight}
    if time_s and not case.rhythm.gap_s:
        row["messages_per_s"] = in_flight / time_s
    return row


def _rates(case: Case, time_s: float, *, moves_payload: bool) -> dict[str, float]:
    """The columns with the rate of a workload whose times are of what is counted a second.

    Only a one-way stream has a bandwidth: a time with an answer in it is not that of the payload.
    """
    definition = case.definition
    match definition.quantity:
        case "round_trip" | "response":
            return {}
        case "connection":
            return {"connections_per_s": 1 / time_s}
        case "message":
            rates = {"throughput_messages_per_s": 1 / time_s}
            if moves_payload and not definition.replies:
                rates["throughput_bytes_per_s"] = case.message_size_bytes / time_s
            return rates
        case _:
            assert_never(definition.quantity)


def _percentiles(group: pd.DataFrame) -> dict[str, Any]:
    histogram = histogram_of(group)
    if histogram is None:
        return {}
    row: dict[str, Any] = {"round_trip_samples_count": histogram.total}
    for name, share in PERCENTILES.items():
        if share == 0.0:
            row[name] = histogram.least_ns * 1e-9
        elif share == 1.0:
            row[name] = histogram.most_ns * 1e-9
        elif histogram.supports(share):
            row[name] = histogram.percentile_ns(share) * 1e-9
    return row


def _ratios(groups: Mapping[str, pd.DataFrame], baseline: str | None) -> dict[str, Ratio]:
    """The ratio of each mechanism to the baseline of its table, by case id.

    A control has one only where the baseline is a control itself.
    """
    ratios: dict[str, Ratio] = {}
    for name, group in groups.items():
        if baseline is None:
            continue
        other = groups.get(Case.parse(name)._replace(transport=baseline).id)
        if other is None or (_is_control(group) and not _is_control(other)):
            continue
        ratio = alternating_ratio(by_round(group), by_round(other))
        if ratio is not None:
            ratios[name] = ratio
    return ratios


def _is_control(group: pd.DataFrame) -> bool:
    return bool(group["role"].iloc[0] != MECHANISM)


def _verdicts(ratios: Mapping[str, Ratio], noise_floor: float) -> dict[str, str | None]:
    """The verdict of each ratio, by case id; those of a table are computed together."""
    tables: dict[Case, list[str]] = {}
    for name in ratios:
        tables.setdefault(Case.parse(name)._replace(transport=""), []).append(name)
    said: dict[str, str | None] = {}
    for names in tables.values():
        judged = verdicts([ratios[name] for name in names], noise_floor)
        said |= dict(zip(names, judged, strict=True))
    return said


def _compared(baseline: str | None, ratio: Ratio | None, verdict: str | None) -> dict[str, Any]:
    if ratio is None:
        return {}
    row: dict[str, Any] = {
        "baseline": baseline,
        "time_to_baseline_ratio": ratio.estimate,
        "p_value": ratio.p_value,
        "verdict": verdict,
    }
    if ratio.interval is not None:
        row["time_to_baseline_low_ratio"] = ratio.interval.low
        row["time_to_baseline_high_ratio"] = ratio.interval.high
    return row


def _against_first(
    groups: Mapping[str, pd.DataFrame], first: str, noise_floor: float
) -> dict[str, dict[str, Any]]:
    """The columns AGAINST_FIRST of each case that another interpreter than `first` measured.

    Controls are judged apart, so that the verdicts on mechanisms are no less sure for them.
    """
    ratios: dict[str, Ratio] = {}
    for name, group in groups.items():
        case = Case.parse(name)
        other = groups.get(case._replace(interpreter=first).id)
        if case.interpreter in ("", first) or other is None:
            continue
        ratio = alternating_ratio(by_round(group), by_round(other))
        if ratio is not None:
            ratios[name] = ratio
    said: dict[str, str | None] = {}
    for is_control in (False, True):
        alike = {
            name: ratio
            for name, ratio in ratios.items()
            if (groups[name]["role"].iloc[0] != MECHANISM) == is_control
        }
        said |= _verdicts(alike, noise_floor)
    rows = {}
    for name, ratio in ratios.items():
        low, high = (None, None) if ratio.interval is None else ratio.interval
        values = (first, ratio.estimate, low, high, ratio.p_value, said[name])
        rows[name] = dict(zip(AGAINST_FIRST, values, strict=True))
    return rows


def _python_tax(case: Case, groups: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The columns that compare the loop in Python with the loop in C, if both were run."""
    if case.id not in groups:
        return {}
    match case.loop:
        case "python":
            native = groups.get(case._replace(loop="native").id)
        case "native":
            return {}
        case _:
            assert_never(case.loop)
    if native is None:
        return {}
    group = groups[case.id]
    ratio = alternating_ratio(by_round(group), by_round(native))
    if ratio is None:
        return {}
    row = {
        "time_over_native_s": group["time_s"].median() - native["time_s"].median(),
        "time_to_native_ratio": ratio.estimate,
    }
    if ratio.interval is not None:
        row["time_to_native_low_ratio"], row["time_to_native_high_ratio"] = ratio.interval
    return row


def _table_order(row: Mapping[str, Any], labels: Sequence[str]) -> tuple[Any, ...]:
    label = row["interpreter"]
    place = labels.index(label) if label in labels else len(labels) * (label != "")
    return (
        place_of(row["workload"]),
        row["message_size_bytes"],
        row["placement"],
        row["loop"],
        (label != "", place, label),
        row["status"] != MEASURED,
        row["role"] != MECHANISM,
        row.get("time_median_s", inf),
    )
