"""What `report` and `compare` write beside tables, as a user asks for it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from ipcbench.analysis.claims import CLAIMS
from ipcbench.cli.options import OPTIONS
from ipcbench.reporters.documents import Documents
from tests.command import QUICK, ROOT, ipcbench, run

STORED = ROOT / "tests/data/run.json"
NEEDS = (
    "ipcbench: the page needs altair and vl-convert-python;"
    " install them with: pip install 'ipcbench[html]'\n"
)


@pytest.fixture
def without_altair(tmp_path: Path) -> dict[str, str]:
    """An environment in which altair can't be found."""
    hides = tmp_path / "hides"
    hides.mkdir()
    text = (
        "import importlib.util as u, importlib.abc, sys\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'altair' else found(name, *more)\n"
    )
    (hides / "sitecustomize.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": f"{hides}:{ROOT}"}


def test_report_writes_a_page_pictures_and_markdown(tmp_path: Path) -> None:
    done = ipcbench(
        *("report", str(STORED), "--html", "run.html", "--svg", "svg", "--png", "png"),
        *("--markdown", "run.md"),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [f"ipcbench: written: {name}" for name in ("run.md", "run.html", "svg", "png")],
    )
    assert (tmp_path / "run.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    names = {path.stem for path in (tmp_path / "svg").iterdir()}
    assert {path.stem for path in (tmp_path / "png").iterdir()} == names
    assert "round-trip-by-size-cross-core-python-loop" in names


def test_without_altair_a_page_is_refused_before_anything_is_done(
    tmp_path: Path, without_altair: dict[str, str]
) -> None:
    for asked in (("--html", "a.html"), ("--svg", "a"), ("--png", "a")):
        done = ipcbench("report", str(STORED), *asked, cwd=tmp_path, extra=without_altair)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", NEEDS)
    done = ipcbench("report", str(STORED), "--markdown", "-", cwd=tmp_path, extra=without_altair)
    assert done.returncode == 0


def test_a_bench_script_writes_a_page_beside_its_results(tmp_path: Path) -> None:
    script = str(ROOT / "bench/latency.py")
    asked = ("pipe", "--sizes=64", "--loop=python", "--placement=free", *QUICK)
    done = run(script, *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    saved = re.search(r"saved: (\S+)/latency.json and latency.csv and latency.html", done.stderr)
    assert saved is not None, done.stderr
    assert (tmp_path / saved[1] / "latency.html").exists()


def test_a_bench_script_measures_without_altair_too(
    tmp_path: Path, without_altair: dict[str, str]
) -> None:
    script = str(ROOT / "bench/latency.py")
    asked = ("pipe", "--sizes=64", "--loop=python", "--placement=free", *QUICK)
    done = run(script, *asked, cwd=tmp_path, extra=without_altair)
    assert done.returncode == 0, done.stderr
    assert "no page is made: the page needs altair" in done.stderr
    assert "latency.json and latency.csv\n" in done.stderr


def test_claims_of_stored_results_are_written_as_a_page(tmp_path: Path) -> None:
    done = ipcbench("claims", str(STORED), "--html", "claims.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "ipcbench: written: claims.html\n")
    assert 'id="claims"' in (tmp_path / "claims.html").read_text(encoding="utf-8")


def test_a_resumed_run_may_write_what_it_likes() -> None:
    written = set(Documents._fields) - {"claims", "ladder"}
    assert {OPTIONS[f"--{name}"].scope for name in written} == {"shown"}


def test_markdown_on_stdout_sends_the_tables_to_stderr() -> None:
    done = ipcbench("report", str(STORED), "--markdown", "-")
    assert done.stdout.startswith("**Latency (round trip), 64 B, cross-core, python loop**\n\n| ")
    assert "Latency (round trip)" in done.stderr


def test_markdown_has_the_answers_to_claims_where_they_are_judged() -> None:
    for command in (("claims", str(STORED)), ("report", str(STORED), "--claims")):
        done = ipcbench(*command, "--markdown", "-")
        assert done.stdout.startswith("**Claims**\n\n| claim | here |\n")
        assert (
            "| pipes are the old method, UNIX sockets the new one: which is faster |" in done.stdout
        )


def test_json_on_stdout_sends_the_tables_to_stderr(tmp_path: Path) -> None:
    done = ipcbench("report", str(STORED), "--json", "-")
    (first, *_) = json.loads(done.stdout)["parts"]
    assert first["title"] == "Latency (round trip), 64 B, cross-core, python loop"
    assert first["title"] in done.stderr
    written = ipcbench("report", str(STORED), "--json", "shown.json", cwd=tmp_path)
    assert written.stderr == "ipcbench: written: shown.json\n"
    assert (tmp_path / "shown.json").read_text(encoding="utf-8") == done.stdout


def test_json_of_claims_has_each_claim_with_its_answer() -> None:
    done = ipcbench("claims", str(STORED), "--json", "-")
    parts = json.loads(done.stdout)["parts"]
    answers = {
        part["about"]["claim"]: part["about"]["answer"]
        for part in parts
        if part["kind"] == "heading"
    }
    assert answers.keys() == {claim.name for claim in CLAIMS}
    assert answers["inet6-costs-more"] == "not measured"


def test_json_of_a_diff_is_written_as_it_is_shown(tmp_path: Path) -> None:
    both = (str(STORED), str(STORED))
    done = ipcbench("diff", *both, "--json", "-", cwd=tmp_path)
    assert "NEW against OLD, cross-core" in done.stderr
    grid, *_, last = json.loads(done.stdout)["parts"]
    assert {row["values"]["change_ratio"] for row in grid["rows"]} == {0.0}
    assert last["text"].endswith(" changed")
    written = ipcbench("diff", *both, "--json", "diff.json", cwd=tmp_path)
    assert (written.returncode, written.stderr) == (0, "ipcbench: written: diff.json\n")
    assert "NEW against OLD, cross-core" in written.stdout
    assert (tmp_path / "diff.json").read_text(encoding="utf-8") == done.stdout


def test_json_of_a_diff_replaces_no_file_unasked_and_none_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("mine", encoding="utf-8")
    shutil.copy(STORED, tmp_path / "run.json")
    files = ("diff", str(STORED), "run.json")
    for asked, says in (
        (("--json", "there.json"), "there.json exists already; add --force"),
        (("--json", "run.json", "--force"), "--json and NEW both name run.json"),
    ):
        done = ipcbench(*files, *asked, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    assert (tmp_path / "run.json").read_bytes() == STORED.read_bytes()
    assert ipcbench(*files, "--json", "there.json", "--force", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "there.json").read_text(encoding="utf-8"))["format"] == 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--csv", "-", "--markdown", "-"), "--csv and --markdown both take stdout"),
        (("--json", "-", "--markdown", "-"), "--json and --markdown both take stdout"),
        (("--csv", "x", "--json", "./x"), "--csv and --json both name"),
        (("--json", "there.html"), "there.html exists already; add --force"),
        (("--html", "-"), "--html takes a file"),
        (("--html", "x", "--csv", "./x"), "--csv and --html both name"),
        (("--html", "there.html"), "there.html exists already; add --force"),
        (("--svg", "full"), "full is not empty; add --force"),
        (("--png", "there.html"), "there.html is a file; name a folder"),
        (("--svg", "no/where"), "there is no folder no; make it first"),
    ],
)
def test_what_cant_be_written_is_refused_with_what_to_change(
    tmp_path: Path, asked: tuple[str, ...], says: str
) -> None:
    (tmp_path / "there.html").write_text("mine", encoding="utf-8")
    (tmp_path / "full").mkdir()
    shutil.copy(STORED, tmp_path / "full")
    done = ipcbench("report", str(STORED), *asked, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert (tmp_path / "there.html").read_text(encoding="utf-8") == "mine"


def test_only_pictures_load_altair(tmp_path: Path) -> None:
    loads = (
        "import sys; from ipcbench.cli.main import main;"
        " main(sys.argv[1:]); print('altair' in sys.modules)"
    )
    for asked, wanted in ((("--markdown", "a.md"), "False"), (("--html", "a.html"), "True")):
        done = run("-c", loads, "report", str(STORED), *asked, cwd=tmp_path)
        assert done.stdout.splitlines()[-1] == wanted
