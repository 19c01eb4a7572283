"""The documents say what is so."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from ipcbench import errors
from ipcbench.analysis import frame
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.ladder import asked_for
from ipcbench.results import store
from ipcbench.transports.catalogue import catalogue
from ipcbench.transports.registry import STACK, transports
from tests.unit.test_reporters import shown_text

pytestmark = pytest.mark.early

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
LADDER = (ROOT / "docs/ladder.md").read_text(encoding="utf-8")
LOAD = (ROOT / "docs/load.md").read_text(encoding="utf-8")
DOCUMENTS = {
    "README": (README, 80),
    "PERFORMANCE": (PERFORMANCE, 100),
    "LADDER": (LADDER, 200),
    "LOAD": (LOAD, 200),
}
"""Text of each document that quotes results, and the columns that its widest table fits in."""
ILLUSTRATED = {"README": README, "LOAD": LOAD}
_PICTURE = r"<!-- picture (docs/pictures/\S+\.svg) from"
PICTURES = sorted(path for text in ILLUSTRATED.values() for path in re.findall(_PICTURE, text))
QUOTED = sorted(
    (path, name)
    for name, (text, _) in DOCUMENTS.items()
    for path in set(
        re.findall(r"<!-- from (results/\S+\.json(?:\.gz)?): (?:[0-9 ]+|overview) -->", text)
    )
)
SCRIPTS = {"all": "alternate.py", "footprint": "footprint.py"}
SHOWN = re.findall(
    r"<!-- from (results/\S+\.json): (all|footprint) -->\n\n```\n(.*?)\n```", PERFORMANCE, re.DOTALL
)


@pytest.mark.parametrize("column", frame.CASE_COLUMNS)
def test_the_readme_explains_every_column_of_the_csv(column: str) -> None:
    assert f"`{column}`" in README


def test_the_list_of_transports_is_what_the_registry_says() -> None:
    text = (ROOT / "ipcbench/transports/README.md").read_text(encoding="utf-8")
    assert "\n".join(catalogue()) in text


@pytest.mark.parametrize(
    "name", [t.name for t in transports() if t.carries_payload and STACK not in t.groups]
)
def test_the_readme_has_a_number_for_each_mechanism(name: str) -> None:
    assert re.search(rf"^{re.escape(name)} ", README, re.MULTILINE)


def test_the_readme_lists_every_exit_code() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)} == codes


@cache
def _analysed(path: str) -> Analysis:
    return frame.analyse(store.load(ROOT / path))


@pytest.mark.parametrize(("path", "document"), QUOTED)
def test_tables_come_from_committed_results(
    path: str, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, columns = DOCUMENTS[document]
    monkeypatch.setenv("COLUMNS", str(columns))
    analysis = _analysed(path)
    parts = _parts(shown_text(analysis, ladder=asked_for(analysis.results)))
    quotes = re.findall(rf"<!-- from {re.escape(path)}: ([0-9 ]+) -->", text)
    for number in " ".join(quotes).split():
        assert parts[int(number) - 1].strip() in text
    if f"<!-- from {path}: overview -->" in text:
        overview, *_ = _parts(shown_text(analysis, overview=True))
        assert overview.strip() in text


@pytest.mark.parametrize(("path", "of", "table"), SHOWN, ids=[path for path, *_ in SHOWN])
def test_the_tables_beside_c_are_what_their_scripts_show(path: str, of: str, table: str) -> None:
    command = [sys.executable, f"tools/reference/{SCRIPTS[of]}", "--show", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.rstrip() == table


def _parts(text: str) -> list[str]:
    return "\n".join(line.rstrip() for line in text.splitlines()).split("\n\n")


def test_the_readme_counts_the_mechanisms_that_there_are() -> None:
    count = sum(not t.is_control and STACK not in t.groups for t in transports())
    assert {int(said) for said in re.findall(r"(\d+) mechanisms", README)} == {count}


def test_the_documents_quote_results() -> None:
    assert {name for _, name in QUOTED} == set(DOCUMENTS)
    assert {of for _, of, _ in SHOWN} == set(SCRIPTS)


def test_the_readmes_selftest_is_the_committed_one() -> None:
    (path,) = set(re.findall(r"\]\((results/\S+/selftest)\.json\)", README))
    assert (ROOT / f"{path}.txt").read_text(encoding="utf-8").strip() in README


def test_the_readmes_evidence_is_the_committed_one() -> None:
    (path,) = set(re.findall(r"\]\((results/\S+/evidence\.txt)\)", README))
    committed = (ROOT / path).read_text(encoding="utf-8")
    _, _, quoted = README.partition("$ ipcbench evidence unix inet\n")
    *parts, _count = quoted.partition("\n```")[0].split("\n\n")
    assert [part.partition(":")[0] for part in parts] == ["unix", "inet"]
    assert all(part in committed for part in parts)
    (proved,) = re.findall(r"All (\d+) are proved", README)
    assert committed.splitlines()[-1] == f"proved: {proved}"


def test_every_promise_of_reliability_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and "test_" in line]
    assert len(rows) > 25
    file = ""
    for row in rows:
        for where, name in re.findall(r"`(?:([a-z_/]+\.py): )?(test_\w+)`", row):
            file = where or file
            defined = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"def {name}(" in defined, f"{file}: {name}"


_CLIPS = re.compile(r"\bclip[0-9]+\b")


@pytest.fixture(scope="module")
def drawer() -> Iterator[ModuleType]:
    """The module that makes the pictures, each once; it is no part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        yield importlib.import_module("pictures")
        sys.modules.pop("pictures")


