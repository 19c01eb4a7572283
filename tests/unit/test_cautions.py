"""What `diff` says of two runs whose surroundings differ."""

from collections.abc import Mapping

import pytest

from ipcbench.analysis.cautions import cautions
from ipcbench.case import Case
from ipcbench.results import metadata
from ipcbench.results.keys import Key
from ipcbench.results.launches import Scalar
from ipcbench.results.store import Metadata, Results
from tests.replay import RUN_METADATA, launch, replayed

UNIX, INET, PIPE = (Case("latency", name, 64) for name in ("unix", "inet", "pipe"))


def _run(facts: Mapping[str, Scalar] | None = None, *cases: Case) -> Results:
    recorded = {case: [[1e-5]] for case in cases or (UNIX,)}
    return replayed(recorded, 1, facts=dict(facts or {}))[0]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("governor", "performance", "powersave", "CPU governor differs: performance and powersave"),
        ("client_so_sndbuf_bytes", 212992, 425984, "client's SO_SNDBUF differs: 208 KiB"),
        ("server_so_rcvbuf_bytes", 212992, 425984, "server's SO_RCVBUF differs: 208 KiB"),
        ("client_so_rcvbuf_bytes", 1024, 2048, "client's SO_RCVBUF differs: 1 KiB and 2 KiB"),
        ("server_so_sndbuf_bytes", 1024, 2048, "server's SO_SNDBUF differs: 1 KiB and 2 KiB"),
        ("client_pipe_size_bytes", 65536, 8192, "client's pipe differs: 64 KiB and 8 KiB"),
        ("server_pipe_size_bytes", 65536, 8192, "server's pipe differs: 64 KiB and 8 KiB"),
        ("cpu_client", 0, 1, "client's CPU differs: 0 and 1"),
        ("cpu_server", 1, 0, "server's CPU differs: 1 and 0"),
        ("python_build", "release", "debug", "Python's build differs: release and debug"),
        ("python_gil", "on", "off", "GIL differs: on and off"),
        ("python", "CPython 3.13.0", "CPython 3.13.0 free-threaded", "Python differs: CPython"),
        ("knobs_client", "congestion=bbr", "congestion=cubic", "congestion at the client differs"),
        ("knobs_server", "congestion=bbr", "congestion=cubic", "congestion at the server differs"),
        ("cgroup_cpu_quota", "none", "0.5 CPUs: 0.05 s of every 0.1 s", "CPU quota differs: none"),
        ("cgroup_memory_limit_bytes", "none", 2**28, "memory limit of the cgroup differs: 256 MiB"),
        ("cgroup_memory_limit_bytes", 2**28, "none", "memory limit of the cgroup differs: 256 MiB"),
        ("clock_source", "tsc", "hpet", "clock source differs: tsc and hpet"),
        ("cache_l3_bytes", 2**25, 2**26, "L3 cache differs: 32 MiB and 64 MiB"),
    ],
)
def test_a_fact_that_differs_is_one_caution(name: str, old: Scalar, new: Scalar, says: str) -> None:
    said = cautions(_run({name: old}), _run({name: new}))
    assert len(said) == 1
    wanted = says if name != "cgroup_memory_limit_bytes" else says.partition(":")[0]
    assert said[0].startswith(wanted)
    assert cautions(_run({name: old}), _run({name: old})) == []


_PAIRS: tuple[tuple[Scalar, Scalar], ...] = (
    *((1, 2), ("on", "off"), ("threads", "fork"), ("a", "b")),
)
"""Unequal values of a fact, of each kind that there is."""


@pytest.mark.parametrize("key", metadata.CAUTIONED, ids=lambda key: key.name)
def test_every_row_that_cautions_does(key: Key) -> None:
    values: tuple[Scalar, Scalar] = ("size=4k", "size=8k")
    if key.name not in (metadata.CLIENT_KNOBS_KEY, metadata.SERVER_KNOBS_KEY):
        rule = metadata.rule_of(key.name)
        values = next(pair for pair in _PAIRS if rule.fits(pair[0]))
    runs = []
    for value in values:
        run = replayed({UNIX: [[1e-5]]}, 1, facts={key.name: value})[0]
        # What a worker records comes over what its run does.
        assert run.suite is not None
        for bench in run.suite:
            bench.update_metadata({key.name: value})
        runs.append(run)
    (said,) = cautions(*runs)
    assert key.words in said or " at the " in said


