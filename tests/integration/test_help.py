"""What `--help` tells, and how much of it at once."""

import re

from tests.command import ipcbench

A_SCREEN = 40


def test_the_help_of_compare_fits_one_screen_and_shows_examples() -> None:
    text = ipcbench("compare", "--help", extra={"COLUMNS": "80"}).stdout
    assert len(text.splitlines()) <= A_SCREEN
    assert max(map(len, text.splitlines())) <= 80
    assert "  ipcbench compare @all --quick --overview" in text


def test_help_all_tells_of_every_option() -> None:
    text = ipcbench("compare", "--help-all").stdout
    told = set(re.findall(r"^  (?:-o FILE, )?(--[a-z-]+)", text, re.MULTILINE))
    assert {"--sizes", "--rounds", "--resume", "--events", "--no-lock", "--force"} <= told
    assert "exit codes:" in text


def test_every_example_of_the_help_can_be_parsed() -> None:
    from ipcbench.arguments import parser

    text = ipcbench("compare", "--help").stdout
    _, _, examples = text.partition("examples:\n")
    lines = [line.strip().partition("  ")[0] for line in examples.splitlines()]
    assert len(lines) == 4
    for line in lines:
        program, *words = line.split()
        assert program == "ipcbench"
        parser().parse_args(words)
