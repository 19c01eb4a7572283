"""A request is data: it goes through JSON, and tells in what it differs from another."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from ipcbench.errors import ResultsError
from ipcbench.run.request import Request

LARGE = Request(
    question="claims",
    transports=("unix", "@sysv"),
    usual_transports=("pipe",),
    vary=("unix:sndbuf=4k,64k", "pipe:size=64k"),
    grid=True,
    rungs=("raw", "raw:delay=5us"),
    families=("inet6",),
    concurrency=(1, 8),
    at_first=("inet",),
    at_last=("inet6",),
    first_size=("latency:work=1ms",),
    last_placement=("latency:gap=10ms",),
    only={"latency": ("unix", "pipe"), "latency:gap=10ms": ("inet",), "connect": ()},
    workloads=("connect", "latency"),
    rates=("10%", "0.0125%", "10000"),
    arrivals=("constant", "poisson"),
    in_flight=8,
    server="epoll",
    work="100us",
    objective="p99<200us",
    sizes=(64, 100),
    loops=("native", "python"),
    placements=("same-core", "cpus-0-1"),
    usual_placements=("free",),
    cpus=(0, 3),
    matrix=True,
    pythons=("base=a/bin/python", "head=/b c/bin/python"),
    baseline="unix",
    seed=7,
    preset="rigorous",
    rounds=3,
    values=4,
    warmups=0,
    min_time_s=0.25,
    timeout_s=5.0,
    target_ratio=0.01,
    budget_s=60.0,
)


@pytest.mark.parametrize("request_", [Request(), LARGE])
def test_a_request_is_read_back_as_it_was_written(request_: Request) -> None:
    assert Request.parse(json.loads(json.dumps(request_.as_json()))) == request_


@pytest.mark.parametrize("field", [field.name for field in fields(Request)])
def test_every_field_makes_a_difference_that_is_named(field: str) -> None:
    if field == "seed":
        assert replace(LARGE, seed=8).difference(LARGE) == "another seed"
    else:
        usual = replace(LARGE, **{field: getattr(Request(), field)})
        assert usual.difference(LARGE)


def test_a_seed_left_open_and_the_order_of_names_make_no_difference() -> None:
    assert replace(LARGE, seed=None).difference(LARGE) is None
    assert replace(LARGE, transports=("@sysv", "unix")).difference(LARGE) is None


def test_where_an_interpreter_is_makes_no_difference_but_which_it_is_does() -> None:
    moved = replace(LARGE, pythons=("base=c/bin/python", "head=python3"))
    assert moved.difference(LARGE) is None
    turned = replace(LARGE, pythons=tuple(reversed(LARGE.pythons)))
    assert turned.difference(LARGE) == "other interpreters"


def test_a_request_of_before_loads_is_read() -> None:
    data = Request().as_json()
    for later in ("rates", "arrivals", "in_flight", "work", "objective"):
        del data[later]
    assert Request.parse(data) == Request()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"rates": ["10k"]}, {"rates": ["-5%"]}, {"rates": "10%"}, {"arrivals": ["bursts"]}),
        *({"in_flight": 0}, {"work": 5}, {"objective": 7}),
    ],
)
def test_what_no_load_can_be_asked_for_is_not_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ResultsError, match="its request can't be read"):
        Request.parse(Request().as_json() | wrong)


def test_a_request_of_before_interpreters_is_read() -> None:
    data = replace(LARGE, pythons=()).as_json()
    del data["pythons"]
    assert Request.parse(data) == replace(LARGE, pythons=())


def test_a_request_of_before_the_ladder_is_read() -> None:
    before = replace(LARGE, rungs=(), families=(), at_first=())
    data = before.as_json()
    for name in ("rungs", "families", "at_first"):
        del data[name]
    assert Request.parse(data) == before


def test_a_request_of_before_many_clients_is_read() -> None:
    before = replace(LARGE, concurrency=(), at_last=())
    data = before.as_json()
    del data["concurrency"], data["at_last"]
    assert Request.parse(data) == before


def test_a_request_of_before_sizes_and_placements_of_workloads_is_read() -> None:
    before = replace(LARGE, first_size=(), last_placement=())
    data = before.as_json()
    del data["first_size"], data["last_placement"]
    assert Request.parse(data) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("question", ""),
        ("transports", "unix"),
        ("transports", [7]),
        ("vary", "unix:sndbuf=4k,64k"),
        ("grid", 1),
        ("only", []),
        ("only", {"talking": ["unix"]}),
        ("rungs", "raw"),
        ("families", ["ipx"]),
        ("at_first", [7]),
        ("only", {"latency:gap=0": ["unix"]}),
        ("first_size", ["talking"]),
        ("last_placement", ["latency:gap=0"]),
        ("workloads", ["talking"]),
        ("sizes", [0]),
        ("sizes", [True]),
        ("loops", ["ruby"]),
        ("placements", ["moon"]),
        ("cpus", [0]),
        ("cpus", [0, -1]),
        ("matrix", 1),
        ("pythons", "a=b"),
        ("pythons", ["/a/bin/python"]),
        ("pythons", ["-x=/a/bin/python"]),
        ("seed", -1),
        ("preset", "lazy"),
        ("preset", ["quick"]),
        ("rounds", 0),
        ("warmups", None),
        ("min_time_s", 0),
        ("timeout_s", float("inf")),
        ("target_ratio", "2%"),
    ],
)
def test_what_is_no_request_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ResultsError, match="request"):
        Request.parse(LARGE.as_json() | {field: value})


@pytest.mark.parametrize("data", [None, [], {}, LARGE.as_json() | {"more": 1}])
def test_what_has_other_fields_is_no_request(data: object) -> None:
    with pytest.raises(ResultsError, match="request"):
        Request.parse(data)


def test_a_request_of_before_anything_could_be_varied_is_read() -> None:
    before = LARGE.as_json()
    del before["vary"], before["grid"]
    assert Request.parse(before) == replace(LARGE, vary=(), grid=False)
