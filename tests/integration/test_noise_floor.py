"""The noise floor of the user's selftest, from the state folder through a run to a `diff`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ipcbench.results import noise, store
from ipcbench.results.noise import NoiseFloor
from ipcbench.system import machine
from tests.command import QUICK, ipcbench

RUN = ("compare", "pipe", "unix", "--workloads=latency", "--sizes=64", *QUICK)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a noise floor found three days ago."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here = machine.this_machine()
    found = datetime.now(UTC) - timedelta(days=3, hours=1)
    return noise.keep(NoiseFloor(0.02, 9.0, here.kernel, found), here.facts)


def test_a_run_in_any_folder_records_it_and_diff_takes_it_from_the_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        done = ipcbench(*RUN, "-o", "run.json.gz", cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
    paths = [str(tmp_path / name / "run.json.gz") for name in ("one", "two")]
    facts = next(store.load(Path(paths[0])).launches()).facts
    assert facts["noise_floor_ratio"] == 0.02
    kernel = machine.this_machine().kernel
    done = ipcbench("diff", *paths, extra={"XDG_STATE_HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert f"noise floor between runs (900%, found 3 days before on {kernel})" in said


def test_a_damaged_one_is_a_line_and_the_run_goes_on(kept: Path, tmp_path: Path) -> None:
    kept.write_text("damaged")
    done = ipcbench(*RUN, "-o", "run.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"ipcbench: {kept} is not JSON") == 1
    assert done.stderr.count("find the noise floor anew: ipcbench selftest") == 1
