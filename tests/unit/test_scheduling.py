"""Tests that share a run are tried by one process, and all others by whoever is free."""

import pytest

from tests.scheduling import is_tried_by_one


@pytest.mark.parametrize(
    ("module", "is_one"),
    [
        ("tests/unit/test_scheduling.py", True),
        ("tests/integration/test_claims.py", True),
        ("tests/integration/test_bad_input.py", False),
        ("tests/contract/test_transports.py", False),
    ],
)
def test_one_process_tries_what_is_small_or_shares_a_run(module: str, is_one: bool) -> None:
    assert is_tried_by_one(module) is is_one
