"""Known traps are flagged by their signature, and only by it."""

import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ipcbench.analysis import launch_frame
from ipcbench.analysis.warnings import objections
from ipcbench.case import Case
from ipcbench.errors import ResultsError
from ipcbench.results import store
from ipcbench.terms import Term
from ipcbench.transports.catalogue import explained
from ipcbench.transports.registry import get_transport, transports
from tests.replay import replayed

ROOT = Path(__file__).parent.parent.parent
TRAPS = {"delayed-ack", "one-message-fills-it", "off-its-neighbours"}

NAGLE: dict[str, Any] = {
    "knobs_client": "nodelay=off:congestion=bbr",
    "knobs_server": "nodelay=off:congestion=bbr",
    "cpu_user_client_s_per_message": 1e-5,
    "cpu_system_client_s_per_message": 1e-5,
    "cpu_user_server_s_per_message": 1e-5,
    "cpu_system_server_s_per_message": 1e-5,
}
"""Launches of TCP with Nagle's algorithm whose ends are idle."""
PIPE: dict[str, Any] = {
    "knobs_client": "size=64k",
    "client_pipe_size_bytes": 65536,
    "voluntary_switches_client_per_message": 0.9,
}
"""Launches of a pipe whose writer sleeps in nearly every message."""


def _trapped(times: dict[str, float], **columns: Any) -> dict[tuple[str, str], str]:
    """The traps that cases with these times are in; columns are metadata of every launch."""
    results, _, _ = replayed({Case.parse(case): [[time]] * 2 for case, time in times.items()}, 2)
    launches = launch_frame.launches(results)
    for name, value in columns.items():
        launches[name] = value
    return {
        (one.flag, one.case): one.says for one in objections(results, launches) if one.flag in TRAPS
    }


def _named(times: dict[str, float], **columns: Any) -> list[tuple[str, str]]:
    return [(flag, case.split("/")[2]) for flag, case in _trapped(times, **columns)]


def test_a_delayed_ack_is_told_with_its_neighbour_and_its_remedy() -> None:
    times = {"latency/mp-connection-inet/16k": 28e-6, "latency/mp-connection-inet/16385": 42e-3}
    ((key, says),) = _trapped(times, **NAGLE).items()
    assert key == ("delayed-ack", "latency/mp-connection-inet/16385/python/cross-core")
    assert says == (
        "it takes 42.0 ms, and 28.0 µs at 16 KiB: Nagle's algorithm holds the rest of a message"
        " back until a delayed ACK comes, after 40 ms; set nodelay=on at both ends, or send each"
        " message in one write"
    )


@pytest.mark.parametrize("time_s", [39e-3, 42e-3, 54e-3, 77e-3, 88e-3])
def test_one_stall_or_two_are_a_delayed_ack_without_a_neighbour_too(time_s: float) -> None:
    case = {"latency/mp-connection-inet/20000": time_s}
    assert _named(case, **NAGLE) == [("delayed-ack", "20000")]


@pytest.mark.parametrize("time_s", [1e-3, 20e-3, 150e-3, 1.0])
def test_another_time_is_no_delayed_ack(time_s: float) -> None:
    assert _named({"latency/mp-connection-inet/20000": time_s}, **NAGLE) == []


@pytest.mark.parametrize(("time_s", "is_told"), [(25e-3, True), (5e-3, True), (2e-3, False)])
def test_a_mean_of_some_stalls_is_told_beside_a_fast_neighbour(
    time_s: float, is_told: bool
) -> None:
    times = {"latency/inet-nagle/16k": 28e-6, "latency/inet-nagle/17k": time_s}
    assert (("delayed-ack", "17k") in _named(times, **NAGLE)) == is_told


def test_a_stream_that_ends_with_a_stall_in_each_batch_is_told() -> None:
    ((_, says),) = _trapped(
        {"throughput/inet-nagle/2k": 420e-6}, **NAGLE | {"messages_count": 100}
    ).items()
    assert says.startswith("100 messages take 42.0 ms: Nagle's algorithm holds the rest of a")


