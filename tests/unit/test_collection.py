"""Results of several files in one report."""

from collections.abc import Sequence

import pytest

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.judging import judged
from ipcbench.analysis.precision import precisions
from ipcbench.analysis.warnings import summarised
from ipcbench.case import Case
from ipcbench.errors import ResultsError, UsageError
from ipcbench.reporters.csv_file import csv_text
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.tables.summary import summary
from ipcbench.results.collection import Collection, merge
from ipcbench.results.launches import Measured
from ipcbench.results.store import Metadata, Results
from tests.replay import Recorded, replayed

INET, UNIX = (Case("latency", name, 64) for name in ("inet", "unix"))


def _run(run_id: str, recorded: Recorded, **facts: str | float) -> Results:
    own: Metadata = {"run_id": run_id, **facts}
    return replayed(recorded, rounds=8, facts=own)[0]


def _good(run_id: str = "a", unix_s: float = 1e-5, **facts: str | float) -> Results:
    return _run(run_id, {INET: [[2e-5]] * 8, UNIX: [[unix_s]] * 8}, **facts)


def _failing() -> Results:
    return _run("b", {INET: [[2e-5]] * 8, UNIX: [[7e-5], "it broke"]})


@pytest.fixture(params=[("good.json", "other.json"), ("other.json", "good.json")])
def both(request: pytest.FixtureRequest) -> frame.Analysis:
    """A file with a number for every case and one where `unix` failed, in either order."""
    made = {"good.json": _good(), "other.json": _failing()}
    names: Sequence[str] = request.param
    return frame.analyse(merge((name, made[name]) for name in names))


def test_a_case_that_failed_in_one_file_has_all_launches_of_the_other(both: frame.Analysis) -> None:
    row = both.cases.set_index("transport").loc["unix"]
    assert row["status"] == "measured"
    assert (row["launches_count"], row["time_median_s"]) == (8, 1e-5)
    assert row["verdict"] == "faster"
    assert row["flags"] == "partial"
    assert row["reason"] == "failed in other.json: round 2: it broke (twice)"


def test_its_failure_is_told_beside_its_number(both: frame.Analysis) -> None:
    told = f"partial: {UNIX.id}: it has no number in other.json (failed: round 2: it broke (twice))"
    assert told in summarised(both.objections)
    assert any(told in str(part) for part in summary(both))
    markdown = markdown_text(both)
    assert "it has no number in other.json" in markdown
    assert "10.0 µs" in markdown
    assert ",measured,failed in other.json: round 2: it broke (twice)," in csv_text(both.cases)


def test_a_claim_is_judged_by_what_was_measured_of_it(both: frame.Analysis) -> None:
    claim = judged(both)[0]
    assert claim.claim.name == "unix-beats-inet"
    assert claim.answer == "holds"


def test_a_case_without_a_number_in_any_file_has_its_reason_alone() -> None:
    other = _run("c", {UNIX: ["it hung"]})
    analysis = frame.analyse(merge([("b.json", _failing()), ("c.json", other)]))
    row = analysis.cases.set_index("transport").loc["unix"]
    assert (row["status"], row["reason"]) == ("failed", "round 1: it hung (twice)")
    assert "partial" not in [one.flag for one in analysis.objections]


def test_rounds_of_two_files_are_never_taken_for_one() -> None:
    one = _good("a", target_ratio=0.01)
    other = _good("b", 3e-5, target_ratio=0.01)
    merged = Collection([("a.json", one), ("b.json", other)])
    (width,) = [found.half_width for found in precisions(merged, "inet") if "unix" in found.case]
    assert width is not None
    assert width > 0.1


def test_files_of_two_machines_are_refused_and_both_are_named() -> None:
    newer = _good("b", kernel="Linux 7.0")
    says = (
        r"^a.json and b.json can't be reported in one table, being of two machines:"
        r" test-cpu-2cpu-kvm-[0-9a-f]{8} \(kernel Linux 6.0\)"
        r" and test-cpu-2cpu-kvm-[0-9a-f]{8} \(Linux 7.0\)$"
    )
    with pytest.raises(ResultsError, match=says):
        merge([("a.json", _good()), ("b.json", newer)])


def test_files_of_two_pythons_are_refused_as_pyperf_says_it() -> None:
    one, other = _good(python_version="3.11"), _good("b", python_version="3.12")
    with pytest.raises(ResultsError, match=r"reported together: .* python_version is diff"):
        merge([("a.json", one), ("b.json", other)])


def test_numbers_of_two_machines_are_never_pooled_or_compared() -> None:
    quiet = _good("a", 1.9e-5)
    noisy = _run("b", {INET: [[4e-5]] * 8, UNIX: [[3.9e-5]] * 8}, kernel="7", noise_floor_ratio=0.5)
    found = frame.analyse(Collection([("a.json", quiet), ("b.json", noisy)]))
    cases = found.cases.set_index(["kernel", "transport"])
    assert cases["time_median_s"].to_dict() == {
        ("Linux 6.0", "unix"): 1.9e-5,
        ("Linux 6.0", "inet"): 2e-5,
        ("7", "unix"): 3.9e-5,
        ("7", "inet"): 4e-5,
    }
    assert cases["launches_count"].tolist() == [8] * 4
    verdicts = cases["verdict"].dropna().to_dict()
    assert verdicts == {("Linux 6.0", "unix"): "faster", ("7", "unix"): "~"}
    assert cases["machine"].nunique() == 1
    assert cases[launch_frame.MACHINE].nunique() == 2
    with pytest.raises(UsageError, match="one machine"):
        judged(found)


def test_the_baseline_of_one_machine_is_none_of_anothers() -> None:
    one = _good("a")
    other = _run("b", {UNIX: [[1e-5]] * 8}, kernel="7")
    cases = frame.cases(Collection([("a.json", one), ("b.json", other)]))
    alone = cases[cases["kernel"] == "7"]
    assert alone["time_to_baseline_ratio"].isna().all()


def test_a_launch_of_another_machine_joins_no_run() -> None:
    results = _good()
    launch = next(_good("b").launches())
    moved = {**launch.facts, "kernel": "Linux 7.0"}
    with pytest.raises(ResultsError, match="of another machine than those before"):
        results.add_launch(launch.case, Measured((1e-5,), 100), moved)
