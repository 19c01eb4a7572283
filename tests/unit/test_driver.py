import time

import pytest

from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.events import Began, Ended, Failed, Launched, TryingAgain, Warned
from ipcbench.results import store
from ipcbench.results.launches import by_case
from ipcbench.results.store import RETRIED_KEY, Results
from ipcbench.run.driver import Run, execute, shuffled_groups
from tests.replay import RUN_METADATA, Recorded, Replay, Silent, replayed

UNIX, PIPE, INET = (Case("latency", name, 64) for name in ("unix", "pipe", "inet"))


def test_each_case_is_calibrated_once_then_launched_once_a_round_in_the_seeds_order() -> None:
    recorded = {case: [[1e-5]] * 3 for case in (UNIX, PIPE, INET)}
    _, launcher, observer = replayed(recorded, rounds=3)
    expected = []
    for number in range(4):
        call = "measure" if number else "calibrate"
        for group in shuffled_groups(list(recorded), 7, number, launcher.together):
            expected += [(call, case.id) for case in group]
    assert launcher.calls == expected
    began, *_, ended = observer.events
    assert began == Began(dict.fromkeys(recorded, 3), 3, 0.6, to_calibrate=3)
    assert ended == Ended("complete")


def test_the_file_is_saved_after_every_launch() -> None:
    saved: list[int] = []

    def save(results: Results) -> None:
        saved.append(len(list(results.launches())))

    replayed({UNIX: [[1e-5]] * 2, PIPE: [[1e-5]] * 2}, rounds=2, save=save)
    assert saved == [1, 2, 3, 4]


def test_a_launch_that_fails_twice_gives_up_its_case_and_the_others_go_on() -> None:
    recorded: Recorded = {UNIX: [[1e-5]] * 3, PIPE: [[1e-5], "it broke"]}
    results, launcher, observer = replayed(recorded, 3)
    assert results.unmeasured[PIPE.id].reason == "round 2: it broke (twice)"
    assert observer.all(TryingAgain) == [TryingAgain(2, PIPE, "it broke")]
    assert observer.all(Failed) == [Failed(2, PIPE, "it broke (twice)")]
    assert launcher.calls.count(("measure", PIPE.id)) == 3
    assert launcher.calls.count(("measure", UNIX.id)) == 3


def test_a_launch_that_fails_once_is_tried_again_and_tells_why() -> None:
    recorded: Recorded = {UNIX: [[1e-5]] * 3, PIPE: [[1e-5], "it\nbroke", [2e-5], [3e-5]]}
    results, _, observer = replayed(recorded, 3)
    assert results.unmeasured == {}
    assert observer.all(Failed) == []
    launches = by_case(results.launches())[PIPE]
    assert [launch.values_s for launch in launches] == [(1e-5,), (2e-5,), (3e-5,)]
    why = [launch.facts.get(RETRIED_KEY) for launch in launches]
    assert why == [None, "it broke", None]


def test_two_different_failures_of_a_launch_are_both_told() -> None:
    results, _, _ = replayed({UNIX: [[1e-5]], PIPE: ["it broke", "it hung"]}, 1)
    assert results.unmeasured[PIPE.id].reason == "round 1: it hung (and before that: it broke)"


def test_a_case_that_cant_be_calibrated_is_never_launched() -> None:
    results, launcher, _ = replayed({UNIX: [[1e-5]], PIPE: ["no calibration"]}, rounds=1)
    assert results.unmeasured[PIPE.id].reason == "calibration: no calibration (twice)"
    assert ("measure", PIPE.id) not in launcher.calls


def test_every_launch_records_its_round_and_the_runs_facts() -> None:
    results, _, _ = replayed({UNIX: [[1e-5]] * 2}, rounds=2)
    launches = list(results.launches())
    assert [launch.round_number for launch in launches] == [1, 2]
    assert all(launch.facts["seed"] == 7 for launch in launches)


def test_a_case_whose_rate_says_how_long_it_takes_is_not_announced_as_calibrated() -> None:
    load = Case("load:rate=5000", "unix", 64)
    _, _, observer = replayed({UNIX: [[1e-5]], load: [[1e-5]]}, rounds=1)
    (began,) = observer.all(Began)
    assert began.to_calibrate == 1


def test_a_run_that_was_cut_short_makes_only_the_launches_that_are_missing() -> None:
    cut_short, _, _ = replayed({UNIX: [[1e-5]] * 2, PIPE: [[1e-5]] * 2}, rounds=2)
    launcher = Replay({UNIX: [[3e-5]] * 3, PIPE: [[3e-5]] * 3, INET: [[3e-5]] * 3})
    run = Run([UNIX, PIPE, INET], 3, 7, 0.0, 0.6, RUN_METADATA)
    observer = Silent()
    execute(run, launcher, cut_short, lambda _: None, observer)
    assert [call for call in launcher.calls if call[0] == "calibrate"] == [("calibrate", INET.id)]
    assert [began.to_calibrate for began in observer.all(Began)] == [1]
    assert [sorted(rounds) for rounds in cut_short.finished().values()] == [[1, 2, 3]] * 3
    assert len(launcher.calls) == 1 + 1 + 1 + 3


