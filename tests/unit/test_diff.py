import pytest

from ipcbench.analysis.diff import compare_runs, parse_gate
from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.reporters.model import Line, Part
from ipcbench.reporters.tables.diff import diff_parts, gate_line
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


@pytest.mark.parametrize(
    ("gate", "trips"),
    [
        ("latency>5%", True),
        ("latency > 24.9 %", True),
        ("latency>30%", False),
        ("latency<-5%", False),
        ("throughput<-10%", True),
        ("throughput<-21%", False),
        ("throughput>0%", False),
        ("connect<-10%", True),
        ("connect<-21%", False),
        ("connect>0%", False),
    ],
)
def test_a_gate_trips_only_when_the_whole_interval_is_beyond_it(gate: str, trips: bool) -> None:
    cases = (LATENCY, STREAM, CONNECT)
    comparison = compare_runs(_run(1, *cases), _run(1.25, *cases))
    parsed = parse_gate(gate)
    assert any(parsed.tripped_by(change) for change in comparison.changes) is trips


def test_a_gate_of_one_workload_is_not_tripped_by_another() -> None:
    changes = compare_runs(_run(1, CONNECT), _run(1.25, CONNECT)).changes
    assert not any(parse_gate("throughput<-10%").tripped_by(change) for change in changes)


def test_the_legend_says_what_the_changes_of_each_workload_are_of() -> None:
    def legend(*cases: Case) -> Part:
        parts = diff_parts(compare_runs(_run(1, *cases), _run(1.25, *cases)))
        return next(part for part in parts if isinstance(part, Line))

    usual = "change: of the round trip (latency), of messages a second (throughput)"
    assert legend(LATENCY) == Line(usual)
    assert legend(LATENCY, CONNECT) == Line(f"{usual}, of connections a second (connect)")


def test_a_gate_within_the_interval_does_not_trip() -> None:
    old: Recorded = {LATENCY: [[1e-5]] * 8}
    new: Recorded = {LATENCY: [[1e-5 * x] for x in (1.0, 1.0, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2)]}
    change = compare_runs(replayed(old, 8)[0], replayed(new, 8)[0]).changes[0]
    assert change.moved == pytest.approx(0.2)
    assert not parse_gate("latency>5%").tripped_by(change)


@pytest.mark.parametrize("text", ["latency=5", "latency>5", "unix>5%", ">5%", "latency>>5%", ""])
def test_an_unreadable_gate_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="write it like 'latency>5%'"):
        parse_gate(text)


def test_cases_of_one_file_alone_are_listed() -> None:
    comparison = compare_runs(_run(1, LATENCY), _run(1, STREAM))
    assert list(comparison.only_old) == [LATENCY.id]
    assert list(comparison.only_new) == [STREAM.id]
    assert comparison.changes == []


def test_too_few_launches_give_no_verdict_and_trip_no_gate() -> None:
    recorded: Recorded = {LATENCY: [[1e-5]] * 3}
    slowed: Recorded = {LATENCY: [[9e-5]] * 3}
    change = compare_runs(replayed(recorded, 3)[0], replayed(slowed, 3)[0]).changes[0]
    assert change.verdict is None
    assert not parse_gate("latency>5%").tripped_by(change)


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
    for comparison in (compare_runs(old, new), compare_runs(new, old)):
        assert comparison.changes[0].verdict == "~"
        assert Line(
            "~: within chance, or within this machine's noise floor between runs"
            " (30%, found 3 days before on Linux 5)"
        ) in list(diff_parts(comparison))


def test_an_unknown_noise_floor_is_said() -> None:
    parts = list(diff_parts(compare_runs(_run(1, LATENCY), _run(1.25, LATENCY))))
    line = "~: within chance; no noise floor between runs is known: ipcbench selftest finds it"
    assert Line(line) in parts


def test_the_line_of_a_tripped_gate_names_case_change_and_interval() -> None:
    change = compare_runs(_run(1, LATENCY), _run(1.25, LATENCY)).changes[0]
    assert gate_line("latency>5%", change).startswith(
        "latency>5%: latency/unix/64/python/cross-core: +25% (95%: +2"
    )
