"""The soak: it ends at the first red round, keeps its output, and leaves no busy process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.command import ROOT, environment
from tests.soak import busy, soak

QUIET = ("-q", "-p", "no:cacheprovider", "--rootdir")


def test_busy_processes_use_cpu_time_and_end_with_the_block() -> None:
    with pytest.raises(RuntimeError, match="whatever happens"), busy(2) as pids:  # noqa: PT012
        processes = [psutil.Process(pid) for pid in pids]
        assert [process.nice() for process in processes] == [os.getpriority(os.PRIO_PROCESS, 0)] * 2
        raise RuntimeError("whatever happens")
    assert not any(process.is_running() for process in processes)


def test_busy_processes_end_with_a_soak_that_is_killed() -> None:
    program = (
        "import os\nfrom tests.soak import busy\n"
        "with busy(2) as pids:\n    print(*pids, flush=True)\n    os.read(0, 1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as soaking:
        assert soaking.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in soaking.stdout.readline().split()]
        soaking.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(processes, 60)[1] == []


@pytest.mark.parametrize(("test", "rounds", "kept"), [("pass", 2, None), ("assert 0", 1, 1)])
def test_a_soak_ends_at_the_first_red_round_and_keeps_its_output(
    test: str, rounds: int, kept: int | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {test}\n")
    red = soak(2, 1, [*QUIET, str(tmp_path), str(tmp_path / "test_it.py")], tmp_path / "build")
    assert len(capfd.readouterr().out.splitlines()) == rounds
    assert red == (kept and tmp_path / "build" / f"soak-{kept}.txt")
    if red is not None:
        assert "1 failed" in red.read_text()