@pytest.mark.parametrize(
    "other",
    [
        {"knobs_client": "nodelay=on", "knobs_server": "nodelay=on"},
        {"knobs_client": "sndbuf=208k", "knobs_server": "sndbuf=208k"},
        {"cpu_user_client_s_per_message": 30e-3},
        {"cpu_user_client_s_per_message": None},
    ],
    ids=["no delay", "not TCP", "busy", "unknown"],
)
def test_forty_milliseconds_for_another_reason_are_no_delayed_ack(other: dict[str, Any]) -> None:
    assert _named({"latency/mp-connection-inet/20000": 42e-3}, **NAGLE | other) == []


def test_nagle_at_one_end_is_enough() -> None:
    one_end = NAGLE | {"knobs_client": "nodelay=on"}
    assert _named({"latency/mp-connection-inet/20000": 42e-3}, **one_end)


def test_an_early_file_tells_nagle_in_its_evidence() -> None:
    early = {name: value for name, value in NAGLE.items() if not name.startswith("knobs")}
    early["evidence"] = "proved: TCP over IPv4: 127.0.0.1:1 <-> 127.0.0.1:2, Nagle"
    assert _named({"latency/inet-nagle/20000": 42e-3}, **early)
    early["evidence"] = early["evidence"].replace("Nagle", "no delay")
    assert not _named({"latency/inet-nagle/20000": 42e-3}, **early)


def test_a_message_that_fills_its_pipe_is_told_with_a_size_that_would_do() -> None:
    ((key, says),) = _trapped(
        {"throughput/pipe/32k": 2e-5, "throughput/pipe/64k": 1e-4}, **PIPE
    ).items()
    assert key == ("one-message-fills-it", "throughput/pipe/64k/python/cross-core")
    assert says == (
        "one message of 64 KiB fills the pipe of 64 KiB: its writer sleeps 0.9 times a message; try"
        " size=128k, or smaller messages"
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"knobs_client": "sndbuf=64k"},
        {"knobs_client": None, "client_so_sndbuf_bytes": 65536},
    ],
    ids=["knobs", "early file"],
)
def test_a_message_that_fills_its_send_buffer_is_told(columns: dict[str, Any]) -> None:
    sleeping = columns | {"voluntary_switches_client_per_message": 0.9}
    ((_, says),) = _trapped({"throughput/unix/64k": 1e-4}, **sleeping).items()
    assert says.startswith("one message of 64 KiB fills the send buffer of 64 KiB: its sender")


@pytest.mark.parametrize(
    ("case", "columns"),
    [
        ("throughput/pipe/32k", {}),
        ("throughput/pipe/64k", {"knobs_client": "size=1m"}),
        ("throughput/pipe/64k", {"voluntary_switches_client_per_message": 0.1}),
        ("latency/pipe/64k", {"voluntary_switches_client_per_message": 1.0}),
        ("throughput/pipe/64k/python/same-core", {}),
        ("throughput/pipe/64k/python/cpus-1-1", {}),
    ],
    ids=["it fits", "larger pipe", "doesn't sleep", "sleeps for the reply", "one core", "one CPU"],
)
def test_a_message_that_costs_no_sleep_fills_nothing(case: str, columns: dict[str, Any]) -> None:
    assert _named({case: 1e-4}, **PIPE | columns) == []


def test_a_file_without_switches_is_judged_by_sizes_alone() -> None:
    sizes = {"client_pipe_size_bytes": 65536}
    assert _named({"throughput/pipe/64k": 1e-4}, **sizes) == [("one-message-fills-it", "64k")]


@pytest.mark.parametrize(
    ("times", "off"),
    [
        ({"1k": 1.0, "4k": 60.0, "16k": 10.0}, ["4k"]),
        ({"1k": 1.0, "2k": 11.0}, ["2k"]),
        ({"1k": 6.0, "2k": 1.0}, ["1k"]),
        ({"1k": 1.0, "2k": 9.0}, []),
        ({"1k": 4.0, "2k": 1.0}, []),
        ({"64": 1.0, "64k": 1000.0}, []),
        ({"64": 1.0}, []),
    ],
    ids=["peak", "above a line", "above the larger", "twice", "slower", "in proportion", "alone"],
)
def test_a_size_far_off_its_neighbours_is_told(times: dict[str, float], off: list[str]) -> None:
    cases = {f"throughput/inet/{size}": time * 1e-5 for size, time in times.items()}
    assert _named(cases) == [("off-its-neighbours", size) for size in off]


