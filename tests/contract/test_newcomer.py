"""Adding a transport is one class and one line: the contract tests then run over it as they are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command import ROOT, run

NEWCOMER = Path(__file__).with_name("newcomer.py")


def test_a_transport_of_one_class_and_one_line_passes_the_contract_untouched() -> None:
    options = ("-q", "-p", "tests.contract.registered", "-k", "seqpair", "-p", "no:cacheprovider")
    done = run("-m", "pytest", *options, "tests/contract/test_transports.py")
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 20
    assert "failed" not in done.stdout


def test_contributing_adds_exactly_this_transport() -> None:
    _, _, diff = _diff().partition("+++ b/ipcbench/transports/seqpair.py\n")
    lines = [line.removeprefix("+") for line in diff.splitlines()[1:]]
    assert "\n".join(lines) + "\n" == NEWCOMER.read_text(encoding="utf-8")


def test_the_diff_in_contributing_applies_to_the_code_as_it_is() -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    command = ("git", "apply", "--check", "-")
    done = subprocess.run(command, input=_diff(), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _diff() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = text.partition("```diff\n")
    diff, _, _ = rest.partition("```\n")
    return diff
