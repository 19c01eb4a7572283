import os
import re
from pathlib import Path

import pytest

from ipcbench.errors import UsageError
from ipcbench.system import machine
from ipcbench.system.cpus import (
    allowed_cpus,
    default_placement,
    parse_cpus,
    placement_cpus,
    placement_of,
)


def test_the_slug_names_model_count_and_virtualisation_and_never_the_host() -> None:
    made_up = machine.Machine("AMD EPYC (9-core)", 2, "kvm", "Linux 6", "none", "CPython 3.11")
    assert made_up.slug == "amd-epyc-9-core-2cpu-kvm"
    assert re.fullmatch(r"[a-z0-9-]+", machine.this_machine().slug)
    assert os.uname().nodename not in machine.this_machine().slug.split("-")


def test_every_fact_about_this_machine_is_a_line() -> None:
    for fact in machine.this_machine():
        assert str(fact).strip()
        assert "\n" not in str(fact)


@pytest.mark.parametrize("text", ["", "0", "0,1,2", "a,b", "0;1", "-1,0", "\u0660,0"])
def test_cpus_that_are_not_two_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="are not two numbers; write them like 0,1"):
        parse_cpus(text)


def test_a_cpu_that_isnt_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"CPU 4095 can't be used here; choose from \d"):
        parse_cpus(f"{allowed_cpus()[0]},4095")


def test_the_same_cpu_twice_is_same_core() -> None:
    first = allowed_cpus()[0]
    assert parse_cpus(f"{first},{first}") == (first, first)
    assert placement_of((first, first)) == "same-core"
    assert placement_cpus("same-core") == (first, first)


def test_cross_core_takes_two_different_cores_where_there_are_two() -> None:
    if len(allowed_cpus()) < 2 or default_placement() != "cross-core":
        pytest.skip("needs two cores of one package")
    cpus = placement_cpus("cross-core")
    assert cpus is not None
    assert cpus[0] != cpus[1]
    assert placement_of(cpus) == "cross-core"


def test_one_allowed_cpu_means_same_core() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert default_placement() == "same-core"
        with pytest.raises(UsageError, match="are cross-core; choose others with --cpus"):
            placement_cpus("cross-core")
    finally:
        os.sched_setaffinity(0, allowed)


def test_free_is_not_pinned_and_chosen_cpus_win() -> None:
    assert placement_cpus("free") is None
    assert placement_cpus("free", (0, 0)) == (0, 0)


def test_caches_are_those_for_data_with_their_sizes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = {
        "l1": ("1", "Data", "48K"),
        "code": ("1", "Instruction", "32K"),
        "bad": ("4", "Data", "?"),
    }
    told |= {"l2": ("2", "Unified", "2048K")}
    for number, facts in enumerate(told.values()):
        folder = tmp_path / f"cpu0/cache/index{number}"
        folder.mkdir(parents=True)
        for name, text in zip(("level", "type", "size"), facts, strict=True):
            (folder / name).write_text(f"{text}\n", encoding="utf-8")
    monkeypatch.setattr(machine, "_CPU_FOLDER", tmp_path)
    assert machine.cache_sizes_bytes() == {"l1d": 48 * 1024, "l2": 2048 * 1024}


def test_a_machine_that_tells_no_caches_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_CPU_FOLDER", tmp_path)
    assert machine.cache_sizes_bytes() == {}
