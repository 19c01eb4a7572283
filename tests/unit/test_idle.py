"""The kernel's counts of idle states, from a tree as it has them."""

from pathlib import Path

from ipcbench.system.idle import Entries, added, idle_text, idling


def _state(root: Path, number: int, name: str, counts: tuple[int, int, int]) -> None:
    folder = root / f"sys/devices/system/cpu/cpu1/cpuidle/state{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    for file, count in zip(Entries._fields, counts, strict=True):
        (folder / file).write_text(f"{count}\n")


def test_entries_between_two_looks_are_added_up(tmp_path: Path) -> None:
    _state(tmp_path, 0, "POLL", (100, 0, 7))
    _state(tmp_path, 1, "C1", (20, 3, 0))
    before = idling(1, tmp_path)
    _state(tmp_path, 0, "POLL", (110, 0, 7))
    _state(tmp_path, 1, "C1", (25, 4, 0))
    once = added({}, before, idling(1, tmp_path))
    assert once == {"POLL": Entries(10, 0, 0), "C1": Entries(5, 1, 0)}
    twice = added(once, before, idling(1, tmp_path))
    assert idle_text(twice) == "POLL 20, C1 10 (above 2, below 0)"


def test_a_cpu_without_idle_states_or_with_some_that_cannot_be_read_has_none(
    tmp_path: Path,
) -> None:
    assert idling(1, tmp_path) == {}
    _state(tmp_path, 0, "POLL", (1, 0, 0))
    (tmp_path / "sys/devices/system/cpu/cpu1/cpuidle/state0/above").unlink()
    assert idling(1, tmp_path) == {}
    assert idle_text(added({}, {}, {})) == ""


def test_a_state_that_was_not_there_before_counts_from_when_it_was_seen() -> None:
    assert added({}, {}, {"C6": Entries(9, 1, 1)}) == {"C6": Entries(0, 0, 0)}
