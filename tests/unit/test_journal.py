"""The journal of a run: what file and journal hold, whenever the process dies."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import bounded_json, journal, store
from ipcbench.results.files import journal_path, read_text, write_atomically
from ipcbench.results.intent import Intent
from ipcbench.results.journal import Journal
from ipcbench.results.store import Metadata, Results
from tests.replay import RUN_METADATA, launch, replayed

UNIX, PIPE, INET = (Case("latency", name, 64) for name in ("unix", "pipe", "inet"))
LAUNCHES = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.json"


def _add(results: Results, round_number: int, case: Case = UNIX, run_id: str = "feed") -> None:
    facts: Metadata = {"round": round_number, "run_elapsed_s": 1.0, "run_id": run_id}
    results.add_launch(case, launch(case, [1e-5 * round_number]), RUN_METADATA | facts)


def _intent(*cases: str) -> Intent:
    """A plan of these cases."""
    return Intent(
        cases=tuple(Case.parse(case).id for case in cases),
        rounds=4,
        seed=7,
        values=1,
        warmups=0,
        min_time_s=0.01,
        timeout_s=30.0,
        baseline="unix",
        cpus={"cross-core": None},
        target_ratio=None,
        budget_s=None,
    )


def _saved(path: Path, count: int, results: Results | None = None) -> tuple[Journal, Results]:
    """A run that was saved after each of so many launches, and is not closed."""
    saver, results = Journal(path), results or Results()
    for round_number in range(1, count + 1):
        _add(results, round_number)
        saver.save(results)
    return saver, results


def _rounds(path: Path) -> list[int]:
    return [one.round_number for one in store.load(path).launches()]


def test_file_and_journal_hold_every_launch_after_each_save(path: Path) -> None:
    saver, results = Journal(path), Results()
    for number in range(1, 6):
        _add(results, number)
        saver.save(results)
        assert _rounds(path) == list(range(1, number + 1))
    assert len(json.loads(path.read_text())["benchmarks"][0]["runs"]) == 1
    assert journal_path(path).read_text().count("\n") == 5


def test_what_is_read_of_file_and_journal_is_what_was_saved(path: Path) -> None:
    def save(results: Results) -> None:
        saver.save(results)

    saver = Journal(path)
    recorded = {UNIX: [[1e-5, 2e-5]] * 3, PIPE: [[1e-5]] * 3, INET: [[2e-5], "it broke"]}
    results, _, _ = replayed(recorded, 3, save)  # type: ignore[arg-type]
    loaded = store.load(path)
    assert store.dumps(loaded) == store.dumps(results)
    assert loaded.unmeasured[INET.id].reason == "round 2: it broke (twice)"
    saver.close(results)
    assert store.dumps(results) == path.read_text()
    assert not journal_path(path).exists()


def test_another_plan_is_in_the_file_with_the_first_launch_of_it(path: Path) -> None:
    saver, results = _saved(path, 2, Results(intent=_intent("latency/unix/64")))
    results.intent = _intent("latency/unix/64", "load:rate=2000/unix/64")
    _add(results, 3)
    saver.save(results)
    assert store.load(path).intent == results.intent
    assert _rounds(path) == [1, 2, 3]
    _add(results, 4)
    saver.save(results)
    assert journal_path(path).read_text().count("\n") == 2
    assert _rounds(path) == [1, 2, 3, 4]


def test_the_journal_is_folded_when_it_has_outgrown_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_LEAST_BYTES", 2000)
    folds: list[int] = []

    def counted(to: Path, text: str) -> None:
        folds.append(len(text))
        write_atomically(to, text)

    monkeypatch.setattr(journal, "write_atomically", counted)
    saver, results = _saved(path, 200)
    assert _rounds(path) == list(range(1, 201))
    saver.close(results)
    assert _rounds(path) == list(range(1, 201))
    assert 3 < len(folds) < 40
    assert sum(folds) < 8 * folds[-1], "bytes grow faster than launches"


class Killed(BaseException):
    """The end of the process, as far as a test can tell."""


def _steps(monkeypatch: pytest.MonkeyPatch, die_at: int) -> None:
    """Lets the process die at the n-th step of all writes, renames, links and syncs."""
    count = 0

    def dying(real: Callable[..., object], *, half: bool = False) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == die_at:
                if half:
                    descriptor, content = arguments
                    real(descriptor, bytes(content)[: len(bytes(content)) // 2])  # type: ignore[call-overload]
                raise Killed
            return real(*arguments, **named)

        return step

    monkeypatch.setattr(os, "write", dying(os.write, half=True))
    monkeypatch.setattr(os, "fsync", dying(os.fsync))
    monkeypatch.setattr(os, "open", dying(os.open))
    monkeypatch.setattr(os, "ftruncate", lambda *_: None)
    monkeypatch.setattr(Path, "replace", dying(Path.replace))
    monkeypatch.setattr(Path, "unlink", dying(Path.unlink))


STEPS = 80
"""More steps than the run of the next test takes."""


@pytest.mark.parametrize("die_at", range(1, STEPS + 1))
def test_a_run_killed_at_any_step_keeps_every_saved_launch_and_none_twice(
    path: Path, die_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, results, saved, is_killed = Journal(path), Results(), 0, False
    with monkeypatch.context() as patched:
        patched.setattr(journal, "_LEAST_BYTES", 3000)
        _steps(patched, die_at)
        try:
            for number in range(1, LAUNCHES + 1):
                _add(results, number)
                saver.save(results)
                saved = number
            saver.close(results)
        except Killed:
            is_killed = True
    assert is_killed or die_at > STEPS / 2, "the run takes no such step"
    found = _rounds(path) if path.exists() else []
    assert found == list(range(1, len(found) + 1))
    assert saved <= len(found) <= saved + 1
    if die_at == STEPS:
        assert not is_killed, "the run takes more steps"


def test_a_run_goes_on_from_file_and_journal(path: Path) -> None:
    _saved(path, 3)
    loaded = store.load(path)
    saver = Journal(path)
    saver.save(loaded)
    assert not journal_path(path).exists()
    assert _rounds(path) == [1, 2, 3]
    _add(loaded, 4)
    saver.save(loaded)
    assert _rounds(path) == [1, 2, 3, 4]
    saver.close(loaded)
    assert path.read_text() == store.dumps(loaded)


@pytest.mark.parametrize(
    "torn", ["", '{"la', '{"launch": {"values": [1e-5', "\0\0\0\0", "\0\0\n", "{}x\n"]
)
def test_a_torn_last_line_is_dropped(path: Path, torn: str) -> None:
    _saved(path, 3)
    with journal_path(path).open("a") as file:
        file.write(torn)
    assert _rounds(path) == [1, 2, 3]


def test_a_line_cut_anywhere_loses_that_launch_alone(path: Path) -> None:
    _saved(path, 3)
    whole = journal_path(path).read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(whole), 7):
        journal_path(path).write_bytes(whole[:length])
        assert _rounds(path) == [1, 2]


def test_a_journal_of_another_run_is_never_mixed_in(path: Path) -> None:
    _saved(path, 3)
    old = journal_path(path).read_text()
    path.unlink()
    saver, results = Journal(path), Results()
    _add(results, 1, run_id="other")
    saver.save(results)
    assert not journal_path(path).exists()
    journal_path(path).write_text(old)
    assert [one.run_id for one in store.load(path).launches()] == ["other"]
    _add(results, 2, run_id="other")
    saver.save(results)
    assert [one.run_id for one in store.load(path).launches()] == ["other", "other"]


def test_a_file_or_journal_that_is_moved_away_is_written_anew(path: Path) -> None:
    saver, results = _saved(path, 3)
    journal_path(path).unlink()
    _add(results, 4)
    saver.save(results)
    assert _rounds(path) == [1, 2, 3, 4]
    _add(results, 5)
    saver.save(results)
    path.unlink()
    _add(results, 6)
    saver.save(results)
    assert _rounds(path) == [1, 2, 3, 4, 5, 6]


def test_a_finished_file_looks_for_no_journal(path: Path) -> None:
    saver, results = _saved(path, 2)
    saver.close(results)
    os.mkfifo(journal_path(path))
    assert _rounds(path) == [1, 2]


def test_without_a_save_nothing_is_written(path: Path) -> None:
    path.write_text("another run's")
    Journal(path).close(Results())
    assert path.read_text() == "another run's"


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    with Journal(None) as saver:
        results = Results()
        _add(results, 1)
        saver.save(results)
    assert list(tmp_path.iterdir()) == []


def _full_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Lets the disk be full after so many bytes."""
    left, write = count, os.write

    def full(descriptor: int, content: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, bytes(content)[:left])
        left -= written
        return written

    monkeypatch.setattr(os, "write", full)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_leaves_no_half_line(
    path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, results = _saved(path, 3)
    before = journal_path(path).read_bytes()
    _add(results, 4)
    with monkeypatch.context() as patched:
        _full_after(patched, room)
        with pytest.raises(ResultsError, match=r"run.json can't be written: No space left"):
            saver.save(results)
    assert journal_path(path).read_bytes() == before
    assert _rounds(path) == [1, 2, 3]
    saver.save(results)
    assert _rounds(path) == [1, 2, 3, 4]


def test_a_full_disk_at_the_journals_first_line_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, results = _saved(path, 1)
    _add(results, 2)
    with monkeypatch.context() as patched:
        _full_after(patched, 20)
        with pytest.raises(ResultsError, match="No space left"):
            saver.save(results)
    assert _rounds(path) == [1]
    saver.close(results)
    assert _rounds(path) == [1, 2]


def test_a_last_fold_that_fails_keeps_file_and_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, results = _saved(path, 3)

    def full(_path: Path, _text: str) -> None:
        raise ResultsError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "write_atomically", full)
        with pytest.raises(ResultsError, match="the disk is full"):
            saver.close(results)
    assert _rounds(path) == [1, 2, 3]
    assert journal_path(path).exists()


