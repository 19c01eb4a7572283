import pytest

from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.floors import between_runs
from ipcbench.case import Case
from ipcbench.reporters.model import Grid, Line, Part
from ipcbench.reporters.tables.diff import diff_parts
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.results.store import Metadata, Results
from tests.replay import Recorded, replayed

LATENCY, STREAM = Case("latency", "unix", 64), Case("throughput", "unix", 64)
CONNECT = Case("connect", "unix", 1)
NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.03, 0.97)


def _run(factor: float, *cases: Case, facts: Metadata | None = None) -> Results:
    recorded: Recorded = {case: [[1e-5 * factor * noise] for noise in NOISE] for case in cases}
    return replayed(recorded, rounds=len(NOISE), facts=facts)[0]


def test_a_run_against_itself_shows_no_change() -> None:
    comparison = compare_runs(_run(1, LATENCY, STREAM), _run(1, LATENCY, STREAM))
    assert [change.verdict for change in comparison.changes] == ["~", "~"]
    assert [change.moved for change in comparison.changes] == [0.0, 0.0]
    assert comparison.cautions == []


def test_a_slower_run_is_told_as_time_for_latency_and_as_rate_for_throughput() -> None:
    comparison = compare_runs(_run(1, LATENCY, STREAM), _run(1.25, LATENCY, STREAM))
    latency, stream = comparison.changes
    assert latency.verdict == stream.verdict == "slower"
    assert latency.moved == pytest.approx(0.25)
    assert stream.moved == pytest.approx(-0.20)
    assert stream.interval is not None
    assert stream.interval.low <= stream.moved <= stream.interval.high


def test_the_legend_says_what_the_changes_of_each_workload_are_of() -> None:
    def legend(*cases: Case) -> Part:
        parts = diff_parts(compare_runs(_run(1, *cases), _run(1.25, *cases)))
        return next(part for part in parts if isinstance(part, Line))

    usual = "change: of the round trip (latency), of messages a second (throughput)"
    assert legend(LATENCY) == Line(usual)
    assert legend(LATENCY, CONNECT) == Line(f"{usual}, of connections a second (connect)")


def test_cases_of_one_file_alone_are_listed() -> None:
    comparison = compare_runs(_run(1, LATENCY), _run(1, STREAM))
    assert comparison.uncompared == [(LATENCY, "only in OLD", None), (STREAM, "only in NEW", None)]
    lines = [part.text for part in diff_parts(comparison) if isinstance(part, Line)]
    assert lines[-2:] == [f"only in OLD: {LATENCY.id}", f"only in NEW: {STREAM.id}"]
    assert comparison.changes == []


def test_too_few_launches_give_no_verdict() -> None:
    recorded: Recorded = {LATENCY: [[1e-5]] * 3}
    slowed: Recorded = {LATENCY: [[9e-5]] * 3}
    change = compare_runs(replayed(recorded, 3)[0], replayed(slowed, 3)[0]).changes[0]
    assert change.verdict is None
    assert change.interval is None


def test_another_kernel_and_placement_are_cautions() -> None:
    moved = LATENCY._replace(placement="same-core")
    old, new = _run(1, LATENCY), replayed({moved: [[1e-5]]}, 1, facts={"kernel": "Linux 7.0"})[0]
    cautions = compare_runs(old, new).cautions
    assert cautions[0] == "kernel differs: Linux 6.0 and Linux 7.0"
    assert cautions[1].startswith("the placements differ")


def test_a_difference_within_the_noise_floor_is_none() -> None:
    floor: Metadata = {"noise_floor_between_runs_ratio": 0.3}
    known: Metadata = {"noise_floor_age_s": 3 * 86400.0, "noise_floor_kernel": "Linux 5"}
    old, new = _run(1, LATENCY, facts=floor | known), _run(1.25, LATENCY)
    for runs in ((old, new), (new, old)):
        comparison = compare_runs(*runs, between_runs(*runs))
        assert comparison.changes[0].verdict == "~"
        line = "~: within chance, or within this machine's noise floor between runs"
        assert Line(f"{line} (30%, found 3 days before on Linux 5)") in list(diff_parts(comparison))


