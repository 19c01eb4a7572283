"""One clear line on stderr, exit code 2, nothing measured and nothing left behind."""

import os
from pathlib import Path

import pytest

from ipcbench.cli.main import main
from ipcbench.run.driver import Run
from ipcbench.transports.registry import get_transport
from tests.command import ipcbench, run

DATA = Path(__file__).parent.parent / "data"
_MANY = ",".join(f"{number}k" for number in range(1, 16))
"""Values of a knob: two lists of them are a grid of 225."""


def _refused(*arguments: str, cwd: Path) -> str:
    """The line that the command was refused with; nothing was started and nothing written."""
    before = sorted(cwd.rglob("*"))
    done = ipcbench(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("ipcbench: ")
    assert sorted(cwd.rglob("*")) == before
    return line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sizes", "0"], "message size '0' is not a whole number"),
        (["--sizes=-1"], "'-1'"),
        (["--sizes", "1.5"], "'1.5'"),
        (["--sizes", "abc"], "'abc'"),
        (["--sizes", "10t"], "'10t'"),
        (["--sizes", "64KB"], "k is 1024 here: write it like 1k or 1KiB"),
        (["--sizes", "1.5k"], "write it as 1536"),
        (["--sizes", "64KiB,64k"], "named twice"),
        (["--sizes", ""], "list of message sizes is empty"),
        (["--sizes", "1k,1024"], "named twice"),
        (["--sizes", "1000g"], "of memory"),
        (["unxi"], "unknown transport 'unxi'; did you mean 'unix'?"),
        (["unix", "unix"], "named twice"),
        (["@socket"], "unknown group '@socket'; did you mean '@sockets'?"),
        (["--workloads", "latncy"], "unknown workload 'latncy'; did you mean 'latency'?"),
        (["--workloads", ""], "list of workloads has an empty name"),
        (["--workloads", "latency,latency"], "named twice"),
        (["--baseline", "inte"], "unknown transport 'inte'; did you mean 'inet'?"),
        (["unix", "--baseline", "pipe"], "'pipe' is not among the measured: unix, memcpy, null"),
        (["--rounds", "0"], "--rounds '0' is not a whole number of at least 1"),
        (["--values", "x"], "--values 'x'"),
        (["--warmups=-1"], "--warmups '-1'"),
        (["--seed", "1.5"], "--seed '1.5'"),
        (["--min-time", "0"], "'0' is not a time above 0"),
        (["--timeout", "soon"], "'soon' is not a time above 0"),
        (["--loop", "nativ"], "unknown loop 'nativ'; did you mean 'native'?"),
        (["--loop", "python,python"], "loop 'python' is named twice"),
        (["--placement", "same"], "unknown placement 'same'"),
        (["--placement", "cpus-0-4095"], "CPU 4095 can't be used here"),
        (["--placement", "same-core", "--cpus", "0,0"], "leave --placement and --matrix out"),
        (["--matrix"], "--matrix takes one transport"),
        (["pipe", "--matrix", "--workloads=throughput"], "--matrix is of round trips"),
        (["pipe", "--matrix", "--placement=smt"], "leave --placement out"),
        (["--cpus", "0"], "CPUs '0' are not two numbers"),
        (["--cpus", "0,4095"], "CPU 4095 can't be used here"),
        (["-o", "none/run.json"], "there is no folder none"),
        (["-o", "."], "is a folder; name a file"),
        (["-o", "there.json"], "there.json exists already; add --force"),
        (["--csv", "there.json"], "there.json exists already; add --force"),
        (["-o", "new.json", "--csv", "new.json"], "both name new.json"),
        (["-o", "-"], "for stdout use --csv -"),
        (["--target", "0%"], "'0%' is not a share above 0"),
        (["--target=-5%"], "'-5%' is not a share above 0"),
        (["--target", "0"], "'0' is not a share above 0; write it like 2%"),
        (["--budget", "1s"], "a budget of 1 s fits no round of 26 cases"),
        (["--against", "none"], "there is no baseline 'none'; none was saved here"),
        (["--save", "../x"], "baseline name '../x' can't be a file's"),
        (
            ["pipe", "--workloads", "connect"],
            "connect: pipe makes no connections; name one of unix,",
        ),
        (["pipe", "--workloads", "latency,connect"], "compare unix --workloads connect"),
        (["sysv-sem", "--workloads", "throughput"], "throughput: sysv-sem can't stream"),
        (["memcpy", "--workloads", "latency"], "latency: memcpy sends nothing back"),
        (["unix:"], "'unix:' has a colon without a knob"),
        ([":sndbuf=4k"], "':sndbuf=4k' has no name before its colon"),
        (["unix:nosuch=1"], "unknown knob of unix 'nosuch'; known are: sndbuf, rcvbuf, "),
        (["unix:sndbuf"], "gives 'sndbuf' no value; write unix:sndbuf=VALUE"),
        (["unix:sndbuf="], "gives 'sndbuf' no value; write unix:sndbuf=VALUE"),
        (["unix:=4k"], "'unix:=4k' has a value without a knob"),
        (["unix:sndbuf=x"], "'unix:sndbuf=x': size 'x' is not a whole number of bytes above 0"),
        (["unix:sndbuf=0"], "size '0' is not a whole number of bytes above 0"),
        (["pipe:size=1g"], "1g is more than sysctl fs.pipe-max-size allows, "),
        (["inet:congestion=nosuch"], "'nosuch' is not known here; congestion takes "),
        (["unix:sndbuf=4k:sndbuf=8k"], "sets 'sndbuf' twice; set it once"),
        (["unix:sndbuf=4k", "unix:sndbuf=4096"], "are the same transport; name it once"),
        (["unix:nodelay=on"], "unix has no knob 'nodelay', which inet, inet6, "),
        (["unix:sndbuf=4k,8k"], "a list; to compare its values write --vary unix:sndbuf=4k,8k"),
        (["null:dummy=10000"], "'10000' doesn't fit; dummy takes a whole number, 0 to 9999"),
        (["--vary", "unix"], "--vary 'unix' gives no values to compare; write --vary unix:KNOB="),
        (["--vary", "unix:sndbuf"], "gives 'sndbuf' no value"),
        (["--vary", "unix:sndbuf="], "gives 'sndbuf' no value"),
        (["--vary", "unix:sndbuf=4k,"], "'unix:sndbuf=4k,' has an empty value of 'sndbuf'"),
        (["--vary", "unix:sndbuf=,4k"], "gives 'sndbuf' no value"),
        (["--vary", "unix:sndbuf=4k,4k"], "gives 'sndbuf' the value 4k twice; give it once"),
        (["--vary", "unix:sndbuf=4k,4096"], "4k and 4096 are the same value of 'sndbuf'"),
        (["--vary", "unix:sndbuf=4k,x"], "'unix:sndbuf=x': size 'x' is not a whole number"),
        (["--vary", "unix:nosuch=1,2"], "unknown knob of unix 'nosuch'"),
        (["--vary", "unix:nodelay=on,off"], "no knob 'nodelay', which inet, inet6, "),
        (["--vary", "unix,inet:sndbuf=4k"], "names several; write --vary once for each"),
        (["--vary", "unxi:sndbuf=4k,8k"], "unknown transport 'unxi'; did you mean 'unix'?"),
        (["--vary", "pipe:size=64k,1g"], "more than sysctl fs.pipe-max-size allows"),
        (["--workloads=latency:gap=-1"], "'-1' is not a time above 0"),
        (["--workloads=latency:gap=1h"], "gap takes a time, up to 100ms"),
        (["--workloads=latency:gap=1s"], "1s is more than 100ms"),
        (["--workloads=latency:gap=1ms:gap-by=nap"], "gap-by takes sleep or spin"),
        (["--workloads=latency:work=abc"], "work takes a time, up to 10ms"),
        (["--workloads=latency:work=20ms"], "20ms is more than 10ms"),
        (["--vary", "latency:work-touches=4k,8k"], "work-touches says nothing without work"),
        (["--workloads=latency:gap=1ms,latency:gap=1000us"], "named twice"),
        (["--workloads=latency:gap=0,latency"], "workload 'latency' is named twice"),
        (["--workloads=throughput:gap=1ms"], "unknown knob of throughput 'gap'; known are: batch"),
        (["--workloads=connect:gap=1ms"], "unknown knob of connect 'gap'; known are: clients,"),
        (["unix", "--workloads=connect:clients=0"], "clients takes a whole number, 1 to 256"),
        (["unix", "--workloads=connect:clients=abc"], "clients takes a whole number, 1 to 256"),
        (["unix", "--workloads=connect:clients=2:backlog=0"], "backlog takes a whole number, 1 to"),
        (["pipe", "--workloads=connect:clients=2"], "pipe makes no connections; name one of unix,"),
        (["--workloads=latency:window=0"], "window takes a whole number, 1 to 1024"),
        (["--workloads=latency:window=1m"], "window takes a whole number, 1 to 1024"),
        (["--workloads=latency:window=2:gap=1ms"], "sets gap and window: a gap is before each"),
        (["--workloads=throughput:batch=2:duplex=on"], "sets batch and duplex: a call that moves"),
        (
            ["inet-udp", "--workloads=latency:window=2"],
            "has one message in flight at a time, not 2",
        ),
        (
            ["sysv-shm", "--workloads=throughput:batch=4"],
            "sysv-shm moves one message a call, not 4",
        ),
        (
            ["sysv-shm", "--workloads=throughput:duplex=on"],
            "can't wait for both directions at once",
        ),
        (["--workloads=latency:gap=100ms", "--budget=5s"], "a budget of 5 s fits no round of 12"),
        (["--workloads=latency:gap=100ms", "--values=999"], "more than --timeout 30"),
        (["--vary", "connect:gap=1ms,2ms"], "unknown knob of connect 'gap'; known are: clients,"),
        (["--vary", "latency:gap=1ms,1s"], "1s is more than 100ms"),
        (["--vary", "latency:gap=1ms,1000us"], "are the same value of 'gap'"),
        (["--vary", "latency"], "--vary 'latency' gives no values to compare"),
        (["--vary", "unix:sndbuf=4k,8k", "--matrix"], "leave --vary out"),
        (["--vary", "unix:sndbuf=4k,8k", "--baseline", "pipe"], "'pipe' is not among"),
        (["--grid"], "--grid combines the values of --vary; write for example: compare --vary"),
        (["unix", "--grid"], "--grid combines the values of --vary"),
        (
            ["--vary=unix:sndbuf=4k,8k", "--vary=unix:sndbuf=1m:rcvbuf=4k,8k", "--grid"],
            "--grid can't combine what --vary says of sndbuf of unix",
        ),
        (
            ["--vary", f"unix:sndbuf={_MANY}:rcvbuf={_MANY}", "--grid"],
            "this --grid is 910 cases, 7 rounds: about 49 min; say that you want that",
        ),
        (["--no-such-option"], "unrecognized arguments: --no-such-option; see ipcbench"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_compare_refuses(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process: so many times to start another would take as long as all others here."""
    (tmp_path / "there.json").touch()
    monkeypatch.chdir(tmp_path)
    code = _exit_code("compare", *arguments)
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    (line,) = err.splitlines()
    assert line.startswith("ipcbench: ")
    assert says in line
    assert list(tmp_path.rglob("*")) == [tmp_path / "there.json"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["unix", "--rates", "0"], "rate '0' is not a number of messages a second above 0"),
        (["unix", "--rates=-1k"], "rate '-1k' is not a number of messages a second above 0"),
        (["unix", "--rates", "abc"], "write it like 500, 10k or 1.5m (k is 1000)"),
        (["unix", "--rates", "0.5"], "0.5 isn't a whole number a second"),
        (["unix", "--rates", "20m"], "20m is more than 10000000 a second"),
        (["unix", "--rates", "200%"], "'200%' of what can be answered is far too much"),
        (["unix", "--rates", "0%"], "'0%' is not a share above 0; write it like 2%"),
        (["unix", "--rates", "0.00000001%"], "far too little; write 0.01% or more"),
        (["unix", "--rates=-5%"], "'-5%' is not a share above 0"),
        (["unix", "--rates", ""], "the list of rates has an empty name; write 10%,50%,90%"),
        (["unix", "--rates", "10%,"], "the list of rates has an empty name"),
        (["unix", "--rates", "10%,10%"], "rate '10%' is named twice; name it once"),
        (["unix", "--rates", "10k,10000"], "rate '10000' is named twice; name it once"),
        (["unix", "--rates", "10%,10.0%"], "rate '10%' is named twice; name it once"),
        (["unix", "--arrivals", "x"], "unknown arrivals 'x'; known are: constant, poisson"),
        (["unix", "--arrivals", "posson"], "did you mean 'poisson'?"),
        (["unix", "--arrivals", ""], "the list of arrivals has an empty name"),
        (["unix", "--in-flight", "0"], "--in-flight '0' is not a whole number of at least 1"),
        (["unix", "--in-flight", "1025"], "window takes a whole number, 1 to 1024"),
        (["unix", "--work", "1h"], "'1h' is not a time above 0; write it like 50ms, 30s or 2m"),
        (["unix", "--work", "11ms"], "11ms is more than 10ms"),
        (["unix", "--slo", "fast"], "objective 'fast' can't be read; write it like 'p99<200us'"),
        (["unix", "--slo", "p99<0"], "objective 'p99<0' can't be read"),
        (["unix", "--placement", "same-core"], "server needs a second one; use --placement cross-"),
        (["unix", "--cpus", "0,0"], "spins until a message is due, on a CPU of its own"),
        (["unix", "--budget", "1s"], "a budget of 1 s doesn't fit 3 rounds of 8 cases; give at"),
        (["null"], "a control answers at once; name a mechanism"),
        (["memcpy"], "memcpy sends nothing back"),
        (
            ["asyncio-streams-unix"],
            "in an event loop, which can't send by a schedule; write client",
        ),
        (["unxi"], "unknown transport 'unxi'; did you mean 'unix'?"),
        (["unix", "--resume", "none.json"], "none.json isn't there"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_load_refuses(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code = _exit_code("load", *arguments, "--no-lock")
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    (line,) = err.splitlines()
    assert line.startswith("ipcbench: ")
    assert says in line
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU can be taken away here")
def test_a_load_on_one_cpu_is_refused(tmp_path: Path) -> None:
    """The generator spins on a CPU of its own, and the server needs another."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        usual = _refused("load", "unix", "--no-lock", cwd=tmp_path)
        anywhere = _refused("load", "unix", "--placement=free", "--no-lock", cwd=tmp_path)
        workload = ("--workloads=load:rate=1k", "--no-lock", "-o", "run.json")
        compared = ipcbench("compare", "unix", *workload, cwd=tmp_path)
    finally:
        os.sched_setaffinity(0, before)
    said = (
        "spins until a message is due, on a CPU of its own, and the server needs a second one; only"
        " one can be used here: measure a closed loop, compare --workloads latency"
    )
    assert said in usual
    assert said in anywhere
    assert said in " ".join(compared.stdout.split())


def _exit_code(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as end:  # argparse's
        return int(end.code or 0)


def test_explain_refuses_an_unknown_name(tmp_path: Path) -> None:
    assert "unknown transport 'pip'; did you mean 'pipe'?" in _refused(
        "explain", "pip", cwd=tmp_path
    )


def test_no_command_and_an_unknown_one_are_usage_errors(tmp_path: Path) -> None:
    assert "COMMAND" in _refused(cwd=tmp_path)
    assert "invalid choice: 'compere'" in _refused("compere", cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.json", None, "none.json isn't there"),
        (".", None, "is a folder"),
        ("broken.json", "{", "broken.json is not JSON"),
        ("other.json", '{"a": 1}', "other.json is not a pyperf file"),
        ("empty.json", "", "empty.json is not JSON"),
    ],
)
def test_report_refuses(name: str, content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert says in _refused("report", name, cwd=tmp_path)


def test_report_refuses_a_pyperf_file_that_isnt_ours(tmp_path: Path) -> None:
    timed = run(
        *("-m", "pyperf", "timeit", "-p1", "-n1", "-w0", "-l1", "-q", "-o", "x.json", "pass"),
        cwd=tmp_path,
    )
    assert timed.returncode == 0, timed.stderr
    assert "isn't ipcbench's: 'timeit'" in _refused("report", "x.json", cwd=tmp_path)


def test_report_judges_by_an_objective_only_what_has_rates(tmp_path: Path) -> None:
    path = str(DATA / "run.json")
    refusal = _refused("report", path, "--slo", "p99<1ms", cwd=tmp_path)
    assert "--slo judges rates of an open loop, and " in refusal
    assert "has none; measure some by: load --slo 'p99<1ms'" in refusal
    assert "objective 'p99' can't be read" in _refused("report", path, "--slo=p99", cwd=tmp_path)


def test_report_refuses_the_same_run_twice_and_an_unmeasured_baseline(tmp_path: Path) -> None:
    path = str(DATA / "run.json")
    assert "hold the same run" in _refused("report", path, path, cwd=tmp_path)
    refusal = _refused("report", path, "--baseline", "sysv-shm", cwd=tmp_path)
    assert "'sysv-shm' is not among the measured" in refusal


@pytest.mark.parametrize("gate", ["latency=5", "latency>5", "rtt>5%"])
def test_diff_refuses_an_unreadable_gate(gate: str, tmp_path: Path) -> None:
    path = str(DATA / "run.json")
    refusal = _refused("diff", path, path, "--fail-if", gate, cwd=tmp_path)
    assert f"gate '{gate}' can't be read" in refusal


def test_diff_refuses_a_file_of_another_format(tmp_path: Path) -> None:
    text = (DATA / "run.json").read_text(encoding="utf-8")
    (tmp_path / "later.json").write_text(text.replace('"ipcbench_format":1', '"ipcbench_format":3'))
    refusal = _refused("diff", str(DATA / "run.json"), "later.json", cwd=tmp_path)
    assert "has format 3; this ipcbench reads format 1 to 2" in refusal


def test_without_ipv6_inet6_is_left_out_with_a_note_and_is_an_error_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ipcbench.errors import UsageError
    from tests.asked import plan_of

    inet6 = type(get_transport("inet6"))
    monkeypatch.setattr(inet6, "unavailable", lambda self: "no IPv6 here: ::1 can't be bound")
    plan = plan_of("compare")
    assert isinstance(plan.run, Run)
    assert "inet6" not in {case.transport for case in plan.run.cases}
    assert list(plan.notes) == ["inet6 is left out: no IPv6 here: ::1 can't be bound"]
    with pytest.raises(UsageError, match="inet6 can't run here: no IPv6 here"):
        plan_of("compare", "inet6")


@pytest.mark.parametrize("more", [(), ("--budget=60s",)])
def test_a_run_of_nothing_but_impossible_cases_says_why_and_saves_that(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("unix", "--workloads=connect", "--loop=native", *more, "-o", "run.json")
    done = ipcbench("compare", *options, cwd=tmp_path)
    if "the native loop is left out" in done.stderr or done.returncode == 2:
        pytest.skip("no native loop here")
    assert done.returncode == 0, done.stderr
    assert "connections are made by the loop in Python only" in " ".join(done.stdout.split())
    assert "connections are made" in (tmp_path / "run.json").read_text()


def test_a_report_is_not_written_over_the_file_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes((DATA / "run.json").read_bytes())
    refused = ipcbench("report", "run.json", "--csv", "run.json", "--force", cwd=tmp_path)
    assert refused.returncode == 2
    assert "name two files" in refused.stderr
    assert path.read_bytes() == (DATA / "run.json").read_bytes()
