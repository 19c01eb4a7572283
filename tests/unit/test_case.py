import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcbench.case import PLACEMENTS, Case
from ipcbench.errors import UsageError
from ipcbench.run.choice import plan
from ipcbench.run.driver import shuffled_groups
from ipcbench.workloads import DEFAULT_WORKLOADS, WORKLOADS

CASES = st.builds(
    Case,
    workload=st.sampled_from(WORKLOADS),
    transport=st.from_regex(r"[a-z][a-z0-9-]*", fullmatch=True),
    message_size_bytes=st.integers(min_value=1, max_value=2**40),
    placement=st.sampled_from(PLACEMENTS),
    interpreter=st.sampled_from(("", "head", "python3.13", "a" * 64)),
)


def test_an_id_names_all_five_parts() -> None:
    assert Case("latency", "unix", 1024).id == "latency/unix/1k/python/cross-core"


def test_an_interpreter_is_a_sixth_part_where_it_has_a_label() -> None:
    head = Case("latency", "unix", 1024, interpreter="head")
    assert head.id == "latency/unix/1k/python/cross-core/head"
    assert Case.parse("latency/unix/1k/python/cross-core").interpreter == ""


@given(CASES)
def test_a_case_survives_its_id(case: Case) -> None:
    assert Case.parse(case.id) == case


def test_loop_and_placement_may_be_left_out() -> None:
    assert Case.parse("throughput/pipe/64") == Case("throughput", "pipe", 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("unix", "is not a case"),
        ("latency//64", "is not a case"),
        ("latency/unix/64/python/free/head/more", "is not a case"),
        ("latency/unix/64/python/free/", "is not a case"),
        ("latency/unix/64/python/free/-x", "'-x' can't be an interpreter's label"),
        ("latencies/unix/64", "did you mean 'latency'"),
        ("latency/unix/64/pyton", "did you mean 'python'"),
        ("latency/unix/64/python/crosscore", "did you mean 'cross-core'"),
        ("latency/unix/00", "'00'"),
    ],
)
def test_a_bad_id_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Case.parse(text)


def test_a_plan_holds_every_combination_once_in_table_order() -> None:
    cases = plan(["unix", "pipe"], ["latency", "throughput"], [64, 1024])
    assert [case.id.removesuffix("/python/cross-core") for case in cases] == [
        "latency/unix/64",
        "latency/pipe/64",
        "latency/unix/1k",
        "latency/pipe/1k",
        "throughput/unix/64",
        "throughput/pipe/64",
        "throughput/unix/1k",
        "throughput/pipe/1k",
    ]


def test_a_round_is_a_permutation_that_seed_and_number_decide() -> None:
    cases = plan(["unix", "pipe", "inet"], WORKLOADS, [64, 1024, 4096])
    first, again, second = (
        [case for group in shuffled_groups(cases, 3, number, 4) for case in group]
        for number in (1, 1, 2)
    )
    assert first == again
    assert first != second
    assert sorted(first) == sorted(second) == sorted(cases)


def test_what_a_table_compares_is_one_group_unless_it_is_too_large() -> None:
    cases = plan(["unix", "pipe", "inet"], DEFAULT_WORKLOADS, [64, 1024])
    for group in shuffled_groups(cases, 3, 1, most=3):
        assert len(group) == 3
        assert len({(case.workload, case.message_size_bytes) for case in group}) == 1
    assert sorted(map(len, shuffled_groups(cases, 3, 1, most=2))) == [1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("most", [2, 3, 4, 5, 12])
@pytest.mark.parametrize("labels", [("base", "head"), ("a", "b", "c")])
def test_what_several_interpreters_measure_stands_side_by_side(
    most: int, labels: tuple[str, ...]
) -> None:
    plain = plan(["unix", "pipe", "inet", "null", "memcpy"], ["latency"], [64])
    cases = [case._replace(interpreter=label) for case in plain for label in labels]
    for number in range(5):
        groups = shuffled_groups(cases, 3, number, most)
        assert sorted(case for group in groups for case in group) == sorted(cases)
        assert max(map(len, groups)) <= most
        for group in groups if most >= len(labels) else ():
            names = [case.transport for case in group]
            assert names == sorted(names, key=names.index), "a case stands between"
            assert all(names.count(name) == len(labels) for name in names)


def test_without_interpreters_the_order_of_a_seed_is_what_it_was() -> None:
    cases = plan(["unix", "pipe", "inet", "null", "memcpy"], ["latency"], [64])
    order = [[case.transport for case in group] for group in shuffled_groups(cases, 3, 1, 2)]
    assert order == [["pipe", "null"], ["inet", "memcpy"], ["unix"]]