def test_a_run_that_ends_by_an_error_is_folded_and_ends_by_that(path: Path) -> None:
    with pytest.raises(KeyError, match="interrupted"), Journal(path) as saver:  # noqa: PT012
        results = Results()
        for number in (1, 2):
            _add(results, number)
            saver.save(results)
        raise KeyError("interrupted")
    assert not journal_path(path).exists()
    assert _rounds(path) == [1, 2]


def test_a_folder_in_the_journals_place_is_named(path: Path) -> None:
    journal_path(path).mkdir()
    results = Results()
    _add(results, 1)
    with pytest.raises(ResultsError, match=r"run.json.journal is in the way"):
        Journal(path).save(results)


def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    saver, _ = _saved(tmp_path / "a/b/run.json", 2)
    saver.close()
    assert _rounds(tmp_path / "a/b/run.json") == [1, 2]


# Journals of strangers.


def _with_journal(path: Path, *lines: str) -> None:
    """A file of one launch, and its journal with these lines after its own header."""
    _saved(path, 2)
    header, *_ = journal_path(path).read_text().splitlines()
    journal_path(path).write_text("\n".join((header, *lines, "")))


def _line(**changes: object) -> str:
    results = Results()
    _add(results, 9)
    metadata = {**next(results.launches()).facts, **changes}
    return json.dumps({"launch": {"values": [1e-5], "metadata": metadata}})


