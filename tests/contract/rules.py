"""The rules of `ipcbench.testing` as this project's own tests: in this process, for speed.

gRPC's are tried in processes of their own. A death that breaks into a call leaves gRPC at work in
this process, and no fork of such a one can use it.
"""

from functools import partial
from pathlib import Path

import pytest

from ipcbench.testing.check import RULES
from ipcbench.testing.isolation import isolated
from ipcbench.testing.subject import PATIENCE_S, NotTried, NotWitnessed, Rule, Subject, Trial
from ipcbench.transports.base import Transport

TRIALS = [
    pytest.param(rule, trial, id="-".join(filter(None, (rule.name, trial.setting))))
    for rule in RULES
    for trial in rule.trials
]


def keep(rule: Rule, trial: Trial, transport: Transport, directory: Path) -> None:
    """Tries one rule. A mechanism of our own whose claim can't be confirmed breaks it."""
    if transport.name.startswith("rpc-grpc"):
        _keep_alone(rule, trial, Subject(transport, directory))
        return
    try:
        trial.check(Subject(transport, directory))
    except NotWitnessed as reason:
        pytest.fail(f"{rule.promise}: {reason}")
    except NotTried as reason:
        pytest.skip(str(reason))


def _keep_alone(rule: Rule, trial: Trial, subject: Subject) -> None:
    """Tries one rule in a process of its own."""
    temporary = subject.directory.with_name(f"{subject.directory.name}-t")
    temporary.mkdir()
    outcome = isolated(partial(trial.check, subject), temporary, PATIENCE_S + 2)
    if outcome.kind == "skipped":
        pytest.skip(outcome.sentence)
    assert outcome.kind == "passed", f"{rule.promise}: {outcome.sentence}"
    assert not list(temporary.iterdir())
