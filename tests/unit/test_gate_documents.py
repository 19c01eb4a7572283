"""The answers of gates as a CI server reads them: JUnit's XML, GitHub's annotations and summary."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis.diff import compare_runs
from ipcbench.analysis.gates import CaseResult, GateResult, judged_gates, parse_gate
from ipcbench.case import Case
from ipcbench.cli import gates, main
from ipcbench.reporters.github import annotation, annotations, summary_text
from ipcbench.reporters.junit import junit_text
from ipcbench.results import store
from ipcbench.results.store import Results
from tests.replay import Recorded, replayed

UNIX, INET, STREAM = (
    Case.parse(name) for name in ("latency/unix/64", "latency/inet/64", "throughput/unix/64")
)
GONE = Case.parse("latency/pipe/64")


def _run(factor: float, *cases: Case) -> Results:
    noise = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.03, 0.97)
    recorded: Recorded = {case: [[1e-5 * one] for one in noise] for case in cases}
    slow: Recorded = {UNIX: [[1e-5 * factor * one] for one in noise]}
    return replayed({**recorded, **slow}, rounds=len(noise))[0]


OLD, NEW = _run(1, UNIX, INET, GONE), _run(1.25, UNIX, INET)


def _results(*gates: str) -> list[GateResult]:
    return judged_gates(map(parse_gate, gates), compare_runs(OLD, NEW))


def test_junit_has_a_test_for_each_gate_and_case() -> None:
    root = ElementTree.fromstring(junit_text(_results("latency>5%", "connect<-10%")))
    latency, connect = root
    assert root.attrib == {
        "name": "ipcbench gates",
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
    }
    assert (latency.get("name"), latency.get("tests")) == ("latency>5% (NEW against OLD)", "3")
    tests = {test.get("name"): test for test in latency}
    assert {test.get("classname") for test in latency} == {"latency>5%"}
    (failure,) = tests[UNIX.id]
    assert (failure.tag, failure.get("type")) == ("failure", "gate")
    assert str(failure.get("message")).startswith("latency>5%: +25% (95%: +2")
    (said,) = tests[INET.id]
    assert (said.tag, str(said.text)[:10]) == ("system-out", "+0.0% (95%")
    (skipped,) = tests[GONE.id]
    assert (skipped.tag, skipped.get("message")) == ("skipped", "only in OLD")
    ((nothing,),) = connect
    assert nothing.get("message") == "neither OLD nor NEW has a case of connect"


def _hostile(text: str) -> list[GateResult]:
    gate = parse_gate("latency>5%")._replace(text=text)
    case = UNIX._replace(transport=text)
    return [
        GateResult(gate, text, [CaseResult(case, "not judged", text)], notes=[text]),
        GateResult(gate, text, [], text),
    ]


@given(st.text())
def test_junit_is_well_formed_for_any_text(text: str) -> None:
    written = junit_text(_hostile(text))
    suites = ElementTree.fromstring(written.encode())
    assert len(list(suites.iter("skipped"))) == 2
    assert text.isprintable() is (suites[1][0][0].get("message") == text)


@given(st.text())
def test_an_annotation_is_one_line_for_any_text(text: str) -> None:
    for line in (annotation("error", text), *annotations(_hostile(text), [text])):
        assert line.startswith(("::error title=ipcbench::", "::warning title=ipcbench::"))
        assert line.isprintable()
        assert "%" not in line.replace("%25", "")


def test_annotations_are_errors_of_gates_and_warnings_of_the_rest() -> None:
    lines = list(annotations(_results("latency>5%"), ["kernel differs: 6 and 7"]))
    assert [line.split("::")[1].split()[0] for line in lines] == [
        *("error", "error", "warning", "warning")
    ]
    start = "::error title=ipcbench::gate tripped: latency>5%25: latency/unix/64/python/cross-core:"
    assert lines[0].startswith(f"{start} +25%25 (95%25: +2")
    assert lines[1].endswith("1 of 3 cases: latency/pipe/64/python/cross-core: only in OLD")
    assert lines[2] == "::warning title=ipcbench::kernel differs: 6 and 7"


def test_the_summary_has_gates_first_and_leaves_out_what_there_is_no_room_for() -> None:
    results = _results("latency>5%")
    whole = summary_text(results, "TABLES\n", 10_000)
    assert whole.startswith("### ipcbench\n\n**Gates: answers, and numbers of cases**\n\n| gate |")
    assert "| latency&gt;5% | NEW against OLD | tripped | 2 | 1 | 1 |" in whole
    assert whole.endswith("\nTABLES\n")
    first = summary_text(results, "TABLES\n", len(whole.encode()) - 1)
    assert whole.startswith(first)
    assert first.endswith("selftest\\` finds it\n\n")
    short = summary_text(results, "", len(first.encode()) - 1)
    assert short.startswith("### ipcbench\n\n- gate tripped: latency&gt;5%: latency/unix")
    assert summary_text(results, "", 10) == ""
    assert summary_text([], "TABLES\n", 100) == "### ipcbench\n\nTABLES\n"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a diff that trips a gate, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    store.save(OLD, Path("old.json"))
    store.save(NEW, Path("new.json"))
    return ["diff", "old.json", "new.json", "--fail-if", "latency/unix>5%"]


def test_diff_tells_github_and_junit(
    stored: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    assert main.main([*stored, "--github", "--junit", "gates.xml"]) == 4
    err = capsys.readouterr().err
    assert "\n::error title=ipcbench::gate tripped: latency/unix>5%25:" in err
    assert "ipcbench: written: gates.xml" in err
    summary = Path("summary.md").read_text()
    assert summary.startswith("before\n### ipcbench\n")
    assert "**NEW against OLD, cross-core**" in summary
    assert ElementTree.parse("gates.xml").getroot().get("failures") == "1"


def test_elsewhere_than_on_github_there_is_no_summary_and_the_answer_is_the_same(
    stored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*stored, "--github"]) == 4
    assert "no summary is written: GITHUB_STEP_SUMMARY names no file" in capsys.readouterr().err


def test_a_summary_that_cant_be_written_leaves_the_answer_of_a_gate(
    stored: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
    assert main.main([*stored, "--github"]) == 4
    assert "nowhere/summary.md can't be written" in capsys.readouterr().err
    assert main.main(["diff", "old.json", "old.json", "--github"]) == 2


def test_gates_without_anything_to_judge_are_never_passed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = gates.Asked([parse_gate("latency>5%")])
    assert gates.answer(asked, asked.judge([]), [], "") == 6
    assert "gates not judged" in capsys.readouterr().err
    assert gates.answer(gates.Asked([]), [], [], "") == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--junit", "gates.xml"], "--junit tells the answers of gates; add one with --fail-if"),
        (["--junit", "-", "--fail-if", "cpu>5%"], "--junit takes a file; name one"),
        (["--junit", "old.json", "--fail-if", "cpu>5%"], "old.json exists already"),
        (["--junit", "old.json", "--fail-if", "cpu>5%", "--force"], "both name old.json"),
        (["--junit", "a", "--json", "a", "--fail-if", "cpu>5%"], "both name a"),
    ],
)
def test_a_junit_file_that_cant_be_is_refused_first(
    options: list[str], says: str, stored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*stored[:3], *options]) == 2
    assert says in capsys.readouterr().err


def test_the_answers_are_in_the_json(stored: list[str]) -> None:
    assert main.main([*stored, "--fail-if", "cpu>5%", "--json", "diff.json"]) == 4
    parts: list[dict[str, Any]] = json.loads(Path("diff.json").read_text())["parts"]
    grids = {part["title"]: part["rows"] for part in parts if part["kind"] == "grid"}
    first, second = grids["Gates: answers, and numbers of cases"]
    assert first["values"] == {
        "gate": "latency/unix>5%",
        "versus": "NEW against OLD",
        "answer": "tripped",
        "judged_cases_count": 1,
        "tripped_cases_count": 1,
        "unjudged_cases_count": 0,
    }
    assert second["values"]["answer"] == "not judged"
    rows = [row["values"] for row in grids["Cases that a gate didn't pass"]]
    assert [(row["case"], row["answer"]) for row in rows] == [
        (UNIX.id, "tripped"),
        *((case.id, "not judged") for case in (GONE, INET, UNIX)),
    ]
    assert rows[2]["why"] == "not in OLD: no CPU time is recorded"
