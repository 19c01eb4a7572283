"""Fixtures for all tests: nothing may be left behind, and the hypothesis profile."""

import secrets
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.leaks import MARK, nothing_left

collect_ignore = ["data"]  # its packages have tests of their own

# The tests share two cores with what they measure: a slow example says nothing about the code.
settings.register_profile("ipcbench", deadline=None)
settings.load_profile("ipcbench")


@pytest.fixture(autouse=True)
def leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """No process, segment, semaphore, queue, socket file or directory outlives a test."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    # The lock of these tests' runs is not the one that the user's own run may hold.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.getbasetemp()))
    with nothing_left(mark):
        yield
