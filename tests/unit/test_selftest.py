"""The selftest's own arithmetic; a small one runs for real in tests/integration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from time import perf_counter_ns
from typing import Any

import pytest

from ipcbench.case import Case
from ipcbench.checks import selftest
from ipcbench.checks.selftest import found_delay, noise_floors
from ipcbench.checks.selftest_report import DELAYS_NS, Delay, Report, as_json, render
from ipcbench.checks.truths import SERVICE_NS, STEP_NS, WORK_NS, Truth, in_flight, truths
from ipcbench.checks.truths_of_fairness import Fairness
from ipcbench.errors import UsageError
from ipcbench.results.store import Results
from ipcbench.run.request import Effort
from ipcbench.system.scratch import scratch
from ipcbench.transports.delayed import (
    IDLE_NS,
    Delayed,
    DelayedWhenIdle,
    calibrated_wait,
    when_idle,
)
from ipcbench.transports.parts.busy import busy_wait
from ipcbench.transports.registry import get_transport
from tests.replay import Recorded, Silent, replayed


def _delay(known_s: float, found_s: float, detected: float = 1.0) -> Delay:
    return Delay(known_s, found_s, found_s * 0.9, found_s * 1.1, 0.1, detected)


def _report(false_verdicts: int, *delays: Delay) -> Report:
    return Report(200, false_verdicts, 0.02, 0.05, delays, 1e-7, 1e-7, 1e-5, 100.0)


def _noisy(center: float, seed: int, rounds: int = 40) -> Mapping[object, float]:
    random = Random(seed)
    return {number: center * random.gauss(1, 0.01) for number in range(rounds)}


def test_it_is_proved_only_if_equal_things_are_equal_and_delays_are_found() -> None:
    good = _delay(20e-6, 20.5e-6)
    assert _report(10, good).proved
    assert not _report(11, good).proved
    assert not _report(0, _delay(20e-6, 22e-6)).proved
    assert _report(0, _delay(1e-6, 2e-6)).proved  # too short a delay to be promised


def test_the_smallest_delay_found_in_19_of_20_tries_is_the_sensitivity() -> None:
    delays = (_delay(1e-6, 1e-6, 0.5), _delay(2e-6, 2e-6, 0.96), _delay(5e-6, 5e-6, 1.0))
    assert _report(0, *delays).sensitivity == delays[1]
    assert _report(0, delays[0]).sensitivity is None


def test_a_delay_is_the_median_difference_of_paired_launches() -> None:
    plain = _noisy(10e-6, 1)
    slowed = {key: time_s + 5e-6 for key, time_s in plain.items()}
    found = found_delay(5_000, slowed, plain, 0.0, seed=1)
    assert found.found_s == pytest.approx(5e-6)
    assert found.error == pytest.approx(0, abs=1e-6)
    assert found.detected_ratio == 1.0


def test_a_delay_within_the_noise_floor_is_not_detected() -> None:
    plain, slowed = _noisy(10e-6, 1), _noisy(10.1e-6, 2)
    assert found_delay(100, slowed, plain, 0.05, seed=1).detected_ratio == 0.0


def _equal_table(shift: float) -> Results:
    recorded: Recorded = {
        Case("latency", f"unix@{number}", 64): [[1e-5 * shift]] * 2 for number in range(4)
    }
    return replayed(recorded, rounds=2)[0]


def test_equal_names_have_no_floor_and_a_shift_between_repeats_is_between_runs() -> None:
    assert noise_floors([_equal_table(1), _equal_table(1)]) == (0.0, 0.0)
    within, between = noise_floors([_equal_table(1), _equal_table(1.1)])
    assert within == pytest.approx(0.0)
    assert between == pytest.approx(0.1)


class _Known:
    """A bench on which every pipe takes as long as its name says, and all else 10 us."""

    def run(self, cases: Sequence[Case], rounds: int, _: Effort) -> Results:
        recorded: Recorded = {case: [[_known_s(case)]] * rounds for case in cases}
        return replayed(recorded, rounds, facts={"baseline": cases[0].transport})[0]


def _known_s(case: Case) -> float:
    _, _, delay = case.transport.partition("+")
    return 10e-6 + int(delay.removesuffix("ns") or 0) * 1e-9


def test_a_selftest_reports_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, list[Any]] = {
        "known_pace": [Truth("work", 1.0, 1.0, 1.0, 1.0, 0.1)],
        "known_crowds": [Truth("clients", 1.0, 1.0, 1.0, 1.0, 0.1)],
        "known_loads": [Truth("pause", 1.0, 1.0, 1.0, 1.0, 0.1)],
        "known_fairness": [
            Fairness("even", 1.0, 1.0, 1.0, 1.0, 0.02, None, None, is_flagged=False)
        ],
    }
    for name, found in parts.items():
        monkeypatch.setattr(selftest, name, lambda *_, found=found: found)
    monkeypatch.setattr(selftest, "Bench", lambda *_: _Known())
    with scratch() as private:
        report = selftest.examine(selftest.QUICK, private, Silent(), 1, lambda: None)
    assert (report.comparisons, report.false_verdicts) == (30, 0)
    assert report.within_run_floor == report.between_runs_floor == 0.0
    assert [delay.found_s for delay in report.delays] == pytest.approx(
        [delay_ns * 1e-9 for delay_ns in DELAYS_NS]
    )
    assert report.loop_s == report.pipe_round_trip_s == 10e-6
    assert [truth.what for truth in report.truths] == ["work", "clients", "pause"]
    assert report.fairness == parts["known_fairness"]
    floors = json.loads(as_json(report, seed=1))["noise_floor"]
    assert floors == {"within_run_ratio": 0.0, "between_runs_ratio": 0.0}


def test_a_failed_promise_is_the_first_word_of_its_line() -> None:
    lines = render(_report(50, _delay(5e-6, 6e-6)))
    assert [line for line in lines if line.startswith("FAILS")] == [
        "FAILS equal things: 50 false verdicts in 200 comparisons (25%, at most 5.0%)",
        "FAILS known delay of 5.00 µs: found 6.00 µs (5.40 µs to 6.60 µs), off by 20%",
    ]


_SERVED = "latency:work=500us"


def _paced(**longer_s: float) -> Results:
    """Launches of every case of the truths, as they are to be but for these seconds."""
    fast, slow = "pipe:idle-delay=200us", "pipe:idle-delay=400us"
    exact_s = {
        "plain": ("latency", "pipe", 10e-6),
        "work": ("latency:work=100us", "pipe", 10e-6 + WORK_NS * 1e-9),
        "short": ("latency:gap=500us", fast, 20e-6),
        "short_slow": ("latency:gap=500us", slow, 20e-6),
        "long": ("latency:gap=5ms", fast, 240e-6),
        "long_slow": ("latency:gap=5ms", slow, 240e-6 + STEP_NS * 1e-9),
        "spun": ("latency", "sysv-shm-spin", 1e-6),
        "spun_long": ("latency:gap=5ms:gap-by=spin", "sysv-shm-spin", 1.5e-6),
        "served": (_SERVED, "pipe", 540e-6),
        "two": (f"{_SERVED}:window=2", "pipe", 2 * 505e-6),
        "four": (f"{_SERVED}:window=4", "pipe", 4 * 504e-6),
        "eight": (f"{_SERVED}:window=8", "pipe", 8 * 503e-6),
    }
    recorded: Recorded = {
        Case(workload, name, 64): [[time_s + longer_s.get(key, 0.0)]] * 6
        for key, (workload, name, time_s) in exact_s.items()
    }
    return replayed(recorded, rounds=6)[0]


def test_what_is_known_of_gaps_and_work_holds_where_it_is_measured_so() -> None:
    found = truths(_paced())
    known_s = [100e-6, 0, 200e-6, 0, 500e-6, 500e-6, 500e-6, 4e-3]
    assert [truth.known_s for truth in found] == pytest.approx(known_s)
    found_s = [100e-6, 0, 200e-6, 0.5e-6, 505e-6, 504e-6, 503e-6, 4.024e-3]
    assert [truth.found_s for truth in found] == pytest.approx(found_s)
    assert [truth.is_bound for truth in found] == [False] * 4 + [True] * 3 + [False]
    assert all(truth.holds for truth in found)


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"work": 6e-6}, 0),
        ({"work": -6e-6}, 0),
        ({"short_slow": 200e-6}, 1),
        ({"long_slow": -200e-6}, 2),
        ({"long_slow": 15e-6}, 2),
        ({"spun_long": 30e-6}, 3),
        ({"two": -70e-6}, 4),
        ({"four": -140e-6}, 5),
        ({"eight": 250e-6}, 7),
    ],
)
def test_what_is_known_of_gaps_and_work_fails_alone_where_it_is_measured_otherwise(
    wrong: dict[str, float], place: int
) -> None:
    found = truths(_paced(**wrong))
    assert [truth.holds for truth in found] == [at != place for at in range(8)]
    report = replace(_report(0, _delay(20e-6, 20e-6)), truths=found)
    assert not report.proved
    (line,) = [line for line in render(report) if line.startswith("FAILS")]
    assert line.startswith(f"FAILS {found[place].what}: ")


def test_a_server_whose_fairness_isnt_found_is_told_and_nothing_is_proved() -> None:
    known = Fairness("it", 0.75, 0.75, 0.74, 0.76, 0.02, 1, 1, is_flagged=True)
    good = replace(_report(0, _delay(20e-6, 20e-6)), fairness=[known])
    assert good.proved
    bad = replace(good, fairness=[known, replace(known, is_flagged=False)])
    assert not bad.proved
    (line,) = [line for line in render(bad) if line.startswith("FAILS")]
    assert line == (
        "FAILS it: 0.750 is known, found 0.750 (0.740 to 0.760), at most 0.020 off; not flagged,"
        " and is to be"
    )
    told = json.loads(as_json(bad, seed=1))["fairness"]
    assert [one["is_flagged"] for one in told] == [True, False]
    assert told[0]["known_ratio"] == 0.75


def test_a_stream_of_replies_that_is_faster_than_its_server_breaks_both_truths() -> None:
    found = truths(_paced(eight=-8 * 40e-6))  # 1/S is 2,000 a second, and it has 2,160
    assert [place for place, truth in enumerate(found) if not truth.holds] == [6, 7]


def test_messages_in_flight_are_answered_no_more_often_than_as_many_alone_would_be() -> None:
    alone_s = [3 * SERVICE_NS * 1e-9] * 6
    found = in_flight(alone_s, {2: [1.5e-3] * 6, 8: [4e-3] * 6})
    assert [truth.known_s for truth in found] == pytest.approx([750e-6, 500e-6, 4e-3])
    assert all(truth.holds for truth in found)
    found = in_flight(alone_s, {2: [1.2e-3] * 6, 8: [4e-3] * 6})
    assert [truth.holds for truth in found] == [False, True, True]


def test_a_bound_may_be_exceeded_and_is_told_as_one() -> None:
    long = Truth("it", 500e-6, 900e-6, 890e-6, 910e-6, 25e-6, is_bound=True)
    short = Truth("it", 500e-6, 470e-6, 460e-6, 480e-6, 25e-6, is_bound=True)
    assert long.holds
    assert not short.holds
    report = replace(_report(0, _delay(20e-6, 20e-6)), truths=[long, short])
    assert [line for line in render(report) if " it: " in line] == [
        "ok    it: at least 500 µs is known, found 900 µs (890 µs to 910 µs), at most 25.0 µs less",
        "FAILS it: at least 500 µs is known, found 470 µs (460 µs to 480 µs), at most 25.0 µs less",
    ]


def test_a_truth_that_is_off_by_no_more_than_it_may_holds() -> None:
    assert Truth("it", 0.0, -10e-6, -11e-6, 0.0, 10e-6).holds
    assert not Truth("it", 0.0, -11e-6, -11e-6, 0.0, 10e-6).holds


def test_a_step_by_interval_may_be_anywhere_in_an_interval_that_is_narrow() -> None:
    def holds(found_s: float, low_s: float, high_s: float, *, by_interval: bool = True) -> bool:
        return Truth("it", 200e-6, found_s, low_s, high_s, 10e-6, by_interval=by_interval).holds

    assert holds(188e-6, 174e-6, 204e-6)
    assert not holds(188e-6, 174e-6, 204e-6, by_interval=False)
    assert not holds(170e-6, 150e-6, 199e-6)  # surely another one
    assert not holds(150e-6, 100e-6, 201e-6)  # it could be anything


def test_a_receive_is_longer_only_after_it_was_long_in_coming() -> None:
    waits: list[int] = []
    receive = when_idle(lambda: waits.append(1))
    receive()
    receive()
    assert waits == []
    for _ in range(2):
        busy_wait(IDLE_NS)()
        receive()
    assert waits == [1, 1]


def test_a_delay_after_idleness_is_a_knob_and_goes_with_another_delay() -> None:
    both = get_transport("pipe:idle-delay=200us:delay=20us")
    assert both.name == "pipe:delay=20us:idle-delay=200us"
    assert isinstance(both, DelayedWhenIdle)
    assert isinstance(get_transport("pipe:delay=20us"), Delayed)
    assert not isinstance(get_transport("pipe:delay=20us"), DelayedWhenIdle)


def test_a_name_with_a_delay_or_a_number_is_the_transport_behind_it() -> None:
    assert type(get_transport("unix@7")) is type(get_transport("unix"))
    assert get_transport("unix@7") is get_transport("unix:dummy=7")
    assert isinstance(get_transport("pipe+20us@1"), Delayed)
    assert get_transport("pipe+20us@1").name == "pipe:delay=20us:dummy=1"
    for name in ("pipe+20", "pipe+us", "pipe@", "pipe@x", "@1"):
        with pytest.raises(UsageError, match="unknown transport"):
            get_transport(name)


def test_a_busy_wait_ends_no_sooner_than_it_should() -> None:
    for wait in (busy_wait(50_000), busy_wait(0)):
        wanted_ns = wait.__closure__[0].cell_contents if wait.__closure__ else 0
        began = perf_counter_ns()
        wait()
        assert perf_counter_ns() - began >= wanted_ns


def test_a_calibrated_wait_leaves_out_a_small_part_of_the_delay() -> None:
    wait = calibrated_wait(20_000)
    assert wait.__closure__ is not None
    assert wait.__closure__[0].cell_contents == pytest.approx(20_000, rel=0.5)
