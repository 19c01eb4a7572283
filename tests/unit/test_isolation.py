"""A trial in processes of its own: each way to end has its outcome, and nothing stays."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from ipcbench.errors import CheckFailed
from ipcbench.testing.isolation import Outcome, isolated
from ipcbench.testing.subject import Broken, NotTried
from tests.leaks import marked_processes

LIMIT_S = 20.0


def _raise(error: BaseException) -> Callable[[], NoReturn]:
    def work() -> NoReturn:
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "outcome"),
    [
        (lambda: None, Outcome("passed")),
        (_raise(NotTried("no moon")), Outcome("skipped", "no moon")),
        (_raise(Broken("it's bent")), Outcome("broken", "it's bent")),
        (_raise(CheckFailed("it's lost")), Outcome("broken", "it's lost")),
        (_raise(ValueError("odd")), Outcome("broken", "ValueError: odd")),
        (_raise(SystemExit(0)), Outcome("broken", "SystemExit: 0")),
        (_raise(KeyboardInterrupt()), Outcome("broken", "KeyboardInterrupt: KeyboardInterrupt")),
        (
            lambda: os._exit(0),
            Outcome("broken", "it ends the process that uses it, which ended with code 0"),
        ),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            Outcome("broken", "it ends the process that uses it, which was killed by SIGKILL"),
        ),
        (
            lambda: os.kill(os.getppid(), signal.SIGKILL),
            Outcome("broken", "it ended the process that guards the trial"),
        ),
    ],
)
def test_each_end_has_its_outcome(
    work: Callable[[], object], outcome: Outcome, tmp_path: Path
) -> None:
    assert isolated(work, tmp_path, LIMIT_S) == outcome


def test_what_hangs_is_killed_at_the_limit(tmp_path: Path) -> None:
    outcome = isolated(threading.Event().wait, tmp_path, 0.2)
    assert outcome == Outcome("hung", "not done after 0.2 s: it hangs, and was killed")


def test_what_is_stopped_is_killed_too(tmp_path: Path) -> None:
    outcome = isolated(lambda: os.kill(os.getpid(), signal.SIGSTOP), tmp_path, 0.2)
    assert outcome.kind == "hung"


def test_a_daemon_that_is_left_is_killed_and_told(tmp_path: Path) -> None:
    def work() -> None:
        subprocess.Popen(
            (sys.executable, "-c", "import time; time.sleep(100)"), start_new_session=True
        )

    outcome = isolated(work, tmp_path, LIMIT_S)
    assert outcome.kind == "broken"
    assert outcome.sentence.startswith("it leaves processes running: process ")


def test_what_is_printed_goes_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        print("noise", flush=True)
        print("noise", file=sys.stderr, flush=True)
        os.system("echo noise; echo noise >&2")

    assert isolated(work, tmp_path, LIMIT_S).kind == "passed"
    assert capfd.readouterr() == ("", "")


def test_a_long_sentence_is_an_outcome_still(tmp_path: Path) -> None:
    outcome = isolated(_raise(Broken("x" * 1_000_000)), tmp_path, LIMIT_S)
    assert outcome.kind == "broken"
    assert outcome.sentence.startswith("xxx")


def test_the_callers_end_ends_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import time; from pathlib import Path\n"
        "from ipcbench.testing.isolation import isolated\n"
        f"isolated(lambda: time.sleep(100), Path({str(tmp_path)!r}), 100.0)\n"
    )
    mark = "of-the-caller"
    monkeypatch.setenv("IPCBENCH_TEST_MARK", mark)
    with subprocess.Popen([sys.executable, "-c", program]) as caller:
        while len(marked_processes(mark)) < 3:  # the caller, the guard and the trial
            time.sleep(0.01)
        caller.kill()
    deadline = time.monotonic() + LIMIT_S
    while marked_processes(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_caller_ends_the_trial_and_says_so_once(
    stop: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from ipcbench.errors import Interrupted\n"
        "from ipcbench.system.signals import Interrupts\n"
        "from ipcbench.testing.isolation import isolated\n"
        "try:\n"
        "    with Interrupts():\n"
        f"        isolated(lambda: time.sleep(100), Path({str(tmp_path)!r}), 100.0)\n"
        "except Interrupted as error:\n"
        "    print(error)\n"
    )
    mark = "of-the-interrupted"
    monkeypatch.setenv("IPCBENCH_TEST_MARK", mark)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as caller:
        while len(marked_processes(mark)) < 3:  # the caller, the guard and the trial
            time.sleep(0.01)
        os.killpg(caller.pid, stop)
        said, _ = caller.communicate(timeout=LIMIT_S)
    assert said == f"interrupted by {stop.name}\n"
    assert not marked_processes(mark)
