"""The noise floor of a machine: kept for its user, and told with its age and kernel."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis import floors, frame, launch_frame
from ipcbench.case import Case
from ipcbench.checks import selftest, selftest_report
from ipcbench.cli.main import main
from ipcbench.errors import ResultsError
from ipcbench.reporters.tables import cases
from ipcbench.results import noise
from ipcbench.results.noise import NoiseFloor
from ipcbench.results.store import Metadata
from ipcbench.run.facts import known_floor
from ipcbench.system import machine
from tests.replay import replayed

FACTS = {
    "machine": "cpu-2cpu-kvm",
    "cpu_model": "CPU",
    "cpu_count": 2,
    "virtualisation": "kvm",
    "kernel": "Linux 6",
}
FOUND = datetime(2026, 11, 1, tzinfo=UTC)
FLOOR = NoiseFloor(0.02, 0.2, "Linux 6", FOUND)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder, and a working folder beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "state"


@pytest.fixture
def quick_selftest(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """`ipcbench selftest` that takes no time, as it found these floors; its exit code."""
    report = selftest_report.Report(10, 0, 0.03, 0.3, (), 1e-7, 1e-8, 1e-5, 1.0)
    monkeypatch.setattr(selftest, "examine", lambda *_: report)
    monkeypatch.setattr(selftest_report, "render", lambda _: ["rendered"])
    return lambda: main(["selftest", "--no-lock"])


def test_a_floor_is_kept_by_the_machines_key_for_its_user_alone(state: Path) -> None:
    assert noise.kept(FACTS) is None
    path = noise.keep(FLOOR, FACTS)
    assert noise.kept(FACTS) == FLOOR
    assert path.is_relative_to(state / "ipcbench")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for made in (path.parent, state / "ipcbench", state):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_the_folder_one_stands_in_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise.keep(FLOOR, FACTS)
    monkeypatch.chdir("/")
    assert noise.kept(FACTS) == FLOOR


@pytest.mark.parametrize("named", ["", "relative/state"])
def test_without_an_absolute_state_folder_the_home_has_it(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", named)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert noise.floor_path(FACTS).is_relative_to(tmp_path / ".local/state/ipcbench")


def test_the_floor_of_another_machine_is_not_this_ones() -> None:
    noise.keep(FLOOR, FACTS | {"cpu_model": "another"})
    noise.keep(FLOOR, FACTS | {"machine": "cpu-2cpu-kvm-2"})
    assert noise.kept(FACTS) is None


def test_the_newest_floor_of_another_kernel_does_where_this_one_has_none() -> None:
    older = FLOOR._replace(kernel="Linux 4", found=FOUND - timedelta(days=9))
    newer = FLOOR._replace(kernel="Linux 5", within_run=0.5, found=FOUND - timedelta(days=2))
    for floor in (newer, older):
        noise.keep(floor, FACTS | {"kernel": floor.kernel})
    assert noise.kept(FACTS) == newer
    noise.keep(FLOOR, FACTS)
    assert noise.kept(FACTS) == FLOOR


def test_a_run_records_floor_age_and_kernel() -> None:
    here = machine.this_machine()
    assert known_floor() == ({"noise_floor_ratio": 0.0}, None)
    found = datetime.now(UTC) - timedelta(days=3)
    noise.keep(NoiseFloor(0.02, 0.2, here.kernel, found), here.facts)
    facts, note = known_floor()
    age_s = facts.pop("noise_floor_age_s")
    assert note is None
    assert facts == {
        "noise_floor_ratio": 0.02,
        "noise_floor_between_runs_ratio": 0.2,
        "noise_floor_kernel": here.kernel,
    }
    assert isinstance(age_s, float)
    assert age_s >= 3 * 86400


def test_a_floor_found_in_the_future_is_new() -> None:
    here = machine.this_machine()
    found = datetime.now(UTC) + timedelta(days=3)
    noise.keep(NoiseFloor(0.02, 0.2, here.kernel, found), here.facts)
    assert known_floor().facts["noise_floor_age_s"] == 0.0


@pytest.mark.parametrize(
    "change",
    [
        *(("within_run_ratio", share) for share in (float("nan"), -2, 1e999, 10**400, "x", None)),
        *(("found", time) for time in ("yesterday", "2026-11-01T00:00:00", 5, None)),
        *(("machine", []), ("machine", None), ("machine", {})),
    ],
)
def test_a_damaged_floor_is_told_in_a_line_that_names_the_file(change: tuple[str, object]) -> None:
    path = noise.keep(FLOOR, FACTS)
    path.write_text(json.dumps(json.loads(path.read_text()) | dict([change])))
    with pytest.raises(ResultsError) as refused:
        noise.kept(FACTS)
    assert str(refused.value).startswith(f"{path} ")
    assert str(refused.value).endswith("; find the noise floor anew: ipcbench selftest")
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40) | st.sampled_from(["[" * 10_000, '"' + "x" * 10**5 + '"', "[]"]))
def test_any_text_in_place_of_a_floor_is_told_in_a_line(text: str) -> None:
    path = noise.keep(FLOOR, FACTS)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultsError) as refused:
        noise.kept(FACTS)
    assert "\n" not in str(refused.value)


def test_a_run_goes_on_without_a_floor_that_is_damaged() -> None:
    path = noise.keep(FLOOR, machine.this_machine().facts)
    path.write_text("{")
    facts, note = known_floor()
    assert facts == {"noise_floor_ratio": 0.0}
    assert note is not None
    assert note.startswith(f"{path} is not JSON")


def test_a_state_folder_that_is_a_file_is_told_in_a_line(state: Path) -> None:
    state.touch()
    with pytest.raises(ResultsError, match="can't be read: Not a directory"):
        noise.kept(FACTS)
    with pytest.raises(ResultsError, match="can't be made: "):
        noise.keep(FLOOR, FACTS)


def test_a_selftest_keeps_its_floor_and_publishes_its_report(
    quick_selftest: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert quick_selftest() == 0
    here = machine.this_machine()
    found = noise.kept(here.facts)
    assert found is not None
    assert found[:3] == (0.03, 0.3, here.kernel)
    assert Path("results", here.slug, "selftest.json").exists()
    said = capsys.readouterr().err
    assert f"kept: {noise.floor_path(here.facts)}; " in said


def test_a_selftest_replaces_a_damaged_floor(quick_selftest: Callable[[], int]) -> None:
    here = machine.this_machine()
    noise.keep(FLOOR, here.facts).write_text("{")
    assert quick_selftest() == 0
    found = noise.kept(here.facts)
    assert found is not None
    assert found.within_run == 0.03


def test_a_selftest_without_a_state_folder_says_so_and_saves_its_report(
    state: Path, quick_selftest: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    state.touch()
    assert quick_selftest() == 0
    assert Path("results", machine.this_machine().slug, "selftest.json").exists()
    out, said = capsys.readouterr()
    assert out == "rendered\n"
    assert said.count("the noise floor can't be kept") == 1
    assert said.count("the noise floor is not kept") == 0


def test_a_selftest_where_no_report_can_be_saved_keeps_its_floor(
    quick_selftest: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results").touch()
    assert quick_selftest() == 0
    assert noise.kept(machine.this_machine().facts) is not None
    assert "the report is not saved: " in capsys.readouterr().err


def test_a_selftest_that_can_keep_nothing_is_refused_at_once(
    state: Path, quick_selftest: Callable[[], int]
) -> None:
    state.touch()
    Path("results").touch()
    assert quick_selftest() == 2


def test_the_foot_of_the_tables_says_how_old_a_floor_is_and_of_which_kernel() -> None:
    floor: Metadata = {
        "noise_floor_ratio": 0.2,
        "noise_floor_age_s": 40 * 86400.0,
        "noise_floor_kernel": "Linux 5",
    }
    near = {
        Case("latency", "inet", 64): [[1e-5]] * 8,
        Case("latency", "unix", 64): [[1.01e-5]] * 8,
    }
    results, _, _ = replayed(near, rounds=8, facts=floor)
    launches = launch_frame.launches(results)
    lines = [line.text for line in cases.footer(launches, frame.cases(results))]
    assert (
        "~: no difference that chance or this machine's noise (its noise floor: 20%, found 40 days"
        " before on Linux 5) can't explain"
    ) in lines
    assert floors.within_run(launches).found == (40 * 86400.0, "Linux 5")
