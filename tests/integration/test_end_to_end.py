import csv
import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pyperf
import pytest

import ipcbench as ipcbench_package
from ipcbench.analysis import frame, launch_frame
from ipcbench.case import LOOPS, Case
from ipcbench.measure.drivers import native
from ipcbench.results import store
from ipcbench.system.cpus import allowed_cpus
from ipcbench.transports.registry import transports
from ipcbench.workloads import DEFAULT_WORKLOADS
from tests.command import QUICK, environment, ipcbench, run

DATA = Path(__file__).parent.parent / "data"
BENCH_SCRIPTS = ("latency", "throughput")
RUNNABLE = [t.name for t in transports() if t.unavailable() is None]
USUAL = [t.name for t in transports() if t.name in RUNNABLE and (t.is_default or t.is_control)]
needs_native = pytest.mark.skipif(native.unavailable() is not None, reason="no native loop here")


def test_compare_measures_shows_and_saves(tmp_path: Path) -> None:
    arguments = ("--sizes=64", "-o", "run.json", "--csv", "run.csv", "--seed=5")
    done = ipcbench("compare", *arguments, *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Latency (round trip), 64 B" in done.stdout
    assert "Throughput (one way, delivered), 64 B" in done.stdout
    assert "null (floor)" in done.stdout
    assert "seed 5; timed " in done.stdout
    assert "saved: run.json and run.csv" in done.stderr

    launches = launch_frame.launches(store.load(tmp_path / "run.json"))
    assert sorted(launches["transport"].unique()) == sorted(USUAL)
    mechanisms = launches[launches["role"] == "mechanism"]
    assert (mechanisms["messages_checked"] > 0).all()
    assert (launches["command"] == f"ipcbench compare {' '.join(arguments + QUICK)}").all()
    if launches["placement"].iloc[0] == "cross-core":
        assert (mechanisms["cpu_client"] != mechanisms["cpu_server"]).all()
        for side in ("client", "server"):
            pinned = mechanisms[f"cpu_{side}"].astype(int).astype(str)
            assert (mechanisms[f"cpus_seen_{side}"] == pinned).all()

    rows = list(csv.DictReader(io.StringIO((tmp_path / "run.csv").read_text())))
    usual = [t for t in transports() if t.name in USUAL]
    assert len(rows) == sum(len(set(t.workloads) & set(DEFAULT_WORKLOADS)) for t in usual)
    assert tuple(rows[0]) == frame.CASE_COLUMNS


def test_report_makes_the_same_tables_and_csv_again(tmp_path: Path) -> None:
    options = ("-o", "run.json", "--csv", "run.csv")
    compared = ipcbench("compare", "unix", "pipe", "--sizes=64", *options, *QUICK, cwd=tmp_path)
    reported = ipcbench("report", "run.json", "--csv", "again.csv", cwd=tmp_path)
    assert reported.returncode == compared.returncode == 0, reported.stderr
    assert reported.stdout == compared.stdout
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "run.csv").read_bytes()


def test_csv_on_stdout_is_csv_alone(tmp_path: Path) -> None:
    done = ipcbench("report", str(DATA / "run.json"), "--csv", "-", cwd=tmp_path)
    assert done.stdout == (DATA / "run.csv").read_text(encoding="utf-8")
    assert "Latency (round trip)" in done.stderr


def test_without_o_json_and_csv_go_to_the_default_place(tmp_path: Path) -> None:
    done = ipcbench("compare", "pipe", "--sizes=64", "--workloads=latency", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "results").glob("*/*/*"))
    assert names == ["compare.csv", "compare.json"]


