"""The table of options: what is measured is a request, and a request is a command again."""

import re
from dataclasses import fields

import pytest

from ipcbench.cli.compare import USUAL, USUAL_CLAIMS
from ipcbench.cli.ladder import USUAL_LADDER
from ipcbench.cli.options import OPTIONS
from ipcbench.cli.requests import words_of
from ipcbench.errors import UsageError
from ipcbench.run.request import Request
from tests.asked import requested

_NOT_TYPED = {
    *("question", "transports", "usual_transports", "usual_placements", "only"),
    *("at_first", "at_last", "first_size", "last_placement"),
}


def test_the_options_of_what_is_measured_are_the_fields_of_a_request() -> None:
    measured = {option.dest for option in OPTIONS.values() if option.scope == "measured"}
    assert measured == {field.name for field in fields(Request)} - _NOT_TYPED


def test_no_argument_asks_for_the_usual() -> None:
    assert requested("compare") == USUAL == Request()
    assert requested("claims") == USUAL_CLAIMS
    assert requested("ladder") == USUAL_LADDER


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ("unix", "unix"),
        ("", ""),
        ("-o run.json unix --csv - --html=run.html --force --sizes 64", "unix --sizes 64"),
        ("-orun.json --save a --against=b --events c --svg e --png f", ""),
        ("--markdown d --no-lock --quiet --details", ""),
        ("--seed=5 --quick @sockets", "@sockets --quick --seed 5"),
        ("--budget 2m --target 0.5% --rigorous", "--rigorous --budget 120s --target 0.5%"),
        ("--min-time 7ms --timeout 90 --rounds 3", "--rounds 3 --min-time 7ms --timeout 90s"),
        ("pipe --matrix --loop native", "pipe --loop native --matrix"),
        ("--sizes 65536,100 --workloads connect", "--sizes 64k,100 --workloads connect"),
        ("--placement same-core,free --warmups 0", "--placement same-core,free --warmups 0"),
        ("--python /no/python,b=c", "--python python=/no/python,b=c"),
        ("pipe unix --baseline pipe --values 4", "pipe unix --values 4 --baseline pipe"),
    ],
)
def test_the_command_again_asks_for_the_same_and_writes_nothing(given: str, again: str) -> None:
    request = requested("compare", *given.split())
    assert " ".join(words_of(request, USUAL)) == again
    assert requested("compare", *again.split()) == request


def test_the_ladders_command_again_names_its_rungs_and_families() -> None:
    given = "--rungs raw,http-std --families inet6 --sizes 1k --quick --budget 60s"
    request = requested("ladder", *given.split())
    words = words_of(request, USUAL_LADDER)
    assert (
        " ".join(words) == "--sizes 1k --families inet6 --rungs raw,http-std --quick --budget 60s"
    )
    assert requested("ladder", *words) == request


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--rungs=framd", "unknown rung 'framd'; did you mean 'framed'?"),
        ("--families=inet5", "unknown family 'inet5'"),
        ("--rungs=raw,raw", "rung 'raw' is named twice"),
    ],
)
def test_a_name_that_is_no_rung_or_family_is_refused(option: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        requested("ladder", option)
