"""Commands in forks of a process that has the libraries do what those of a new process do."""

import subprocess
from pathlib import Path

import pytest

from tests.command import environment, ipcbench, preloaded, run


@pytest.mark.parametrize("arguments", [("list",), ("report", "nothing.json"), ("compare", "x")])
def test_a_command_says_what_it_says_in_a_process_of_its_own(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    alone = run("-m", "ipcbench", *arguments, cwd=tmp_path)
    forked = ipcbench(*arguments, cwd=tmp_path)
    assert forked.returncode == alone.returncode
    assert (forked.stdout, forked.stderr) == (alone.stdout, alone.stderr)


def test_the_environment_and_the_folder_are_those_that_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    done = ipcbench("report", "run.json", cwd=tmp_path, extra={"COLUMNS": "40"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "run.json" in done.stderr


def test_a_command_that_takes_too_long_is_ended_and_the_next_one_runs(tmp_path: Path) -> None:
    endless = ("compare", "pipe", "--min-time=60s", "--no-lock", "-o", "run.json")
    with pytest.raises(subprocess.TimeoutExpired):
        preloaded().run(endless, tmp_path, environment(), 1)
    assert ipcbench("report", "nothing.json", cwd=tmp_path).returncode == 2


def test_what_a_command_leaves_running_is_told() -> None:
    text = (
        "import subprocess; from tests import preloaded; preloaded._GRACE_S = 0.1\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(child.pid, preloaded._left()); child.kill(); child.wait(); print(preloaded._left())"
    )
    told, nothing = run("-c", text).stdout.splitlines()
    pid, _, left = told.partition(" ")
    assert left == f"['process {pid}: sleep 60 ']"
    assert nothing == "[]"
