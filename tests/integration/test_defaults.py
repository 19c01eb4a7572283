"""tools/defaults.py with few comparisons: measures, saves, and shows what it saved."""

import subprocess
import sys
from pathlib import Path

from tests.command import environment

ROOT = Path(__file__).parent.parent.parent


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.defaults", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_few_defaults_are_compared_with_none(tmp_path: Path) -> None:
    path = tmp_path / "defaults.json"
    done = _run("--comparisons=4", "--rounds=1", "--seed=1", "-o", str(path))
    assert done.returncode == 0, done.stderr  # of one launch each, nothing can be told apart
    assert "ok    defaults beside none: 0 of 4 told apart (0.0%, at most 5.0%)" in done.stdout
    assert "latency:gap=1ns:gap-by=spin/pipe/64/python/same-core: " in done.stdout
    shown = _run("--show", str(path))
    assert shown.returncode == 0
    assert shown.stdout == done.stdout


def test_a_file_that_is_no_report_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "else.json"
    path.write_text("[]")
    refused = _run("--show", str(path))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"tools.defaults: {path} is no report of this tool: ")
    assert refused.stderr.count("\n") == 1


def test_no_comparison_is_refused() -> None:
    refused = _run("--comparisons=0")
    assert refused.returncode == 2
    assert "--comparisons: invalid number of at least 1 value: '0'" in refused.stderr
