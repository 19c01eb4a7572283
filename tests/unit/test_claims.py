"""Claims are judged by what was measured, and the answer says what it depends on."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis import frame, judging, stats
from ipcbench.analysis.claims import (
    CLAIMS,
    CONGESTION_CONTROLS,
    CROWD_WORKLOAD,
    IDLE_SPINNING_WORKLOAD,
    IDLE_WORKLOAD,
    NEEDED,
    NEEDED_LAST,
    NEEDED_ONCE,
    TRANSPORTS_NEEDED,
    WINDOW_WORKLOAD,
    WORK_WORKLOAD,
)
from ipcbench.analysis.comparisons import Claim, Comparison
from ipcbench.analysis.floors import Floor
from ipcbench.analysis.judging import Buffer, Judgement, asked_for, conditions, judged
from ipcbench.analysis.stats import Ratio
from ipcbench.case import LOOPS, Case
from ipcbench.cli import console
from ipcbench.cli.compare import USUAL_CLAIMS
from ipcbench.reporters.model import Grid
from ipcbench.reporters.tables.claims import (
    answer_text,
    answers,
    buffers_text,
    claim_parts,
    rests_on,
    throughputs,
)
from ipcbench.reporters.tables.summary import summary
from ipcbench.results.store import Results
from ipcbench.run.choice import choose
from ipcbench.rungs import RUNGS
from ipcbench.system.cpus import allowed_cpus
from ipcbench.terms import Term
from ipcbench.transports.parts import options
from ipcbench.transports.registry import LOADED, transports
from ipcbench.workloads import Workload
from tests.asked import plan_of
from tests.replay import RUN_METADATA, Recorded, replayed

ROOT = Path(__file__).parent.parent.parent
JITTER = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.003, 0.997, 1.001)
"""By how much launches differ that decide."""
NONE = (1.0,) * 10
WILD = (1.3, 0.7, 1.2, 0.8, 1.1, 0.9, 1.25, 0.75, 1.05, 0.95)
"""By how much launches differ that decide nothing."""


_A_CPU = min(allowed_cpus())


def _results(
    times: Mapping[str, float],
    *,
    rounds: int = 10,
    wild: Sequence[str] = (),
    exact: bool = False,
) -> Results:
    """Launches of these cases with these times; those of `wild` ones wander."""
    jitter = NONE if exact else JITTER
    recorded = {
        Case.parse(case): [[time * by] for by in (WILD if case in wild else jitter)]
        for case, time in times.items()
    }
    return replayed(recorded, rounds)[0]


def _judged(name: str, times: Mapping[str, float], **how: object) -> Judgement:
    results = _results(times, **how)  # type: ignore[arg-type]
    (judgement,) = (one for one in judged(frame.analyse(results)) if one.claim.name == name)
    return judgement


def _beside(where: Mapping[str, float], subject: str, other: str) -> dict[str, float]:
    """Times of two transports where one takes this much of the other's: `latency/64`."""
    times = {}
    for place, ratio in where.items():
        workload, _, rest = place.partition("/")
        times[f"{workload}/{subject}/{rest}"] = 1e-5 * ratio
        times[f"{workload}/{other}/{rest}"] = 1e-5
    return times


def _unix(where: Mapping[str, float], **how: object) -> Judgement:
    return _judged("unix-beats-inet", _beside(where, "unix", "inet"), **how)


def test_a_claim_holds_where_every_comparison_agrees() -> None:
    judgement = _unix({"latency/64": 0.5, "throughput/64": 0.8})
    assert judgement.answer == "holds"
    assert [one.says for one in judgement.compared] == ["agrees", "agrees"]
    assert judgement.compared[0].ratio.estimate == pytest.approx(0.5)
    assert answer_text(judgement) == "holds (2 of 2 comparisons decided)"


def test_a_claim_fails_where_every_comparison_contradicts() -> None:
    judgement = _unix({"latency/64": 1.5, "throughput/64": 1.2})
    assert judgement.answer == "fails"
    assert answer_text(judgement) == "fails (2 of 2 comparisons decided)"


SEVERAL = {
    f"{workload}/{size}/python/{placement}": 0.5
    for workload in ("latency", "throughput")
    for size in ("64", "1k", "64k")
    for placement in ("same-core", "cross-core")
}
SEVERAL |= {f"throughput/{size}/python/cross-core": 1.5 for size in ("1k", "64k")}


