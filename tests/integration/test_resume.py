"""A run that was cut short goes on where it was, or says why it can't."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipcbench.results import store
from ipcbench.results.files import journal_path, read_text
from tests.command import environment, ipcbench, until

pytestmark = pytest.mark.early

RUN = ("pipe", "--sizes=64", "--workloads=latency", "--values=2", "--warmups=0", "--min-time=2ms")
ROUNDS = 8


def _launches(path: Path) -> list[tuple[str, int]]:
    """The case and round of each launch in a file and its journal, in order."""
    launches = store.load(path).launches() if path.exists() else ()
    return sorted((launch.case.id, launch.round_number) for launch in launches)


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run that was interrupted after a few of its launches."""
    path = tmp_path_factory.mktemp("cut-short") / "run.json"
    command = [sys.executable, "-m", "ipcbench", "compare", *RUN, f"--rounds={ROUNDS}"]
    with subprocess.Popen(
        [*command, "-o", str(path)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(process, lambda: len(_launches(path)) >= 6)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"go on with: ipcbench compare --resume {path}" in said
    assert len(_launches(path)) < 2 * ROUNDS
    assert not journal_path(path).exists()
    return path


@pytest.mark.parametrize("name", ["run.json", "run.json.gz"])
def test_a_run_that_was_killed_goes_on_from_file_and_journal(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    command = [sys.executable, "-m", "ipcbench", "compare", *RUN, f"--rounds={ROUNDS}"]
    with subprocess.Popen(
        [*command, "-o", str(path)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(process, lambda: len(_launches(path)) >= 6)
        process.kill()
    before = _launches(path)
    assert journal_path(path).exists()
    assert len(json.loads(read_text(path, 1024**2))["benchmarks"]) < len(before)
    reported = ipcbench("report", str(path))
    assert reported.returncode == 0, reported.stderr
    assert f"{len(before)} launches" in reported.stdout
    done = ipcbench("compare", "--resume", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not journal_path(path).exists()
    assert len(_launches(path)) == 2 * ROUNDS
    assert set(before) < set(_launches(path))


def _edited(source: Path, target: Path, **plan: Any) -> Path:
    """A copy of a result file with something else in its plan."""
    data = json.loads(source.read_text())
    data["ipcbench"]["plan"] |= plan
    target.write_text(json.dumps(data))
    return target


def test_a_resumed_run_keeps_its_launches_and_makes_the_rest(
    cut_short: Path, tmp_path: Path
) -> None:
    path = _edited(cut_short, tmp_path / "run.json")
    before = json.loads(path.read_text())
    done = ipcbench("compare", "--resume", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = json.loads(path.read_text())
    assert after["ipcbench"] == before["ipcbench"]
    names = sorted({name for name, _ in _launches(path)})
    complete = [(name, number) for name in names for number in range(1, ROUNDS + 1)]
    assert _launches(path) == complete
    values = {
        launch["metadata"]["date"]: launch["values"]
        for bench in after["benchmarks"]
        for launch in bench["runs"]
    }
    for bench in before["benchmarks"]:
        for launch in bench["runs"]:
            assert values[launch["metadata"]["date"]] == launch["values"]
    assert {"run_id", "seed", "command"} <= set(after["metadata"]), "not the same in all launches"
    again = ipcbench("compare", "--resume", str(path), *RUN, f"--rounds={ROUNDS}", cwd=tmp_path)
    assert again.returncode == 0
    assert "nothing of" in again.stderr
    assert _launches(path) == complete


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--sizes=1k",), "was begun with other cases"),
        ((*RUN, "--rounds=16"), "was begun with another number of rounds"),
        ((*RUN, f"--rounds={ROUNDS}", "--seed=1"), "was begun with another seed"),
        (("-o", "other.json"), "leave -o out"),
    ],
)
def test_options_that_ask_for_another_plan_are_refused(
    options: tuple[str, ...], reason: str, cut_short: Path, tmp_path: Path
) -> None:
    refused = ipcbench("compare", "--resume", str(cut_short), *options, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert reason in refused.stderr


def test_a_run_of_another_machine_is_refused(cut_short: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    data = json.loads(cut_short.read_text())
    data["metadata"]["kernel"] = "Linux 1.0"
    path.write_text(json.dumps(data))
    refused = ipcbench("compare", "--resume", str(path), cwd=tmp_path)
    assert refused.returncode == 2
    assert "was begun with kernel Linux 1.0 and this is" in refused.stderr
    assert json.loads(path.read_text()) == data


def test_a_file_without_a_plan_is_refused(cut_short: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    data = json.loads(cut_short.read_text())
    del data["ipcbench"]["plan"]
    path.write_text(json.dumps(data))
    refused = ipcbench("compare", "--resume", str(path), cwd=tmp_path)
    assert refused.returncode == 2
    assert "holds no plan to go on with; measure anew" in refused.stderr


def test_a_plan_for_cpus_that_arent_there_is_refused(cut_short: Path, tmp_path: Path) -> None:
    path = _edited(cut_short, tmp_path / "run.json", cpus={"cross-core": [0, 99999]})
    refused = ipcbench("compare", "--resume", str(path), cwd=tmp_path)
    assert refused.returncode == 2
    assert "99999" in refused.stderr


def test_a_file_with_a_plan_and_no_launch_is_gone_on_with(cut_short: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    data = json.loads(cut_short.read_text())
    data["benchmarks"] = []
    data["ipcbench"]["plan"]["rounds"] = 1
    failed = {"case": "latency/pipe/64/python/cross-core", "status": "failed", "reason": "boom"}
    data["ipcbench"]["unmeasured"] = [failed]
    del data["metadata"]
    path.write_text(json.dumps(data))
    done = ipcbench("compare", "--resume", str(path), cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert _launches(path) == [("latency/null/64/python/cross-core", 1)]


@pytest.mark.parametrize("option", ["--events", "--csv", "--json", "--html", "--markdown"])
def test_nothing_is_written_over_the_file_that_is_gone_on_with(
    option: str, cut_short: Path, tmp_path: Path
) -> None:
    if option == "--html":
        pytest.importorskip("altair")
        pytest.importorskip("vl_convert")
    before = cut_short.read_bytes()
    again = ("compare", "--resume", str(cut_short), option, str(cut_short), "--force")
    refused = ipcbench(*again, cwd=tmp_path)
    assert refused.returncode == 2
    assert "name two files" in refused.stderr
    assert cut_short.read_bytes() == before


def test_a_run_with_knobs_of_workloads_goes_on_with_them_and_with_no_others(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    flows = ("latency:window=8", "throughput:batch=4", "throughput:duplex=on")
    named = f"--workloads=latency,{','.join(flows)}"
    knobs = (named, "--vary=latency:gap=2ms,5ms", "--vary=latency:work=1ms", "--rounds=3")
    few = ("pipe", "--sizes=64", "--values=2", "--warmups=0", "--min-time=2ms")
    command = [sys.executable, "-m", "ipcbench", "compare", *few, *knobs, "--seed=3"]
    with subprocess.Popen(
        [*command, "-o", str(path)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(process, lambda: len(_launches(path)) >= 9)
        process.kill()
    before = _launches(path)
    other = (named, "--vary=latency:gap=2ms,6ms", "--vary=latency:work=1ms", "--rounds=3")
    refused = ipcbench("compare", *few, *other, "--resume", str(path), cwd=tmp_path)
    assert refused.returncode == 2
    assert "was begun with other cases than these options ask for" in refused.stderr
    done = ipcbench("compare", *few, *knobs, "--seed=3", "--resume", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = _launches(path)
    assert set(before) <= set(after)
    workloads = ("latency", "latency:gap=2ms", "latency:gap=5ms", "latency:work=1ms", *flows)
    assert after == sorted(
        (f"{workload}/{name}/64/python/{placement}", number)
        for workload in workloads
        for name in ("pipe", "null")
        if name == "pipe" or not workload.startswith("throughput")
        for number in range(1, 4)
        for placement in {case.rpartition("/")[2] for case, _ in after}
    )
    assert "Latency (round trip), gap=5ms, 64 B" in done.stdout
