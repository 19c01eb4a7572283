import os
from pathlib import Path

import pytest

from ipcbench.cli.destinations import checked_output, new_output
from ipcbench.errors import UsageError
from ipcbench.results import folder


def test_a_new_file_in_a_folder_that_is_there_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert checked_output(path, force=False) == path
    assert not path.exists()


def test_what_cant_be_written_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    with pytest.raises(UsageError, match="there is no folder"):
        checked_output(tmp_path / "none" / "run.json", force=False)
    with pytest.raises(UsageError, match="is a folder; name a file"):
        checked_output(tmp_path, force=True)
    with pytest.raises(UsageError, match="exists already; add --force"):
        checked_output(tmp_path / "there.json", force=False)
    assert checked_output(tmp_path / "there.json", force=True).name == "there.json"


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="no permission"):
        checked_output(tmp_path / "run.json", force=False)


def test_the_default_place_names_machine_date_commit_and_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = folder.default_output("cpu-2cpu-kvm", "latency")
    results, machine, day, name = path.parts
    assert (results, machine, name) == ("results", "cpu-2cpu-kvm", "latency.json")
    assert day.endswith(folder.code_version())
    assert list(tmp_path.iterdir()) == []
    path.parent.mkdir(parents=True)
    path.touch()
    assert folder.default_output("cpu-2cpu-kvm", "latency").name == "latency-2.json"


def test_a_default_place_that_cant_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").touch()
    with pytest.raises(UsageError, match="can't be written; name a file with -o"):
        new_output("cpu", "latency")
