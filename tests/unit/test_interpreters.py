"""Interpreters as users name them, and what is made of the answers that they give."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.run import interpreters
from ipcbench.run.about import about, library_versions
from ipcbench.run.interpreters import asked, environment, shared_out
from ipcbench.run.pythons import Named, labels_of, parse_pythons

UNIX, NATIVE = Case("latency", "unix", 64), Case("latency", "unix", 64, "native")


def _environment(folder: Path) -> str:
    """What a virtual environment looks like from outside; the path of its interpreter."""
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    return str(folder / "bin" / "python")


def _program(path: Path, *lines: str) -> str:
    """A fake interpreter, which runs these lines of shell; its path."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return f"fake={path}"


def _answering(path: Path, **changed: Any) -> str:
    """A fake interpreter that answers as this installation would, but for what is changed."""
    answer = about(["latency/unix/64/python"]) | changed
    return _program(path, "cat <<'END'", json.dumps(answer), "END")


def test_an_environment_is_named_by_its_folder_and_another_python_by_its_program(
    tmp_path: Path,
) -> None:
    base, hidden = (_environment(tmp_path / name) for name in ("base", ".venv"))
    assert Named.parse(base) == Named("base", base)
    assert Named.parse(hidden).label == "venv"
    assert Named.parse("/usr/bin/python3.13") == Named("python3.13", "/usr/bin/python3.13")
    assert Named.parse("python3.13") == Named("python3.13", "python3.13")
    assert Named.parse("new=/usr/bin/python3") == Named("new", "/usr/bin/python3")
    assert Named.parse("/odd=/bin/python3") == Named("python3", "/odd=/bin/python3")


def test_equal_names_are_told_apart_and_given_labels_are_kept(tmp_path: Path) -> None:
    one, other = (_environment(tmp_path / name / "venv") for name in ("base", "head"))
    assert labels_of(parse_pythons(f"{one},{other}")) == ["venv", "venv-2"]
    assert labels_of(parse_pythons(f"{one},venv={other}")) == ["venv-2", "venv"]
    assert parse_pythons(f"a={one}, b={one}") == (f"a={one}", f"b={one}")


def test_a_list_that_was_read_is_read_again_as_it_is(tmp_path: Path) -> None:
    read = parse_pythons(f"{_environment(tmp_path / 'a')},/x/python3,/y/python3,b=c")
    assert parse_pythons(",".join(read)) == read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has an empty name"),
        ("/a/python,", "has an empty name"),
        ("a=", "no interpreter is named in 'a='"),
        ("=/a/python", "'' can't be an interpreter's label"),
        ("-x=/a/python", "'-x' can't be an interpreter's label"),
        ("a b=/a/python", "'a b' can't be an interpreter's label"),
        (f"{'a' * 65}=/a/python", "up to 64 letters"),
        ("a=/a/python,a=/b/python", "two interpreters are labelled 'a'"),
        ("/a/python,/a/python", "/a/python is named twice; .* a=/a/python,b=/a/python"),
        ("/a/+", "can't be a label; give one: LABEL=/a/+"),
    ],
)
def test_a_list_that_cannot_be_says_why(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("+", r"\+")):
        parse_pythons(text)


def test_an_interpreter_tells_its_own_versions_and_what_it_lacks(tmp_path: Path) -> None:
    cases = {"latency/unix/64/python": "sockets are out"}
    told = {"python": "3.13.1", "free_threaded": True, "native": "no compiler", "cases": cases}
    (fake,) = asked([_answering(tmp_path / "fake", **told)], [UNIX]).values()
    assert fake.facts["python"] == "CPython 3.13.1 free-threaded"
    assert fake.facts["versions"] == library_versions()
    assert fake.rejects(UNIX) == "fake: sockets are out"
    assert fake.rejects(NATIVE) == "fake has no native loop: no compiler"
    assert fake.rejects(UNIX._replace(transport="pipe")) is None


def test_cases_are_shared_out_in_the_order_of_interpreters(tmp_path: Path) -> None:
    whole = _answering(tmp_path / "whole", native=None).removeprefix("fake=")
    poor = _answering(tmp_path / "poor", native="no compiler").removeprefix("fake=")
    found = asked([f"z={whole}", f"a={poor}"], [UNIX, NATIVE])
    possible, impossible = shared_out([UNIX, NATIVE], found)
    assert [f"{case.loop} {case.interpreter}" for case in possible] == [
        *("python z", "python a", "native z"),
    ]
    assert [case.id for case, _ in impossible] == ["latency/unix/64/native/cross-core/a"]