def test_how_far_a_size_is_off_is_told_in_words() -> None:
    ((_, says),) = _trapped({"latency/unix/1k": 1e-3, "latency/unix/1025": 1e-5}).items()
    assert says == (
        "it takes 1.00 ms, and 10.0 µs at 1,025 B, which is 100x what that lets expect; measure"
        " sizes between them, and don't draw a line through it"
    )


def test_neighbours_are_of_the_same_workload_transport_loop_and_placement() -> None:
    times = {
        "latency/unix/1k": 1.0,
        "throughput/unix/2k": 1e-3,
        "latency/pipe/2k": 1e-3,
        "latency/unix/2k/native": 1e-3,
        "latency/unix/2k/python/same-core": 1e-3,
    }
    assert _named(times) == []


def test_a_trap_with_a_name_is_not_told_twice() -> None:
    times = {"throughput/pipe/4k": 1e-6, "throughput/pipe/64k": 1e-3}
    assert _named(times, **PIPE) == [("one-message-fills-it", "64k")]


def _committed() -> list[Path]:
    """The result files that belong to the checkout; local runs lie beside them."""
    listing = ["git", "ls-files", "results/*/*/*.json"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no checkout by git")
    return [ROOT / line for line in done.stdout.splitlines()]


def test_in_the_committed_results_only_what_a_message_fills_is_flagged() -> None:
    found = []
    for path in _committed():
        try:
            results = store.load(path)
        except ResultsError:
            assert path.name.startswith(("reference", "footprint"))  # times of C programs
            continue
        launches = launch_frame.launches(results)
        found += [one for one in objections(results, launches) if one.flag in TRAPS]
    assert {(one.flag, Case.parse(one.case)[:3]) for one in found} == {
        ("one-message-fills-it", (workload, name, 65536))
        for workload, name in (
            *(("throughput", "pipe"), ("throughput", "fifo")),
            *(("throughput", "unix:sndbuf=4k"), ("latency", "unix:sndbuf=4k")),
        )
    }
    assert {Case.parse(one.case).placement for one in found} == {"cross-core"}


def test_no_launches_are_in_no_trap() -> None:
    results, _, _ = replayed({Case.parse("latency/unix/64"): ["boom"]}, rounds=1)
    assert objections(results, pd.DataFrame()) == []


@pytest.mark.parametrize("name", [one.name for one in transports() if one.traps])
def test_a_trap_is_avoided_by_a_knob_of_its_transport(name: str) -> None:
    transport = get_transport(name)
    known = {knob.name for knob in transport.all_knobs}
    for trap in transport.traps:
        assert {knob for knob, _ in Term.parse(f"-:{trap.avoided_by}").settings} <= known


def _explained(name: str) -> str:
    return "\n".join(explained(name, lambda _: None, lambda _: "not asked"))


@pytest.mark.parametrize(
    "name", ["mp-connection-inet", "inet-nagle", "inet6:nodelay=off", "http-std-default-inet"]
)
def test_explain_names_the_delayed_ack_and_the_knob_that_avoids_it(name: str) -> None:
    (line,) = [line for line in _explained(name).splitlines() if "trap delayed-ack" in line]
    assert line.endswith(
        "avoid it by " + Term.parse(name).name.removesuffix("-nagle") + ":nodelay=on"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("inet", "mp-connection-inet:nodelay=on", "http-std-inet", "http-std-default-unix"),
        "http-std-default-inet6:nodelay=on",
    ],
)
def test_without_nagle_there_is_no_trap_of_delayed_acks(name: str) -> None:
    assert "trap delayed-ack" not in _explained(name)


def test_explain_pipe_names_the_message_that_fills_it() -> None:
    (line,) = [line for line in _explained("pipe").splitlines() if "trap" in line]
    assert line.endswith("avoid it by pipe:size=1m")


def test_the_page_on_traps_has_a_row_for_each_flag_and_a_heading_for_each_trap() -> None:
    text = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")
    assert {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")} == TRAPS
    named = {trap.name for transport in transports() for trap in transport.traps}
    assert named == TRAPS - {"off-its-neighbours"} | {"congestion-control"}
    assert text.count("\n## ") == len(TRAPS) + 1
