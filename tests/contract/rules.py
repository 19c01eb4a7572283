"""The rules of `ipcbench.testing` as this project's own tests: in this process, for speed."""

from pathlib import Path

import pytest

from ipcbench.testing.check import RULES
from ipcbench.testing.subject import NotTried, NotWitnessed, Rule, Subject, Trial
from ipcbench.transports.base import Transport

TRIALS = [
    pytest.param(rule, trial, id="-".join(filter(None, (rule.name, trial.setting))))
    for rule in RULES
    for trial in rule.trials
]


def keep(rule: Rule, trial: Trial, transport: Transport, directory: Path) -> None:
    """Tries one rule. A mechanism of our own whose claim can't be confirmed breaks it."""
    try:
        trial.check(Subject(transport, directory))
    except NotWitnessed as reason:
        pytest.fail(f"{rule.promise}: {reason}")
    except NotTried as reason:
        pytest.skip(str(reason))
