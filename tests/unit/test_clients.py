"""Many clients of one server: knees, rates, tables, sentences, pictures, pages and columns."""

import io
from collections.abc import Hashable, Mapping

import pandas as pd
import pytest

from ipcbench.analysis import frame, load
from ipcbench.analysis.crowds import knees, rates
from ipcbench.analysis.frame import Analysis
from ipcbench.analysis.sweeps import Sweep, rate_to_first, sweeps
from ipcbench.case import Case
from ipcbench.cli import console
from ipcbench.reporters import csv_file
from ipcbench.reporters.html import page
from ipcbench.reporters.html.page import Drawing
from ipcbench.reporters.markdown import markdown_text
from ipcbench.reporters.model import Grid
from ipcbench.reporters.pictures import drawing
from ipcbench.reporters.pictures.selection import Subject, pictures
from ipcbench.reporters.tables.summary import summary
from ipcbench.reporters.tables.sweep_words import sentences
from ipcbench.reporters.tables.sweeps import sweep_parts
from tests.synthetic import Crowd, crowds

WILD = (1.3, 0.7, 1.2, 0.8, 1.1, 0.9, 1.25, 0.75)
"""By how much launches differ that decide nothing."""
OTHER = (0.998, 1.003, 1.0, 1.01, 0.99, 1.005, 0.995, 1.002)
"""Another order of the usual factors, whose ratios to them are about 1, above and below."""
CLIENTS_OF_FOUR = ("latency", "latency:clients=2", "latency:clients=4", "latency:clients=8")


def _case(workload: str, transport: str = "unix") -> Case:
    return Case(workload, transport, 64)


def _latencies(*rates: Crowd | float, transport: str = "unix") -> dict[Case, Crowd]:
    """The cases of 1, 2, 4 and 8 clients that send so many messages a second."""
    each = zip(CLIENTS_OF_FOUR, rates, strict=False)
    return {
        _case(workload, transport): one if isinstance(one, Crowd) else Crowd(one)
        for workload, one in each
    }


FLATTENS = _latencies(1e5, 1.9e5, Crowd(1.9e5, factors=OTHER))
"""Two clients give nearly twice as much as one, and four no more."""


def _analysis(cases: Mapping[Case, Crowd], rounds: int = 8) -> Analysis:
    return frame.analyse(crowds(cases, rounds))


def _sweep(cases: Mapping[Case, Crowd], rounds: int = 8) -> Sweep:
    analysis = _analysis(cases, rounds)
    (sweep,) = sweeps(analysis.cases, analysis.launches)
    return sweep


def test_messages_a_second_are_of_all_clients_with_their_ratio_to_one() -> None:
    line = _sweep(FLATTENS).lines[0]
    rates = [point.rate.value for point in line.points if point.rate]
    assert rates == pytest.approx([1e5, 1.9e5, 1.9e5], rel=0.01)
    ratios = [rate_to_first(point) for point in line.points]
    assert ratios[0] is None
    assert [one.value for one in ratios if one] == pytest.approx([1.9, 1.9], rel=0.01)
    assert [point.verdict for point in line.points] == [None, "faster", "faster"]


def test_many_clients_are_compared_with_all_batches_of_one() -> None:
    disturbed, steady = [1e-5, 1e-5, 4e-5], [1e-5, 1e-5, 1e-5]
    frames = pd.DataFrame({"batches_s": [disturbed, steady], "time_s": [1e-5, 1e-5]})
    assert rates(frames).tolist() == pytest.approx([5e4, 1e5])
    frames["crowd_messages_per_s"] = [3e5, None]
    assert rates(frames).tolist() == pytest.approx([3e5, 1e5])


def test_a_round_trip_grows_by_its_own_ratio_and_not_by_that_of_the_rates() -> None:
    line = _sweep(FLATTENS).lines[0]
    longer = line.time_to_first(line.points[-1])
    assert longer is not None
    assert longer.value == pytest.approx(4 / 1.9, rel=0.01)


def test_streams_of_many_clients_have_their_rates_too() -> None:
    cases = {
        _case("throughput"): Crowd(1e6),
        _case("throughput:clients=4"): Crowd(5e5),
    }
    sweep = _sweep(cases)
    rates = [point.rate.value for point in sweep.lines[0].points if point.rate]
    assert rates == pytest.approx([1e6, 5e5], rel=0.01)
    assert sweep.lines[0].points[-1].verdict == "slower"


def test_the_knee_is_the_least_number_above_which_none_gives_more() -> None:
    knee = _sweep(FLATTENS).lines[0].knee
    assert knee is not None
    assert knee.clients == 2
    assert [(one.clients, one.verdict) for one in knee.beyond] == [(4, "~")]


