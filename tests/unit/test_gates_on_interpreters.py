"""Gates on one run of several interpreters: each later one is judged against the first."""

from collections.abc import Mapping, Sequence

import pytest

from ipcbench.analysis import frame
from ipcbench.analysis.gates import GateResult, judged_gates, parse_gate
from ipcbench.analysis.interpreters import compare_interpreters, labels_of
from ipcbench.case import Case
from ipcbench.results.histogram import HISTOGRAM_KEY, Histogram
from ipcbench.results.metadata import INTERPRETERS_KEY
from ipcbench.results.store import Metadata, Results
from ipcbench.run.driver import Run, execute
from tests.replay import RUN_METADATA, Replay, Silent

UNIX, INET, NULL = (Case("latency", name, 64) for name in ("unix", "inet", "null"))
NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.03, 0.97)
SAMPLES: Metadata = {HISTOGRAM_KEY: str(Histogram.of(range(1000, 1200)))}


def _by(label: str, case: Case) -> Case:
    return case._replace(interpreter=label)


def _run(
    factors: Mapping[str, float],
    cases: Sequence[Case] = (UNIX, INET, NULL),
    facts: Metadata | None = None,
    failing: Sequence[Case] = (),
    rounds: int = 8,
) -> Results:
    """A run in which each interpreter takes so many times as long over unix, in a drift of all."""
    recorded: dict[Case, Sequence[Sequence[float] | str]] = {}
    for label, factor in factors.items():
        for case in cases:
            own_s = 1e-5 * (factor if case == UNIX else 1.0)
            launches = [[own_s * noise * (1 + turn)] * 3 for turn, noise in enumerate(NOISE)]
            is_failing = _by(label, case) in failing
            recorded[_by(label, case)] = ["killed"] if is_failing else launches
    labels: Metadata = {INTERPRETERS_KEY: ",".join(factors)} if any(factors) else {}
    results = Results()
    metadata = RUN_METADATA | labels | (facts or {})
    run = Run(list(recorded), rounds, 7, 0.0, 0.6, metadata)
    execute(run, Replay(recorded), results, lambda _: None, Silent())
    return results


def _judged(gate: str, results: Results) -> list[GateResult]:
    parsed = parse_gate(gate)
    found = compare_interpreters(results, frame.analyse(results), {parsed.measure})
    return [result for one in found for result in judged_gates([parsed], one)]


@pytest.mark.parametrize(
    ("gate", "outcome", "cases"),
    [
        ("latency>5%", "tripped", 2),
        ("latency>60%", "passed", 2),
        ("slower>40%", "tripped", 2),
        ("faster>5%", "passed", 2),
        ("latency/inet>5%", "passed", 1),
        ("latency/unix/*/head>5%", "tripped", 1),
        ("latency/unix/*/base>5%", "not judged", 0),
        ("throughput<-5%", "not judged", 0),
    ],
)
def test_head_is_judged_against_base(gate: str, outcome: str, cases: int) -> None:
    (result,) = _judged(gate, _run({"base": 1.0, "head": 1.5}))
    assert (result.outcome, len(result.cases)) == (outcome, cases)
    assert result.versus == "head against base"


def test_the_verdicts_are_those_of_the_table() -> None:
    results = _run({"base": 1.0, "head": 1.5})
    (comparison,) = compare_interpreters(results, frame.analyse(results))
    rows = frame.cases(results).set_index("case")
    assert len(comparison.changes) == 2
    for change in comparison.changes:
        row = rows.loc[change.case.id]
        assert change.verdict == row["first_interpreter_verdict"]
        assert change.ratio.estimate == row["time_to_first_interpreter_ratio"]
        assert change.ratio.interval is not None
        assert change.ratio.interval.low == row["time_to_first_interpreter_low_ratio"]
        assert change.new_s == row["time_median_s"]
        assert (change.pairs, change.among) == (8, 2)


def test_each_later_interpreter_has_its_own_answer() -> None:
    results = _judged("slower>5%", _run({"base": 1.0, "head": 1.0, "next": 1.5}))
    assert [(one.versus, one.outcome) for one in results] == [
        ("head against base", "passed"),
        ("next against base", "tripped"),
    ]


def test_a_case_that_failed_with_one_of_them_is_not_judged() -> None:
    for label in ("base", "head"):
        results = _run({"base": 1.0, "head": 1.5}, failing=[_by(label, INET)])
        (result,) = _judged("latency/inet>5%", results)
        (case,) = result.cases
        assert result.outcome == "not judged"
        assert case.why == f"failed in {label}: round 1: killed (twice)"


def test_an_interpreter_that_measured_nothing_is_not_left_out() -> None:
    factors = {"base": 1.0, "head": 1.5}
    for label in factors:
        results = _run(factors, (UNIX,), failing=[_by(label, UNIX)])
        assert labels_of(results) == ["base", "head"]
        (result,) = _judged("latency>5%", results)
        assert (result.outcome, result.judged_count) == ("not judged", 0)


def test_two_are_not_compared_with_each_other_where_the_first_measured_nothing() -> None:
    factors = {"base": 1.0, "head": 1.0, "next": 1.5}
    results = _judged("slower>5%", _run(factors, (UNIX,), failing=[_by("base", UNIX)]))
    assert [(one.versus, one.outcome) for one in results] == [
        ("head against base", "not judged"),
        ("next against base", "not judged"),
    ]


def test_the_floor_is_the_one_within_a_run() -> None:
    factors = {"base": 1.0, "head": 1.5}
    (known,) = _judged("latency>5%", _run(factors, facts={"noise_floor_ratio": 0.6}))
    assert known.outcome == "passed"
    assert "within this machine's noise floor within a run (60%)" in known.notes[0]
    (unknown,) = _judged("latency>5%", _run(factors))
    assert "noise floor within a run of this machine is unknown" in unknown.notes[0]


def test_few_rounds_are_not_judged() -> None:
    (result,) = _judged("latency>5%", _run({"base": 1.0, "head": 9.0}, rounds=3))
    assert result.outcome == "not judged"
    assert result.cases[0].why.startswith("too few launches: 3 launches")


def test_other_measures_are_compared_round_by_round() -> None:
    (result,) = _judged("p99>5%", _run({"base": 1.0, "head": 1.5}, facts=SAMPLES))
    assert (result.outcome, result.judged_count) == ("passed", 2)
    (cpu,) = _judged("cpu>5%", _run({"base": 1.0, "head": 1.5}))
    assert {one.why for one in cpu.cases} == {"not in base: no CPU time is recorded"}


def test_a_run_of_one_interpreter_compares_none() -> None:
    assert _judged("latency>5%", _run({"": 1.0})) == []
    assert _judged("latency>5%", _run({"head": 1.0})) == []
