"""Adding a transport is one class and one line: the contract tests then run over it as they are."""

import os
import re

from tests.command import ROOT, run

OUTSIDE = ROOT / "tests/data/outside"
FILES = ("src/seqpair.py", "pyproject.toml", "tests/test_seqpair.py")


def test_a_transport_of_one_class_and_one_line_passes_the_contract_untouched() -> None:
    options = ("-q", "-p", "tests.contract.registered", "-k", "seqpair", "-p", "no:cacheprovider")
    done = run(
        *("-m", "pytest", *options, "tests/contract/test_transports.py"),
        extra={"PYTHONPATH": os.pathsep.join(map(str, (ROOT, OUTSIDE / "src")))},
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 20
    assert "failed" not in done.stdout


def test_contributing_shows_the_package_as_it_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^`([a-z/_.]+)`:\n\n```[a-z]+\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in shown] == list(FILES)
    for name, body in shown:
        assert body == (OUTSIDE / name).read_text(encoding="utf-8")
