"""A gate has three answers, passes only what it judged, and never contradicts a verdict."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.floors import Floor
from ipcbench.analysis.gates import CaseResult, GateResult, check_about, judged_gates, parse_gate
from ipcbench.analysis.stats import fewest_launches
from ipcbench.case import Case
from ipcbench.cli import main
from ipcbench.errors import UsageError
from ipcbench.reporters.tables.gates import gate_messages, why_text
from ipcbench.results import store
from ipcbench.results.launches import Launch, Measured
from ipcbench.results.store import Results
from tests.command import ROOT
from tests.replay import Recorded, replayed

LATENCY, STREAM = Case("latency", "unix", 64), Case("throughput", "unix", 64)
CONNECT, INET = Case("connect", "unix", 1), Case("latency", "inet", 64)
NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.03, 0.97)

STORED = ROOT / "results" / "amd-epyc-2cpu-kvm"
LATENCIES = STORED / "2026-11-24-505c217" / "latency.json"
STREAMS = STORED / "2026-11-24-505c217" / "throughput.json"
FIRST, SECOND = (STORED / "2026-11-24-d5c599b" / f"{name}.json" for name in ("first", "second"))


def _run(factor: float, *cases: Case, noise: tuple[float, ...] = NOISE) -> Results:
    recorded: Recorded = {case: [[1e-5 * factor * one] for one in noise] for case in cases}
    return replayed(recorded, rounds=len(noise))[0]


def _judged(gate: str, old: Results, new: Results, floor: float = 0.0) -> GateResult:
    parsed = parse_gate(gate)
    (result,) = judged_gates([parsed], compare_runs(old, new, Floor(floor), {parsed.measure}))
    return result


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        ("latency>5%", "tripped"),
        ("latency > 24.9 %", "tripped"),
        ("latency>30%", "passed"),
        ("latency<-5%", "passed"),
        ("throughput<-10%", "tripped"),
        ("throughput<-21%", "passed"),
        ("throughput>0%", "passed"),
        ("connect<-10%", "tripped"),
        ("connect<-21%", "passed"),
        ("connect>0%", "passed"),
        ("latency/unix/*>5%", "tripped"),
        ("latency/unix/64>5%", "tripped"),
        ("latency/unix/64/python/cross-core>5%", "tripped"),
        ("latency/*/cross-core>30%", "passed"),
        ("throughput/*<-10%", "tripped"),
        ("slower>15%", "tripped"),
        ("slower>30%", "passed"),
        ("faster>0%", "passed"),
        ("slower throughput>15%", "tripped"),
        ("slower latency/unix>30%", "passed"),
    ],
)
def test_a_gate_trips_only_when_the_whole_interval_is_beyond_it(gate: str, outcome: str) -> None:
    cases = (LATENCY, STREAM, CONNECT)
    result = _judged(gate, _run(1, *cases), _run(1.25, *cases))
    assert result.outcome == outcome
    assert result.judged_count == len(result.cases) >= 1


def test_faster_trips_on_less_time_and_on_a_higher_rate() -> None:
    result = _judged("faster>15%", _run(1, LATENCY, STREAM), _run(0.8, LATENCY, STREAM))
    assert [one.case for one in result.of("tripped")] == [LATENCY, STREAM]
    only_rate = _judged("faster>22%", _run(1, LATENCY, STREAM), _run(0.8, LATENCY, STREAM))
    assert [one.case for one in only_rate.of("tripped")] == [STREAM]


def test_a_gate_of_one_workload_is_not_about_another() -> None:
    result = _judged("throughput<-10%", _run(1, CONNECT), _run(1.25, CONNECT))
    assert (result.outcome, result.cases) == ("not judged", [])
    assert result.why == "neither OLD nor NEW has a case of throughput"


def test_a_gate_within_the_interval_does_not_trip() -> None:
    old: Recorded = {LATENCY: [[1e-5]] * 8}
    new: Recorded = {LATENCY: [[1e-5 * x] for x in (1.0, 1.0, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2)]}
    result = _judged("latency>5%", replayed(old, 8)[0], replayed(new, 8)[0])
    assert result.outcome == "passed"
    assert result.cases[0].change is not None
    assert result.cases[0].change.moved == pytest.approx(0.2)


@pytest.mark.parametrize(
    "text",
    [
        *("latency=5", "latency>5", "unix>5%", ">5%", "latency>>5%", "", "p99", "*>5%"),
        *("cpu unix>5%", "latency unix/64>5%", "latency>5% x", "latency/\x1b*>5%", "latency/>%"),
    ],
)
def test_an_unreadable_gate_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="write it like 'latency>5%'"):
        parse_gate(text)


@pytest.mark.parametrize("text", ["faster<5%", "slower>-5%", "faster latency<1%"])
def test_faster_and_slower_have_one_way_to_be_written(text: str) -> None:
    with pytest.raises(UsageError, match=f"write it like '{text[:6]}>10%'"):
        parse_gate(text)


def test_a_workload_that_is_none_is_refused_in_a_pattern() -> None:
    with pytest.raises(UsageError, match="did you mean 'latency'"):
        parse_gate("latncy/unix/*>5%")


@pytest.mark.parametrize(
    ("gate", "case", "is_about"),
    [
        ("latency/unix/*>5%", "latency/unix/64", True),
        ("latency/unix/*>5%", "latency/unix:sndbuf=4k/64", False),
        ("latency/unix:*>5%", "latency/unix:sndbuf=4k/64", True),
        ("latency/unix:sndbuf=4k>5%", "latency/unix:sndbuf=4k/64", True),
        ("latency/unix>5%", "latency/unix-dgram/64", False),
        ("latency/*/head>5%", "latency/unix/64/python/cross-core/head", True),
        ("latency/*/head>5%", "latency/unix/64/python/cross-core/next", False),
        ("*/[ui]n*/64>5%", "latency/inet/64", True),
        ("latency/UNIX>5%", "latency/unix/64", False),
        ("p99>5%", "latency/unix/64", True),
        ("p99>5%", "throughput/unix/64", False),
        ("cpu>5%", "throughput/unix/64", True),
        ("cpu latency>5%", "throughput/unix/64", False),
    ],
)
def test_a_pattern_is_one_of_ids_whose_last_parts_may_be_left_out(
    gate: str, case: str, is_about: bool
) -> None:
    assert parse_gate(gate).is_about(Case.parse(case)) is is_about


def test_a_gate_that_can_judge_nothing_of_what_will_be_measured_is_refused_before() -> None:
    check_about([parse_gate("latency>5%")], [LATENCY])
    with pytest.raises(UsageError, match="its cases are like latency/unix/64/python/cross-core"):
        check_about([parse_gate("latency/unxi>5%")], [LATENCY])
    with pytest.raises(UsageError, match="can't be judged: it is about times, where less"):
        check_about([parse_gate("*/unix>5%")], [LATENCY, STREAM])
    check_about([parse_gate("slower */unix>5%"), parse_gate("cpu>5%")], [LATENCY, STREAM])


def test_times_and_rates_are_not_held_to_one_limit() -> None:
    cases = (LATENCY, STREAM)
    result = _judged("*/unix/*>5%", _run(1, *cases), _run(1.25, *cases))
    assert result.outcome == "not judged"
    assert "it is about times, where less is better, and rates" in result.why
    assert _judged("slower */unix/*>5%", _run(1, *cases), _run(1.25, *cases)).outcome == "tripped"


@pytest.mark.parametrize("gate", ["throughput<-100%", "latency<-120%", "slower throughput>100%"])
def test_a_limit_that_nothing_can_reach_is_not_judged(gate: str) -> None:
    cases = (LATENCY, STREAM)
    result = _judged(gate, _run(1, *cases), _run(9, *cases))
    assert result.outcome == "not judged"
    assert result.cases[0].why.startswith("it can't trip: nothing can fall by 1")


def _only(result: GateResult) -> CaseResult:
    (one,) = result.of("not judged")
    return one


def test_each_case_that_only_one_side_has_keeps_a_gate_from_passing() -> None:
    both, one = _run(1, LATENCY, INET), _run(1, INET)
    without = _judged("latency>5%", both, one)
    assert (without.outcome, without.judged_count) == ("not judged", 1)
    assert (_only(without).case, _only(without).why) == (LATENCY, "only in OLD")
    assert _only(_judged("latency>5%", one, both)).why == "only in NEW"
    assert _judged("latency/inet>5%", both, one).outcome == "passed"


def test_a_failed_case_keeps_a_gate_from_passing_but_not_from_tripping() -> None:
    new = _run(1, INET)
    new.add_unmeasured(LATENCY, "failed", "killed")
    result = _judged("latency>5%", _run(1, LATENCY, INET), new)
    assert result.outcome == "not judged"
    assert _only(result).why == "failed in NEW: killed"
    slow = _run(1.5, INET)
    slow.add_unmeasured(LATENCY, "failed", "killed")
    result = _judged("latency>5%", _run(1, LATENCY, INET), slow)
    assert result.outcome == "tripped"
    assert [message.partition(": latency/")[0] for message in gate_messages(result)] == [
        "gate tripped: latency>5%",
        "gate not judged: latency>5%: 1 of 2 cases",
    ]


def test_a_case_that_is_impossible_on_both_sides_is_not_missed() -> None:
    old, new = _run(1, INET), _run(1, INET)
    for results in (old, new):
        results.add_unmeasured(LATENCY, "n/a", "no such")
    assert _judged("latency>5%", old, new).outcome == "passed"


def test_too_few_launches_are_not_judged() -> None:
    few = (1.0, 1.0, 1.0)
    result = _judged("latency>5%", _run(1, LATENCY, noise=few), _run(9, LATENCY, noise=few))
    assert result.outcome == "not judged"
    assert _only(result).why == "too few launches: 3 launches, it takes 6 of each (--rounds)"


def _slower_among(count: int, launches: int) -> GateResult:
    """The answer where one of so many cases is ten times slower."""
    cases = [LATENCY._replace(message_size_bytes=size) for size in range(1, count + 1)]
    noise = tuple([1.0] * launches)
    new: Recorded = {case: [[1e-5]] * launches for case in cases} | {cases[0]: [[1e-4]] * launches}
    return _judged("latency>5%", _run(1, *cases, noise=noise), replayed(new, launches)[0])


def test_launches_too_few_to_tell_one_slow_case_among_many_from_chance_are_not_judged() -> None:
    result = _slower_among(20, 7)
    assert _only(result).change is not None
    assert result.outcome == "not judged"
    assert _only(result).why == (
        "too few launches: 7 can't tell one change among 20 from chance, it takes 10 of each"
        " (--rounds)"
    )
    assert result.notes[1:] == [
        "7 launches can't tell one change among 20 from chance; 10 of each can (--rounds)"
    ]
    enough = _slower_among(20, 10)
    assert (enough.outcome, enough.notes[1:]) == ("tripped", [])


def test_with_launches_enough_a_change_that_chance_can_explain_passes() -> None:
    cases = [LATENCY._replace(message_size_bytes=size) for size in range(1, 21)]
    slower = [[0.9e-5], *[[1.02e-5]] * 9]
    new: Recorded = {case: [[1e-5]] * 10 for case in cases} | {cases[0]: slower}
    result = _judged("latency>0%", _run(1, *cases, noise=(1.0,) * 10), replayed(new, 10)[0])
    change = result.cases[0].change
    assert change is not None
    assert change.interval is not None
    assert (change.interval.low > 0, change.verdict) == (True, "~")
    assert result.outcome == "passed"


def test_a_gate_that_judged_no_case_has_not_passed() -> None:
    assert GateResult(parse_gate("latency>5%"), "NEW against OLD", []).outcome == "not judged"


@pytest.mark.parametrize(("comparisons", "launches"), [(1, 6), (2, 7), (20, 10), (60, 12)])
def test_the_fewest_launches_that_can_tell_one_change_among_many(
    comparisons: int, launches: int
) -> None:
    assert fewest_launches(comparisons) == launches


def test_a_gate_does_not_trip_within_the_noise_floor_and_says_that_its_limit_is() -> None:
    result = _judged("latency>5%", _run(1, LATENCY), _run(1.25, LATENCY), floor=0.3)
    assert result.outcome == "passed"
    share = "this machine's noise floor between runs (30%)"
    assert result.notes == [f"its limit is within {share}; a change must exceed that to trip it"]
    beyond = _judged("latency>35%", _run(1, LATENCY), _run(1.25, LATENCY), floor=0.3)
    assert (beyond.outcome, beyond.notes) == ("passed", [])
    rates = _judged("throughput<-20%", _run(1, STREAM), _run(1, STREAM), floor=0.3)
    assert rates.notes == result.notes


def test_a_gate_says_that_the_noise_floor_is_unknown() -> None:
    (note,) = _judged("latency>5%", _run(1, LATENCY), _run(1, LATENCY)).notes
    assert "the noise floor between runs of this machine is unknown" in note


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "tripped"), (0.95, "tripped")])
def test_a_limit_below_no_change_demands_one(factor: float, outcome: str) -> None:
    result = _judged("latency>-10%", _run(1, LATENCY), _run(factor, LATENCY))
    assert (result.outcome, result.notes) == (outcome, [])
    assert _judged("latency>-10%", _run(1, LATENCY), _run(0.8, LATENCY)).outcome == "passed"


def test_the_messages_of_a_gate_name_case_change_and_interval_and_no_more_than_ten() -> None:
    cases = [LATENCY._replace(message_size_bytes=size) for size in range(1, 14)]
    result = _judged("latency>5%", _run(1, *cases), _run(1.25, *cases))
    messages = list(gate_messages(result))
    assert messages[0].startswith(
        "gate tripped: latency>5%: latency/unix/1/python/cross-core: +25% (95%: +2"
    )
    assert messages[10:] == ["gate tripped: latency>5%: by 3 more cases"]
    assert why_text(result.cases[0]).startswith("+25% (95%: +2")
    passed = _judged("latency>30%", _run(1, *cases), _run(1.25, *cases))
    assert list(gate_messages(passed)) == []


Diff = Callable[..., tuple[int, str, str]]


@pytest.fixture
def diff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Diff:
    """Runs `ipcbench diff` in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main.main(["diff", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def _kept(
    source: Path,
    target: Path,
    keep: Callable[[Launch], bool],
    factor: float = 1.0,
    failed: Callable[[Case], bool] = lambda _: False,
) -> Path:
    """Stores a part of a run, with its times multiplied, and cases that failed."""
    results = Results()
    for launch in store.load(source).launches():
        if failed(launch.case):
            results.unmeasured.setdefault(
                launch.case.id, store.Unmeasured(launch.case, "failed", "Connection refused")
            )
        elif keep(launch):
            values_s = tuple(value * factor for value in launch.values_s)
            measured = Measured(values_s, launch.messages, (), launch.facts)
            results.add_launch(launch.case, measured, {})
    store.save(results, target)
    return target


def test_runs_without_a_case_in_common_are_not_judged(diff: Diff) -> None:
    code, out, err = diff(LATENCIES, STREAMS, "--fail-if", "latency>5%")
    assert code == 6
    assert "not judged: latency>5%: 60 of 60 cases" in err
    assert "only in OLD" in err
    assert "latency>5% NEW against OLD not judged 0 0 60" in " ".join(out.split())


def test_a_gate_about_nothing_is_not_judged(diff: Diff) -> None:
    code, _, err = diff(LATENCIES, LATENCIES, "--fail-if", "throughput<-10%")
    assert code == 6
    assert "throughput<-10%: neither OLD nor NEW has a case of throughput" in err


def test_a_run_against_itself_is_passed_with_the_number_of_cases(diff: Diff) -> None:
    code, out, err = diff(LATENCIES, LATENCIES, "--fail-if", "latency>5%")
    assert (code, err) == (0, "")
    assert "latency>5% NEW against OLD passed 60 0 0" in " ".join(out.split())


def test_cases_that_failed_in_new_are_not_judged(diff: Diff, tmp_path: Path) -> None:
    new = _kept(
        LATENCIES, tmp_path / "new.json", lambda _: True, failed=lambda one: one.transport == "unix"
    )
    code, out, err = diff(LATENCIES, new, "--fail-if", "latency>5%")
    assert code == 6
    assert "gate not judged: latency>5%: 12 of 60 cases: latency/unix/" in err
    assert "failed in NEW: Connection refused" in out


def test_three_launches_ten_times_slower_are_not_judged(diff: Diff, tmp_path: Path) -> None:
    few = [
        _kept(LATENCIES, tmp_path / name, lambda one: one.round_number <= 3, factor)
        for name, factor in (("old.json", 1.0), ("new.json", 10.0))
    ]
    code, _, err = diff(*few, "--fail-if", "latency>5%")
    assert code == 6
    assert "60 of 60 cases" in err
    assert "too few launches: 3 launches, it takes 6 of each" in err


def test_identical_code_trips_no_gate_below_the_noise_floor(diff: Diff, tmp_path: Path) -> None:
    knowing = []
    for path in (FIRST, SECOND):  # as if a selftest had been made before them
        data = json.loads(path.read_text(encoding="utf-8"))
        data["metadata"]["noise_floor_between_runs_ratio"] = 0.22
        knowing.append(tmp_path / path.name)
        knowing[-1].write_text(json.dumps(data), encoding="utf-8")
    code, out, err = diff(*knowing, "--fail-if", "throughput<-4%")
    assert (code, err) == (0, "")
    assert "0 of 20 cases changed" in out
    assert "its limit is within this machine's noise floor between runs (22%)" in out


def test_identical_code_trips_no_gate_where_the_noise_floor_is_unknown(diff: Diff) -> None:
    code, out, err = diff(FIRST, SECOND, "--fail-if", "throughput<-4%")
    assert code == 6
    assert "tripped:" not in err
    assert "7 can't tell one change among 20 from chance, it takes 10 of each" in err
    assert "the noise floor between runs of this machine is unknown" in out
