"""What `--vary` and `--grid` measure, and against what."""

import shlex

import pytest

from ipcbench.cli.commands import parser
from ipcbench.cli.compare import USUAL, _line
from ipcbench.cli.requests import request_of, words_of
from ipcbench.errors import UsageError
from ipcbench.run.variation import varied
from tests.asked import plan_of, requested

CONTROLS = ["memcpy", "null"]


def varied_terms(asked: list[str], *, grid: bool) -> list[str]:
    """The transports that these `--vary` mean."""
    return varied(asked, grid=grid).transports


def _measured(*arguments: str) -> list[str]:
    """The transports of a run that is asked for so, in their order."""
    plan = plan_of("compare", *arguments, "--sizes", "64k", "--workloads", "throughput")
    return [case.transport for case in plan.run.cases]


def test_each_value_is_measured_beside_the_default_which_is_the_baseline() -> None:
    varied = ["unix", "unix:sndbuf=4k", "unix:sndbuf=64k"]
    assert _measured("--vary", "unix:sndbuf=4k,64k") == [*varied, *CONTROLS]
    assert plan_of("compare", "--vary", "unix:sndbuf=4k,64k").intent.baseline == "unix"


def test_a_single_value_is_compared_with_the_default() -> None:
    assert _measured("--vary", "unix:sndbuf=4k") == ["unix", "unix:sndbuf=4k", *CONTROLS]


def test_other_transports_are_measured_only_if_they_are_named() -> None:
    varied = ["unix", "unix:sndbuf=4k"]
    assert _measured("pipe", "--vary", "unix:sndbuf=4k") == [*varied, "pipe", *CONTROLS]
    assert _measured("unix", "--vary", "unix:sndbuf=4k") == [*varied, *CONTROLS]


def test_the_baseline_can_be_another_one() -> None:
    plan = plan_of("compare", "pipe", "--vary", "unix:sndbuf=4k", "--baseline", "pipe")
    assert plan.intent.baseline == "pipe"


def test_the_last_knob_is_varied_and_those_before_it_are_kept() -> None:
    assert varied_terms(["unix:rcvbuf=1m:sndbuf=4k,64k"], grid=False) == [
        *("unix:rcvbuf=1m", "unix:sndbuf=4k:rcvbuf=1m", "unix:sndbuf=64k:rcvbuf=1m"),
    ]
    assert varied_terms(["unix:rcvbuf=1m:sndbuf=4k"], grid=False) == [
        *("unix:rcvbuf=1m", "unix:sndbuf=4k:rcvbuf=1m"),
    ]


def test_of_several_lists_one_is_varied_at_a_time() -> None:
    expected = ["unix", "unix:sndbuf=4k", "unix:sndbuf=8k", "unix:rcvbuf=2k", "unix:rcvbuf=4k"]
    assert varied_terms(["unix:sndbuf=4k,8k:rcvbuf=2k,4k"], grid=False) == expected
    assert varied_terms(["unix:sndbuf=4k,8k", "unix:rcvbuf=2k,4k"], grid=False) == expected


def test_a_grid_has_every_combination_and_the_default() -> None:
    expected = [
        "unix",
        *("unix:sndbuf=4k:rcvbuf=2k", "unix:sndbuf=4k:rcvbuf=4k"),
        *("unix:sndbuf=8k:rcvbuf=2k", "unix:sndbuf=8k:rcvbuf=4k"),
    ]
    assert varied_terms(["unix:sndbuf=4k,8k:rcvbuf=2k,4k"], grid=True) == expected
    assert varied_terms(["unix:sndbuf=4k,8k", "unix:rcvbuf=2k,4k"], grid=True) == expected


def test_a_grid_is_of_each_transport_by_itself() -> None:
    found = varied_terms(["unix:sndbuf=4k,8k", "pipe:size=64k,128k"], grid=True)
    assert found == [
        *("unix", "unix:sndbuf=4k", "unix:sndbuf=8k", "pipe", "pipe:size=64k", "pipe:size=128k"),
    ]


def test_a_value_that_is_the_default_is_the_default_and_a_spelling_keeps_its_name() -> None:
    assert varied_terms(["inet:nodelay=on,off"], grid=False) == ["inet", "inet-nagle"]
    assert varied_terms(["null:dummy=0,1"], grid=False) == ["null", "null:dummy=1"]


def test_what_two_of_them_have_in_common_is_measured_once() -> None:
    found = varied_terms(["unix:sndbuf=4k,8k", "unix:sndbuf=8k,16k"], grid=False)
    assert found == ["unix", "unix:sndbuf=4k", "unix:sndbuf=8k", "unix:sndbuf=16k"]


def test_it_is_said_first_how_long_that_takes() -> None:
    plan = plan_of("compare", "--vary", "unix:sndbuf=4k,64k:rcvbuf=4k,64k", "--grid")
    (note,) = plan.notes
    assert note.startswith(f"{len(plan.run.cases)} cases, 7 rounds: about ")


def test_a_grid_that_nobody_could_wait_for_is_refused_before_it_is_spelled() -> None:
    many = ",".join(map(str, range(1, 1001)))
    with pytest.raises(UsageError, match="--grid of unix has 1,000,000 combinations, more than"):
        varied_terms([f"unix:sndbuf={many}:rcvbuf={many}"], grid=True)


@pytest.mark.parametrize("more", ["--rounds=7", "--budget=120m"])
def test_a_grid_of_many_is_measured_if_its_length_is_asked_for(more: str) -> None:
    many = ",".join(f"{number}k" for number in range(1, 16))
    plan = plan_of("compare", "--vary", f"unix:sndbuf={many}:rcvbuf={many}", "--grid", more)
    assert len(plan.run.cases) > 900


@pytest.mark.parametrize(
    "typed",
    [
        "--vary unix:sndbuf=4k,64k",
        "pipe --vary unix:sndbuf=4k,64k --vary unix:rcvbuf=4k --grid --quick",
    ],
)
def test_the_command_to_measure_it_again_asks_for_the_same(typed: str) -> None:
    request = requested("compare", *shlex.split(typed))
    words = words_of(request, USUAL)
    assert request_of(parser().parse_args(["compare", *words]), USUAL) == request
    assert request != USUAL


def test_a_parser_is_none_the_worse_for_what_was_varied_before() -> None:
    assert requested("compare", "--vary", "unix:sndbuf=4k").vary == ("unix:sndbuf=4k",)
    assert requested("compare").vary == ()


def test_the_command_to_measure_it_again_has_no_seed_yet_as_the_run_adds_its_own() -> None:
    request = requested("compare", "--vary", "unix:sndbuf=4k,8k", "--seed", "3")
    line = _line("ipcbench compare", ["ipcbench", "compare", "as typed"], request, USUAL)
    assert line.again == "ipcbench compare --vary unix:sndbuf=4k,8k"
