"""Hands tests out to processes side by side: one at a time, and what belongs together together.

A process that tries some of the tests that share a run makes the run for them; so one tries them
all. Small tests of a module are tried together, too: to hand them out takes longer than they do.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).parent.parent
_SHARED = 'scope="module"'


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands the tests out in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # what takes long is first, see conftest

    def _split_scope(self, nodeid: str) -> str:
        module, *_ = nodeid.partition("::")
        return module if is_tried_by_one(module) else nodeid


@cache
def is_tried_by_one(module: str) -> bool:
    """Whether one process has all tests of a module, given by its path from the project's root."""
    is_small = module.startswith("tests/unit/")
    return is_small or _SHARED in (_ROOT / module).read_text(encoding="utf-8")
