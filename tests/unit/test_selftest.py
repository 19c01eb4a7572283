"""The selftest's own arithmetic; a small one runs for real in tests/integration."""

from collections.abc import Mapping
from random import Random
from time import perf_counter_ns

import pytest

from ipcbench.case import Case
from ipcbench.checks.selftest import Delay, Report, found_delay, noise_floors, render
from ipcbench.errors import UsageError
from ipcbench.results.store import Results
from ipcbench.transports.delayed import Delayed, busy_wait, calibrated_wait
from ipcbench.transports.registry import get_transport
from tests.replay import Recorded, replayed


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


def test_a_failed_promise_is_the_first_word_of_its_line() -> None:
    lines = render(_report(50, _delay(5e-6, 6e-6)))
    assert [line for line in lines if line.startswith("FAILS")] == [
        "FAILS equal things: 50 false verdicts in 200 comparisons (25%, at most 5.0%)",
        "FAILS known delay of 5.00 µs: found 6.00 µs (5.40 µs to 6.60 µs), off by 20%",
    ]


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
