"""Gates on what a command measures itself: against a kept run, and between interpreters."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.command import QUICK, ipcbench

LITTLE = ("pipe", "--sizes=64", "--workloads=latency", "--placement=same-core")
SIX = ("--rounds=6", "--values=1", "--warmups=0", "--min-time=2ms")
SAME = f"base={sys.executable},head={sys.executable}"


def test_gates_judge_a_run_against_a_kept_one(tmp_path: Path) -> None:
    kept = ipcbench("compare", *LITTLE, *SIX, "-o", "a.json", "--save", "main", cwd=tmp_path)
    assert kept.returncode == 0, kept.stderr
    against = ("compare", *LITTLE, "--against", "main", "--fail-if")
    passed = ipcbench(*against, "latency>100000%", *SIX, "-o", "b.json", cwd=tmp_path)
    assert passed.returncode == 0, passed.stderr
    assert "latency>100000% NEW against OLD passed 1 0 0" in " ".join(passed.stdout.split())
    # A limit that demands a change which can't have been.
    options = ("-o", "c.json", "--junit", "gates.xml", "--github", "--csv", "-")
    extra = {"GITHUB_STEP_SUMMARY": "summary.md"}
    tripped = ipcbench(*against, "latency>-99.9%", *SIX, *options, cwd=tmp_path, extra=extra)
    assert tripped.returncode == 4, tripped.stderr
    assert "::error title=ipcbench::gate tripped: latency>-99.9%25: latency/pipe" in tripped.stderr
    assert tripped.stdout.startswith("case,")
    assert ElementTree.parse(tmp_path / "gates.xml").getroot().get("failures") == "1"
    summary = (tmp_path / "summary.md").read_text()
    assert "**NEW against OLD, same-core**" in summary
    assert "**Latency (round trip), 64 B, same-core" in summary
    few = ipcbench(*against, "latency>5%", *QUICK, "-o", "d.json", cwd=tmp_path)
    assert few.returncode == 6, few.stderr
    assert "too few launches: 1 launch, it takes 6 of each" in few.stderr


def test_gates_judge_an_interpreter_against_the_first(tmp_path: Path) -> None:
    two = ("compare", *LITTLE, *SIX, "--python", SAME, "--fail-if")
    passed = ipcbench(*two, "slower>100000%", "-o", "a.json", cwd=tmp_path)
    assert passed.returncode == 0, passed.stderr
    assert "slower>100000% head against base passed 1 0 0" in " ".join(passed.stdout.split())
    tripped = ipcbench(*two, "cpu>-99.9%", "-o", "b.json", cwd=tmp_path)
    assert tripped.returncode == 4, tripped.stderr
    assert "CPU time of a message, head against base, same-core" in tripped.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "--fail-if needs something to compare with; add --against NAME, or --python"),
        (("--python", f"one={sys.executable}"), "--fail-if needs something to compare with"),
        (("--python", SAME, "--junit", "run.json"), "-o and --junit both name run.json"),
        (("--python", SAME), "gate 'throughput<-5%' is about nothing that is to be measured"),
    ],
)
def test_a_gate_that_could_judge_nothing_is_refused_before_the_first_launch(
    options: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    gate = ("--fail-if", "throughput<-5%", "-o", "run.json")
    done = ipcbench("compare", *LITTLE, *QUICK, *options, *gate, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_claims_of_a_file_take_no_gate(tmp_path: Path) -> None:
    done = ipcbench("claims", "run.json", "--fail-if", "latency>5%", cwd=tmp_path)
    assert done.returncode == 2
    assert "leave the options of measuring out" in done.stderr