def test_a_run_that_goes_on_is_saved_before_anything_else() -> None:
    done, _, _ = replayed({UNIX: [[1e-5]] * 2}, rounds=2)
    saved: list[int] = []
    launcher = Replay({UNIX: [[3e-5]]})
    run = Run([UNIX], 2, 7, 0.0, 0.6, RUN_METADATA)
    execute(run, launcher, done, lambda results: saved.append(len(results.finished())), Silent())
    assert launcher.calls == []
    assert saved == [1]


def test_a_case_that_had_failed_is_not_tried_when_its_run_goes_on() -> None:
    cut_short, _, _ = replayed({UNIX: [[1e-5]], PIPE: ["it broke"]}, rounds=1)
    launcher = Replay({UNIX: [[3e-5]], PIPE: [[3e-5]]})
    run = Run([UNIX, PIPE], 2, 7, 0.0, 0.6, RUN_METADATA)
    execute(run, launcher, cut_short, lambda _: None, Silent())
    assert launcher.calls == [("measure", UNIX.id)]


def test_reasons_are_saved_even_if_no_launch_comes() -> None:
    saved: list[str] = []
    replayed({UNIX: ["no calibration"]}, 1, lambda results: saved.append(store.dumps(results)))
    (text,) = saved
    assert store.loads(text, "x").unmeasured[UNIX.id].status == "failed"


def test_a_run_whose_budget_is_spent_makes_no_further_round() -> None:
    cut_short, _, _ = replayed({UNIX: [[1e-5]]}, rounds=1)
    launcher, observer = Replay({UNIX: [[1e-5]]}), Silent()
    run = Run([UNIX], 9, 7, 0.0, 0.6, RUN_METADATA, deadline_s=0.0)
    execute(run, launcher, cut_short, lambda _: None, observer)
    assert launcher.calls == []
    assert observer.events[-1] == Ended("budget")


def test_a_run_that_had_reached_its_target_makes_no_further_round() -> None:
    cut_short, _, _ = replayed({UNIX: [[1e-5]]}, rounds=1)
    launcher, observer = Replay({UNIX: [[1e-5]]}), Silent()
    run = Run([UNIX], 9, 7, 0.0, 0.6, RUN_METADATA, enough=lambda _: True)
    execute(run, launcher, cut_short, lambda _: None, observer)
    assert launcher.calls == []
    assert observer.events[-1] == Ended("target")


def test_a_launch_is_told_with_what_it_measured() -> None:
    _, _, observer = replayed({UNIX: [[1e-5, 2e-5]]}, rounds=1)
    calibrated, measured = observer.all(Launched)
    assert (calibrated.round_number, calibrated.values_s) == (0, ())
    assert (measured.round_number, measured.case, measured.values_s) == (1, UNIX, (1e-5, 2e-5))


def test_what_is_to_be_said_against_the_results_is_told_after_a_round_that_changed_it() -> None:
    said = iter([{}, {"drift": "a"}, {"drift": "a"}, {}])
    run = Run([UNIX], 4, 7, 0.0, 0.6, RUN_METADATA, warnings=lambda _: next(said))
    observer = Silent()
    execute(run, Replay({UNIX: [[1e-5]] * 4}), Results(), lambda _: None, observer)
    assert observer.all(Warned) == [Warned(2, {"drift": "a"}), Warned(4, {})]


def test_a_run_begins_by_telling_what_may_end_it_early() -> None:
    observer = Silent()
    run = Run([UNIX], 1, 7, 0.0, 0.6, RUN_METADATA, time.monotonic() + 60, lambda _: False)
    execute(run, Replay({UNIX: [[1e-5]]}), Results(), lambda _: None, observer)
    (began,) = observer.all(Began)
    assert began.has_target
    assert began.deadline_left_s is not None
    assert 0 < began.deadline_left_s <= 60


def test_a_run_that_is_broken_off_says_so_to_its_observers() -> None:
    def save(_: Results) -> None:
        raise ResultsError("the disk is full")

    observer = Silent()
    run = Run([UNIX], 1, 7, 0.0, 0.6, RUN_METADATA)
    with pytest.raises(ResultsError):
        execute(run, Replay({UNIX: [[1e-5]]}), Results(), save, observer)
    assert observer.events[-1] == Ended("aborted")


def test_a_save_that_fails_loses_nothing_measured() -> None:
    saves: list[str] = []

    def save(results: Results) -> None:
        saves.append(store.dumps(results))

    results, _, _ = replayed({UNIX: [[1e-5], [2e-5]]}, rounds=2, save=save)
    assert store.dumps(results) == saves[-1]


def test_a_save_that_fails_ends_what_was_started_at_once() -> None:
    def save(_: Results) -> None:
        raise ResultsError("the disk is full")

    launcher = Replay({UNIX: [[1e-5]], PIPE: [[1e-5]]})
    run = Run([UNIX, PIPE], 1, 7, 0.0, 0.6, RUN_METADATA)
    with pytest.raises(ResultsError) as caught:
        execute(run, launcher, Results(), save, Silent())
    # The traceback, still held, keeps every frame alive: only closing ends the launches.
    assert caught.traceback
    assert launcher.closed == 1