def test_this_python_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(Path(__file__).parent.parent.parent)
    monkeypatch.setattr(interpreters, "environment", lambda: os.environ | {"PYTHONPATH": root})
    odd = Case("latency", "nosuch", 64, placement="free")
    connect = Case("connect", "pipe", 1)
    (one,) = asked([f"own={sys.executable}"], [UNIX, odd, connect]).values()
    assert one.rejects(UNIX) is None
    assert one.rejects(connect) == "own: pipe makes no connections"
    reason = one.rejects(odd)
    assert reason is not None
    assert reason.startswith("own: unknown transport 'nosuch'")


def test_what_names_the_packages_of_one_installation_is_kept_from_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    kept = environment()
    assert kept == {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    assert kept["PYTHONHASHSEED"] == "7"


NO_IPCBENCH = "/p: Error while finding module specification for 'ipcbench.run.about'"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            [
                f'''echo "{NO_IPCBENCH} (ModuleNotFoundError: No module named 'ipcbench')" >&2''',
                "exit 1",
            ],
            r"it has no ipcbench; install it there: \S+fake -m pip install ipcbench",
        ),
        (
            ["echo '/p: No module named ipcbench.run.about' >&2", "exit 1"],
            "its ipcbench is of another version than this; install this version there",
        ),
        (
            [
                "echo Traceback >&2",
                """echo "ModuleNotFoundError: No module named 'psutil'" >&2""",
                "exit 1",
            ],
            "its ipcbench can't be loaded: ModuleNotFoundError: No module named 'psutil'; .*pip",
        ),
        (
            ["echo 'Unknown option: -P' >&2", "echo 'usage: python' >&2", "exit 2"],
            "it isn't Python 3.11 or later, which ipcbench needs: Unknown option: -P",
        ),
        (["exit 3"], "it is no Python that .* it said 'exit code 3'"),
        (["echo hello"], "it is no Python that .* it answered 'hello'"),
        (["true"], "it answered 'nothing'"),
        (["echo '[1]'"], "it answered '\\[1\\]'"),
        (["kill -9 $$"], "it said 'exit code -9'"),
    ],
)
def test_what_is_no_python_with_ipcbench_is_refused_in_one_line(
    lines: list[str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        asked([_program(tmp_path / "fake", *lines)], [UNIX])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"worker_protocol": 0}, "has protocol of workers 0, this one .* has 1; install this"),
        ({"format": 99}, "has format of files 99, this one .* has 2; install this version there"),
        ({"format": None}, "has format of files None"),
        ({"python": 3}, "its ipcbench answers what can't be read: 3 is not a text"),
        ({"cases": {"latency/unix/64": 7}}, "answers what can't be read"),
        ({"native": ""}, "answers what can't be read"),
    ],
)
def test_an_answer_of_another_version_is_refused(
    changed: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        asked([_answering(tmp_path / "fake", **changed)], [UNIX])


def test_what_is_not_there_or_no_program_is_refused_before_any_is_asked(tmp_path: Path) -> None:
    asking = _program(tmp_path / "asking", f"touch {tmp_path}/was-asked")
    (tmp_path / "text").write_text("print('no program')")
    (tmp_path / "binary").write_bytes(b"\0\1\2\3")
    (tmp_path / "binary").chmod(0o755)
    for name, says in (
        (f"x={tmp_path}/none", "it isn't there"),
        (f"x={tmp_path}", "it is a folder"),
        (f"x={tmp_path}/text", "it can't be executed"),
        ("x=no-such-python", "no no-such-python is in PATH"),
    ):
        with pytest.raises(UsageError, match=says):
            asked([asking, name], [UNIX])
    assert not (tmp_path / "was-asked").exists()
    with pytest.raises(UsageError, match="it can't be started"):
        asked([f"x={tmp_path}/binary"], [UNIX])


@pytest.mark.parametrize(
    "lines",
    [
        ["sleep 60"],
        ["sleep 60 &", "echo answered"],
        ["while :; do echo more; done"],
    ],
    ids=["asks too long", "leaves a process", "never ends"],
)
def test_one_that_does_not_come_to_an_end_is_given_up_and_ended(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "ANSWER_LIMIT_S", 0.5)
    with pytest.raises(UsageError, match=r"doesn't answer within 0.5 s .* try it by hand"):
        asked([_program(tmp_path / "fake", *lines)], [UNIX])