@pytest.mark.parametrize(
    ("where", "on", "holds", "fails"),
    [
        (
            {"latency/64": 0.5, "connect/1": 0.5, "throughput/64": 1.5},
            "the workload",
            "for round trips and connection set-up",
            "for throughput",
        ),
        (
            {"latency/64": 0.5, "latency/1k": 0.5, "latency/64k": 1.5},
            "the size",
            "at 64 B and 1 KiB",
            "at 64 KiB",
        ),
        (
            {"latency/64/python/same-core": 0.5, "latency/64/python/cross-core": 1.5},
            "the placement",
            "on one core",
            "across cores",
        ),
        (
            {"latency/64/python": 0.5, "latency/64/native": 1.5},
            "the loop",
            "in the python loop",
            "in the native loop",
        ),
    ],
    ids=["workload", "size", "placement", "loop"],
)
def test_an_answer_that_depends_says_on_what(
    where: Mapping[str, float], on: str, holds: str, fails: str
) -> None:
    judgement = _unix(where)
    assert judgement.answer == "depends"
    assert answer_text(judgement) == (
        f"depends on {on}: holds {holds}; fails {fails}"
        f" ({len(where)} of {len(where)} comparisons decided)"
    )


def test_the_side_that_takes_fewer_words_is_told_and_the_other_is_the_rest() -> None:
    assert answer_text(_unix(SEVERAL)) == (
        "depends on the workload, the size and the placement:"
        " fails for throughput at 1 KiB and 64 KiB across cores; holds otherwise"
        " (12 of 12 comparisons decided)"
    )


def test_what_is_not_decided_neither_agrees_nor_contradicts() -> None:
    wild = "latency/unix/64k"
    judgement = _unix({"latency/64": 0.5, "latency/64k": 1.01}, wild=[wild])
    assert [one.says for one in judgement.compared] == ["agrees", "undecided"]
    assert answer_text(judgement) == "holds (1 of 2 comparisons decided)"


def test_an_answer_that_rests_on_little_says_so() -> None:
    wild = ["latency/unix/1k", "latency/unix/64k"]
    judgement = _unix({"latency/64": 0.5, "latency/1k": 1.01, "latency/64k": 1.01}, wild=wild)
    little = "holds where anything is decided, which is little (1 of 3 comparisons decided)"
    assert answer_text(judgement) == little


def test_a_claim_is_open_where_nothing_is_decided() -> None:
    judgement = _unix({"latency/64": 1.01}, wild=["latency/unix/64"])
    assert judgement.answer == "open"
    assert answer_text(judgement).startswith("open: chance or this machine's noise can explain")


def test_too_few_launches_decide_nothing_and_the_answer_says_so() -> None:
    judgement = _unix({"latency/64": 0.1}, rounds=5)
    assert judgement.answer == "open"
    assert answer_text(judgement).startswith("open: too few launches; it takes 6")


def test_a_difference_within_the_noise_floor_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _unix({"latency/64": 0.9}).answer == "holds"
    monkeypatch.setitem(RUN_METADATA, "noise_floor_ratio", 0.2)
    assert _unix({"latency/64": 0.9}).answer == "open"


def test_false_discoveries_are_controlled_over_all_claims_together() -> None:
    times = _beside({"latency/64": 0.5}, "unix", "inet")
    assert _judged("unix-beats-inet", times, rounds=8).answer == "holds"
    sizes = [str(2**power) for power in range(7, 18)]
    quiet = _beside({f"latency/{size}": 1.0 for size in sizes}, "inet6", "inet")
    wild = [case for case in quiet if "inet6" in case]
    together = _judged("unix-beats-inet", times | quiet, rounds=8, wild=wild)
    assert together.answer == "open"


def test_a_claim_whose_cases_are_not_there_is_not_measured() -> None:
    judgement = _judged("unix-beats-inet", {"latency/unix/64": 1e-5, "latency/pipe/64": 1e-5})
    assert judgement.answer == "not measured"
    assert answer_text(judgement) == "not measured"
    assert not judgement.compared


