"""The tidy pandas frames that every reporter reads: one row a launch, and one row a case."""

import statistics
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ipcbench.analysis.stats import paired_ratio, spread
from ipcbench.analysis.store import Results
from ipcbench.case import WORKLOADS, Case
from ipcbench.errors import UsageError

CONTEXT = (
    "cpu_client",
    "cpu_server",
    "cpus_seen_client",
    "cpus_seen_server",
    "client_so_sndbuf_bytes",
    "server_so_rcvbuf_bytes",
    "client_pipe_size_bytes",
    "client_segment_size_bytes",
    "client_ring_slots_count",
    "machine",
    "cpu_model",
    "cpu_count",
    "virtualisation",
    "governor",
    "kernel",
    "python",
    "ipcbench_version",
    "seed",
    "date",
)
"""Metadata of a launch that stands beside its case's numbers."""

CASE_COLUMNS = (
    "case",
    *Case._fields,
    "role",
    "status",
    "reason",
    "quantity",
    "launches_count",
    "values_count",
    "messages_count",
    "messages_checked_count",
    "time_median_s",
    "time_min_s",
    "time_lower_quartile_s",
    "time_upper_quartile_s",
    "time_max_s",
    "spread_ratio",
    "baseline",
    "time_to_baseline_ratio",
    "throughput_messages_per_s",
    "throughput_bytes_per_s",
    "timed_s",
    *CONTEXT,
)
"""The columns of `cases`, all of them always there, in order."""


def launches(results: Results) -> pd.DataFrame:
    """One row a launch: the case's fields, `case`, `time_s`, counts, and all of its metadata.

    `time_s` is the median of the launch's values: seconds a round trip (latency) or a message
    (throughput). `timed_s` is how long the clock ran for those values.
    """
    rows = []
    for bench in results.suite or ():
        case = Case.parse(bench.get_name())
        for launch in bench.get_runs():
            batch = launch.get_total_loops()
            rows.append(
                launch.get_metadata()
                | case._asdict()
                | {
                    "case": case.id,
                    "time_s": statistics.median(launch.values),
                    "values_count": len(launch.values),
                    "messages_count": len(launch.values) * batch,
                    "timed_s": sum(launch.values) * batch,
                }
            )
    return pd.DataFrame(rows)


def cases(results: Results, baseline: str | None = None) -> pd.DataFrame:
    """One row a case with the columns CASE_COLUMNS, in the order of the tables.

    That is by workload, size, placement and loop; then what was measured, fastest first; then
    controls; then what has no number. A case that failed has none even if some of its launches
    have. Ratios are against the same case over `baseline`, by default the one the run was made
    with. UsageError if that transport wasn't in the run at all; where it failed, there is no ratio.
    """
    table = launches(results)
    every = {} if table.empty else {str(name): group for name, group in table.groupby("case")}
    groups = {name: group for name, group in every.items() if name not in results.unmeasured}
    if baseline is None and groups:
        baseline = str(table["baseline"].iloc[-1])
    elif baseline is not None:
        _check_tried(baseline, results)
    rows = [_measured(Case.parse(name), group, groups, baseline) for name, group in groups.items()]
    rows += [
        {"case": item.case.id, "role": "mechanism", "status": item.status, "reason": item.reason}
        | item.case._asdict()
        for item in results.unmeasured.values()
    ]
    rows.sort(key=_table_order)
    return pd.DataFrame(rows, columns=list(CASE_COLUMNS)).convert_dtypes()


def _check_tried(baseline: str, results: Results) -> None:
    measured = [Case.parse(bench.get_name()) for bench in results.suite or ()]
    tried = {case.transport for case in measured}
    tried |= {item.case.transport for item in results.unmeasured.values()}
    if baseline not in tried:
        names = ", ".join(sorted(tried))
        raise UsageError(f"baseline {baseline!r} is not among the measured: {names}")


def _measured(
    case: Case, group: pd.DataFrame, groups: Mapping[str, pd.DataFrame], baseline: str | None
) -> dict[str, Any]:
    across = spread(group["time_s"].tolist())
    row: dict[str, Any] = case._asdict() | {
        "case": case.id,
        "role": group["role"].iloc[0],
        "status": "measured",
        "quantity": "round_trip" if case.workload == "latency" else "message",
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
    if case.workload == "throughput":
        row["throughput_messages_per_s"] = 1 / across.median
        if row["role"] == "mechanism":
            row["throughput_bytes_per_s"] = case.message_size_bytes / across.median
    if baseline is not None and row["role"] == "mechanism":
        other = groups.get(case._replace(transport=baseline).id)
        if other is not None:
            row["baseline"] = baseline
            row["time_to_baseline_ratio"] = paired_ratio(_by_round(group), _by_round(other))
    return row | {name: group[name].iloc[0] for name in CONTEXT if name in group}


def _by_round(group: pd.DataFrame) -> dict[object, float]:
    """The launch of each round; rounds of different runs are different rounds."""
    return dict(
        zip(zip(group["run_id"], group["round"], strict=True), group["time_s"], strict=True)
    )


def _table_order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        WORKLOADS.index(row["workload"]),
        row["message_size_bytes"],
        row["placement"],
        row["loop"],
        row["status"] != "measured",
        row["role"] == "control",
        row.get("time_median_s", 0.0),
    )
