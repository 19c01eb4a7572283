"""Standard streams that can't be written to, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import environment, run

PRINTS = r"""
import os, sys
from ipcbench.cli.streams import patient_streams
with patient_streams() as streams:
    print("12 \u00b5s \u2026 \u00e9")
    sys.stdout.flush()
    print("more", flush=True)
    print(streams.failure, file=sys.stderr)
"""


Done = subprocess.CompletedProcess[str]


def _printed(redirection: str, extra: dict[str, str] | None = None) -> Done:
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", sys.executable, "-c", PRINTS],
        env=environment(extra),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_is_printed_comes_through() -> None:
    done = _printed("", {"PYTHONUTF8": "1"})
    assert (done.returncode, done.stdout) == (0, "12 µs … é\nmore\n")
    assert done.stderr == "None\n"


def test_what_the_encoding_lacks_is_written_plainly() -> None:
    done = _printed("", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert (done.returncode, done.stdout) == (0, "12 us ... ?\nmore\n")


@pytest.mark.parametrize("redirection", [">&-", "| true"])
def test_that_nobody_reads_is_no_failure(redirection: str) -> None:
    done = _printed(redirection)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "None\n")


def test_that_there_is_no_room_is_kept_for_whoever_asks() -> None:
    done = _printed(">/dev/full")
    assert done.returncode == 0
    assert done.stderr == "[Errno 28] No space left on device\n"


def test_a_closed_descriptor_is_not_taken_by_the_next_pipe(tmp_path: Path) -> None:
    script = (
        "import os\nfrom ipcbench.cli.streams import patient_streams\nos.close(0)\n"
        "with patient_streams():\n    assert 0 not in os.pipe()\n"
    )
    done = run("-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