def test_a_case_that_failed_is_not_compared() -> None:
    recorded: Recorded = {
        Case("latency", "unix", 64): [*[[1e-5 * by] for by in JITTER[:8]], "it died"],
        Case("latency", "inet", 64): [[2e-5 * by] for by in JITTER],
    }
    results, _, _ = replayed(recorded, 10)
    assert judged(frame.analyse(results))[0].answer == "not measured"


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        (1.0, "agrees"),
        (1.15, "agrees"),
        (0.87, "agrees"),
        (1.5, "contradicts"),
        (0.5, "contradicts"),
    ],
)
def test_what_is_alike_lies_surely_within_the_band(ratio: float, says: str) -> None:
    times = _beside({"latency/64": ratio}, "unix", "sysv-shm")
    (one,) = _judged("sockets-like-sysv", times).compared
    assert one.says == says


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.25])
def test_an_interval_across_a_bound_of_the_band_decides_nothing(ratio: float) -> None:
    times = _beside({"latency/64": ratio}, "unix", "sysv-shm")
    wild = ["latency/unix/64"] if ratio == 1.0 else []
    (one,) = _judged("sockets-like-sysv", times, wild=wild).compared
    assert one.says == "undecided"


def test_likeness_to_system_v_depends_on_what_it_is_beside() -> None:
    times = {"latency/unix/64": 1e-5, "latency/inet/64": 1e-5}
    times |= {"latency/sysv-msg/64": 1e-5, "latency/sysv-shm-spin/64": 1e-6}
    judgement = _judged("sockets-like-sysv", times)
    assert answer_text(judgement) == (
        "depends on what it is beside: holds beside sysv-msg; fails beside sysv-shm-spin"
        " (4 of 4 comparisons decided)"
    )


@pytest.mark.parametrize(("ratio", "answer"), [(1.3, "holds"), (0.7, "fails")])
def test_ipv6_costs_more_where_it_is_slower(ratio: float, answer: str) -> None:
    times = _beside({"latency/64": ratio}, "inet6", "inet")
    assert _judged("inet6-costs-more", times).answer == answer


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"latency/64": 0.5}, "pipe (1 of 1 comparison decided)"),
        ({"latency/64": 1.5}, "unix (1 of 1 comparison decided)"),
        (
            {"latency/64": 0.5, "latency/64k": 1.5},
            "depends on the size: pipe at 64 B; unix at 64 KiB (2 of 2 comparisons decided)",
        ),
    ],
)
def test_the_question_which_is_faster_is_answered_by_a_name(
    where: Mapping[str, float], text: str
) -> None:
    assert answer_text(_judged("pipe-or-unix", _beside(where, "pipe", "unix"))) == text


_PLACES: list[tuple[Workload, int, str]] = [
    (workload, size, placement)
    for workload in ("latency", "throughput")
    for size in (64, 65536)
    for placement in ("same-core", "cross-core")
] + [("connect", 1, "same-core")]
_PAIRS = [
    Comparison(
        Case(workload, subject, size, "python", placement),
        Case(workload, other, size, "python", placement),
    )
    for workload, size, placement in _PLACES
    for subject in ("unix", "inet")
    for other in ("sysv-msg", "sysv-shm")
]


@given(st.lists(st.sampled_from(_PAIRS), unique=True), st.randoms(use_true_random=False))
def test_what_an_answer_depends_on_tells_both_sides_apart(
    pairs: list[Comparison], by: Random
) -> None:
    wanted = [pair for pair in pairs if by.random() < 0.5]
    others = [pair for pair in pairs if pair not in wanted]
    found = conditions(wanted, others)
    assert not any(condition.holds(pair) for condition in found for pair in others)
    if found or (others and len(wanted) <= 5):
        assert all(any(condition.holds(pair) for condition in found) for pair in wanted)


_ODD = ("latency", "1k", "native", "cross-core")
"""Of these, an odd number contradicts: a board of four dimensions, chequered."""


def test_what_no_sentence_can_tell_is_left_to_the_rows() -> None:
    places = product(("latency", "throughput"), ("64", "1k"), LOOPS, ("same-core", "cross-core"))
    where = {
        "/".join(place): 1.5 if sum(name in _ODD for name in place) % 2 else 0.5 for place in places
    }
    told = "depends on more than a sentence can tell: see the rows (16 of 16 comparisons decided)"
    assert answer_text(_unix(where)) == told


def test_comparisons_that_nothing_tells_apart_are_left_to_the_rows() -> None:
    judgement = _unix({"connect/1": 0.5, "connect/1k": 1.5})
    told = "depends on more than a sentence can tell: see the rows (2 of 2 comparisons decided)"
    assert answer_text(judgement) == told


