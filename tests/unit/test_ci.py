"""The pipelines in docs/ci.md are made of options that exist and gates that can be read."""

import re
import shlex
from argparse import Namespace

import pytest

from ipcbench.analysis.gates import parse_gate
from ipcbench.cli.commands import COMMANDS, parser
from tests.command import ROOT

TEXT = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```[a-z]*\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def _commands() -> list[list[str]]:
    """The words of each ipcbench command in a block, without what a shell does after it."""
    found = []
    for line in "\n".join(BLOCKS).replace("\\\n", " ").splitlines():
        match = re.search(r"(?:^|[\s/])ipcbench (.*?)(?: \|\| .*)?$", line)
        if match:
            found.append(shlex.split(match[1]))
    return found


def _parsed(words: list[str]) -> Namespace:
    return parser(words).parse_args(words)


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_each_command_can_be_typed_as_it_is(words: list[str]) -> None:
    assert words[0] in COMMANDS
    args = _parsed(words)
    for gate in getattr(args, "gates", ()):
        parse_gate(gate)


def test_the_pipeline_compares_base_and_head_in_one_run() -> None:
    compared = [_parsed(words) for words in _commands() if "--python" in words]
    assert len(compared) == 2
    for args in compared:
        assert [text.partition("=")[0] for text in args.pythons] == ["base", "head"]
        assert args.gates
        assert args.junit
    assert compared[0].github


def test_every_option_of_gates_is_told() -> None:
    told = {word for words in _commands() for word in words}
    assert {"--fail-if", "--junit", "--github", "--against", "--save"} <= told
    for code in ("0", "4", "6"):
        assert re.search(rf"^\| [a-z ]+ \| {code} \|", TEXT, re.MULTILINE)