def test_an_unknown_noise_floor_is_said() -> None:
    parts = list(diff_parts(compare_runs(_run(1, LATENCY), _run(1.25, LATENCY))))
    line = "~: within chance; no noise floor between runs is known: ipcbench selftest finds it"
    assert Line(line) in parts


def test_a_case_that_failed_on_a_side_is_told_with_its_reason() -> None:
    new = _run(1, STREAM)
    new.add_unmeasured(LATENCY, "failed", "Connection refused")
    old = _run(1, LATENCY, STREAM)
    for pair, name in (((old, new), "NEW"), ((new, old), "OLD")):
        why = f"failed in {name}: Connection refused"
        comparison = compare_runs(*pair)
        assert comparison.uncompared == [(LATENCY, why, None)]
        lines = [part.text for part in diff_parts(comparison) if isinstance(part, Line)]
        assert f"failed in {name}: {LATENCY.id}: Connection refused" in lines


def test_a_case_that_cant_be_on_one_side_is_told_only_if_the_other_measured_it() -> None:
    old, new = _run(1, LATENCY, STREAM), _run(1, STREAM)
    new.add_unmeasured(LATENCY, "n/a", "no IPv6")
    assert compare_runs(old, new).uncompared == [(LATENCY, "n/a in NEW: no IPv6", None)]
    nowhere = _run(1, STREAM)
    assert compare_runs(nowhere, new).uncompared == []


def test_a_control_that_failed_is_not_missed() -> None:
    null = Case("latency", "null", 64)
    old, new = _run(1, LATENCY, null), _run(1, LATENCY)
    new.add_unmeasured(null, "failed", "killed")
    assert compare_runs(old, new).uncompared == []


def test_cpu_time_of_both_ends_and_p99_are_compared_where_they_are_asked_for() -> None:
    def run(factor: float) -> Results:
        facts = {
            "cpu_user_client_s_per_message": 1e-6 * factor,
            "cpu_system_client_s_per_message": 2e-6,
            "cpu_user_server_s_per_message": 3e-6,
            "cpu_system_server_s_per_message": 4e-6 * factor,
        }
        samples = Histogram.of([*[1000] * 97, *[int(5000 * factor)] * 3])
        histogram = {HISTOGRAM_KEY: str(samples)}
        recorded: Recorded = {case: [[1e-5]] * 8 for case in (LATENCY, STREAM)}
        return replayed(recorded, 8, facts={**facts, **histogram})[0]

    plain = compare_runs(run(1), run(2))
    assert list(plain.changes_of) == ["time"]
    comparison = compare_runs(run(1), run(2), measures={"p99", "cpu"})
    assert [change.moved for change in comparison.changes_of["cpu"]] == [pytest.approx(0.5)] * 2
    assert [change.better for change in comparison.changes_of["cpu"]] == ["less", "less"]
    (p99,) = comparison.changes_of["p99"]
    assert (p99.case, p99.verdict) == (LATENCY, "slower")
    assert p99.moved == pytest.approx(1, abs=0.02)
    titles = [part.title for part in diff_parts(comparison) if isinstance(part, Grid)]
    assert titles == [
        "NEW against OLD, cross-core",
        "p99 of single round trips, NEW against OLD, cross-core",
        "CPU time of a message, NEW against OLD, cross-core",
    ]


def test_what_a_launch_lacks_for_a_measure_is_told() -> None:
    few = replayed({LATENCY: [[1e-5]] * 8}, 8, facts={HISTOGRAM_KEY: str(Histogram.of([9] * 99))})
    whole = compare_runs(few[0], _run(1, LATENCY), measures={"p99", "cpu"})
    p99, cpu = whole.uncompared
    assert p99.why.startswith("not in OLD: too few round trips sampled in a launch (99; p99 takes")
    assert cpu == (LATENCY, "not in OLD: no CPU time is recorded", "cpu")