def test_both_ends_may_share_one_cpu(tmp_path: Path) -> None:
    cpu = allowed_cpus()[0]
    done = ipcbench(
        *("compare", "pipe", "--sizes=64", f"--cpus={cpu},{cpu}", "-o", "run.json", *QUICK),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "64 B, same-core, python loop" in done.stdout


def test_a_message_larger_than_a_pipe_goes_through(tmp_path: Path) -> None:
    done = ipcbench("compare", "--sizes=1m", "-o", "run.json", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", BENCH_SCRIPTS)
def test_a_bench_script_asks_its_question(name: str, tmp_path: Path) -> None:
    script = str(Path.cwd() / "bench" / f"{name}.py")
    helped = run(script, "--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert helped.stdout.startswith(f"usage: {name}.py")
    assert "?\n" in helped.stdout
    done = run(script, "pipe", "--sizes=64", "--loop=python", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "results").glob("*/*/*"))
    assert names == [f"{name}.{ending}" for ending in ("csv", "html", "json")]


def test_the_worker_is_a_plain_pyperf_program(tmp_path: Path) -> None:
    module = ("-m", "ipcbench.measure.worker")
    assert "--rigorous" in run(*module, "--help").stdout
    options = ("-p2", "-n2", "-w1", "--min-time=0.001", "-q", "-o", "case.json")
    done = run(*module, "latency/pipe/64", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bench = pyperf.Benchmark.load(str(tmp_path / "case.json"))
    assert bench.get_name() == "latency/pipe/64/python/cross-core"
    assert bench.get_metadata()["transport"] == "pipe"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["latency/pip/64"], "unknown transport 'pip'; did you mean 'pipe'?"),
        (["latency/pipe"], "is not a case"),
        (["latency/pipe/64", "--cpus=0,4095"], "CPU 4095 can't be used here"),
    ],
)
def test_the_worker_refuses_bad_input_in_one_line(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    done = run("-m", "ipcbench.measure.worker", *arguments, "--worker", "-l1", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert says in line


@pytest.mark.parametrize(
    "tool",
    [["show"], ["stats"], ["hist"], ["check"], ["dump"], ["metadata"], ["compare_to", "run.json"]],
    ids=lambda tool: tool[0],
)
def test_pyperfs_own_tools_read_a_result_file(tool: list[str]) -> None:
    done = run("-m", "pyperf", tool[0], "run.json", *tool[1:], cwd=DATA)
    assert done.returncode == 0, done.stderr


def test_a_result_file_names_no_host_and_no_path() -> None:
    text = (DATA / "run.json").read_text(encoding="utf-8")
    assert os.uname().nodename not in json.loads(text)["metadata"].values()
    assert "hostname" not in text
    assert "/root" not in text
    assert "/home" not in text


def test_list_says_of_each_transport_whether_it_can_run(tmp_path: Path) -> None:
    done = ipcbench("list", cwd=tmp_path)
    assert done.returncode == 0
    firsts = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("  ")]
    listed = [first for first in firsts if first[1] in {"yes", "no"}]
    expected = [[t.name, "no" if t.unavailable() else "yes"] for t in transports()]
    assert sorted(listed) == sorted(expected)
    assert "\nnative loop: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_explain_tells_the_wait_the_copies_the_source_and_the_limits(tmp_path: Path) -> None:
    done = ipcbench("explain", "pipe", "@sysv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.split("\n\n")
    assert first.splitlines()[0] == "pipe"
    for told in ("blocks in read", "into the kernel and out of it", "pipe(7)", "@pipes, @core"):
        assert told in first
    names = [text.splitlines()[0] for text in others]
    assert names == ["sysv-shm", "sysv-shm-spin", "sysv-msg", "sysv-sem"]


def test_each_launch_keeps_the_kernels_word_for_it(tmp_path: Path) -> None:
    done = ipcbench("compare", "unix", "pipe", "--sizes=64", *QUICK, "-o", "r.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    launches = launch_frame.launches(store.load(tmp_path / "r.json"))
    said = launches.set_index(["workload", "transport"])["evidence"]
    assert said["latency", "unix"].startswith("proved: AF_UNIX stream: client's socket ")
    assert said["throughput", "pipe"].startswith("proved: pipe: inode ")
    assert said["latency", "null"] == "proved: nothing joins the two, as claimed"
    assert str(tmp_path.parent) not in "".join(said)
    count = f"{len(launches)} of {len(launches)} launches"
    assert f"\nwitnessed by the kernel: {count}\n" in done.stdout


def test_a_reader_that_closes_stdout_early_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "ipcbench", "report", str(DATA / "run.json")],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=60,
    )
    os.close(writer)
    assert done.stderr == b""


def _in_terminal(*arguments: str, extra: dict[str, str]) -> str:
    """What a command writes into a terminal of its own."""
    import subprocess

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ipcbench", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment({"TERM": "xterm-256color", "COLUMNS": "80", **extra}),
    )
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65536):
            seen += part
    except OSError:
        pass  # EIO: the last writer is gone (Linux)
    os.close(ours)
    process.wait(30)
    return seen.decode()


