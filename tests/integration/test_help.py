"""What `--help` tells, and how much of it at once."""

import re
import shlex

import pytest

from ipcbench.cli.commands import parser
from tests.command import ipcbench

A_SCREEN = 35


def test_the_help_of_compare_fits_one_screen_and_shows_examples() -> None:
    text = ipcbench("compare", "--help", extra={"COLUMNS": "80"}).stdout
    assert len(text.splitlines()) <= A_SCREEN
    assert max(map(len, text.splitlines())) <= 80
    assert "  ipcbench compare @all --quick --overview" in text


def test_help_all_tells_of_every_option() -> None:
    text = ipcbench("compare", "--help-all").stdout
    told = set(re.findall(r"^  (?:-o FILE, )?(--[a-z-]+)", text, re.MULTILINE))
    assert {"--sizes", "--rounds", "--resume", "--events", "--no-lock", "--force"} <= told
    assert {"--vary", "--grid"} <= told
    assert "exit codes:" in text


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("", 3),
        ("compare", 4),
        ("report", 4),
        ("claims", 3),
        ("ladder", 4),
        ("diff", 2),
        ("evidence", 3),
        ("check", 2),
        ("full", 3),
    ],
)
def test_every_example_of_the_help_can_be_parsed(command: str, count: int) -> None:
    text = ipcbench(*command.split(), "--help", extra={"COLUMNS": "80"}).stdout
    _, _, after = text.partition("examples:\n")
    examples, _, _ = after.partition("\n\n")
    lines = examples.splitlines()
    assert len(lines) == count
    for line in lines:
        assert len(line) <= 80
        program, *words = shlex.split(line.strip().partition("  ")[0])
        assert program == "ipcbench"
        assert parser().parse_args(words).command == (command or words[0])