def test_a_number_that_gives_less_and_a_later_one_that_gives_more_are_no_knee() -> None:
    knee = _sweep(_latencies(1e5, 0.9e5, 1.5e5, 1.0e5)).lines[0].knee
    assert knee is not None
    assert knee.clients == 4
    assert [(one.clients, one.verdict) for one in knee.beyond] == [(8, "slower")]


def test_a_line_that_still_rises_has_no_number_beyond_its_knee() -> None:
    knee = _sweep(_latencies(1e5, 2e5, 4e5)).lines[0].knee
    assert knee is not None
    assert (knee.clients, knee.beyond) == (4, ())


def test_too_few_launches_tell_no_knee_and_no_sentence_on_it() -> None:
    sweep = _sweep(FLATTENS, rounds=5)
    assert sweep.lines[0].knee is None
    assert not any("messages a second" in said for said in sentences(sweep))


def _knee_of(of_one: list[float], of_two: list[float], noise_floor: float = 0.0) -> float:
    """The knee of one and two clients whose launches have these times between messages."""
    costs: dict[float, dict[Hashable, float]] = {1: {}, 2: {}}
    for clients, times_s in ((1, of_one), (2, of_two)):
        costs[clients].update(enumerate(times_s))
    return knees({"unix": costs}, noise_floor)["unix"].clients


def test_launches_that_differ_wildly_have_their_knee_at_one_client() -> None:
    wild = [1e-5 * factor for factor in WILD]
    assert _knee_of([1e-5] * 8, wild) == 1


def test_a_difference_within_the_noise_floor_is_no_more() -> None:
    slower, faster = [1.02e-5] * 8, [1.00e-5] * 8
    assert _knee_of(slower, faster, noise_floor=0.0) == 2
    assert _knee_of(slower, faster, noise_floor=0.05) == 1


def test_a_sentence_tells_the_knee_with_its_intervals() -> None:
    assert sentences(_sweep(FLATTENS))[0] == (
        "unix: 2 clients give 1.90 times (95%: 1.90) as many messages a second as 1;"
        " 4 give no more than 2 (0.99 to 1.01 times)."
    )


def test_a_sentence_tells_where_more_clients_give_fewer_messages() -> None:
    said = sentences(_sweep(_latencies(1e5, 0.8e5, Crowd(1e5, factors=OTHER))))[0]
    assert said == (
        "unix: in messages a second, 4 give no more than 1 (0.99 to 1.01 times),"
        " 2 give fewer than 1 (0.80 times)."
    )


def test_a_sentence_says_where_no_knee_was_found() -> None:
    said = sentences(_sweep(_latencies(1e5, 2e5, 4e5)))[0]
    assert said == (
        "unix: 4 clients give 4.00 times (95%: 4.00) as many messages a second as 1;"
        " whether more would give more wasn't measured."
    )


def test_many_mechanisms_are_told_by_their_knees() -> None:
    names = ("unix", "inet", "pipe", "fifo", "socketpair", "sysv-shm", "sysv-msg")
    cases: dict[Case, Crowd] = {}
    for name in names:
        rises = 2e5 if name == "pipe" else 0.9e5
        cases |= _latencies(1e5, rises, transport=name)
    said = sentences(_sweep(cases))
    assert said[:2] == [
        (
            "More clients than 1 give no more messages a second over fifo, inet, socketpair,"
            " sysv-msg, sysv-shm and unix."
        ),
        "2 clients, the most measured, give the most of them over pipe.",
    ]


def test_a_sentence_tells_that_the_scheduler_is_measured_where_clients_wait_for_a_cpu() -> None:
    waiting = _latencies(1e5, Crowd(2e5, waits=0.4))
    waiting |= _latencies(1e5, Crowd(2e5, waits=0.5), transport="inet")
    assert (
        "With 2 clients, one of them waits 40% (unix) to 50% (inet) of the time for the CPU that"
        " all of them share: the scheduler is measured, too."
    ) in sentences(_sweep(waiting))
    idle = _latencies(1e5, Crowd(2e5, waits=0.01))
    assert not any("scheduler" in said for said in sentences(_sweep(idle)))


def test_a_sentence_tells_the_memory_of_a_client_more() -> None:
    mebibyte = 1024**2
    cases = _latencies(
        1e5, Crowd(1e5, memory_bytes=20 * mebibyte), Crowd(1e5, memory_bytes=26 * mebibyte)
    )
    assert sentences(_sweep(cases))[-1] == (
        "With each client more the server has 3 MiB (unix) more in memory."
    )