def test_the_ratio_that_is_shown_is_the_one_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Ratio | None] = []

    def counted(*groups: Mapping[object, Sequence[float]]) -> Ratio | None:
        made.append(stats.alternating_ratio(*groups))
        return made[-1]

    analysis = frame.analyse(_results(_beside({"latency/64": 0.5}, "pipe", "unix")))
    monkeypatch.setattr(judging, "alternating_ratio", counted)
    (one,) = [one for judgement in judged(analysis) for one in judgement.compared]
    assert made == [one.ratio]


def test_a_run_made_to_judge_claims_is_known_by_its_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = {"latency/unix/64": 1e-5}
    assert not asked_for(_results(times))
    monkeypatch.setitem(RUN_METADATA, "question", "claims")
    assert asked_for(_results(times))


def test_claims_are_about_transports_that_exist() -> None:
    terms = [Term.parse(name) for name in TRANSPORTS_NEEDED]
    rungs = {name for rung in RUNGS for name in rung.transports.values()}
    assert {term.name for term in terms} <= {transport.name for transport in transports()} | rungs
    knobs = {(term.name, *dict(term.settings)) for term in terms if term.settings}
    lean = {(name.partition(":")[0], "client") for name in NEEDED_LAST}
    assert knobs == {("inet", "congestion")} | lean


def test_the_plan_holds_what_the_claims_need_and_nothing_else() -> None:
    plan = plan_of("claims", "--placement=same-core")
    cases = [Case.parse(case) for case in plan.intent.cases]
    assert {case.transport for case in cases} <= set(TRANSPORTS_NEEDED)
    assert {case.workload for case in cases} == {
        *("latency", "throughput", "connect", IDLE_WORKLOAD, WORK_WORKLOAD, WINDOW_WORKLOAD),
        CROWD_WORKLOAD,
    }
    assert all(case.transport in NEEDED[case.workload] for case in cases)


def _offer(monkeypatch: pytest.MonkeyPatch, folder: Path, default: str, others: str) -> None:
    """Makes this machine one with this congestion control, and with others to choose."""
    (folder / "tcp_congestion_control").write_text(f"{default}\n")
    for name in ("available", "allowed"):
        (folder / f"tcp_{name}_congestion_control").write_text(f"{default} {others}\n")
    monkeypatch.setattr(options, "_IPV4", folder)
    for name in CONGESTION_CONTROLS:
        monkeypatch.delitem(LOADED, f"inet:congestion={name}", raising=False)


