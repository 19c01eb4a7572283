"""Knobs of workloads: their one spelling, what they mean, what tables and plans make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.analysis import frame
from ipcbench.analysis.gates import parse_gate
from ipcbench.case import Case, parse_workload
from ipcbench.errors import UsageError
from ipcbench.reporters.pictures.selection import Subject, pictures
from ipcbench.reporters.tables import cases as case_tables
from ipcbench.reporters.tables import overview
from ipcbench.results.store import Results
from ipcbench.run.driver import shuffled_groups
from ipcbench.run.request import Request
from ipcbench.run.sizing import FEWEST_PACED, expected_launch_s, messages_of
from ipcbench.transports.base import Traffic
from ipcbench.transports.registry import transports
from ipcbench.workloads import (
    DEFINITIONS,
    WORKLOADS,
    Arrivals,
    Flow,
    Rhythm,
    arrivals_of,
    flow_of,
    place_of,
    rhythm_of,
)
from tests.asked import plan_of
from tests.replay import replayed

NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.03, 0.97)
GAPS = ("latency", "latency:gap=100us", "latency:gap=1ms", "latency:gap=10ms")


def _results() -> Results:
    """Launches of two transports, the slower the longer the gap, in another order than by gap."""
    recorded = {
        Case(workload, name, 64): [[1e-5 * factor * each] for each in NOISE]
        for factor, workload in ((4, GAPS[3]), (1, GAPS[0]), (2, GAPS[1]), (3, GAPS[2]))
        for name in ("inet", "unix")
    }
    return replayed(recorded, rounds=len(NOISE))[0]


@pytest.mark.parametrize(
    ("typed", "term"),
    [
        ("latency:gap=0", "latency"),
        ("latency:gap=0ms", "latency"),
        ("latency:gap=1000us", "latency:gap=1ms"),
        ("latency:gap=0.1", "latency:gap=100ms"),
        ("latency:gap=1ms:gap-by=sleep", "latency:gap=1ms"),
        ("latency:gap-by=spin:gap=1ms", "latency:gap=1ms:gap-by=spin"),
        ("latency:gap-by=spin", "latency"),
        ("latency:gap=0:gap-by=spin", "latency"),
        ("latency:work=0", "latency"),
        ("latency:work-touches=256k", "latency"),
        ("latency:work-touches=262144:work=0.1ms", "latency:work=100us:work-touches=256k"),
        ("latency:work=100us:gap=1ms", "latency:gap=1ms:work=100us"),
    ],
)
def test_a_workload_has_one_spelling_and_without_its_knobs_it_is_the_plain_one(
    typed: str, term: str
) -> None:
    assert parse_workload(typed) == term
    assert Case.parse(f"{typed}/unix/64").id == f"{term}/unix/64/python/cross-core"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("latency:gap=-1", "gap takes a time, up to 100ms"),
        ("latency:gap=1h", "gap takes a time, up to 100ms"),
        ("latency:gap=1s", "1s is more than 100ms; gap takes a time, up to 100ms"),
        ("latency:gap=abc", "'abc' is not a time above 0"),
        ("latency:gap=1ms:gap-by=nap", "gap-by takes sleep or spin"),
        ("latency:work=abc", "work takes a time, up to 10ms"),
        ("latency:work=11ms", "11ms is more than 10ms"),
        ("latency:work=1ms:work-touches=1", "1 is less than 4k; work-touches takes a size, 4k to"),
        ("latency:gap=1ms:gap=2ms", "sets 'gap' twice"),
        ("latency:gap", "gives 'gap' no value"),
        ("latency:gpa=1ms", "unknown knob of latency 'gpa'; did you mean 'gap'?"),
        ("throughput:gap=1ms", "unknown knob of throughput 'gap'; known are: batch, duplex"),
        ("connect:gap=1ms", "unknown knob of connect 'gap'; known are: clients, backlog"),
        ("connect:clients=0", "'0' doesn't fit; clients takes a whole number, 1 to 256"),
        ("connect:clients=2:backlog=0", "'0' doesn't fit; backlog takes a whole number, 1 to 4096"),
        ("connect:clients=2:server=fork", "unknown knob of connect 'server'"),
        ("latency:window=0", "'0' doesn't fit; window takes a whole number, 1 to 1024"),
        ("latency:window=1m", "'1m' doesn't fit; window takes a whole number, 1 to 1024"),
        ("latency:window=1025", "'1025' doesn't fit; window takes a whole number, 1 to 1024"),
        ("throughput:batch=0", "'0' doesn't fit; batch takes a whole number, 1 to 1024"),
        ("throughput:duplex=yes", "duplex takes off or on"),
        ("latency:window=2:gap=1ms", "sets gap and window: a gap is before each message, and a"),
        ("throughput:batch=2:duplex=on", "sets batch and duplex: a call that moves several"),
    ],
)
def test_a_knob_that_a_workload_cannot_have_is_refused(typed: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_workload(typed)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@given(gap_us=st.integers(1, 100_000), spins=st.booleans())
def test_a_case_with_knobs_survives_its_id(gap_us: int, spins: bool) -> None:
    how = "spin" if spins else "sleep"
    case = Case.parse(f"latency:gap={gap_us}us:gap-by={how}/unix:sndbuf=4k/64")
    assert Case.parse(case.id) == case
    assert case.rhythm == Rhythm(gap_us / 10**6, spins)


@pytest.mark.parametrize(
    ("typed", "term"),
    [
        ("load:rate=1k", "load"),
        ("load:rate=10k", "load:rate=10000"),
        ("load:rate=10000.0", "load:rate=10000"),
        ("load:rate=1.001k", "load:rate=1001"),
        ("load:rate=1.5m:arrivals=constant", "load:rate=1500000"),
        (
            "load:work=0.1ms:window=8:arrivals=poisson:rate=2K",
            "load:rate=2000:arrivals=poisson:window=8:work=100us",
        ),
        ("load:window=1:work-touches=64k", "load"),
    ],
)
def test_a_load_has_one_spelling_and_its_rate_all_its_digits(typed: str, term: str) -> None:
    assert parse_workload(typed) == term
    assert parse_workload(term) == term


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("load:rate=0", "rate '0' is not a number of messages a second above 0"),
        ("load:rate=abc", "rate takes messages a second, 1 to 10000000, written like 10k (10000)"),
        ("load:rate=0.5", "0.5 isn't a whole number a second"),
        ("load:rate=1.5", "1.5 isn't a whole number a second"),
        ("load:rate=10.001m", "10.001m is more than 10000000 a second"),
        ("load:arrivals=bursts", "arrivals takes constant or poisson"),
        ("load:window=0", "window takes a whole number, 1 to 1024"),
        ("load:gap=1ms", "unknown knob of load 'gap'"),
        ("latency:rate=10k", "unknown knob of latency 'rate'"),
    ],
)
def test_a_knob_that_a_load_cannot_have_is_refused(typed: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_workload(typed)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_when_messages_are_sent_is_read_from_a_term() -> None:
    assert arrivals_of("load") == Arrivals(1000)
    assert arrivals_of("load:rate=2500:arrivals=poisson") == Arrivals(2500, is_random=True)
    assert [arrivals_of(name) for name in ("latency:window=8", "throughput", "connect")] == [
        None
    ] * 3
    assert Traffic.of(Case.parse("load:rate=2k:window=8/unix/64")) == Traffic(
        64, "load", window=8, settings=(("rate", "2000"),)
    )


def test_loads_are_placed_by_their_rates() -> None:
    rates = ["load:rate=10000", "load:rate=5000", "load", "load:rate=900"]
    assert sorted(rates, key=place_of) == rates[::-1]
    assert min("throughput:duplex=on", "throughput", key=place_of) == "throughput"


def test_work_is_read_from_a_term() -> None:
    worked = rhythm_of("latency:gap=1ms:work=100us:work-touches=256k")
    assert worked == Rhythm(1e-3, work_s=1e-4, touched_bytes=256 * 1024)
    assert worked.least_s == pytest.approx(1.1e-3)


def test_how_many_messages_are_under_way_is_read_from_a_term() -> None:
    assert flow_of("latency:window=8") == Flow(window=8)
    assert flow_of("throughput:batch=16") == Flow(batch=16)
    assert flow_of("throughput:duplex=on") == Flow(duplex=True)
    assert flow_of("latency") == flow_of("throughput") == Flow()
    assert flow_of("latency").fewest_messages == 1
    assert flow_of("latency:window=8").fewest_messages == 512
    traffic = Traffic.of(Case.parse("latency:window=8:work=1ms/unix/64"))
    assert traffic == Traffic(64, "latency", window=8, settings=(("work", "1ms"),))
    assert traffic.in_flight == 8


@pytest.mark.parametrize("typed", ["latency:window=1:gap=1ms", "throughput:batch=1:duplex=on"])
def test_a_knob_at_its_default_excludes_no_other(typed: str) -> None:
    name, _, kept = typed.split(":")
    assert parse_workload(typed) == f"{name}:{kept}"


def test_a_plain_workload_has_no_rhythm() -> None:
    assert [rhythm_of(name) for name in WORKLOADS] == [Rhythm()] * len(WORKLOADS)


def test_every_default_of_a_knob_is_spelled_as_its_kind_spells_it() -> None:
    for definition in DEFINITIONS.values():
        for knob in definition.knobs:
            assert knob.default is None or knob.kind.canonical(knob.default) == knob.default


def test_terms_are_placed_by_what_their_values_mean() -> None:
    assert sorted({*GAPS}, key=place_of) == list(GAPS)
    assert max(["throughput", "latency:gap=1ms", "latency"], key=place_of) == "throughput"


def test_no_transport_is_concerned_with_what_is_done_between_messages() -> None:
    case = Case("latency:gap=1ms", "unix", 64)
    assert Traffic.of(case).settings == (("gap", "1ms"),)
    for transport in transports():
        if transport.carries_payload and transport.has("latency"):
            assert transport.rejects(Traffic.of(case)) is None


def test_cases_that_differ_in_a_knob_of_the_workload_are_in_tables_of_their_own() -> None:
    cases = frame.cases(_results())
    titles = [grid.title for grid in case_tables.tables(cases)]
    assert titles == [
        "Latency (round trip), 64 B, cross-core, python loop",
        "Latency (round trip), gap=100us, 64 B, cross-core, python loop",
        "Latency (round trip), gap=1ms, 64 B, cross-core, python loop",
        "Latency (round trip), gap=10ms, 64 B, cross-core, python loop",
    ]
    joined = [grid.title for grid in case_tables.joined_tables(cases)]
    assert joined[-1] == "Latency (round trip), gap=10ms"


def test_ratios_are_within_a_workload_and_its_knobs() -> None:
    cases = frame.cases(_results())
    assert [ratio == 1 for ratio in cases["time_to_baseline_ratio"]].count(True) >= len(GAPS)
    assert cases["time_to_baseline_ratio"].between(0.9, 1.1).all()


def test_the_overview_has_a_column_for_each_value_of_a_knob() -> None:
    (grid,) = overview.overviews(frame.cases(_results()))
    heads = [column.title.split("\n") for column in grid.columns[1:]]
    assert [head[2:] for head in heads] == [
        ["64 B"],
        *([f"gap={gap}", "64 B"] for gap in ("100us", "1ms", "10ms")),
    ]
    assert len({column.key for column in grid.columns}) == len(grid.columns)


def test_each_value_of_a_knob_has_pictures_with_names_and_titles_of_their_own() -> None:
    analysis = frame.analyse(_results())
    found = pictures(Subject(analysis.cases, analysis.launches, ()))
    titles = [picture.title for picture in found]
    assert len(set(titles)) == len(titles)
    for gap in ("100us", "1ms", "10ms"):
        assert any(f"gap={gap}" in title for title in titles)


def test_a_row_has_the_gap_as_seconds_and_how_it_is_waited() -> None:
    cases = frame.cases(_results())
    by_gap = cases.drop_duplicates("workload").set_index("workload")["gap_s"]
    assert by_gap.to_dict() == dict(zip(GAPS, (0.0, 1e-4, 1e-3, 1e-2), strict=True))
    assert cases.loc[cases["gap_s"] == 0, "gap_by"].isna().all()
    assert set(cases.loc[cases["gap_s"] > 0, "gap_by"]) == {"sleep"}


def test_the_share_of_a_request_is_what_the_servers_work_leaves() -> None:
    recorded = {
        Case(f"latency:work={work}", name, 64): [[time_s]] * 6
        for work, time_s in (("100us", 125e-6), ("10us", 40e-6))
        for name in ("unix", "null")
    } | {Case("latency", "unix", 64): [[25e-6]] * 6}
    cases = frame.cases(replayed(recorded, rounds=6)[0]).set_index("case")
    shares = cases["mechanism_share_ratio"].dropna().to_dict()
    assert shares == {
        "latency:work=10us/unix/64/python/cross-core": pytest.approx(0.75),
        "latency:work=100us/unix/64/python/cross-core": pytest.approx(0.2),
    }
    grids = list(case_tables.tables(cases.reset_index()))
    heads = [[column.title for column in grid.columns] for grid in grids]
    assert ["share of the request" in head for head in heads] == [False, True, True]
    assert grids[2].rows[0].cells[-1].text == "20%"


def test_what_a_table_compares_is_one_group_by_workload_and_knobs() -> None:
    cases = [Case(gap, name, 64) for gap in GAPS for name in ("unix", "pipe", "inet")]
    for group in shuffled_groups(cases, 3, 1, most=3):
        assert len({case.workload for case in group}) == 1


@pytest.mark.parametrize(
    ("gate", "about"),
    [
        ("latency>5%", [True, True]),
        ("latency:gap=1ms>5%", [False, True]),
        ("latency:gap=1000us/unix/*>5%", [False, True]),
        ("latency/unix/*>5%", [True, False]),
        ("throughput<-5%", [False, False]),
    ],
)
def test_a_gate_is_about_a_workload_with_any_knobs_unless_it_has_its_own(
    gate: str, about: list[bool]
) -> None:
    cases = [Case("latency", "unix", 64), Case("latency:gap=1ms", "unix", 64)]
    assert [parse_gate(gate).is_about(case) for case in cases] == about


@pytest.mark.parametrize("gap", ["100us", "1ms", "100ms"])
@pytest.mark.parametrize("values", [1, 3, 9, 60])
def test_a_launch_with_gaps_has_enough_messages_and_a_bounded_length(gap: str, values: int) -> None:
    case = Case(f"latency:gap={gap}", "unix", 64)
    messages = messages_of(case, case.rhythm.gap_s + 2e-5, values, 0.025)
    assert messages * values >= FEWEST_PACED
    gaps_s = messages * case.rhythm.gap_s
    assert gaps_s <= max(0.025, (FEWEST_PACED / values + 1) * case.rhythm.gap_s)


def test_a_launch_without_gaps_is_sized_by_its_time_alone() -> None:
    case = Case("latency", "unix", 64)
    assert messages_of(case, 2e-5, 9, 0.025) == 1250
    assert messages_of(case, 60.0, 9, 0.025) == 1


def test_it_is_said_first_how_long_gaps_take() -> None:
    plan = plan_of("compare", "unix", "--workloads", "latency:gap=100ms", "--sizes", "64")
    (note,) = plan.notes
    each_s = expected_launch_s(plan.run.cases[0], 9, 1, 0.025)
    assert each_s > 11 * 6 * 0.1
    assert plan.run.expected_launch_s == pytest.approx(each_s)
    assert note.startswith(f"{len(plan.run.cases)} cases, 7 rounds: about ")


def test_a_launch_that_gaps_make_longer_than_its_time_limit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"takes about 40 s, more than --timeout 30: ask for"):
        plan_of("compare", "unix", "--workloads", "latency:gap=100ms", "--values", "400")
    plan_of("compare", "unix", "--workloads", "latency:gap=100ms", "--values=400", "--timeout=90s")


def test_a_budget_that_gaps_do_not_fit_into_is_refused() -> None:
    asked = ("compare", "unix", "--sizes", "64", "--budget", "5s", "--workloads")
    plan_of(*asked, "latency")
    with pytest.raises(UsageError, match="a budget of 5 s fits no round of 2 cases"):
        plan_of(*asked, "latency:gap=100ms")


@pytest.mark.parametrize(
    ("arguments", "measured"),
    [
        (("--vary", "latency:gap=0,10ms,1ms"), ["latency", "latency:gap=1ms", "latency:gap=10ms"]),
        (("--vary", "latency:gap=1ms"), ["latency", "latency:gap=1ms"]),
        (
            ("--vary", "latency:gap-by=spin:gap=0,1ms"),
            ["latency", "latency:gap=1ms:gap-by=spin"],
        ),
        (
            ("--vary", "latency:gap=1ms", "--workloads", "throughput"),
            ["latency", "latency:gap=1ms", "throughput"],
        ),
        (("--workloads", "latency:gap=1ms,throughput"), ["latency:gap=1ms", "throughput"]),
    ],
)
def test_values_of_a_workload_are_measured_beside_the_plain_one(
    arguments: tuple[str, ...], measured: list[str]
) -> None:
    plan = plan_of("compare", "unix", "--sizes", "64", *arguments)
    assert list(dict.fromkeys(case.workload for case in plan.run.cases)) == measured
    assert plan.intent.baseline == "unix"


def test_a_grid_combines_knobs_of_a_workload_and_varies_transports_beside() -> None:
    plan = plan_of(
        *("compare", "--sizes", "64", "--grid"),
        *("--vary", "latency:gap=1ms,2ms:gap-by=sleep,spin", "--vary", "unix:sndbuf=4k,8k"),
    )
    workloads = list(dict.fromkeys(case.workload for case in plan.run.cases))
    assert workloads == [
        "latency",
        *("latency:gap=1ms", "latency:gap=1ms:gap-by=spin"),
        *("latency:gap=2ms", "latency:gap=2ms:gap-by=spin"),
    ]
    assert plan.intent.baseline == "unix"


@pytest.mark.parametrize("more", [(), ("--grid",)])
def test_a_knob_that_says_nothing_without_another_one_is_not_varied_alone(
    more: tuple[str, ...],
) -> None:
    with pytest.raises(UsageError, match="--vary latency:gap-by says nothing without gap; give"):
        plan_of("compare", "unix", "--vary", "latency:gap-by=sleep,spin", *more)
    plan = plan_of("compare", "unix", "--vary", "latency:gap=1ms:gap-by=sleep,spin")
    workloads = list(dict.fromkeys(case.workload for case in plan.run.cases))
    assert workloads == ["latency:gap=1ms", "latency:gap=1ms:gap-by=spin"]


def test_usual_workloads_that_are_left_out_are_told() -> None:
    plan = plan_of("compare", "unix", "--vary", "latency:gap=1ms")
    assert "throughput is left out: --vary names the workloads" in plan.notes


def test_a_request_keeps_its_workloads_with_their_knobs() -> None:
    request = Request(workloads=("latency:gap=1ms", "throughput"))
    assert Request.parse(request.as_json()) == request