def test_memory_of_its_own_and_links_are_told_where_they_are_known() -> None:
    kibibyte = 1024
    cases = _latencies(
        1e5,
        Crowd(1e5, private_bytes=4000 * kibibyte, link_bytes=(2304, 428_288)),
        Crowd(1e5, private_bytes=4064 * kibibyte, link_bytes=(2304, 428_288)),
    )
    of_server, of_links = sentences(_sweep(cases))[-2:]
    assert of_server == (
        "With each client more the server has 32 KiB (unix) more of its own in memory."
    )
    assert of_links == (
        "The link of a client takes 2.2 KiB (unix) of the kernel's memory while it is idle, and"
        " with full buffers up to 418.2 KiB (unix)."
    )
    row = _analysis(cases).cases.iloc[-1]
    assert row["private_server_bytes"] == 4064 * kibibyte
    assert (row["link_idle_bytes"], row["link_limit_bytes"]) == (2304, 428_288)
    _, facts = _grids(_sweep(cases))
    assert [column.title for column in facts.columns][-4:] == ["memory", "own", "link", "at most"]
    assert [cell.text for cell in facts.rows[-1].cells][-3:] == ["4 MiB", "2.2 KiB", "418.2 KiB"]


def _grids(sweep: Sweep) -> list[Grid]:
    return [part for part in sweep_parts([sweep]) if isinstance(part, Grid)]


def test_the_table_has_a_column_a_number_of_clients_with_the_rate_and_its_ratio() -> None:
    rates, _ = _grids(_sweep(FLATTENS))
    assert rates.title == (
        "Messages a second against clients, 64 B, cross-core, python loop, round trips"
    )
    assert [column.title for column in rates.columns] == ["transport", "1", "2", "4"]
    assert [cell.text for cell in rates.rows[0].cells] == [
        *("unix", "100k/s", "190k/s 1.90x", "190k/s 1.90x")
    ]
    also = rates.rows[0].cells[-1].also
    assert also["clients_4_messages_to_first_ratio"] == pytest.approx(1.9, rel=0.01)


def test_a_second_table_has_times_fairness_and_memory() -> None:
    uneven = Crowd(1.9e5, jain=0.95, least=0.5, most=1.4, server_busy_ratio=0.95)
    _, facts = _grids(_sweep(_latencies(1e5, uneven)))
    titles = [column.title for column in facts.columns]
    texts = [
        dict(zip(titles, (cell.text for cell in row.cells), strict=True)) for row in facts.rows
    ]
    alone, two = texts
    assert (alone["transport, clients"], alone["Jain"], alone["memory"]) == ("unix 1", "", "")
    assert two["transport, clients"] == "unix 2"
    assert (two["Jain"], two["least"], two["most"]) == ("0.950", "50%", "140%")
    assert (two["ran out"], two["waits"], two["memory"]) == ("server", "30%", "20 MiB")
    assert two["p50"].startswith("10.5 µs")


def _allowed(cases: Mapping[Case, Crowd]) -> list[float]:
    _, facts = _grids(_sweep(cases))
    (column,) = (at for at, one in enumerate(facts.columns) if one.title == "CPU allows")
    return [float(row.cells[column].value or 0) for row in facts.rows]


def test_a_servers_cpu_time_allows_so_many_messages_where_it_has_one_cpu() -> None:
    known = _latencies(Crowd(1e5, server_cpu_s=4e-6), Crowd(1.9e5, server_cpu_s=5e-6))
    assert _allowed(known) == pytest.approx([2.5e5, 2e5], rel=0.01)


def test_streams_have_no_percentiles_in_their_table() -> None:
    cases = {_case("throughput"): Crowd(1e6), _case("throughput:clients=4"): Crowd(5e5)}
    _, facts = _grids(_sweep(cases))
    titles = [column.title for column in facts.columns]
    assert titles[:3] == ["transport, clients", "per message", "Jain"]


def test_how_clients_are_served_makes_lines_of_their_own() -> None:
    cases = {
        _case("latency"): Crowd(1e5),
        _case("latency:clients=2:server=epoll"): Crowd(2e5),
        _case("latency:clients=2:server=threads"): Crowd(1.5e5),
    }
    sweep = _sweep(cases)
    assert sorted(map(sweep.label, sweep.lines)) == ["unix (server=epoll)", "unix (server=threads)"]


def test_one_of_many_clients_is_no_share_of_a_request() -> None:
    cases = {_case("latency:clients=4:work=10us"): Crowd(5e4)}
    assert _analysis(cases).cases["mechanism_share_ratio"].isna().all()