def test_a_terminal_gets_colour_unless_no_color_is_set() -> None:
    report = ("report", str(DATA / "run.json"))
    assert "\x1b[" in _in_terminal(*report, extra={})
    plain = _in_terminal(*report, extra={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert "Latency (round trip)" in plain


def test_progress_in_a_terminal_with_no_color_has_no_control_codes(tmp_path: Path) -> None:
    path = str(tmp_path / "run.json")
    arguments = ("compare", "pipe", "--sizes=64", "-o", path, *QUICK)
    assert "\x1b" not in _in_terminal(*arguments, extra={"NO_COLOR": "1"})


SLOWED = {"pipe+100us": "pipe"}


def _renamed(path: Path, target: Path) -> None:
    """Stores a run of the slowed pipe as if it were the pipe."""
    text = path.read_text(encoding="utf-8")
    for delayed, name in SLOWED.items():
        text = text.replace(f"/{delayed}/", f"/{name}/").replace(f'"{delayed}"', f'"{name}"')
    target.write_text(text, encoding="utf-8")


def _measured(transport: str, path: Path) -> None:
    """Six launches of a transport on one core, by the driver itself."""
    from ipcbench.run.driver import Run, execute
    from ipcbench.run.launcher import WorkerLauncher
    from ipcbench.run.request import Effort
    from ipcbench.system.scratch import scratch
    from tests.replay import RUN_METADATA, Silent

    case = Case("latency", transport, 64, placement="same-core")
    cpu = allowed_cpus()[0]
    results = store.Results()
    with scratch() as private:
        effort = Effort(values=2, warmups=1, min_time_s=0.005)
        launcher = WorkerLauncher(private, {"same-core": (cpu, cpu)}, effort)
        metadata = RUN_METADATA | {"run_id": transport, "baseline": transport}
        run = Run([case], 6, 1, 0.0, 0.3, metadata)
        execute(run, launcher, results, lambda _: None, Silent())
    store.save(results, path)


def test_a_slowed_run_trips_a_gate_and_an_equal_one_does_not(tmp_path: Path) -> None:
    _measured("pipe", tmp_path / "old.json")
    _measured("pipe+100us", tmp_path / "slowed.json")
    _renamed(tmp_path / "slowed.json", tmp_path / "new.json")
    gates = ("--fail-if", "latency>5%", "--fail-if", "throughput<-10%")
    slower = ipcbench("diff", "old.json", "new.json", *gates, cwd=tmp_path)
    assert slower.returncode == 4, slower.stderr
    assert "gate tripped: latency>5%: latency/pipe/64/python/same-core: +" in slower.stderr
    assert "slower" in slower.stdout
    absent = ipcbench("diff", "old.json", "old.json", *gates, cwd=tmp_path)
    assert absent.returncode == 6, absent.stderr
    assert "neither OLD nor NEW has a case of throughput" in absent.stderr
    same = ipcbench("diff", "old.json", "old.json", *gates[:2], cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    assert "0 of 1 case changed" in same.stdout


def test_a_named_baseline_is_kept_and_compared_with(tmp_path: Path) -> None:
    measured = ("pipe", "--sizes=64", "--workloads=latency", *QUICK)
    kept = ipcbench("compare", *measured, "-o", "a.json", "--save", "main", cwd=tmp_path)
    assert kept.returncode == 0, kept.stderr
    assert (tmp_path / "results/baselines/main.json").exists()
    again = ipcbench("compare", *measured, "-o", "b.json", "--against", "main", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "latency pipe 64" in again.stdout
    options = ("-o", "c.json", "--against", "main", "--csv", "-")
    as_csv = ipcbench("compare", *measured, *options, cwd=tmp_path)
    assert "latency pipe 64" in as_csv.stderr
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert [row["transport"] for row in rows] == ["pipe", "null"]


def test_a_target_that_isnt_reached_is_exit_5_and_said(tmp_path: Path) -> None:
    options = ("pipe", "unix", "--sizes=64", "--workloads=latency", "-o", "run.json", *QUICK)
    done = ipcbench("compare", *options, "--target=0.001%", "--budget=20s", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "was not reached" in done.stderr


def test_percentiles_costs_and_hgrm_are_made_from_a_stored_run(tmp_path: Path) -> None:
    path = str(DATA / "run.json")
    done = ipcbench("report", path, "--percentiles", "--details", "--hgrm", "r.hgrm", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Single round trips (sampled), 64 B" in done.stdout
    assert "Cost of a message, throughput, 64 KiB" in done.stdout
    text = (tmp_path / "r-unix-64-python-cross-core.hgrm").read_text()
    assert "#[Max" in text


def test_doctor_answers_for_this_machine(tmp_path: Path) -> None:
    done = ipcbench("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(line[:5].strip() in {"ok", "note", "warn", ""} for line in done.stdout.splitlines())


def test_without_the_extension_all_but_the_native_loop_works(tmp_path: Path) -> None:
    root = Path(ipcbench_package.__file__).parent
    shutil.copytree(
        root, tmp_path / "ipcbench", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    here = {"PYTHONPATH": str(tmp_path)}
    listed = ipcbench("list", cwd=tmp_path, extra=here)
    assert "native loop: no: the extension wasn't built: install a C compiler" in " ".join(
        listed.stdout.split()
    )
    measured = ("pipe", "--sizes=64", "--workloads=latency", *QUICK, "-o", "run.json")
    both = ipcbench("compare", *measured, "--loop=python,native", cwd=tmp_path, extra=here)
    assert both.returncode == 0, both.stderr
    assert "the native loop is left out: the extension wasn't built" in both.stderr
    assert "python loop" in both.stdout
    alone = ipcbench("compare", *measured, "--loop=native", "--force", cwd=tmp_path, extra=here)
    assert alone.returncode == 2
    assert "or use --loop python" in alone.stderr


@needs_native
def test_both_loops_of_a_transport_are_paired(tmp_path: Path) -> None:
    done, rows = _with_both_loops("pipe", "--workloads=latency", *QUICK, folder=tmp_path)
    assert "Python tax, latency (round trip), 64 B, same-core" in done.stdout
    python = rows["latency/pipe/64/python/same-core"]
    native_row = rows["latency/pipe/64/native/same-core"]
    assert float(python["time_to_native_ratio"]) > 0
    assert native_row["time_to_native_ratio"] == ""
    # Which one is faster, and by how much, is for a benchmark: here others use the machine.
    assert float(python["time_median_s"]) / float(native_row["time_median_s"]) == pytest.approx(
        float(python["time_to_native_ratio"])
    )


@needs_native
def test_both_loops_have_a_ceiling(tmp_path: Path) -> None:
    _, rows = _with_both_loops("pipe", "--workloads=throughput", *QUICK, folder=tmp_path)
    for loop in LOOPS:
        assert rows[f"throughput/memcpy/64/{loop}/same-core"]["role"] == "ceiling"


def _with_both_loops(
    *options: str, folder: Path
) -> tuple["subprocess.CompletedProcess[str]", dict[str, dict[str, str]]]:
    """A finished run of small messages with both loops on one CPU, and its rows by case."""
    both = ("--sizes=64", "--loop=python,native", "--placement=same-core")
    files = ("-o", "run.json", "--csv", "run.csv")
    done = ipcbench("compare", *options, *both, *files, cwd=folder)
    assert done.returncode == 0, done.stderr
    with (folder / "run.csv").open() as file:
        return done, {row["case"]: row for row in csv.DictReader(file)}


def test_a_matrix_has_a_round_trip_for_every_pair_of_cpus(tmp_path: Path) -> None:
    options = ("pipe", "--matrix", "--sizes=64", "--rounds=1", "--values=1", "--min-time=1ms")
    done = ipcbench("compare", *options, "-o", "run.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Round trip by CPU, pipe, 64 B, python loop" in done.stdout
    cpus = allowed_cpus()
    measured = store.load(tmp_path / "run.json").finished()
    assert len(measured) == len(cpus) * (len(cpus) + 1) / 2