GOOD = json.dumps(
    {"unmeasured": {"case": "latency/fifo/64/python/cross-core", "status": "failed", "reason": "x"}}
)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1", "line 2 of its journal is 1, not an object"),
        ("[]", "line 2 of its journal is a list of nothing, not an object"),
        ("", "is not JSON"),
        ("{}", "line 2 of its journal is no entry"),
        ('{"launch": 1}', "line 2 of its journal: launch is 1, not an object"),
        ('{"launch": {}, "more": 1}', "is no entry"),
        ('{"launch": {}}', "launch 1 of its journal: its case is missing"),
        ('{"launch": {"values": [1], "values": [2]}}', "stands twice in one object"),
        ('{"launch": {"values": [NaN]}}', "holds NaN"),
        ("[" * 50_000, "is nested deeper than 16 levels"),
        ('{"unmeasured": 1}', "unmeasured case 1 is 1, not an object"),
        (_line(round=1), "holds a launch twice"),
        (_line(round="x"), "round is 'x', not a whole number"),
        (_line(kernel=""), "kernel is '', not a text"),
        (_line(kernel="Linux 7.0"), "is of two machines"),
        (_line(ipcbench_format=3), "has format 3"),
        (_line(cpu_count=4), "cpu_count"),
        (_line(name="latency/unix/64"), "is not how it writes a case"),
        (_line(transport="pipe"), "transport is 'pipe', not 'unix'"),
    ],
)
def test_a_bad_line_of_a_journal_is_refused_in_one_line(path: Path, line: str, says: str) -> None:
    _with_journal(path, line, GOOD)
    with pytest.raises(ResultsError) as caught:
        store.load(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{}",
        "1",
        '{"ipcbench_journal": 2}',
        '{"ipcbench_journal": 3, "token": "TOKEN"}',
        "[" * 99,
    ],
)
def test_a_journal_without_the_files_token_is_ignored(path: Path, header: str) -> None:
    _with_journal(path, _line())
    token = json.loads(path.read_text())["ipcbench"]["journal"]
    journal_path(path).write_text(f"{header.replace('TOKEN', token)}\n{_line()}\n")
    assert _rounds(path) == [1]


