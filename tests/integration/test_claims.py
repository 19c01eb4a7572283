"""`ipcbench claims` measures what the claims are about, judges it, and judges files again."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ipcbench.analysis.claims import CLAIMS, NEEDED
from ipcbench.case import Case
from tests.command import QUICK, environment, ipcbench, until

pytestmark = pytest.mark.early

LITTLE = (
    *("--sizes=64", "--workloads=latency,connect,latency:work=1ms", "--placement=same-core"),
    *QUICK,
)


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """The file of a small run, and what the command said."""
    path = tmp_path_factory.mktemp("claims") / "claims.json"
    done = ipcbench("claims", *LITTLE, "-o", str(path), "--csv", str(path.with_suffix(".csv")))
    assert done.returncode == 0, done.stderr
    return path, done


def test_every_claim_is_answered_and_no_other_case_is_measured(
    run: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    path, done = run
    cases = json.loads(path.read_text())["ipcbench"]["plan"]["cases"]
    measured = [Case.parse(case) for case in cases]
    for claim in CLAIMS:
        is_judged = any(claim.comparisons(measured))
        missing = "can't tell: not measured" if claim.needs else "not measured"
        answer = "open: too few launches" if is_judged else missing
        assert f'"{claim.quote}"\n-> {answer}' in _stripped(done.stdout)
    assert "Latency (round trip)" not in done.stdout
    unjudged = {claim.name for claim in CLAIMS if not any(claim.comparisons(measured))}
    assert not unjudged & {"unix-beats-inet", "sockets-like-sysv", "irrelevant-with-work"}
    assert len(cases) > 5
    assert all(case.transport in NEEDED[case.workload] for case in measured)
    assert path.with_suffix(".csv").read_text().count("\n") > len(cases)


def test_a_stored_file_is_judged_the_same_without_measuring(
    run: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    path, done = run
    assert ipcbench("claims", str(path)).stdout == done.stdout


def test_report_shows_the_claims_of_a_run_that_was_made_for_them_below_its_tables(
    run: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    tables, quote, _ = ipcbench("report", str(run[0])).stdout.partition(CLAIMS[0].quote)
    assert "Latency (round trip)" in tables
    assert quote


def test_details_of_claims_are_the_tables(
    run: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    text = ipcbench("claims", str(run[0]), "--details").stdout
    assert "Latency (round trip)" in text
    assert CLAIMS[0].quote in text


def test_report_judges_any_file_if_asked() -> None:
    stored = "tests/data/run.json"
    assert CLAIMS[0].quote not in ipcbench("report", stored).stdout
    text = _stripped(ipcbench("report", stored, "--claims").stdout)
    assert f'"{CLAIMS[0].quote}"\n-> holds' in text
    assert f'"{CLAIMS[2].quote}"\n-> not measured' in text


def test_a_complete_run_is_gone_on_with_by_showing_it_again(
    run: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    path, done = run
    again = ipcbench("claims", "--resume", str(path))
    assert again.returncode == 0
    assert "nothing of" in again.stderr
    assert again.stdout == done.stdout


def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    options = (*LITTLE[:3], "--rounds=40", "--values=1", "--warmups=0", "--min-time=2ms")
    with subprocess.Popen(
        [sys.executable, "-m", "ipcbench", "claims", *options, "-o", str(path)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(process, path.exists)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"go on with: ipcbench claims --resume {path}" in said
    refused = ipcbench("claims", "--resume", str(path), "--sizes=1k")
    assert refused.returncode == 2
    assert "other cases" in refused.stderr


def test_a_file_and_options_of_measuring_are_refused(
    run: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    refused = ipcbench("claims", str(run[0]), "--rounds=3")
    assert refused.returncode == 2
    assert "is judged as it is, and nothing is measured" in refused.stderr


def test_a_file_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    missing = ipcbench("claims", "unix", cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stderr == "ipcbench: unix isn't there; name a result file\n"


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())