def test_a_block_that_awaits_its_file_is_begun_once_the_file_is_there(
    drawer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert drawer.__name__ == "pictures"  # which refresh imports
    refresh = importlib.import_module("refresh")
    sys.modules.pop("refresh")
    monkeypatch.setattr(refresh, "ROOT", tmp_path)
    awaiting = "before\n\n<!-- awaits run.json.gz: 1 3 -->\n\nafter\n"
    assert refresh.with_begun(awaiting) == awaiting
    (tmp_path / "run.json.gz").touch()
    assert refresh.with_begun(awaiting) == (
        "before\n\n<!-- from run.json.gz: 1 3 -->\n\n```\n\n```\n\nafter\n"
    )


def test_the_documents_show_a_table_and_plots() -> None:
    of_load = ("gaps", "response-times", "shares", "windows")
    names = sorted(("ladder", "latency", "table", "throughput", *of_load))
    assert [f"docs/pictures/{name}.svg" for name in names] == PICTURES
    assert all(path in README or f"](pictures/{Path(path).name})" in LOAD for path in PICTURES)


def test_the_documents_pictures_are_those_of_their_results(drawer: ModuleType) -> None:
    made = {path: (ROOT / path).read_text(encoding="utf-8") for path in PICTURES}
    with_these = drawer.made_with()
    if not all(text.endswith(with_these) for text in made.values()):
        pytest.skip("other versions of the libraries that draw are installed")
    shown = {path: one.svg for text in ILLUSTRATED.values() for path, one in drawer.shown(text)}
    assert {path: _renumbered(svg) for path, svg in shown.items()} == {
        path: _renumbered(svg) for path, svg in made.items()
    }


def _renumbered(svg: str) -> str:
    """The picture with its clip paths counted from 0: they are numbered on through a process."""
    names = {name: f"clip-{n}" for n, name in enumerate(dict.fromkeys(_CLIPS.findall(svg)))}
    return _CLIPS.sub(lambda match: names[match[0]], svg)


@pytest.mark.parametrize("document", ILLUSTRATED)
def test_the_pictures_say_in_words_what_they_show(document: str, drawer: ModuleType) -> None:
    text = ILLUSTRATED[document]
    assert drawer.with_words(text) == text
    assert all(len(drawn.says) > 80 for _, drawn in drawer.shown(text))


@pytest.mark.parametrize("path", PICTURES)
def test_a_picture_asks_no_other_host_for_anything(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not re.search(r"url\((?!#)|@import|<script|<image", text)


def test_the_readmes_answers_to_the_claims_are_the_committed_ones() -> None:
    (path,) = set(re.findall(r"\]\((results/\S+/claims\.txt)\)", README))
    committed = (ROOT / path).read_text(encoding="utf-8").splitlines()
    answers = [index for index, line in enumerate(committed) if line.startswith("-> ")]
    assert len(answers) == 11
    for index in answers:
        told = [committed[index - 1], committed[index]]
        for line in committed[index + 1 :]:
            if not line.startswith("   "):
                break
            told.append(line)
        assert "\n".join(told) in README


def test_the_chaos_that_is_promised_came_to_a_clean_end() -> None:
    (path,) = set(
        re.findall(
            r"\]\(\.\./(results/\S+/chaos\.txt)\)", (ROOT / "docs/reliability.md").read_text()
        )
    )
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.match(r"500 injections, seed \d+", text)
    assert "hang 0, leftover 0, lost 0, traceback 0, slow 0, unclear 0, other 0" in text
    assert re.search(r"^all +\d+ +\d+ +0$", text, re.MULTILINE)
    assert "10000 hostile files" in text
