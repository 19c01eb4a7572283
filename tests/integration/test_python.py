"""`compare --python`: the same cases by several installations, in one run."""

import csv
import io
import json
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ipcbench.results import store
from tests.command import ROOT, environment, ipcbench, until

pytestmark = pytest.mark.early

LITTLE = ("--sizes=64", "--workloads=latency", "--values=2", "--warmups=0", "--min-time=2ms")
POOR = """
import sys
sys.modules["sysv_ipc"] = sys.modules["ipcbench.measure._native"] = None
"""


def _made(folder: Path, *, customised: str = "", psutil: str | None = None) -> str:
    """The Python of a new virtual environment with this checkout and the packages beside it.

    Made offline. `customised` is Python that it runs first; `psutil` the version it says it has.
    """
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    beside = dict.fromkeys(
        (str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    )
    (packages / "beside.pth").write_text("\n".join(beside))
    if customised:
        (packages / "sitecustomize.py").write_text(customised)
    if psutil is not None:
        told = packages / f"psutil-{psutil}.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: psutil\nVersion: {psutil}\n")
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Interpreters by name: two that differ in a version, and one that lacks things."""
    folder = tmp_path_factory.mktemp("environments")
    return {
        "base": _made(folder / "base"),
        "head": _made(folder / "head", psutil="0.0.1"),
        "poor": _made(folder / "poor", customised=POOR),
    }


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _facts(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The metadata of all launches in a file, by label."""
    found: dict[str, list[dict[str, Any]]] = {}
    for launch in store.load(path).launches():
        found.setdefault(launch.case.interpreter, []).append(dict(launch.facts))
    return found