def test_a_client_that_waits_while_another_one_runs_has_not_run_out_of_cpu() -> None:
    cases = _latencies(1e5, Crowd(2e5, waits=0.6))  # each is busy for 70 %, together
    assert set(_analysis(cases).cases["ran_out"]) == {"neither"}


def _shown(analysis: Analysis) -> str:
    stream = io.StringIO()
    console.show(summary(analysis), stream)
    return stream.getvalue()


def test_a_report_has_both_tables_and_their_legend() -> None:
    analysis = _analysis(FLATTENS)
    shown, marked = _shown(analysis), markdown_text(analysis)
    for text in (shown, marked):
        assert "Messages a second against clients" in text
        assert "fairness and memory against clients" in text
        assert "Jain: index of the messages of each client" in text.replace("\n", " ")


def _drawings(analysis: Analysis) -> list[Drawing]:
    found = pictures(Subject(analysis.cases, analysis.launches, ()))
    return [Drawing(p.part, p.title, p.says, p.note, drawing.svg_of(p.chart)) for p in found]


def test_a_page_has_a_section_with_pictures_sentences_and_a_table() -> None:
    analysis = _analysis(FLATTENS)
    document = page.page(analysis, _drawings(analysis))
    section = document.partition('<section id="clients"')[2].partition("</section>")[0]
    assert section.count("<figure") == 2
    assert section.count("<table") == 1
    assert section.count("<tr") == 1 + len(analysis.cases)
    assert "4 give no more than 2" in section
    assert "messages vs 1" in section
    assert "1 client: unix 100k/s. 4 clients: unix 190k/s." in document


def test_streams_have_a_picture_of_their_rates_alone() -> None:
    cases = {_case("throughput"): Crowd(1e6), _case("throughput:clients=4"): Crowd(5e5)}
    titles = [one.title for one in _drawings(_analysis(cases)) if one.part == "clients"]
    assert titles == [
        "Messages a second against clients, 64 B, cross-core, python loop, throughput"
    ]


def test_the_csv_has_the_clients_and_all_that_is_told_of_them() -> None:
    analysis = _analysis(_latencies(1e5, Crowd(1.9e5, 0.95, 0.7, 1.3, least_clients=(2,))))
    read = pd.read_csv(io.StringIO(csv_file.csv_text(analysis.cases))).set_index("workload")
    two = read.loc["latency:clients=2"]
    assert (two["clients_count"], two["server_model"], two["in_flight_count"]) == (2, "epoll", 2)
    assert two["crowd_messages_per_s"] == pytest.approx(1.9e5, rel=0.01)
    assert two["messages_per_s"] == two["crowd_messages_per_s"]
    assert (two["fairness_jain_ratio"], two["fairness_least_ratio"]) == (0.95, 0.7)
    assert (two["fairness_least_client"], two["fairness_most_client"]) == (2, 1)
    assert read.loc["latency", "clients_count"] == 1
    assert read.loc[["latency"], "crowd_messages_per_s"].isna().all()
    assert two["messages_count"] == 8 * 100 * 2  # of both clients, in eight launches of a batch


def test_the_rate_of_many_clients_is_no_peak_of_an_open_loop_of_one() -> None:
    analysis = _analysis(_latencies(1e5, 2e5))
    rows = [{str(key): row[key] for key in row} for row in analysis.cases.to_dict("records")]
    loaded = rows[0] | {"workload": "load:rate=1000", "case": "loaded", "messages_per_s": None}
    assert load.peaks([*rows, loaded])["loaded"] == pytest.approx(1e5, rel=0.01)


def test_a_server_that_is_unfair_is_flagged_with_the_least_and_the_most() -> None:
    uneven = Crowd(2e5, 0.7, 0.12, 2.1, least_clients=(4, 2, 4, 3), most_clients=(2,))
    flagged = _analysis(_latencies(1e5, 2e5, uneven))
    (found,) = [one for one in flagged.objections if one.flag == "unfair"]
    assert found.case == "latency:clients=4/unix/64/python/cross-core"
    assert found.says.startswith(
        "of its 4 clients the one with the fewest messages had 0.12 times the mean (client 4, in 4"
        " of 8 launches), and the one with the most 2.10 times the mean (client 2, in each of 8"
        " launches): Jain's index is 0.70"
    )
    cases = {_case("latency:clients=4"): uneven}
    (once,) = [one for one in _analysis(cases, 1).objections if one.flag == "unfair"]
    assert "0.12 times the mean (client 4), and the one with the most 2.10 times" in once.says
    fair = _analysis(_latencies(1e5, 2e5, Crowd(2e5, jain=0.92, least=0.6)))
    assert "unfair" not in {one.flag for one in fair.objections}
