"""Warnings of a run that goes on."""

from collections.abc import Iterator

import pandas as pd
import pytest

from ipcbench.analysis import frame, launch_frame
from ipcbench.analysis.warnings import summarised
from ipcbench.case import Case
from ipcbench.progress.warnings import WarningsSoFar
from ipcbench.results.store import Metadata, Results
from tests.replay import Recorded, replayed

UNIX, INET = Case("latency", "unix", 64), Case("latency", "inet", 64)


def _unstable(rounds: int = 6, facts: Metadata | None = None) -> Results:
    recorded: Recorded = {UNIX: [[1e-5], [2e-5]] * 3, INET: [[1e-5]] * 6}
    return replayed(recorded, rounds, facts=facts)[0]


def test_they_are_those_that_the_table_would_have() -> None:
    results = _unstable()
    told = [f"{flag}: {says}" for flag, says in WarningsSoFar()(results).items()]
    assert told == summarised(frame.analyse(results).objections)
    assert told[0].startswith(f"unstable: {UNIX.id}: half of its launches spread over ")


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_first_rounds_are_no_trouble(rounds: int) -> None:
    assert WarningsSoFar()(_unstable(rounds)) == {}


def test_a_run_is_not_warned_of_what_it_goes_on_for() -> None:
    results = _unstable(facts={"target_ratio": 0.01})
    assert [one.flag for one in frame.analyse(results).objections] == ["imprecise", "unstable"]
    assert list(WarningsSoFar()(results)) == ["unstable"]


def test_they_take_a_small_part_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    results, looked_at, looks = _unstable(), [], launch_frame.launches

    def launches(known: Results) -> pd.DataFrame:
        looked_at.append(known)
        return looks(known)

    monkeypatch.setattr(launch_frame, "launches", launches)
    clock: Iterator[float] = iter([0.0, 0.0, 1.0, 20.9, 21.0, 22.0])
    so_far = WarningsSoFar(lambda: next(clock))
    first, early, later = so_far(results), so_far(results), so_far(results)
    assert first is early
    assert later == first
    assert len(looked_at) == 2, "asked again before twenty times its cost had passed"


def test_too_little_memory_for_them_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def launches(_: Results) -> pd.DataFrame:
        raise MemoryError

    monkeypatch.setattr(launch_frame, "launches", launches)
    assert WarningsSoFar()(_unstable()) == {}