@pytest.mark.parametrize(
    ("default", "others", "measured", "left_out"),
    [
        ("bbr", "cubic reno", ["cubic", "reno"], []),
        ("cubic", "reno", ["reno"], ["bbr"]),
        ("cubic", "", [], ["bbr", "reno"]),
        ("dctcp", "reno bbr cubic", ["bbr", "cubic", "reno"], []),
    ],
)
def test_streams_are_planned_under_each_congestion_control_that_the_machine_offers(
    default: str,
    others: str,
    measured: Sequence[str],
    left_out: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    _offer(monkeypatch, tmp_path, default, others)
    plan = plan_of("claims", "--placement=same-core,cross-core")
    cases = [Case.parse(case) for case in plan.intent.cases]
    found = {(case.workload, case.transport) for case in cases if ":congestion" in case.transport}
    assert found == {("throughput", f"inet:congestion={name}") for name in measured}
    notes = [note for note in plan.notes if "is not known here" in note]
    assert [note.split("'")[3] for note in notes] == left_out
    assert plan.intent.rounds >= 8
    assert plan.intent.budget_s == 230.0


def _with_controls(
    ratios: Mapping[str, float], controls: Mapping[str, str | None], **how: object
) -> Judgement:
    """The claim about AF_UNIX, by times of streams over inet as multiples of those over unix.

    `controls` are the congestion controls in force, by transport.
    """
    place = "64k/python/same-core"
    times = {f"throughput/unix/{place}": 1e-5}
    times |= {f"throughput/{name}/{place}": 1e-5 * ratio for name, ratio in ratios.items()}
    analysis = frame.analyse(_results(times, **how))  # type: ignore[arg-type]
    told = {name: f"congestion={value}" for name, value in controls.items() if value}
    knobs = analysis.launches["transport"].map(told)
    launches = analysis.launches.assign(knobs_client=knobs, knobs_server=knobs)
    return judged(analysis._replace(launches=launches))[0]


def _stack(name: str, **ratios: float) -> Judgement:
    """The claim of this name, by the times of each pair: the subject's over the other's."""
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    times: dict[str, float] = {}
    for subject, other in claim.pairs:
        ratio = ratios.get(subject.replace("-", "_"))
        if ratio is not None:
            base = times.setdefault(f"latency/{other}/64/python/same-core", 1e-4)
            times[f"latency/{subject}/64/python/same-core"] = base * ratio
    return _judged(name, times)


def test_what_the_family_saves_is_judged_at_each_rung() -> None:
    judgement = _stack(
        "frameworks-on-tcp", asyncio_streams_unix=0.6, http_uvicorn_unix=0.98, rpc_grpc_unix=1.01
    )
    assert answer_text(judgement) == (
        "depends on the rung: holds for http-uvicorn-unix and rpc-grpc-unix; fails for"
        " asyncio-streams-unix (3 of 3 comparisons decided)"
    )


@pytest.mark.parametrize(("ratio", "answer"), [(0.9, "fails"), (0.3, "holds"), (0.2, "fails")])
def test_a_factor_is_held_to_be_so_only_within_its_band(ratio: float, answer: str) -> None:
    judgement = _stack("uvloop-2-to-4", uvloop_protocol_unix=ratio, uvloop_streams_unix=ratio)
    assert judgement.answer == answer


def test_a_rung_is_compared_with_its_own_counterpart_alone() -> None:
    judgement = _stack("uvloop-2-to-4", uvloop_protocol_unix=0.3, uvloop_streams_unix=0.3)
    pairs = [tuple(case.transport for case in one.comparison.cases) for one in judgement.compared]
    assert pairs == [
        ("uvloop-protocol-unix", "asyncio-protocol-unix"),
        ("uvloop-streams-unix", "asyncio-streams-unix"),
    ]


def test_forty_milliseconds_are_found_only_where_they_are() -> None:
    judgement = _stack(
        "http-40-ms", http_std_default_inet=290.0, http_std_default_unix=1.1, http_uvicorn_inet=1.5
    )
    assert answer_text(judgement) == (
        "depends on the rung: holds for http-std-default-inet; fails for http-std-default-unix and"
        " http-uvicorn-inet (3 of 3 comparisons decided)"
    )


def test_rungs_are_planned_at_one_size_and_one_placement() -> None:
    assert USUAL_CLAIMS.at_first == NEEDED_ONCE
    both = replace(USUAL_CLAIMS, at_first=("unix",), seed=1)
    cases = [case for case in choose(both).possible if case.workload == "latency"]
    counts = Counter(case.transport for case in cases)
    assert counts["unix"] == 1
    assert counts["pipe"] == 2 * len({case.placement for case in cases})
    assert Case("latency", "unix", 64, placement="same-core") in cases


_APART = "64/python/cross-core"


def _idle(name: str = "latency-at-low-rates", **ratios: float) -> Judgement:
    """The claim about low rates, by times after idleness as multiples of those without any."""
    times: dict[str, float] = {}
    for key, ratio in ratios.items():
        transport = key.replace("_", "-")
        idle = IDLE_SPINNING_WORKLOAD if transport == "sysv-shm-spin" else IDLE_WORKLOAD
        times[f"latency/{transport}/{_APART}"] = 1e-5
        times[f"{idle}/{transport}/{_APART}"] = 1e-5 * ratio
    return _judged(name, times)


def test_latency_at_low_rates_depends_on_what_blocks() -> None:
    judgement = _idle(unix=5.0, inet=4.0, pipe=5.0, sysv_shm_spin=1.05)
    assert answer_text(judgement) == (
        "depends on the transport: holds for sysv-shm-spin; fails for unix, inet and pipe"
        " (4 of 4 comparisons decided)"
    )


@pytest.mark.parametrize(
    ("ratio", "answer"), [(0.5, "holds"), (1.0, "holds"), (1.25, "open"), (1.4, "fails")]
)
def test_latency_holds_at_low_rates_up_to_a_quarter_more(ratio: float, answer: str) -> None:
    assert _idle(unix=ratio, inet=ratio).answer == answer


def test_a_transport_that_is_compared_with_itself_is_named_once() -> None:
    (grid,) = (part for part in claim_parts([_idle(unix=5.0, pipe=5.0)]) if isinstance(part, Grid))
    heads = [row.cells[0].text for row in grid.rows if row.kind == "heading"]
    assert heads == ["unix, gap=10ms beside itself", "pipe, gap=10ms beside itself"]
    assert [column.title for column in grid.columns[1:4]] == ["idle", "busy", "idle is"]


def test_a_gap_says_nothing_of_claims_that_are_about_none() -> None:
    times = _beside({_at(IDLE_WORKLOAD): 0.5, _at("latency:gap=1ms"): 0.5}, "unix", "inet")
    judgements = judged(frame.analyse(_results(times)))
    assert {one.answer for one in judgements} == {"not measured"}


def _at(workload: str) -> str:
    return f"{workload}/{_APART}"


def _worked(**times_s: float) -> Judgement:
    """The claim about 1 ms of work, by the time of a request over each transport."""
    return _judged(
        "irrelevant-with-work",
        {
            f"{WORK_WORKLOAD}/{name.replace('_', '-')}/{_APART}": time_s
            for name, time_s in times_s.items()
        },
        exact=True,
    )


def test_with_work_the_slowest_transport_is_held_against_the_fastest() -> None:
    judgement = _worked(unix=1.03e-3, inet=1.02e-3, pipe=1.02e-3, sysv_shm=1.01e-3)
    assert answer_text(judgement) == "holds (6 of 6 comparisons decided)"
    pairs = [tuple(case.transport for case in one.comparison.cases) for one in judgement.compared]
    assert ("unix", "sysv-shm") in pairs
    assert len(pairs) == len({frozenset(pair) for pair in pairs})


def test_a_choice_that_costs_more_than_a_twentieth_of_a_request_matters() -> None:
    judgement = _worked(unix=1.08e-3, pipe=1.07e-3, sysv_shm_spin=1.0e-3)
    assert answer_text(judgement) == (
        "depends on what it is beside: holds beside pipe; fails beside sysv-shm-spin"
        " (3 of 3 comparisons decided)"
    )


@pytest.mark.parametrize(("slower_s", "answer"), [(1.04e-3, "holds"), (1.08e-3, "fails")])
def test_the_share_of_a_request_is_that_of_the_slower_one(slower_s: float, answer: str) -> None:
    assert _worked(unix=slower_s, pipe=1e-3).answer == answer
    assert _worked(unix=1e-3, pipe=slower_s).answer == answer


def _deep(**ratios: float) -> Judgement:
    """The claim about pipelining, by response times with 16 in flight as multiples of one alone."""
    times: dict[str, float] = {}
    for name, ratio in ratios.items():
        times[f"latency/{name}/{_APART}"] = 1e-5
        times[f"{WINDOW_WORKLOAD}/{name}/{_APART}"] = 1e-5 * ratio
    return _judged("pipelining-is-free", times)


@pytest.mark.parametrize(
    ("ratio", "answer"), [(0.9, "holds"), (1.1, "holds"), (1.25, "open"), (1.5, "fails")]
)
def test_pipelining_is_free_where_no_message_takes_longer(ratio: float, answer: str) -> None:
    assert _deep(unix=ratio, inet=ratio).answer == answer


def test_what_pipelining_brings_is_told_beside_what_it_costs() -> None:
    judgement = _deep(unix=5.0, inet=1.1)
    assert answer_text(judgement) == (
        "depends on the transport: holds for inet; fails for unix (2 of 2 comparisons decided)"
    )
    where, brings = "at 64 B across cores", "the messages with 16 in flight; response time"
    told = [
        f"unix {where}: 3.20x {brings}: 5.00x slower",
        f"inet {where}: 14.5x {brings}: 1.10x slower",
    ]
    assert list(throughputs(judgement)) == told
    (cell,) = [row.cells[1].text for row in answers([judgement]).rows]
    assert cell == "; ".join([answer_text(judgement), *told])


def test_a_claim_about_nothing_in_flight_tells_no_throughput() -> None:
    assert not list(throughputs(_idle(unix=5.0, pipe=5.0)))


def test_workloads_with_knobs_are_planned_at_one_size_and_those_with_gaps_apart() -> None:
    cases = choose(replace(USUAL_CLAIMS, seed=1)).possible
    apart = [case.placement for case in cases][-1]
    assert {case.message_size_bytes for case in cases if ":" in case.workload} == {64}
    idle = [case for case in cases if case.workload in (IDLE_WORKLOAD, IDLE_SPINNING_WORKLOAD)]
    assert {case.transport for case in idle} >= {"unix", "inet", "pipe"}
    assert {case.placement for case in idle} == {apart}
    for workload in (WORK_WORKLOAD, WINDOW_WORKLOAD):
        places = {case.placement for case in cases if case.workload == workload}
        assert places == {case.placement for case in cases}
    assert all(case._replace(workload="latency") in cases for case in idle)


_CUBIC, _RENO = "inet:congestion=cubic", "inet:congestion=reno"


def test_an_answer_that_rests_on_the_congestion_control_says_so() -> None:
    judgement = _with_controls(
        {"inet": 1.92, _CUBIC: 1.0, _RENO: 1.0}, {"inet": "bbr", _CUBIC: "cubic", _RENO: "reno"}
    )
    assert (
        answer_text(judgement) == "holds where anything is decided, which is little"
        " (1 of 3 comparisons decided)"
    )
    assert list(rests_on(judgement)) == [
        "throughput at 64 KiB on one core: with bbr 1.92x faster; with cubic and reno no difference"
    ]


def test_an_answer_can_depend_on_the_congestion_control() -> None:
    judgement = _with_controls({"inet": 1.92, _CUBIC: 0.8}, {"inet": "bbr", _CUBIC: "cubic"})
    assert answer_text(judgement) == (
        "depends on TCP's congestion control: holds with bbr; fails with cubic"
        " (2 of 2 comparisons decided)"
    )
    assert list(rests_on(judgement)) == [
        "throughput at 64 KiB on one core: with bbr 1.92x faster; with cubic 1.25x slower"
    ]


def test_what_is_open_under_a_congestion_control_is_called_so() -> None:
    wild = [f"throughput/{_RENO}/64k/python/same-core"]
    ratios = {"inet": 1.92, _CUBIC: 1.0, _RENO: 1.1}
    controls = {"inet": "bbr", _CUBIC: "cubic", _RENO: "reno"}
    (text,) = rests_on(_with_controls(ratios, controls, wild=wild))
    assert text.endswith("with bbr 1.92x faster; with cubic no difference; with reno open")


def test_congestion_controls_without_a_sure_difference_are_named() -> None:
    judgement = _with_controls({"inet": 1.9, _CUBIC: 1.9}, {"inet": "bbr", _CUBIC: "cubic"})
    text = "no sure difference between TCP's congestion controls bbr and cubic"
    assert list(rests_on(judgement)) == [text]


def test_a_machine_with_one_congestion_control_says_that_no_other_was_measured() -> None:
    judgement = _with_controls({"inet": 1.9}, {"inet": "cubic"})
    text = "TCP's congestion control was cubic; not measured under another one"
    assert list(rests_on(judgement)) == [text]
    (cell,) = [row.cells[1].text for row in answers([judgement]).rows]
    assert cell == f"holds (1 of 1 comparison decided); {text}"


def test_ends_with_unlike_congestion_controls_are_named_both() -> None:
    analysis = frame.analyse(_results({"throughput/unix/64": 1e-5, "throughput/inet/64": 2e-5}))
    launches = analysis.launches.assign(
        knobs_client="congestion=bbr", knobs_server="congestion=cubic"
    )
    (text,) = rests_on(judged(analysis._replace(launches=launches))[0])
    assert text.startswith("TCP's congestion control was bbr/cubic;")


def test_a_claim_without_tcp_says_nothing_of_it() -> None:
    assert not list(rests_on(_judged("pipe-or-unix", _beside({"latency/64": 0.5}, "pipe", "unix"))))


def test_rows_under_another_congestion_control_have_its_heading() -> None:
    judgement = _with_controls({"inet": 1.92, _CUBIC: 1.0}, {"inet": "bbr", _CUBIC: "cubic"})
    (grid,) = [part for part in claim_parts([judgement]) if isinstance(part, Grid)]
    heads = [row.cells[0].text for row in grid.rows if row.kind == "heading"]
    assert heads == ["unix beside inet with bbr", "unix beside inet with cubic"]


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_the_page_of_claims_has_every_claim(claim: Claim) -> None:
    assert f"| {claim.quote} |" in (ROOT / "docs/claims.md").read_text(encoding="utf-8")


def test_claims_take_cpus_in_place_of_placements() -> None:
    plan = plan_of("claims", f"--cpus={_A_CPU},{_A_CPU}")
    assert set(plan.intent.cpus) == {"same-core"}


PAGE = """\
"AF_UNIX is faster than AF_INET, because it needs no TCP"
-> holds (2 of 2 comparisons decided)
   TCP's congestion control was not recorded; the answer may rest on it
{caveats[0]}

python loop                    unix     inet       unix is  95%  says
───────────────────────────────────────────────────────────────────────
round trip 64 B cross-core  5.00 µs  10.0 µs  2.00x faster       agrees
connect cross-core          2.50 µs  10.0 µs  4.00x faster       agrees

"on one machine sockets do not differ much from System V IPC"
-> depends on the kind of socket: holds for unix; fails for inet (2 of 2 comparisons decided)
{caveats[1]}

python loop                  socket    other     socket is  95%  says
────────────────────────────────────────────────────────────────────────
unix beside sysv-shm
round trip 64 B cross-core  5.00 µs  5.00 µs         1.00x       agrees
inet beside sysv-shm
round trip 64 B cross-core  10.0 µs  5.00 µs  2.00x slower       against

"IPv6 costs more than IPv4 on loopback"
-> not measured
{caveats[2]}

"pipes are the old method, UNIX sockets the new one: which is faster"
-> open: chance or this machine's noise can explain all differences (0 of 1 comparison decided)
{caveats[3]}

python loop                    pipe     unix  pipe is        95%  says
──────────────────────────────────────────────────────────────────────
round trip 64 B cross-core  5.00 µs  5.00 µs    1.00x  0.82-1.28  open

"a ping-pong's latency holds at low rates"
-> not measured
{caveats[4]}

"the choice of IPC is irrelevant with 1 ms of work"
-> not measured
{caveats[5]}

"pipelining is free throughput"
-> not measured
{caveats[6]}

"frameworks listen on TCP because sockets of the other family are no faster there"
-> can't tell: not measured; it needs pip install 'ipcbench[stack]'
{caveats[7]}

"uvloop makes asyncio 2 to 4 times faster"
-> can't tell: not measured; it needs pip install 'ipcbench[stack]'
{caveats[8]}

"gRPC over UNIX sockets is twice as fast as over TCP"
-> can't tell: not measured; it needs pip install 'ipcbench[grpc]'
{caveats[9]}

"HTTP on localhost costs 40 ms a request"
-> not measured
{caveats[10]}

times: a full round trip, a message of a stream, or a connection; less is better
agrees, against: at most 5% of what these 5 comparisons decide is false
open: chance or this machine's noise (its noise floor: 1.5%) can explain it
'not much': the ratio of times is surely between 0.80 and 1.25
"""


def _page(results: Results) -> str:
    stream = io.StringIO()
    console.show(claim_parts(judged(frame.analyse(results)), Floor(0.015)), stream)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def test_the_page_is_exactly_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    times = _beside({"latency/64": 0.5, "connect/1": 0.25}, "unix", "inet")
    times |= {"latency/sysv-shm/64": 5e-6, "latency/pipe/64": 5e-6}
    page = PAGE.format(caveats=[claim.caveat for claim in CLAIMS])
    assert _page(_results(times, wild=["latency/pipe/64"])) == page


def test_the_page_tells_the_buffers_where_they_matter() -> None:
    sizes = [Buffer("pipe", "client_pipe_size_bytes", [65536])]
    sizes.append(Buffer("unix", "client_so_sndbuf_bytes", [212992, 425984]))
    text = "buffers here: pipe 64 KiB in it; unix 208 KiB/416 KiB to send"
    assert buffers_text(sizes) == text


def test_the_rows_of_a_page_fit_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    slow = {case: 123e-6 for claim in CLAIMS for case in _cases(claim.subjects)}
    fast = {case: 1.11e-6 for claim in CLAIMS for case in _cases(claim.others)}
    lines = _page(_results(fast | slow, wild=list(slow))).splitlines()
    rows = [line for line in lines if line.startswith("throughput 64 KiB cross-core")]
    streams = [claim for claim in CLAIMS if "throughput" in claim.workloads]
    assert len(rows) == sum(len(claim.subjects) * len(claim.others) for claim in streams)
    assert max(map(len, rows)) <= 80
    assert all(line.endswith(("agrees", "against", "unix", "open")) for line in rows)


def _cases(transports: Sequence[str]) -> list[str]:
    return [f"throughput/{name}/64k" for name in transports]


def test_a_summary_without_tables_holds_the_claims_and_what_they_rest_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    results = _results(_beside({"latency/64": 0.5}, "unix", "inet"))
    console.show(summary(frame.analyse(results), claims=True, tables=False), stream)
    text = stream.getvalue()
    assert CLAIMS[0].quote in text
    assert "Latency (round trip)" not in text
    assert "Test CPU, 2 CPUs, kvm" in text