@given(st.data())
def test_a_mutated_journal_is_read_ignored_or_refused_in_one_line(data: st.DataObject) -> None:
    results = Results()
    _add(results, 1)
    token = "0123456789abcdef"
    file = store.dumps(results, token)
    text = f'{{"ipcbench_journal": 2, "token": "{token}"}}\n{_line()}\n{GOOD}\n{_line(round=8)}\n'
    assert len(list(store.loads(file, "FILE", text).launches())) == 3
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 40))
    mutated = text[:at] + data.draw(st.text(max_size=5)) + text[at + length :]
    refusal = ""
    try:
        store.loads(file, "FILE", mutated)
    except ResultsError as error:
        refusal = str(error)
    assert "\n" not in refusal


@pytest.mark.parametrize("token", [1, "", "x", [], {"a": 1}, "0" * 17])
def test_a_file_with_a_token_that_is_none_is_refused(path: Path, token: object) -> None:
    _with_journal(path, _line())
    data = json.loads(path.read_text())
    data["ipcbench"]["journal"] = token
    path.write_text(json.dumps(data))
    with pytest.raises(ResultsError, match=r"journal is .*, not 16 hexadecimal digits"):
        store.load(path)


def test_the_values_of_a_journal_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_journal(path, *[GOOD] * 400)
    monkeypatch.setattr(bounded_json, "_MOST_ELEMENTS", 1000)
    with pytest.raises(ResultsError, match="has a journal of more than 1000 values"):
        store.load(path)


def test_the_bytes_of_a_journal_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_journal(path, _line())
    monkeypatch.setattr(store, "_MOST_BYTES", path.stat().st_size)
    journal_path(path).write_text("x" * 10_000)
    with pytest.raises(ResultsError, match=r"run.json.journal is larger than"):
        store.load(path)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_a_journal_that_is_no_file_is_refused_at_once(path: Path, kind: str) -> None:
    _with_journal(path, _line())
    journal_path(path).unlink()
    if kind == "fifo":
        os.mkfifo(journal_path(path))
    elif kind == "folder":
        journal_path(path).mkdir()
    else:
        journal_path(path).symlink_to("/dev/zero")
    with pytest.raises(ResultsError, match=r"run.json.journal is (not a regular file|a folder)"):
        store.load(path)


def test_no_link_in_the_journals_place_is_written_through(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    saver, results = _saved(path, 1)
    journal_path(path).symlink_to(victim)
    _add(results, 2)
    saver.save(results)
    assert victim.read_text() == "precious"
    assert _rounds(path) == [1, 2]


def test_a_file_that_is_folded_while_it_is_read_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, results = _saved(path, 3)
    folded = False

    def racing(of: Path, most_bytes: int) -> str:
        nonlocal folded
        text = read_text(of, most_bytes)
        if of == path and not folded:
            folded = True
            saver.close(results)
        return text

    monkeypatch.setattr(store, "read_text", racing)
    assert _rounds(path) == [1, 2, 3]


def test_a_journal_that_is_folded_as_it_is_opened_is_read_from_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results()
    log = Journal(path)
    for number in (1, 2):
        _add(results, number)
        log.save(results)
    is_there = os.path.lexists

    def fold(looked_at: Path) -> bool:
        found = is_there(looked_at)
        log.close(results)
        return found

    monkeypatch.setattr(os.path, "lexists", fold)
    assert len(list(store.load(path).launches())) == 2
