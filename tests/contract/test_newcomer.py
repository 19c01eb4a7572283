"""Adding a transport is one class and one line: the contract tests then run over it as they are."""

import re
from pathlib import Path

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
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    added = re.search(
        r"\+\+\+ b/ipcbench/transports/seqpair.py\n@@.*@@\n(.*?)\ndiff ", text, re.DOTALL
    )
    assert added
    lines = [line.removeprefix("+") for line in added[1].splitlines()]
    assert "\n".join(lines) + "\n" == NEWCOMER.read_text(encoding="utf-8")
