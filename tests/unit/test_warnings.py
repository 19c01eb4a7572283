from typing import Any

import pandas as pd
import pytest

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.warnings import flags_by_case, objections, summarised
from ipcbench.case import Case
from tests.replay import replayed

UNIX = Case("latency", "unix", 64)


def _flags(times: list[float], **columns: Any) -> dict[str, str]:
    """The flags of a case with these launches; columns replace its metadata."""
    results, _, _ = replayed({UNIX: [[time] for time in times]}, rounds=len(times))
    launches = launch_frame.launches(results)
    for name, value in columns.items():
        launches[name] = value
    return {objection.flag: objection.says for objection in objections(results, launches)}


QUIET = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.0]


def test_a_quiet_case_is_not_objected_to() -> None:
    assert _flags(QUIET) == {}


def test_spread_launches_are_unstable_and_the_advice_knows_what_was_done() -> None:
    wild = [1.0, 1.3, 0.8, 1.2, 0.9, 1.1, 1.25, 0.85]
    assert "more --rounds" in _flags(wild)["unstable"]
    assert "more --rounds" not in _flags(wild * 3)["unstable"]


def test_two_modes_are_told_from_one() -> None:
    both = [1.0, 2.0, 1.01, 2.01, 0.99, 1.99, 1.0, 2.0]
    assert "two modes 2.00x apart" in _flags(both)["bimodal"]
    assert "bimodal" not in _flags([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7])


def test_a_case_that_becomes_slower_from_round_to_round_drifts() -> None:
    rising = [1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4]
    assert "slower from the first rounds to the last" in _flags(rising)["drift"]
    assert "drift" not in _flags(QUIET)


def test_batches_that_slow_down_within_a_launch_ask_for_warm_up() -> None:
    assert "more --warmups" in _flags(QUIET, last_to_first_ratio=1.3)["warming"]


def test_an_end_that_ran_elsewhere_is_named() -> None:
    strayed = {"cpu_client": 0, "cpus_seen_client": "0,1", "cpu_server": 1, "cpus_seen_server": "1"}
    assert _flags(QUIET, **strayed)["wrong-cpu"].startswith(
        "its client was pinned to CPU 0 and ran on 0,1"
    )


@pytest.mark.parametrize(
    ("column", "value", "flag"),
    [
        ("page_faults_server_count", 500, "page-faults"),
        ("involuntary_switches_client_per_message", 0.2, "crowded"),
        ("cpu_busy_before_run_ratio", 0.4, "load"),
        ("retried_after", "it broke", "retried"),
        ("server_strangers_count", 2, "strangers"),
    ],
)
def test_what_the_kernel_counted_raises_a_flag(column: str, value: float, flag: str) -> None:
    assert list(_flags(QUIET, **{column: value})) == [flag]


def test_page_faults_of_many_clients_are_counted_for_each_of_them() -> None:
    faults = {"page_faults_client_count": 100}
    assert "page-faults" in _flags(QUIET, **faults)
    assert "page-faults" not in _flags(QUIET, **faults, clients_count=16)


def test_a_case_that_a_quota_stopped_is_throttled_and_says_for_how_long() -> None:
    counts = {
        "cgroup_cpu_periods_count": 19,
        "cgroup_cpu_throttled_count": [18] * 7 + [20],
        "cgroup_cpu_throttled_s": 0.55,
    }
    quota = {"cgroup_cpu_quota": "0.5 CPUs: 0.05 s of every 0.1 s"}
    says = _flags(QUIET, **counts, **quota)["throttled"]
    assert says.startswith(
        "a CPU quota (0.5 CPUs: 0.05 s of every 0.1 s) stopped it in 146 of 152 periods of its"
        " batches, for 4.40 s of CPU time in all; "
    )
    assert "throttled" not in _flags(QUIET, **counts | {"cgroup_cpu_throttled_count": 0}, **quota)
    assert "throttled" in _flags(QUIET, **counts)


def test_a_pipe_that_the_kernel_made_small_is_flagged_with_the_reason() -> None:
    got = {"client_pipe_size_bytes": 8192}
    says = _flags(QUIET, **got, pipe_user_pages_soft=1)["small-pipe"]
    assert says.startswith(
        "its pipe holds 8 KiB in place of the usual 64 KiB: this user's pipes reached"
        " fs.pipe-user-pages-soft, which is 1 page; end programs that hold pipes"
    )
    assert "sysctl -w fs.pipe-user-pages-soft=16384" in says
    assert "small-pipe" in _flags(QUIET, **got)


def test_a_pipe_of_the_usual_size_or_of_one_that_was_asked_for_is_not_flagged() -> None:
    assert _flags(QUIET, client_pipe_size_bytes=65536, pipe_user_pages_soft=1) == {}
    assert _flags(QUIET, client_pipe_size_bytes=8192, knobs_asked="size=8k") == {}
    assert "small-pipe" in _flags(QUIET, client_pipe_size_bytes=8192, knobs_asked=None)


def test_strangers_are_counted_over_all_launches() -> None:
    told = _flags(QUIET, server_strangers_count=[1, None, None, 2, None, None, None, None])
    assert told["strangers"].startswith("3 strangers were dropped: something on this machine")
    assert "strangers" not in _flags(QUIET, server_strangers_count=[None] * 8)


def test_ends_on_one_core_push_each_other_off_and_that_is_no_objection() -> None:
    for placement in ("same-core", "cpus-1-1"):
        crowd = {"involuntary_switches_client_per_message": 0.5, "placement": placement}
        assert _flags(QUIET, **crowd) == {}
    crowd["placement"] = "cpus-0-1"
    assert list(_flags(QUIET, **crowd)) == ["crowded"]


def test_the_foot_says_each_flag_once_and_the_csv_has_all_of_a_case() -> None:
    other = Case("latency", "pipe", 64)
    wild = [[1.0], [2.0], [1.01], [2.01], [0.99], [1.99], [1.0], [2.0]]
    results, _, _ = replayed({UNIX: wild, other: wild}, rounds=8)
    found = objections(results, launch_frame.launches(results))
    assert [line.partition(":")[0] for line in summarised(found)] == ["unstable", "bimodal"]
    assert all("(and 1 more case)" in line for line in summarised(found))
    flags = {case: raised for (_, case), raised in flags_by_case(found).items()}
    assert flags == {UNIX.id: "unstable;bimodal", other.id: "unstable;bimodal"}
    assert frame.cases(results)["flags"].tolist() == ["unstable;bimodal"] * 2


def test_no_launches_no_objections() -> None:
    results, _, _ = replayed({UNIX: ["boom"]}, rounds=1)
    assert objections(results, pd.DataFrame()) == []


def test_what_is_less_exact_than_asked_for_is_said() -> None:
    spread = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.02, 0.98]
    assert "1.0% was asked for" in _flags(spread, target_ratio=0.01)["imprecise"]
    assert "imprecise" not in _flags(spread, target_ratio=0.2)
    assert "imprecise" not in _flags(spread)
