"""The stages of a load, exactly: peaks, then the rates up to them; sizes, refusals, going on."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.case import Case
from ipcbench.cli.load import USUAL_LOAD
from ipcbench.errors import UsageError
from ipcbench.measure import drivers
from ipcbench.results.store import Results
from ipcbench.run import resume
from ipcbench.run.driver import execute
from ipcbench.run.facts import CommandLine
from ipcbench.run.load import Depths, peaks_per_s, planned_load, rate_of
from ipcbench.run.plan import Plan
from ipcbench.run.session import nothing_yet
from ipcbench.run.sizing import (
    expected_calibration_s,
    expected_launch_s,
    scheduled_messages,
)
from ipcbench.run.stages import next_stage
from ipcbench.system.cpus import allowed_cpus
from ipcbench.workloads import MOST_PER_S
from tests.asked import requested
from tests.replay import Recorded, Replay, Silent, replayed

apart = pytest.mark.skipif(len(allowed_cpus()) < 2, reason="both ends need a CPU of their own")
LINE = CommandLine("as typed", "again")


# ---- How long a launch is.


def _case(settings: str, name: str = "unix") -> Case:
    return Case(f"load:{settings}", name, 64)


@pytest.mark.parametrize(("rate", "values"), [(500, 1), (600, 3), (1000, 3), (1000, 9), (7777, 7)])
def test_a_launch_has_the_messages_of_a_p99_where_that_takes_two_seconds_or_less(
    rate: int, values: int
) -> None:
    messages = scheduled_messages(_case(f"rate={rate}"), values, 0.025)
    assert messages is not None
    assert messages * values >= 1000
    assert messages / rate * values <= max(2.0, 0.025 * values) + values / rate


@pytest.mark.parametrize("rate", [1, 2, 10, 100, 400])
def test_a_low_rate_makes_no_launch_longer_than_two_seconds_and_some_messages(rate: int) -> None:
    messages = scheduled_messages(_case(f"rate={rate}"), 3, 0.025)
    assert messages is not None
    assert messages >= 2
    assert (messages - 1) * 3 / rate < 2.0 + 3 / rate


def test_a_high_rate_has_as_many_messages_as_the_time_of_a_batch_takes() -> None:
    assert scheduled_messages(_case("rate=100000"), 3, 0.1) == 10_000
    assert scheduled_messages(_case("rate=100000:window=64:work=10us"), 3, 0.1) == 10_000


def test_several_links_share_the_messages_of_a_batch() -> None:
    alone = scheduled_messages(_case("rate=100000"), 3, 0.1)
    assert alone is not None
    assert scheduled_messages(_case("rate=100000:clients=8"), 3, 0.1) == alone // 8
    assert scheduled_messages(_case("rate=1000:clients=7"), 9, 0.001) == math.ceil(112 / 7)
    assert scheduled_messages(_case("rate=1:clients=64"), 3, 0.001) == 1
    both = (_case("rate=1000"), _case("rate=1000:clients=4"))
    one_s, four_s = (
        expected_launch_s(case, 3, 2, 1.0) - expected_launch_s(case, 3, 1, 1.0) for case in both
    )
    assert four_s == pytest.approx(one_s)


def test_only_a_rate_sizes_a_batch_before_it_is_measured() -> None:
    for workload in ("latency", "latency:window=8", "throughput"):
        assert scheduled_messages(Case(workload, "unix", 64), 3, 0.1) is None
    assert expected_calibration_s([_case("rate=10"), _case("rate=5000")]) == 0
    assert expected_calibration_s([Case("latency", "unix", 64)]) > 0


def test_a_rate_and_its_messages_say_how_long_a_launch_takes() -> None:
    case = _case("rate=100")
    messages = scheduled_messages(case, 3, 0.1)
    assert messages is not None
    each_s = messages / 100
    longer_s = expected_launch_s(case, 3, 2, 0.1) - expected_launch_s(case, 3, 1, 0.1)
    assert longer_s == pytest.approx(each_s)
    assert expected_launch_s(case, 3, 1, 0.1) > 4 * each_s
    assert expected_launch_s(_case("rate=100000"), 3, 1, 0.1) < expected_launch_s(case, 3, 1, 0.1)


@given(st.integers(1, MOST_PER_S), st.integers(1, 20), st.floats(0.001, 1.0))
def test_every_rate_has_a_batch(rate: int, values: int, min_time_s: float) -> None:
    messages = scheduled_messages(_case(f"rate={rate}"), values, min_time_s)
    assert messages is not None
    assert messages >= max(2, rate * min_time_s)
    assert messages <= max(2, rate * min_time_s + 1, 1000 / values + 1)


# ---- The peaks.


def _fit(**most: int) -> Depths:
    """Depths where some mechanisms have no room for more than so many in flight."""

    def depths(cases: Sequence[Case]) -> Mapping[Case, int]:
        return {
            case: min(case.flow.window, most.get(case.transport.replace("-", "_"), 1024))
            for case in cases
        }

    return depths


def _planned(*arguments: str, **most: int) -> Plan:
    few = ("--sizes", "64", "--seed", "5", "--values", "1")
    return planned_load(requested("load", *few, *arguments), LINE, _fit(**most))


def _ids(plan: Plan) -> list[str]:
    return [f"{case.workload}/{case.transport}" for case in plan.run.cases]


@apart
def test_peaks_have_as_many_in_flight_as_fit_and_come_first() -> None:
    plan = _planned("unix", "pipe", "inet-udp", pipe=9)
    assert _ids(plan) == [
        "latency:window=64/unix",
        "latency/inet-udp",
        "latency:window=9/pipe",
    ]


@apart
def test_what_is_asked_of_in_flight_and_of_work_is_in_the_peaks() -> None:
    plan = _planned("unix", "pipe", "--in-flight", "4", "--work", "0.1ms", pipe=1)
    assert _ids(plan) == ["latency:work=100us:window=4/unix", "latency:work=100us/pipe"]
    assert _ids(_planned("unix", "--in-flight", "1", "--work", "0")) == ["latency/unix"]


@apart
def test_no_control_is_loaded() -> None:
    assert {case.transport for case in _planned("unix", "null").run.cases} == {"unix"}
    with pytest.raises(UsageError, match="a control answers at once; name a mechanism"):
        _planned("null")


@apart
def test_peaks_take_three_rounds_and_the_rates_all_of_them() -> None:
    plan = _planned("unix", "--rounds", "8", "--rates", "10%")
    assert plan.run.rounds == 3
    following = next_stage(plan, _measured(plan, unix=1e-5))
    assert following is not None
    assert following.run.rounds == 8
    assert _planned("unix", "--rounds", "2").run.rounds == 2


@apart
def test_rounds_are_as_many_as_fit_the_budget() -> None:
    def rounds(budget: str, rates: str = "10%") -> int:
        plan = _planned("unix", "--rates", rates, "--budget", budget)
        assert plan.intent.request is not None
        return int(plan.intent.request["rounds"])

    assert 3 <= rounds("5s") < rounds("9s") <= 20
    assert rounds("9s", "10%,20%,30%") < rounds("9s")
    assert rounds("1000s") == 20


@apart
@pytest.mark.parametrize("more", [(), ("--slo", "p99<1ms"), ("--arrivals", "constant,poisson")])
def test_a_budget_that_no_three_rounds_fit_is_refused_with_one_that_they_do(
    more: tuple[str, ...],
) -> None:
    asked = ("unix", "--rates", "10%,20%", *more, "--budget")
    with pytest.raises(UsageError, match=r"a budget of 1 s doesn't fit 3 rounds of") as refused:
        _planned(*asked, "1s")
    needed = str(refused.value).partition("give at least ")[2].partition(",")[0]
    _planned(*asked, needed)


# ---- The rates.


def _measured(plan: Plan, results: Results | None = None, **message_s: float | str) -> Results:
    """The results of a plan over recorded launches: seconds a message, or why it fails.

    Each launch of a window takes as long for a message as the whole of it.
    """
    results = nothing_yet(plan) if results is None else results
    recorded: Recorded = {
        case: [each] if isinstance(each, str) else [[each * case.flow.window]] * 20
        for case in plan.run.cases
        for each in [message_s.get(case.transport.replace("-", "_"), 1e-4)]
    }
    execute(plan.run, Replay(recorded), results, lambda _: None, Silent())
    return results


def _rates(plan: Plan | None, transport: str = "unix") -> list[str]:
    assert plan is not None
    loads = [case for case in plan.run.cases if case.arrivals is not None]
    return [case.workload for case in loads if case.transport == transport]


@apart
def test_rates_are_shares_of_each_peak_of_two_digits() -> None:
    plan = _planned("unix", "pipe", "--rates", "50%,20%", pipe=9)
    following = next_stage(plan, _measured(plan, unix=1 / 93_456, pipe=1 / 200_000))
    assert _rates(following, "unix") == [
        "load:rate=19000:window=64",
        "load:rate=47000:window=64",
    ]
    assert _rates(following, "pipe") == ["load:rate=40000:window=9", "load:rate=100000:window=9"]


@apart
def test_the_cases_of_the_peaks_go_on_in_the_rounds_of_the_rates() -> None:
    plan = _planned("unix", "--rates", "50%", "--rounds", "5")
    following = next_stage(plan, _measured(plan, unix=1e-5))
    assert following is not None
    assert following.run.cases[0] == plan.run.cases[0]
    assert following.intent.cases == tuple(case.id for case in following.run.cases)
    assert (following.intent.seed, following.intent.rounds) == (5, 5)


@apart
def test_rates_that_are_given_are_taken_as_they_are_and_each_with_each_arrivals() -> None:
    plan = _planned("unix", "--rates", "2k,500", "--arrivals", "constant,poisson")
    assert _rates(next_stage(plan, _measured(plan))) == [
        "load:rate=500:window=64",
        "load:rate=2000:window=64",
        "load:rate=500:arrivals=poisson:window=64",
        "load:rate=2000:arrivals=poisson:window=64",
    ]


@apart
def test_each_number_of_clients_has_each_rate_of_the_one_peak() -> None:
    plan = _planned("unix", "--rates", "50%,2k", "--concurrency", "1,8", "--server", "epoll")
    assert _ids(plan) == ["latency:window=64/unix"]
    following = next_stage(plan, _measured(plan, unix=10e-6))
    assert following is not None
    assert [case for case in _ids(following) if case.startswith("load:")] == [
        f"load:rate={rate}:window=64{of}/unix"
        for of in ("", ":clients=8:server=epoll")
        for rate in (2000, 50_000)
    ]


def test_shares_that_come_to_one_rate_are_one_case() -> None:
    plan = _planned("unix", "--rates", "50%,50.1%")
    assert _rates(next_stage(plan, _measured(plan, unix=1e-4))) == ["load:rate=5000:window=64"]


@apart
def test_a_peak_of_more_than_can_be_asked_for_has_the_highest_rate_there_is() -> None:
    plan = _planned("unix", "--rates", "90%,150%")
    found = _rates(next_stage(plan, _measured(plan, unix=1 / 12e6)))
    assert found == [f"load:rate={MOST_PER_S}:window=64"]


@apart
def test_what_has_no_peak_has_no_rates_and_the_others_have() -> None:
    plan = _planned("unix", "pipe", "--rates", "50%")
    results = _measured(plan, unix=1e-4, pipe="it broke")
    following = next_stage(plan, results)
    assert _rates(following, "pipe") == []
    assert _rates(following, "unix") == ["load:rate=5000:window=64"]
    assert results.intent == following.intent if following else None


@apart
def test_nothing_follows_where_no_peak_is_known() -> None:
    plan = _planned("unix", "--rates", "50%")
    assert next_stage(plan, _measured(plan, unix="it broke")) is None


@apart
def test_nothing_follows_the_rates_and_no_other_question_has_stages() -> None:
    plan = _planned("unix", "--rates", "50%")
    results = _measured(plan, unix=1e-4)
    following = next_stage(plan, results)
    assert following is not None
    _measured(following, results)
    assert next_stage(following, results) is None
    other = replace(plan, intent=replace(plan.intent, question="compare"))
    assert next_stage(other, _measured(plan, unix=1e-4)) is None


@apart
def test_nothing_follows_peaks_that_were_cut_short() -> None:
    plan = _planned("unix", "--rates", "50%")
    assert next_stage(plan, nothing_yet(plan)) is None


@apart
def test_a_run_that_goes_on_in_either_stage_has_the_same_rates() -> None:
    plan = _planned("unix", "--rates", "20%,50%", "--rounds", "5")
    results = _measured(plan, unix=1 / 77_777)
    first = next_stage(plan, results)
    assert first is not None
    launches = len(list(results.launches()))
    assert next_stage(plan, results) == first
    _measured(first, results, unix=1 / 33_333)
    assert len(list(results.launches())) == 5 * 3
    assert launches == 3


@apart
def test_options_typed_again_ask_for_the_rounds_that_fitted_then() -> None:
    asked = ("unix", "--rates", "20%", "--budget", "9s")
    intent = _planned(*asked).intent
    few = ("--sizes", "64", "--values", "1")
    resume._check_asked(Path("run.json"), intent, requested("load", *few, *asked))
    other = requested("load", *few, *asked, "--rounds", "19")
    with pytest.raises(UsageError, match="was begun with another number of rounds"):
        resume._check_asked(Path("run.json"), intent, other)


def test_a_peak_is_of_the_median_launch_and_its_mean_value() -> None:
    case = Case("latency:window=4", "unix", 64)
    recorded: Recorded = {case: [[4e-5, 8e-5], [4e-4], [2e-5]]}
    results, _, _ = replayed(recorded, rounds=3)
    assert peaks_per_s(results) == {case: pytest.approx(1 / (6e-5 / 4))}


def test_a_load_has_no_peak_of_its_own() -> None:
    results, _, _ = replayed({_case("rate=1000"): [[1e-5]]}, rounds=1)
    assert peaks_per_s(results) == {}


@given(st.floats(1, 5e7), st.integers(1, 150))
def test_a_share_is_a_rate_that_there_is(peak_per_s: float, percent: int) -> None:
    rate = rate_of(f"{percent}%", peak_per_s)
    assert 1 <= rate <= MOST_PER_S
    assert _case(f"rate={rate}").arrivals is not None


# ---- What is refused.


@apart
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("asyncio-streams-unix",), "is in an event loop, which can't send by a schedule; write"),
        (("unix", "--placement", "same-core"), "spins until a message is due, on a CPU of its own"),
        (("memcpy",), "memcpy sends nothing back"),
        (("unix", "--in-flight", "2000"), "window takes a whole number, 1 to 1024"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason(
    arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        _planned(*arguments)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@apart
def test_what_cannot_be_loaded_beside_what_can_is_told_and_left_out() -> None:
    plan = _planned("unix", "asyncio-streams-unix")
    assert {case.transport for case in plan.run.cases} == {"unix"}
    reasons = {case.transport: reason for case, reason in plan.impossible}
    assert "event loop" in reasons["asyncio-streams-unix"]


@apart
def test_both_loops_have_peaks_and_rates() -> None:
    if reason := drivers.unavailable("native"):
        pytest.skip(reason)
    plan = _planned("unix", "--loop", "python,native", "--rates", "50%")
    following = next_stage(plan, _measured(plan, unix=1e-4))
    assert following is not None
    loops = [case.loop for case in following.run.cases if case.arrivals]
    assert loops == ["python", "native"]


def test_what_is_usual_is_shares_of_four_mechanisms_in_three_minutes() -> None:
    request = requested("load")
    assert request.rates == USUAL_LOAD.rates
    assert request.usual_transports == ("unix", "inet", "pipe", "sysv-shm")
    assert request.budget_s is not None
    assert request.budget_s < 180
    assert statistics.median(float(rate.rstrip("%")) for rate in request.rates) == 60