@pytest.fixture(scope="module")
def measured(pythons: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run by two interpreters; `said` and `run.csv` are beside it."""
    folder = tmp_path_factory.mktemp("measured")
    both = f"{pythons['base']},{pythons['head']}"
    files = ("-o", "run.json", "--csv", "run.csv", "--html", "run.html", "--events", "events")
    done = ipcbench("compare", "unix", "--python", both, *LITTLE, "--rounds=6", *files, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stdout)
    return folder / "run.json"


def test_both_labels_are_in_tables_and_a_verdict_is_told(measured: Path) -> None:
    said = (measured.parent / "said").read_text()
    assert "Latency (round trip), 64 B, cross-core, python loop, base" in said
    assert "Latency (round trip), 64 B, cross-core, python loop, head" in said
    _, _, after = said.partition("Interpreters: head against base, latency (round trip), 64 B")
    head, _, first, *_ = after.splitlines()[1:]
    assert head.split() == ["transport", "base", "head", "head", "is", "95%", "verdict"]
    assert first.startswith("unix")
    assert first.split()[-1] in {"faster", "slower", "~"}
    row = next(
        row
        for row in _rows((measured.parent / "run.csv").read_text())
        if (row["transport"], row["interpreter"]) == ("unix", "head")
    )
    assert row["first_interpreter"] == "base"
    assert row["first_interpreter_verdict"] in {"faster", "slower", "~"}
    assert float(row["time_to_first_interpreter_ratio"]) > 0


def test_each_launch_tells_of_its_own_installation_and_no_path(
    measured: Path, pythons: dict[str, str]
) -> None:
    facts = _facts(measured)
    assert set(facts) == {"base", "head"}
    assert {one["interpreter"] for one in facts["head"]} == {"head"}
    assert all("psutil 0.0.1" in one["versions"] for one in facts["head"])
    assert not any("psutil 0.0.1" in one["versions"] for one in facts["base"])
    for one in (*facts["base"], *facts["head"]):
        of_command = {name for name, value in one.items() if pythons["base"] in str(value)}
        assert of_command == {"command", "again"}, "what was typed is kept as it was typed"


def test_what_both_measure_is_launched_in_one_group_side_by_side(measured: Path) -> None:
    lines = (measured.parent / "events").read_text().splitlines()
    groups = [event["cases"] for event in map(json.loads, lines) if event["event"] == "launching"]
    assert len(groups) == 1 + 6, "a group to calibrate, and one a round"
    for group in groups:
        places = [place for place, case in enumerate(group) if "/unix/" in case]
        assert {group[place].rpartition("/")[2] for place in places} == {"base", "head"}
        assert places[1] == places[0] + 1


def test_a_stored_run_is_reported_again_and_pyperf_reads_it(measured: Path) -> None:
    reported = ipcbench("report", str(measured), "--csv", "-")
    assert reported.returncode == 0, reported.stderr
    assert reported.stdout == (measured.parent / "run.csv").read_text()
    for command in ("check", "stats", "show"):
        done = subprocess.run(
            [sys.executable, "-m", "pyperf", command, str(measured)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert "latency/unix/64/python/cross-core/head" in done.stdout
    compared = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", str(measured), str(measured)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert compared.returncode == 0, compared.stderr


def test_what_an_interpreter_lacks_is_not_measured_there_and_told(
    pythons: dict[str, str], tmp_path: Path
) -> None:
    both = f"full={pythons['base']},poor={pythons['poor']}"
    options = ("--python", both, "--loop=python,native", *LITTLE, "--rounds=1")
    done = ipcbench(
        "compare", "unix", "sysv-msg", *options, "-o", "run.json", "--csv", "-", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    rows = {(row["transport"], row["loop"], row["interpreter"]): row for row in _rows(done.stdout)}
    assert rows[("unix", "python", "poor")]["status"] == "measured"
    native = rows[("unix", "native", "poor")]
    assert native["status"] == "n/a"
    assert native["reason"].startswith("poor has no native loop: the extension wasn't built")
    sysv = rows[("sysv-msg", "python", "poor")]
    assert sysv["status"] == "n/a"
    assert sysv["reason"].startswith("poor: ")
    assert rows[("sysv-msg", "python", "full")]["status"] == "measured"


def test_where_no_interpreter_can_measure_anything_nothing_is_begun(
    pythons: dict[str, str], tmp_path: Path
) -> None:
    options = ("--python", pythons["poor"], "--loop=native", *LITTLE)
    refused = ipcbench("compare", "unix", *options, cwd=tmp_path)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "no interpreter can measure any case: latency/unix/64/native/" in line
    assert "poor has no native loop: the extension wasn't built" in line


def test_one_interpreter_measures_in_the_place_of_this_one(
    pythons: dict[str, str], tmp_path: Path
) -> None:
    options = ("--python", pythons["head"], "--matrix", *LITTLE, "--rounds=1", "-o", "run.json")
    done = ipcbench("compare", "pipe", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Round trip by CPU, pipe, 64 B, python loop, head" in done.stdout
    assert "Interpreters:" not in done.stdout
    assert set(_facts(tmp_path / "run.json")) == {"head"}


def _more_rounds(source: Path, target: Path, rounds: int) -> Path:
    """A copy of a result file whose plan has more rounds than it holds."""
    data = json.loads(source.read_text())
    plan = data["ipcbench"]["plan"]
    plan["rounds"] = plan["request"]["rounds"] = rounds
    target.write_text(json.dumps(data))
    return target


def test_a_run_goes_on_with_the_same_interpreters(
    measured: Path, pythons: dict[str, str], tmp_path: Path
) -> None:
    path = _more_rounds(measured, tmp_path / "run.json", 7)
    both = f"{pythons['base']},{pythons['head']}"
    done = ipcbench("compare", "--resume", str(path), "--python", both, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = _facts(path)
    assert {label: len(launches) for label, launches in facts.items()} == {"base": 14, "head": 14}
    assert all("psutil 0.0.1" in one["versions"] for one in facts["head"])


def test_a_run_goes_on_where_an_interpreter_is_elsewhere_but_the_same(
    measured: Path, pythons: dict[str, str], tmp_path: Path
) -> None:
    path = _more_rounds(measured, tmp_path / "run.json", 7)
    moved = _made(tmp_path / "moved", psutil="0.0.1")
    asked = ("unix", f"--python=base={pythons['base']},head={moved}", *LITTLE, "--rounds=7")
    done = ipcbench("compare", "--resume", str(path), *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(_facts(path)["head"]) == 14


def test_how_to_go_on_names_the_interpreters(pythons: dict[str, str], tmp_path: Path) -> None:
    both = f"base={pythons['base']},head={pythons['head']}"
    command = [sys.executable, "-m", "ipcbench", "compare", "unix", "--python", both, *LITTLE]
    with subprocess.Popen(
        [*command, "--rounds=200", "-o", "run.json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(process, (tmp_path / "run.json").exists)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"go on with: ipcbench compare --resume run.json --python {both}\n" in said


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("", "was begun with the interpreters base and head; name each again: --python base=PATH"),
        ("head={head},base={base}", "was begun with the interpreters base and head"),
        ("base={base}", "was begun with the interpreters base and head"),
        ("base={base},head={base}/none", "it isn't there"),
        ("base={base},head={changed}", "head, was begun with versions pyperf"),
        ("base={base},head={poor}", "/head: head: the package sysv_ipc is missing"),
    ],
)
def test_a_run_does_not_go_on_with_others(
    named: str, says: str, measured: Path, pythons: dict[str, str], tmp_path: Path
) -> None:
    changed = _made(tmp_path / "changed", psutil="0.0.2") if "{changed}" in named else ""
    path = tmp_path / "run.json"
    text = _more_rounds(measured, path, 7).read_text()
    if "{poor}" in named:
        text = text.replace("latency/unix/", "latency/sysv-msg/").replace('"unix"', '"sysv-msg"')
    path.write_text(text)
    options = ("--python", named.format(**pythons, changed=changed)) if named else ()
    refused = ipcbench("compare", "--resume", str(path), *options, cwd=tmp_path)
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert says in line
    assert path.read_text() == text


def test_a_program_that_a_file_names_is_never_started(measured: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    data = json.loads(_more_rounds(measured, tmp_path / "run.json", 7).read_text())
    data["ipcbench"]["plan"]["request"]["pythons"] = [f"base={trap}", f"head={trap}"]
    (tmp_path / "run.json").write_text(json.dumps(data))
    assert ipcbench("compare", "--resume", "run.json", cwd=tmp_path).returncode == 2
    assert ipcbench("report", "run.json", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "sprung").exists()


def test_a_run_without_interpreters_goes_on_with_none(
    pythons: dict[str, str], tmp_path: Path
) -> None:
    done = ipcbench("compare", "unix", *LITTLE, "--rounds=1", "-o", "run.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    refused = ipcbench("compare", "--resume=run.json", "--python", pythons["base"], cwd=tmp_path)
    assert refused.returncode == 2
    assert "was begun with no other interpreters; leave --python out" in refused.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--python", "none/bin/python"], "it isn't there; name an interpreter"),
        (["--python", ""], "the list of interpreters has an empty name"),
        (["--python", "a=x,a=y"], "two interpreters are labelled 'a'"),
        (["--python", "no-such-python"], "no no-such-python is in PATH"),
        (["--python", "bare/bin/python"], "it has no ipcbench; install it there: bare/bin/python"),
        (["--python", "fake"], "no fake is in PATH"),
        (["--python", "./fake"], "it is no Python that can be asked"),
        (["pipe", "--matrix", "--python", "a=./fake,b=./fake"], "--matrix is of one interpreter"),
    ],
)
def test_an_interpreter_that_cannot_be_used_is_one_line(
    options: Sequence[str], says: str, tmp_path: Path
) -> None:
    if "bare/bin/python" in options:
        bare = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
        subprocess.run(bare, check=True, timeout=60)
    (tmp_path / "fake").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "fake").chmod(0o755)
    before = sorted(tmp_path.rglob("*"))
    refused = ipcbench("compare", *options, cwd=tmp_path)
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert says in line
    assert sorted(tmp_path.rglob("*")) == before


def test_claims_and_bench_scripts_take_interpreters(
    pythons: dict[str, str], tmp_path: Path
) -> None:
    both = f"--python={pythons['base']},{pythons['head']}"
    little = ("--sizes=64", "--values=1", "--warmups=0", "--min-time=2ms", "--rounds=1")
    claims = ipcbench(
        "claims", both, *little, "--workloads=connect", "-o", "claims.json", cwd=tmp_path
    )
    assert claims.returncode == 0, claims.stderr
    assert "connect cross-core head" in claims.stdout
    script = subprocess.run(
        [sys.executable, str(ROOT / "bench/latency.py"), "unix", both, *little, "-o", "run.json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert script.returncode == 0, script.stderr
    assert "Interpreters: head against base" in script.stdout


def test_another_python_is_measured_beside_this_one(tmp_path: Path) -> None:
    """With an ipcbench of its own; shown where another Python with the libraries is at hand."""
    other = next((name for name in ("python3.13", "python3.12") if _has_ipcbench(name)), None)
    if other is None:
        pytest.skip("no python3.12 or 3.13 here has ipcbench and its libraries")
    options = ("--python", f"{sys.executable},{other}", *LITTLE, "--rounds=2", "-o", "run.json")
    done = ipcbench("compare", "unix", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CPython 3.1" in done.stdout


def _has_ipcbench(python: str) -> bool:
    try:
        command = [python, "-P", "-m", "ipcbench.run.about"]
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False