def test_the_cases_in_which_a_fact_of_launches_differs_are_told() -> None:
    old = _run({"client_so_sndbuf_bytes": 1024}, UNIX, INET)
    new = _run({"client_so_sndbuf_bytes": 2048}, UNIX, INET)
    (said,) = cautions(old, new)
    first = next(old.launches()).case.id
    assert said == f"client's SO_SNDBUF differs: 1 KiB and 2 KiB ({first} and 1 more case)"


def test_a_buffer_that_the_kernel_tunes_is_the_same_where_one_launch_agrees() -> None:
    def run(*sizes: int) -> Results:
        results = Results()
        for number, size in enumerate(sizes, 1):
            facts: Metadata = {
                "round": number,
                "run_elapsed_s": 1.0,
                "server_so_rcvbuf_bytes": size,
            }
            results.add_launch(UNIX, launch(UNIX, [1e-5]), RUN_METADATA | facts)
        return results

    assert cautions(run(1024, 2048), run(2048, 4096)) == []
    assert len(cautions(run(1024, 2048), run(3072, 4096))) == 1


def test_only_cases_that_both_have_are_compared() -> None:
    old = _run({"client_pipe_size_bytes": 65536}, UNIX)
    new = _run({"client_pipe_size_bytes": 8192}, PIPE)
    assert cautions(old, new) == []


def test_a_knob_whose_size_is_a_fact_of_its_own_is_told_once() -> None:
    runs = [
        _run({"client_so_sndbuf_bytes": size * 1024, "knobs_client": f"sndbuf={size}k:nodelay=on"})
        for size in (4, 8)
    ]
    (said,) = cautions(*runs)
    assert said.startswith("client's SO_SNDBUF differs: 4 KiB and 8 KiB")


def test_a_flag_that_the_kernel_changes_as_it_likes_is_no_caution() -> None:
    runs = [_run({"knobs_client": f"quickack={value}"}) for value in ("on", "off")]
    assert cautions(*runs) == []


def test_buffers_that_tcp_tunes_are_no_caution_unless_they_were_asked_for() -> None:
    def said(asked: str | None, others: str) -> list[str]:
        facts: list[Metadata] = [{"knobs_client": f"sndbuf={n}k{others}"} for n in (4, 8)]
        more: Metadata = {} if asked is None else {"knobs_asked": asked}
        return cautions(*(_run(one | more) for one in facts))

    assert said(None, ":congestion=bbr") == []
    assert said("nodelay=off", ":congestion=bbr") == []
    assert len(said("sndbuf=2k", ":congestion=bbr")) == 1
    assert len(said(None, "")) == 1


def test_of_a_long_list_only_the_entries_that_differ_are_told() -> None:
    both = "retbleed: Vulnerable; spectre_v1: Mitigation: barriers"
    old = _run({"cpu_mitigations": f"{both}; spectre_v2: Mitigation: Retpolines"})
    new = _run({"cpu_mitigations": both})
    assert cautions(old, new) == [
        "mitigations differ: spectre_v2: Mitigation: Retpolines and nothing"
    ]


def test_sizes_that_differ_by_a_byte_are_told_apart() -> None:
    runs = [_run({"client_so_sndbuf_bytes": size}) for size in (4194304, 4194305)]
    (said,) = cautions(*runs)
    assert "4 MiB and 4194305 B" in said


def test_what_one_file_lacks_is_no_caution_but_where_it_matters_and_that_is_said_once() -> None:
    new: Metadata = {
        "cgroup_cpu_quota": "none",
        "python_build": "release",
        "knobs_client": "congestion=bbr",
        "knobs_server": "congestion=bbr",
        "cpu_kinds": "alike",
        "container": "none",
        "timer_slack_s": 5e-5,
    }
    lacked = "CPU quota, Python's build, knobs in force (congestion control)"
    unseen = "a difference there can't be seen"
    assert cautions(_run(), _run(new)) == [f"not recorded in OLD: {lacked}; {unseen}"]
    assert cautions(_run(new), _run()) == [f"not recorded in NEW: {lacked}; {unseen}"]
    assert cautions(_run(), _run()) == []
