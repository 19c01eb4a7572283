"""Upgrades what files of earlier formats hold, as they are read. Pure.

Format 1: `evidence` is "OUTCOME: reason" and has no outcome of its own, and the question that a run
was to answer stands in its command alone.
"""

import re
from collections.abc import Mapping
from typing import Any

from ipcbench.results.metadata import (
    EVIDENCE_KEY,
    FORMAT_KEY,
    OUTCOME_KEY,
    OUTCOMES,
    QUESTION_KEY,
)

_SCRIPT = re.compile(r"bench/([A-Za-z0-9_-]+)\.py\b")

FORMAT = 2
"""Version of the "ipcbench" part and of the metadata's names; a higher one can't be read."""
READABLE = (1, FORMAT)
"""Formats that can be read: the current one, and those upgraded here."""


def upgraded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a launch in the current format, from any readable one."""
    known = dict(metadata)
    if known.get(FORMAT_KEY) == 1:
        known[FORMAT_KEY] = FORMAT
        outcome = _outcome(known.get(EVIDENCE_KEY))
        if outcome is not None:
            known.setdefault(OUTCOME_KEY, outcome)
        command = known.get("command")
        if isinstance(command, str):
            known.setdefault(QUESTION_KEY, _question(command))
    return known


def _outcome(evidence: object) -> str | None:
    """The outcome that a text of format 1 begins with; None for another text, or none."""
    text = str(evidence)
    return next((outcome for outcome in OUTCOMES if text.startswith(f"{outcome}:")), None)


def _question(command: str) -> str:
    """The question of a command of format 1: `ipcbench claims ...` or `bench/latency.py ...`."""
    script = _SCRIPT.match(command)
    if script is not None:
        return script[1]
    return "claims" if command.split()[:2] == ["ipcbench", "claims"] else "compare"
