"""Folders, streams, terminals, locales and clocks as nobody wants them: a run gets through."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from ipcbench.results import store
from tests.command import QUICK, environment, until
from tests.faults.scarce import (
    LATENCY,
    OPTIONS,
    Done,
    command,
    explained,
    finished,
    measured,
    ordinary_user,
    refusal,
    unshared,
)

ONE = ("unix", *LATENCY)
LONG_RUN = ("unix", "pipe", "--sizes=64", "--workloads=latency", "--rounds=500", *QUICK[1:])
BACKWARDS = Path(__file__).parent / "backwards.c"
_WAIT_S = 60


def _in_shell(redirections: str, cwd: Path) -> Done:
    return finished(["sh", "-c", f'"$@" {redirections}', "sh", *command(*ONE)], cwd)


def test_in_a_read_only_folder_the_table_is_shown_and_nothing_is_saved(tmp_path: Path) -> None:
    setup = f"mount -t tmpfs tmpfs {tmp_path} -o ro; cd {tmp_path}"
    line = [*unshared(["-m"], setup), *command(*ONE)[:-2]]
    said = explained(finished(line, tmp_path), 0)
    assert f"results are not saved: {tmp_path} can't be written; name a file with -o" in said
    assert "Latency (round trip), 64 B" in said


def test_a_result_file_in_a_read_only_folder_is_refused_before_the_first_launch(
    tmp_path: Path,
) -> None:
    user = ordinary_user(tmp_path)
    tmp_path.chmod(0o500)
    said = refusal(finished([*user, *command(*ONE)], tmp_path, {"XDG_RUNTIME_DIR": None}))
    assert said == "ipcbench: run.json can't be written: no permission; name another folder"


def test_without_home_all_is_as_usual(tmp_path: Path) -> None:
    explained(finished(command(*ONE), tmp_path, {"HOME": None}), 0)
    assert measured(tmp_path / "run.json") == {"unix"}


def test_a_tmpdir_that_isnt_there_is_replaced_by_the_usual_one(tmp_path: Path) -> None:
    explained(finished(command(*ONE), tmp_path, {"TMPDIR": str(tmp_path / "none")}), 0)
    assert measured(tmp_path / "run.json") == {"unix"}


def test_sockets_are_made_in_a_tmpdir_of_200_characters(tmp_path: Path) -> None:
    longest = tmp_path / ("d" * (199 - len(str(tmp_path))))
    longest.mkdir()
    names = {"unix", "unix-dgram", "unix-seqpacket", "mp-connection"}
    options = (*sorted(names), *OPTIONS, "--workloads=latency,connect")
    explained(finished(command(*options), tmp_path, {"TMPDIR": str(longest)}), 0)
    assert measured(tmp_path / "run.json") == names
    assert list(longest.iterdir()) == []


def test_a_full_tmpdir_is_said_and_left_empty(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    setup = f"mount -t tmpfs tmpfs {small} -o size=8k"
    line = [*unshared(["-m"], setup, f"ls -A {small} >left"), *command(*ONE)]
    said = explained(finished(line, tmp_path, {"TMPDIR": str(small)}), 3)
    assert "no space is left; free some, or set TMPDIR to a folder that has some" in said
    assert (tmp_path / "left").read_text() == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_standard_streams_cost_no_result(closed: str, tmp_path: Path) -> None:
    explained(_in_shell(closed, tmp_path), 0)
    assert measured(tmp_path / "run.json") == {"unix"}


@pytest.mark.parametrize("what", ["", "2>&1"], ids=["stdout", "both"])
def test_a_reader_that_has_seen_enough_costs_no_result(what: str, tmp_path: Path) -> None:
    script = f'{{ "$@" --csv=run.csv; echo $? >code; }} {what} | head -1'
    done = finished(["sh", "-c", script, "sh", *command(*ONE)], tmp_path)
    explained(done, 0)
    assert len(done.stdout.splitlines()) == 1
    assert (tmp_path / "code").read_text() == "0\n"
    assert measured(tmp_path / "run.json") == {"unix"}
    assert "latency/unix/64" in (tmp_path / "run.csv").read_text(encoding="utf-8")


def test_a_full_disk_behind_stdout_costs_no_result_and_is_said(tmp_path: Path) -> None:
    said = explained(_in_shell(">/dev/full", tmp_path), 2)
    assert "saved: run.json" in said
    assert "ipcbench: not all could be printed on stdout: No space left on device" in said
    assert measured(tmp_path / "run.json") == {"unix"}


def test_in_a_terminal_of_40_columns_no_number_is_cut(tmp_path: Path) -> None:
    screen = _seen_in_terminal(40, command("unix", "mp-simplequeue-pickle", *LATENCY), tmp_path)
    assert max(map(len, screen)) <= 40
    assert not any("…" in line for line in screen)
    text = "\n".join(screen)
    assert re.search(r"^transport +round trip$", text, re.MULTILINE)
    assert re.search(r"^mp-simplequeue-pickle +[0-9.]+ [µm]s$", text, re.MULTILINE)
    assert re.search(r"^mp-simplequeue-pickle +\? [0-9.]+x (slower|faster)$", text, re.MULTILINE)


def _seen_in_terminal(columns: int, line: list[str], cwd: Path) -> list[str]:
    """The lines that a terminal of this width shows, colours and moves of its cursor left out."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    variables = environment({"TERM": "xterm"})
    for name in ("COLUMNS", "NO_COLOR"):
        variables.pop(name, None)
    process = subprocess.Popen(
        line, cwd=cwd, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # EIO: the last process that had the terminal is gone
    finally:
        os.close(ours)
    assert process.wait(_WAIT_S) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    return [piece.rstrip() for piece in re.split(r"[\r\n]+", plain)]


def test_in_a_pipe_no_table_is_cut_whatever_its_width(tmp_path: Path) -> None:
    names = ("sysv-shm", "mp-simplequeue-pickle", "--baseline=mp-simplequeue-pickle")
    options = (*names, *OPTIONS, "--workloads=throughput")
    done = finished(command(*options), tmp_path, {"COLUMNS": None})
    said = explained(done, 0)
    assert max(map(len, done.stdout.splitlines()[1:3])) > 80
    assert "…" not in said


def test_in_the_locale_c_units_are_written_in_its_characters(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = finished(command(*ONE), tmp_path, ascii_only)
    explained(done, 0)
    assert done.stdout.isascii()
    assert re.search(r"^unix +\| +[0-9.]+ [um]s ", done.stdout, re.MULTILINE)


def test_a_wall_clock_that_runs_backwards_changes_no_result(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for a clock that runs backwards")
    shim = tmp_path / "backwards.so"
    build = [compiler, "-shared", "-fPIC", f"-DMIRROR_S={int(time.time())}", "-o", str(shim)]
    subprocess.run([*build, str(BACKWARDS)], check=True, timeout=_WAIT_S)
    preloaded = {"LD_PRELOAD": str(shim)}
    look = "import time; a = time.time(); time.sleep(0.01); print(time.time() < a)"
    looked = finished([sys.executable, "-c", look], tmp_path, preloaded)
    assert looked.stdout == "True\n", "the fake clock doesn't run backwards"
    options = ("unix", "--sizes=64", "--rounds=3", *QUICK[1:], "--workloads=latency")
    explained(finished(command(*options), tmp_path, preloaded), 0)
    recorded = store.load(tmp_path / "run.json").launches()
    launches = [launch for launch in recorded if launch.case.transport == "unix"]
    assert [launch.round_number for launch in launches] == [1, 2, 3]
    elapsed = [float(launch.facts["run_elapsed_s"]) for launch in launches]
    assert 0 < elapsed[0] < elapsed[1] < elapsed[2]
    assert all(value > 0 for launch in launches for value in launch.values_s)


def test_a_disk_that_fills_up_keeps_the_last_good_file_and_shows_all(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    setup = f"mount -t tmpfs tmpfs {disk} -o size=20k; cd {disk}"
    after = "cp run.json* ..; ls -A >../left"
    line = [*unshared(["-m"], setup, after), *command(*LONG_RUN)]
    done = finished(line, tmp_path)
    said = explained(done, 2)
    assert "ipcbench: run.json can't be written: No space left on device; the run ends here" in said
    assert "run.json and run.json.journal keep what was saved before" in said
    assert "Latency (round trip), 64 B" in done.stdout
    assert (tmp_path / "left").read_text() == "run.json\nrun.json.journal\n"
    assert measured(tmp_path / "run.json") == {"unix", "pipe"}


def test_a_permission_that_is_revoked_keeps_the_last_good_file_and_shows_all(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    variables = environment({"TMPDIR": str(tmp_path)})
    variables.pop("XDG_RUNTIME_DIR")
    tmp_path.chmod(0o777)
    process = subprocess.Popen(
        [*ordinary_user(folder), *command(*LONG_RUN)],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(process, (folder / "run.json.journal").exists)
        folder.chmod(0o500)
        (folder / "run.json.journal").chmod(0o400)
        out, err = process.communicate(timeout=_WAIT_S)
    finally:
        process.kill()
    said = explained(subprocess.CompletedProcess([], process.returncode, out, err), 2)
    assert "ipcbench: run.json can't be written: Permission denied; the run ends here" in said
    assert "run.json and run.json.journal keep what was saved before" in said
    assert "64 B, cross-core" in out
    assert measured(folder / "run.json") <= {"unix", "pipe"}
